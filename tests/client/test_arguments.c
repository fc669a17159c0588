/* kvs-client's command line, as a pure function. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "client/arguments.h"

#define ARGUMENTS_MAX 12

/* Parses the words, which follow the program's name; NULL at their end. */
static kvs_status parse(const char *const *words, struct arguments *ret, struct test_error *error)
{
    static char program[] = "kvs-client";
    char *argv[ARGUMENTS_MAX] = {program};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < ARGUMENTS_MAX - 1);
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    test_error_init(error);
    return arguments_parse(argc, argv, ret, &error->error);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_refused(const char *const *words, const char *message)
{
    struct arguments arguments = {.address = "untouched"};
    struct test_error error;
    assert_status(KVS_INVALID, parse(words, &arguments, &error), &error);
    if (strstr(error.message, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, error.message);
    assert_string_equal(arguments.address, "untouched");
}

static void check_set(const char *const *words, const char *address, const char *key,
                      const char *value, uint32_t literal_index)
{
    struct arguments arguments;
    struct test_error error;
    assert_status(KVS_OK, parse(words, &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_RUN);
    assert_string_equal(arguments.command->name, "set");
    if (address == NULL)
        assert_null(arguments.address);
    else
        assert_string_equal(arguments.address, address);
    assert_int_equal(arguments.input.operand_count, 2);
    assert_string_equal(arguments.input.operands[0], key);
    assert_string_equal(arguments.input.operands[1], value);
    assert_int_equal(arguments.input.literal_index, literal_index);
    assert_false(arguments.input.raw);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    check_set(WORDS("set", "k", "v"), NULL, "k", "v", 2);
    check_set(WORDS("--addr", "a:1", "set", "k", "v"), "a:1", "k", "v", 2);
    check_set(WORDS("set", "--addr", "a:1", "k", "v"), "a:1", "k", "v", 2);
    check_set(WORDS("set", "k", "--addr=a:1", "v"), "a:1", "k", "v", 2);
    check_set(WORDS("set", "k", "v", "--addr", "a:1"), "a:1", "k", "v", 2);
    check_set(WORDS("--addr", "a:1", "set", "k", "v", "--addr", "b:2"), "b:2", "k", "v", 2);
    check_set(WORDS("set", "", ""), NULL, "", "", 2);
    check_set(WORDS("set", "k", "-"), NULL, "k", "-", 2);
}

static void options_stand_anywhere_for_posix_too(void **state)
{
    (void)state;
    assert_int_equal(setenv("POSIXLY_CORRECT", "1", 1), 0);
    check_set(WORDS("set", "k", "v", "--addr", "a:1"), "a:1", "k", "v", 2);
    assert_int_equal(unsetenv("POSIXLY_CORRECT"), 0);
}

static void behind_two_dashes_all_are_operands(void **state)
{
    (void)state;
    check_set(WORDS("set", "k", "--", "-v"), NULL, "k", "-v", 1);
    check_set(WORDS("set", "--", "-k", "--addr"), NULL, "-k", "--addr", 0);
    check_set(WORDS("--", "set", "-k", "--"), NULL, "-k", "--", 0);
    check_set(WORDS("--addr", "a:1", "set", "--", "--help", "-"), "a:1", "--help", "-", 0);
    check_set(WORDS("set", "k", "v", "--"), NULL, "k", "v", 2);
}

static void each_command_is_known(void **state)
{
    (void)state;
    struct arguments arguments;
    struct test_error error;
    assert_status(KVS_OK, parse(WORDS("get", "k"), &arguments, &error), &error);
    assert_ptr_equal(arguments.command, command_find("get"));
    assert_status(KVS_OK, parse(WORDS("get", "k", "--raw"), &arguments, &error), &error);
    assert_true(arguments.input.raw);
    assert_status(KVS_OK, parse(WORDS("rm", "k"), &arguments, &error), &error);
    assert_ptr_equal(arguments.command, command_find("rm"));
    assert_status(KVS_OK, parse(WORDS("ping"), &arguments, &error), &error);
    assert_ptr_equal(arguments.command, command_find("ping"));
    assert_status(KVS_OK, parse(WORDS("stats"), &arguments, &error), &error);
    assert_ptr_equal(arguments.command, command_find("stats"));
    assert_null(command_find("nothing"));
    for (uint32_t i = 0; i < command_count; i++) {
        assert_true(commands[i].operand_least <= commands[i].operand_most);
        assert_true(commands[i].operand_most <= COMMAND_OPERANDS_MAX);
        assert_ptr_equal(command_find(commands[i].name), &commands[i]);
    }
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    check_refused(WORDS(NULL), "a command is missing");
    check_refused(WORDS("--"), "a command is missing");
    check_refused(WORDS("--addr", "a:1"), "a command is missing");
    check_refused(WORDS("nothing"), "no command 'nothing'");
    check_refused(WORDS(""), "no command ''");
    check_refused(WORDS("nothing", "--", "-x"), "no command 'nothing'");
    check_refused(WORDS("set"), "set needs KEY VALUE");
    check_refused(WORDS("set", "k"), "set needs KEY VALUE");
    check_refused(WORDS("get"), "get needs KEY");
    check_refused(WORDS("rm"), "rm needs KEY");
    check_refused(WORDS("set", "k", "v", "w"), "'w' is one argument too many for set KEY VALUE");
    check_refused(WORDS("set", "k", "--", "v", "w"), "'w' is one argument too many");
    check_refused(WORDS("get", "k", "w"), "'w' is one argument too many");
    check_refused(WORDS("rm", "k", "w"), "'w' is one argument too many");
    check_refused(WORDS("ping", "w"), "'w' is one argument too many for ping");
    check_refused(WORDS("stats", "w"), "'w' is one argument too many");
    check_refused(WORDS("set", "k", "v", "--raw"), "set does not take --raw");
    check_refused(WORDS("get", "k", "--unknown"), "option '--unknown' is not known");
    check_refused(WORDS("get", "k", "--raw=1"), "option '--raw=1'");
    check_refused(WORDS("get", "-x"), "option '-x' is not known");
    check_refused(WORDS("get", "-xy"), "option '-x' is not known");
    check_refused(WORDS("set", "k", "-5"), "behind '--'");
    check_refused(WORDS("get", "k", "--addr"), "--addr needs a value");
}

static void help_and_version_need_no_command(void **state)
{
    (void)state;
    struct arguments arguments;
    struct test_error error;
    assert_status(KVS_OK, parse(WORDS("-V"), &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_VERSION);
    assert_status(KVS_OK, parse(WORDS("--version"), &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_VERSION);
    assert_status(KVS_OK, parse(WORDS("-h"), &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_HELP);
    assert_status(KVS_OK, parse(WORDS("set", "--help"), &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_HELP);
    assert_status(KVS_OK, parse(WORDS("set", "k", "-V", "--unknown"), &arguments, &error), &error);
    assert_int_equal(arguments.action, ARGUMENTS_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(options_stand_anywhere_for_posix_too),
        cmocka_unit_test(behind_two_dashes_all_are_operands),
        cmocka_unit_test(each_command_is_known),
        cmocka_unit_test(wrong_usage_is_refused),
        cmocka_unit_test(help_and_version_need_no_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
