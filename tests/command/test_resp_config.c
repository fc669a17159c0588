/* CONFIG: settings by pattern, and changing them. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "conversation.h"

static char maxclients[16];

static void visit_settings(void *arg,
                           void (*visit)(void *visit_arg, const char *name, const char *value),
                           void *visit_arg)
{
    (void)arg;
    visit(visit_arg, "maxclients", maxclients);
    visit(visit_arg, "port", "4000");
}

static kvs_status change_setting(void *arg, const char *name, const char *value,
                                 struct kvs_error *err)
{
    (void)arg;
    if (strcasecmp(name, "port") == 0)
        return KVS_UNSUPPORTED;
    if (strcasecmp(name, "maxclients") != 0)
        return KVS_MISSING;
    if (strlen(value) > 5)
        return kvs_error_set(err, KVS_INVALID, 0, "too many");
    (void)strcpy(maxclients, value);
    return KVS_OK;
}

static void reset_stats(void *arg)
{
    (*(int *)arg)++;
}

static void begin(struct conversation *talk)
{
    conversation_begin(talk);
    (void)strcpy(maxclients, "100");
    talk->context.hooks.visit_settings = visit_settings;
    talk->context.hooks.change_setting = change_setting;
}

static void settings_are_found_by_pattern(void **state)
{
    (void)state;
    struct conversation talk;
    begin(&talk);
    conversation_expect(&talk, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    conversation_expect(&talk, "config get MaxClients", "*2\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n");
    conversation_expect(&talk, "CONFIG GET max*s por?",
                        "*4\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n$4\r\nport\r\n$4\r\n4000\r\n");
    conversation_expect(&talk, "CONFIG GET port por[st]", "*2\r\n$4\r\nport\r\n$4\r\n4000\r\n");
    conversation_expect(&talk, "CONFIG GET nosuch", "*0\r\n");
    (void)conversation_say(&talk, "HELLO 3");
    conversation_expect(&talk, "CONFIG GET port", "%1\r\n$4\r\nport\r\n$4\r\n4000\r\n");
    conversation_end(&talk);
}

static void without_a_server_only_constants_are_there(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    conversation_expect(&talk, "CONFIG GET port", "*0\r\n");
    conversation_expect(&talk, "CONFIG SET save x SAVE y",
                        "-ERR CONFIG SET failed (possibly related to argument 'SAVE') - duplicate "
                        "parameter\r\n");
    conversation_expect(&talk, "CONFIG SET port 1",
                        "-ERR Unknown option or number of arguments for CONFIG SET - 'port'\r\n");
    conversation_expect(&talk, "CONFIG RESETSTAT", "+OK\r\n");
    conversation_end(&talk);
}

static void settings_change_or_say_why_not(void **state)
{
    (void)state;
    struct conversation talk;
    begin(&talk);
    conversation_expect(&talk, "CONFIG SET maxclients 7", "+OK\r\n");
    assert_string_equal(maxclients, "7");
    conversation_expect(&talk, "CONFIG SET save \"\" maxclients 8", "+OK\r\n");
    assert_string_equal(maxclients, "8");
    conversation_expect(
        &talk, "CONFIG SET port 1",
        "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config"
        "\r\n");
    conversation_expect(
        &talk, "CONFIG SET appendonly no",
        "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable "
        "config\r\n");
    conversation_expect(
        &talk, "CONFIG SET maxclients 123456",
        "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - too many\r\n");
    conversation_expect(&talk, "CONFIG SET nosuch 1",
                        "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
    conversation_expect(&talk, "CONFIG SET maxclients",
                        "-ERR wrong number of arguments for 'config|set' command\r\n");
    conversation_expect(&talk, "CONFIG SET maxclients 1 port",
                        "-ERR wrong number of arguments for 'config|set' command\r\n");
    conversation_expect_part(&talk, "CONFIG REWRITE", "-ERR CONFIG REWRITE is not supported");
    assert_string_equal(maxclients, "8");
    conversation_end(&talk);
}

static void figures_are_reset(void **state)
{
    (void)state;
    struct conversation talk;
    int resets = 0;
    begin(&talk);
    talk.context.hooks.arg = &resets;
    talk.context.hooks.reset_stats = reset_stats;
    conversation_expect(&talk, "CONFIG RESETSTAT", "+OK\r\n");
    assert_int_equal(resets, 1);
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_found_by_pattern),
        cmocka_unit_test(without_a_server_only_constants_are_there),
        cmocka_unit_test(settings_change_or_say_why_not),
        cmocka_unit_test(figures_are_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
