/* Tables of subcommands: names, arities, help. */
#include "support/support.h"

#include "conversation.h"

static void names_are_found_in_any_case_and_arities_hold(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "MODULE LIST", "*0\r\n");
    conversation_expect(&talk, "module liSt", "*0\r\n");
    conversation_expect(&talk, "module list 1",
                        "-ERR wrong number of arguments for 'module|list' command\r\n");
    conversation_expect(&talk, "script exists",
                        "-ERR wrong number of arguments for 'script|exists' command\r\n");
    conversation_expect(&talk, "module li", "-ERR unknown subcommand 'li'. Try MODULE HELP.\r\n");
    conversation_expect(&talk, "module \"\"", "-ERR unknown subcommand ''. Try MODULE HELP.\r\n");
    conversation_end(&talk);
}

static void help_lists_what_has_help(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(
        &talk, "script help",
        "*4\r\n+SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
        "+EXISTS <sha1> [...]: none exists\r\n+FLUSH : nothing to forget\r\n+HELP\r\n");
    conversation_expect(&talk, "script help me",
                        "-ERR wrong number of arguments for 'script|help' command\r\n");
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_any_case_and_arities_hold),
        cmocka_unit_test(help_lists_what_has_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
