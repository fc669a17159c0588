/* docs/redis.md lists every command of the table, with its summary, and no other. Usage:
   test_redis_page PATH */
#include "support/support.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "command/resp_table.h"

#define LINE_SIZE 512u

static FILE *page;
static struct resp_table table;

static void every_command_has_its_row(void **state)
{
    (void)state;
    bool listed[RESP_TABLE_MAX] = {false};
    uint32_t rows = 0;
    char line[LINE_SIZE];
    while (fgets(line, sizeof(line), page) != NULL) {
        char name[64];
        char summary[LINE_SIZE];
        if (sscanf(line, "| `%63[A-Z]` | %511[^|\n]", name, summary) != 2)
            continue;
        int32_t index = resp_table_find(&table, bytes_of_text(name));
        if (index < 0)
            fail_msg("the page has %s, which is no command", name);
        if (listed[index])
            fail_msg("the page has %s twice", name);
        listed[index] = true;
        rows++;
        for (size_t end = strlen(summary); end > 0 && isspace((unsigned char)summary[end - 1]);)
            summary[--end] = '\0';
        assert_string_equal(summary, table.commands[index]->summary);
    }
    for (uint32_t i = 0; i < table.count; i++) {
        if (!listed[i])
            fail_msg("the page does not have %s", table.commands[i]->name);
    }
    assert_int_equal(rows, table.count);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_its_row),
    };
    page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (page == NULL) {
        perror(argc == 2 ? argv[1] : "usage: test_redis_page PATH");
        return 1;
    }
    resp_table_init(&table);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)fclose(page);
    return failed;
}
