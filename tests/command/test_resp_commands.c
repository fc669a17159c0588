/* COMMAND: what clients learn of the table. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "conversation.h"

static void info_says_what_a_command_is(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "COMMAND INFO Object nosuch dbsize",
                        "*3\r\n"
                        "*10\r\n$6\r\nobject\r\n:-2\r\n*1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n"
                        "*3\r\n+@read\r\n+@slow\r\n+@generic\r\n*0\r\n*0\r\n*0\r\n"
                        "$-1\r\n"
                        "*10\r\n$6\r\ndbsize\r\n:1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n"
                        "*2\r\n+@fast\r\n+@server\r\n*0\r\n*0\r\n*0\r\n");
    (void)conversation_say(&talk, "HELLO 3");
    conversation_expect_part(&talk, "COMMAND INFO dbsize", "*10\r\n$6\r\ndbsize\r\n:1\r\n~1\r\n");
    conversation_end(&talk);
}

static void all_are_told_and_counted(void **state)
{
    (void)state;
    struct conversation talk;
    char start[32];
    conversation_begin(&talk);
    (void)snprintf(start, sizeof(start), ":%u\r\n", talk.table.count);
    conversation_expect(&talk, "COMMAND COUNT", start);
    (void)snprintf(start, sizeof(start), "*%u\r\n*10\r\n", talk.table.count);
    assert_true(strncmp(conversation_say(&talk, "COMMAND"), start, strlen(start)) == 0);
    assert_true(strncmp(conversation_say(&talk, "COMMAND INFO"), start, strlen(start)) == 0);
    (void)snprintf(start, sizeof(start), "*%u\r\n$", 2 * talk.table.count);
    assert_true(strncmp(conversation_say(&talk, "COMMAND DOCS"), start, strlen(start)) == 0);
    (void)snprintf(start, sizeof(start), "*%u\r\n$", talk.table.count);
    assert_true(strncmp(conversation_say(&talk, "COMMAND LIST"), start, strlen(start)) == 0);
    conversation_end(&talk);
}

static void docs_leave_out_what_is_not_there(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "COMMAND DOCS nosuch ECHO",
                        "*2\r\n$4\r\necho\r\n*6\r\n$7\r\nsummary\r\n$19\r\nAnswer the argument\r\n"
                        "$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n");
    conversation_end(&talk);
}

static void the_list_is_filtered(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "COMMAND LIST FILTERBY PATTERN DB*", "*1\r\n$6\r\ndbsize\r\n");
    conversation_expect(&talk, "COMMAND LIST FILTERBY MODULE x", "*0\r\n");
    conversation_expect_part(&talk, "COMMAND LIST FILTERBY ACLCAT connection", "$4\r\necho\r\n");
    conversation_expect_part(&talk, "COMMAND LIST FILTERBY ACLCAT read", "$6\r\nobject\r\n");
    conversation_expect(&talk, "COMMAND LIST FILTERBY ACLCAT nosuch", "*0\r\n");
    conversation_expect(&talk, "COMMAND LIST FILTERBY COLOUR x", "-ERR syntax error\r\n");
    conversation_expect(&talk, "COMMAND LIST FILTERBY PATTERN", "-ERR syntax error\r\n");
    conversation_end(&talk);
}

static void keys_are_found_in_arguments(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "COMMAND GETKEYS OBJECT ENCODING k", "*1\r\n$1\r\nk\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS DEL a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS PING x",
                        "-ERR The command has no key arguments\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS OBJECT HELP",
                        "-ERR The command has no key arguments\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS MEMORY USAGE k", "*1\r\n$1\r\nk\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS GET",
                        "-ERR wrong number of arguments for 'command|getkeys' command\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS nosuch x", "-ERR Invalid command specified\r\n");
    conversation_expect(&talk, "COMMAND GETKEYS SETRANGE k",
                        "-ERR Invalid number of arguments specified for command\r\n");
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_says_what_a_command_is),
        cmocka_unit_test(all_are_told_and_counted),
        cmocka_unit_test(docs_leave_out_what_is_not_there),
        cmocka_unit_test(the_list_is_filtered),
        cmocka_unit_test(keys_are_found_in_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
