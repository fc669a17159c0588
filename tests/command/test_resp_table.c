/* The table of Redis commands: every one is found, in any case, and nothing else is. */
#include "command/resp_table.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "support/support.h"

static void every_command_is_found_in_any_case(void **state)
{
    static struct resp_table table;
    (void)state;
    resp_table_init(&table);
    for (uint32_t i = 0; i < table.count; i++) {
        char name[64];
        assert_true(strlen(table.commands[i]->name) < sizeof(name));
        (void)strcpy(name, table.commands[i]->name);
        assert_int_equal(resp_table_find(&table, bytes_of_text(name)), i);
        for (char *c = name; *c != '\0'; c += 2) {
            *c = (char)toupper(*c);
            if (c[1] == '\0')
                break;
        }
        assert_int_equal(resp_table_find(&table, bytes_of_text(name)), i);
    }
}

static void every_command_says_what_it_is(void **state)
{
    static struct resp_table table;
    (void)state;
    resp_table_init(&table);
    for (uint32_t i = 0; i < table.count; i++) {
        const struct resp_command *command = table.commands[i];
        assert_non_null(command->run);
        assert_non_null(command->group);
        assert_non_null(command->since);
        assert_non_null(command->summary);
        assert_int_not_equal(command->arity, 0);
        for (const char *c = command->name; *c != '\0'; c++)
            assert_false(isupper(*c));
    }
}

static void nothing_else_is_found(void **state)
{
    static struct resp_table table;
    static const struct {
        const char *name;
        size_t size;
    } others[] = {{"", 0},
                  {"g", 1},
                  {"gett", 4},
                  {"get\0", 4},
                  {"get\0\0\0\0\0\0\0\0\0", 12},
                  {"\0", 1},
                  {"no such command as long as this one is", 38}};
    (void)state;
    resp_table_init(&table);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(resp_table_find(&table, bytes_of(others[i].name, others[i].size)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_found_in_any_case),
        cmocka_unit_test(every_command_says_what_it_is),
        cmocka_unit_test(nothing_else_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
