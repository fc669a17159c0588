/* Both forms of the report. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "plugin-check/report.h"

static const struct rule rule = {.name = "engine.get.found", .meaning = "it is found"};

/* A report of one result of each kind, malloced. */
static char *report_of_three(bool as_json)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct report report = {.out = out, .as_json = as_json, .path = "a \"path\""};
    struct result result = {.rule = &rule, .kind = VERDICT_PASS, .milliseconds = 7};
    report_begin(&report);
    report_add(&report, &result);
    result.kind = VERDICT_FAIL;
    (void)strcpy(result.text, "it said \"no\"\tand \\ more");
    report_add(&report, &result);
    result.kind = VERDICT_SKIP;
    (void)strcpy(result.text, "it is none");
    report_add(&report, &result);
    report_end(&report);
    assert_int_equal(report.passed + report.failed + report.skipped, 3);
    (void)fclose(out);
    return text;
}

static void text_tells_reasons(void **state)
{
    (void)state;
    char *text = report_of_three(false);
    assert_string_equal(text, "pass     engine.get.found\n"
                              "FAIL     engine.get.found\n"
                              "         it said \"no\"\tand \\ more\n"
                              "         the rule: it is found\n"
                              "skipped  engine.get.found\n"
                              "         it is none\n"
                              "1 passed, 1 failed, 1 skipped\n");
    free(text);
}

static void json_is_escaped(void **state)
{
    (void)state;
    char *text = report_of_three(true);
    assert_string_equal(text,
                        "{\"plugin\": \"a \\\"path\\\"\", \"rules\": [\n"
                        "  {\"rule\": \"engine.get.found\", \"result\": \"pass\", \"ms\": 7},\n"
                        "  {\"rule\": \"engine.get.found\", \"result\": \"fail\", \"ms\": 7, "
                        "\"reason\": \"it said \\\"no\\\"\\u0009and \\\\ more\"},\n"
                        "  {\"rule\": \"engine.get.found\", \"result\": \"skipped\", \"ms\": 7, "
                        "\"reason\": \"it is none\"}\n"
                        "], \"passed\": 1, \"failed\": 1, \"skipped\": 1}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_tells_reasons),
        cmocka_unit_test(json_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
