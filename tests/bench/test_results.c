/* results.json parses and says what was measured; results.csv has a line per sample; a baseline
   comes back as it was saved; the table shows every series. */
#include "fake.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "harness/baseline.h"
#include "harness/results.h"

/* Two subjects, two cells; b fails in one. */
static void results_make(struct results *results, const char *dir, struct fake *fake)
{
    char program[] = "kvs-bench";
    char argument[] = "a b";
    char *arguments[] = {program, argument, NULL};
    results_init(results, dir, 2, arguments);
    results->seed = 7;
    results->reference = "a";
    results_note_add(results, "keys", "1000");
    static const char *const cells[] = {"get", "set"};
    for (int i = 0; i < 4; i++) {
        struct series *series = fake_series(fake, "reads", cells[i / 2], i % 2 == 0 ? "a" : "b");
        for (uint32_t round = 0; round < 3 && i < 3; round++)
            fake_sample_add(series, 0, round, 100 * (i + 1) + round);
        if (i == 3)
            series->failure = g_strdup("no \"luck\"");
        g_ptr_array_add(results->series, series);
    }
    histogram_record(((struct series *)g_ptr_array_index(results->series, 0))->latency, 1000);
}

static void json_parses_and_is_complete(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "results.json");
    struct fake fake = {0};
    struct results results;
    struct test_error error;
    test_error_init(&error);
    results_make(&results, dir, &fake);
    struct target target = {.text = "half",
                            .numerator = "get/t1/a",
                            .denominator = "get/t1/b",
                            .limit = 0.4,
                            .unit = "x"};
    struct target_result judged = target_judge(&target, results.series, 1);
    g_array_append_val(results.targets, judged);
    assert_status(KVS_OK, results_write_json(&results, path, &error.error), &error);

    json_error_t fault;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "format")), RESULTS_FORMAT);
    assert_string_equal(json_string_value(json_object_get(root, "command")), "kvs-bench 'a b'");
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "notes"), "keys")),
                        "1000");
    assert_true(
        json_integer_value(json_object_get(json_object_get(root, "machine"), "memory_bytes")) > 0);
    json_t *all = json_object_get(root, "series");
    assert_int_equal(json_array_size(all), 4);
    json_t *first = json_array_get(all, 0);
    assert_string_equal(json_string_value(json_object_get(first, "id")), "get/t1/a");
    assert_int_equal(json_array_size(json_object_get(first, "samples")), 3);
    json_t *summary = json_object_get(first, "summary");
    assert_true(fabs(json_number_value(json_object_get(summary, "median")) - 101) < 1e-9);
    json_t *latency = json_object_get(first, "latency");
    assert_int_equal(json_integer_value(json_object_get(latency, "max_ns")), 1000);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 3), "failure")),
                        "no \"luck\"");
    assert_int_equal(json_array_size(json_object_get(root, "ratios")), 1);
    json_t *shown = json_array_get(json_object_get(root, "targets"), 0);
    assert_string_equal(json_string_value(json_object_get(shown, "state")), "reached");
    json_decref(root);
    results_deinit(&results);
    temp_dir_free(dir);
}

static void csv_has_a_line_per_sample_with_every_column(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "results.csv");
    struct fake fake = {0};
    struct results results;
    struct test_error error;
    test_error_init(&error);
    results_make(&results, dir, &fake);
    assert_status(KVS_OK, results_write_csv(&results, path, &error.error), &error);
    _cleanup_(freep) gchar *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    gchar **lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 1 + 9 + 1); /* the head, the samples, the last newline */
    gchar **head = g_strsplit(lines[0], ",", -1);
    for (int i = 1; i <= 9; i++) {
        gchar **columns = g_strsplit(lines[i], ",", -1);
        assert_int_equal(g_strv_length(columns), g_strv_length(head));
        g_strfreev(columns);
    }
    assert_non_null(strstr(lines[1], "reads,get,1,a,ops/s,0,0,100,"));
    g_strfreev(head);
    g_strfreev(lines);
    results_deinit(&results);
    temp_dir_free(dir);
}

static void the_page_has_a_row_for_each_cell(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "results.md");
    _cleanup_(freep) gchar *text = NULL;
    struct fake fake = {0};
    struct results results;
    struct test_error error;
    test_error_init(&error);
    results_make(&results, dir, &fake);
    assert_status(KVS_OK, results_write_markdown(&results, path, &error.error), &error);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_non_null(strstr(text, "### reads\n\n| | a | b |"));
    assert_non_null(strstr(text, "| get, threads 1 [ops/s] | 101 "));
    assert_non_null(strstr(text, " failed |"));
    results_deinit(&results);
    temp_dir_free(dir);
}

static void a_baseline_comes_back_as_it_was_saved(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "yesterday.json");
    struct fake fake = {0};
    struct results results;
    struct baseline *baseline;
    struct test_error error;
    test_error_init(&error);
    results_make(&results, dir, &fake);
    assert_status(KVS_OK, results_write_json(&results, path, &error.error), &error);
    assert_status(KVS_OK, baseline_load(dir, "yesterday", &baseline, &error.error), &error);
    const struct baseline_series *series = baseline_find(baseline, "get/t1/b");
    assert_non_null(series);
    assert_int_equal(series->count, 3);
    assert_true(fabs(series->values[2] - 202) < 1e-9);
    assert_null(baseline_find(baseline, "set/t1/b")); /* it failed: no samples */
    assert_null(baseline_find(baseline, "nothing"));
    baseline_free(baseline);
    results_deinit(&results);
    temp_dir_free(dir);
}

static void a_missing_or_damaged_baseline_is_refused(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "broken.json");
    struct baseline *baseline = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_true(
        g_file_set_contents(path, "{\"format\": \"kvs-bench/1\", \"series\": [{}]}", -1, NULL));
    assert_int_equal(baseline_load(dir, "other", &baseline, &error.error), KVS_MISSING);
    assert_non_null(strstr(error.message, "broken")); /* what there is */
    assert_int_equal(baseline_load(dir, "broken", &baseline, &error.error), KVS_CORRUPT);
    assert_true(g_file_set_contents(path, "{\"format\": \"x\"}", -1, NULL));
    assert_int_equal(baseline_load(dir, "broken", &baseline, &error.error), KVS_CORRUPT);
    assert_true(g_file_set_contents(path, "{", -1, NULL));
    assert_int_equal(baseline_load(dir, "broken", &baseline, &error.error), KVS_CORRUPT);
    assert_null(baseline);
    temp_dir_free(dir);
}

static void the_table_shows_figures_ratios_and_failures(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    struct fake fake = {0};
    struct results results;
    results_make(&results, dir, &fake);
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    results_print(&results, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "reads"));
    assert_non_null(strstr(text, "get t1 [ops/s]"));
    assert_non_null(strstr(text, "101"));      /* the median of a */
    assert_non_null(strstr(text, "0.502x\n")); /* a over b */
    assert_non_null(strstr(text, "FAILED set/t1/b: no \"luck\""));
    results_deinit(&results);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_parses_and_is_complete),
        cmocka_unit_test(csv_has_a_line_per_sample_with_every_column),
        cmocka_unit_test(the_page_has_a_row_for_each_cell),
        cmocka_unit_test(a_baseline_comes_back_as_it_was_saved),
        cmocka_unit_test(a_missing_or_damaged_baseline_is_refused),
        cmocka_unit_test(the_table_shows_figures_ratios_and_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
