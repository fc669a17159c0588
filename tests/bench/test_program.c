/* kvs-bench itself: every cell runs, its files parse, baselines work, and mistakes are explained. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <glib.h>
#include <jansson.h>

#include "base/cleanup.h"

#define FAST "--quiet --keys 2000 --time 0.01 --slice 5 --samples 1"
/* Each store that syncs fills its first segment with zeros: 256 MiB by default. */
#define SMALL_SEGMENTS "--engine-opt log:segment-size=8m"

struct output {
    char *out;
    char *err;
    int code;
};

static void output_deinit(struct output *output)
{
    free(output->out);
    free(output->err);
}

/* Runs kvs-bench with the arguments (a text that is split at blanks), its data below dir. */
static struct output run_bench(const char *dir, const char *arguments)
{
    struct output output = {0};
    int state = 0;
    GError *error = NULL;
    const char *program = getenv("KVS_TEST_BENCH");
    assert_non_null(program);
    _cleanup_(freep) char *line =
        g_strdup_printf("%s --dir %s --out %s/out %s", program, dir, dir, arguments);
    gchar **words = g_strsplit(line, " ", -1);
    bool started = g_spawn_sync(NULL, words, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output.out,
                                &output.err, &state, &error);
    g_strfreev(words);
    assert_true(started);
    assert_true(WIFEXITED(state));
    output.code = WEXITSTATUS(state);
    return output;
}

static json_t *load_results(const char *dir)
{
    json_error_t fault;
    _cleanup_(freep) char *path = path_join(dir, "out/results.json");
    json_t *root = json_load_file(path, 0, &fault);
    assert_non_null(root);
    return root;
}

/* The series of that id; NULL: none. */
static json_t *find_series(json_t *root, const char *id)
{
    json_t *all = json_object_get(root, "series");
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *series = json_array_get(all, i);
        if (strcmp(json_string_value(json_object_get(series, "id")), id) == 0)
            return series;
    }
    return NULL;
}

/* The floors and every kvs engine, as --list names them. */
static char *engines_and_floors(const char *dir)
{
    GString *names = g_string_new("table,append");
    _cleanup_(output_deinit) struct output output = run_bench(dir, "--list");
    gchar **lines = g_strsplit(output.out, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        if (g_str_has_prefix(lines[i], "  kvs-"))
            g_string_append_printf(names, ",%.*s", (int)strcspn(lines[i] + 2, " "), lines[i] + 2);
    }
    g_strfreev(lines);
    return g_string_free(names, FALSE);
}

static void every_cell_gives_a_figure(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(freep) char *names = engines_and_floors(dir);
    _cleanup_(freep) char *arguments =
        g_strdup_printf(FAST " " SMALL_SEGMENTS " --peers %s", names);
    _cleanup_(output_deinit) struct output output = run_bench(dir, arguments);
    if (output.code != 0)
        print_error("%s%s", output.out, output.err);
    assert_int_equal(output.code, 0);
    json_t *root = load_results(dir);
    json_t *all = json_object_get(root, "series");
    assert_true(json_array_size(all) >= 10);
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *series = json_array_get(all, i);
        json_t *summary = json_object_get(series, "summary");
        double median = json_number_value(json_object_get(summary, "median"));
        const char *id = json_string_value(json_object_get(series, "id"));
        if (!(median > 0) && strncmp(id, "memory/", 7) != 0)
            fail_msg("%s: %g", id, median);
    }
    assert_non_null(find_series(root, "get/t1/table"));
    assert_non_null(find_series(root, "set_sync/t8/append"));
    json_decref(root);
    assert_non_null(strstr(output.out, "get t1 [ops/s]"));
    assert_non_null(strstr(output.out, "/out/report.html"));
    _cleanup_(freep) char *base = path_join(dir, ".");
    GDir *folder = g_dir_open(base, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;)
        assert_string_equal(name, "out"); /* no store is left behind */
    g_dir_close(folder);
    temp_dir_free(dir);
}

static void patterns_and_peers_choose_what_is_measured(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(output_deinit) struct output output =
        run_bench(dir, FAST " --peers table,append fill/ get_miss");
    assert_int_equal(output.code, 0);
    json_t *root = load_results(dir);
    assert_int_equal(json_array_size(json_object_get(root, "series")), 5);
    assert_non_null(find_series(root, "fill_batch64/t1/append"));
    assert_non_null(find_series(root, "get_miss/t1/table"));
    assert_null(find_series(root, "get/t1/table"));
    json_decref(root);
    temp_dir_free(dir);
}

static void a_classic_benchmark_is_judged_by_its_floor(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(output_deinit) struct output output =
        run_bench(dir, FAST " classic/write_queued_log/t1/");
    assert_int_equal(output.code, 0);
    json_t *root = load_results(dir);
    static const char *const subjects[] = {"none", "always", "floor", "bare"};
    assert_int_equal(json_array_size(json_object_get(root, "series")), 4);
    for (size_t i = 0; i < 4; i++) {
        _cleanup_(freep) char *id = g_strdup_printf("write_queued_log/t1/%s", subjects[i]);
        json_t *summary = json_object_get(find_series(root, id), "summary");
        assert_true(json_number_value(json_object_get(summary, "median")) > 0);
    }
    json_decref(root);
    assert_non_null(strstr(output.out, "sync none (t1): time over the floor's (t1)"));
    assert_non_null(strstr(output.out, "write_queued_log: retransmitted segments"));
    temp_dir_free(dir);
}

static void a_server_is_started_and_loaded(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(output_deinit) struct output output =
        run_bench(dir, FAST " server/get_p16_none/c50/kvs-native");
    if (output.code != 0)
        print_error("%s%s", output.out, output.err);
    assert_int_equal(output.code, 0);
    json_t *root = load_results(dir);
    json_t *series = find_series(root, "get_p16_none/c50/kvs-native");
    json_t *sample = json_array_get(json_object_get(series, "samples"), 0);
    json_t *extras = json_object_get(sample, "extras");
    assert_true(json_number_value(json_object_get(sample, "value")) > 0);
    assert_true(json_number_value(json_object_get(sample, "p99_ns")) > 0);
    assert_non_null(json_object_get(extras, "server_cpu_per_request_ns"));
    /* The sample may be shorter than what the kernel counts CPU time by: it may be 0. */
    assert_true(json_is_number(json_object_get(extras, "generator_cpu_share")));
    json_decref(root);
    temp_dir_free(dir);
}

static void pools_are_measured(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(output_deinit) struct output output = run_bench(dir, FAST " pool/*/t2/shared-queue");
    if (output.code != 0)
        print_error("%s%s", output.out, output.err);
    assert_int_equal(output.code, 0);
    json_t *root = load_results(dir);
    json_t *all = json_object_get(root, "series");
    assert_int_equal(json_array_size(all), 12);
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *summary = json_object_get(json_array_get(all, i), "summary");
        assert_true(json_number_value(json_object_get(summary, "median")) > 0);
    }
    json_decref(root);
    temp_dir_free(dir);
}

static void a_saved_baseline_can_be_compared_with(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    static const char *const saving = FAST " --peers table --save first get/t1";
    static const char *const comparing = FAST " --peers table --compare first get/t1";
    _cleanup_(output_deinit) struct output saved = run_bench(dir, saving);
    assert_int_equal(saved.code, 0);
    _cleanup_(output_deinit) struct output compared = run_bench(dir, comparing);
    assert_int_equal(compared.code, 0);
    assert_non_null(strstr(compared.out, "1 series compared"));
    json_t *root = load_results(dir);
    assert_non_null(json_object_get(find_series(root, "get/t1/table"), "verdict"));
    json_decref(root);
    temp_dir_free(dir);
}

static void the_list_names_cells_and_subjects(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    _cleanup_(output_deinit) struct output output = run_bench(dir, "--list");
    assert_int_equal(output.code, 0);
    assert_non_null(strstr(output.out, "reopen_killed"));
    assert_non_null(strstr(output.out, "classic\n  write_queued_log"));
    assert_non_null(strstr(output.out, "server\n  set_p1"));
    assert_non_null(strstr(output.out, "kvs-native"));
    assert_non_null(strstr(output.out, "pool\n  spawn_to_run"));
    assert_non_null(strstr(output.out, "t1 t8 t32"));
    assert_non_null(strstr(output.out, "append"));
    temp_dir_free(dir);
}

static void mistakes_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        const char *message;
    } cases[] = {
        {"--keys many", "--keys many: write a number"},
        {"--keys 1", "--keys 1: write a number"},
        {"--no-such-option", "--no-such-option"},
        {"--peers nobody", "there is no peer 'nobody'"},
        {"--peers table nothing/like/this", "nothing matches"},
        {"--compare yesterday", "no baseline 'yesterday'"},
        {"--dir /nonexistent fill", "/nonexistent"},
    };
    char *dir = temp_dir_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(output_deinit) struct output output = run_bench(dir, cases[i].arguments);
        assert_int_equal(output.code, 1);
        if (strstr(output.err, cases[i].message) == NULL)
            fail_msg("%s gave: %s", cases[i].arguments, output.err);
    }
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_gives_a_figure),
        cmocka_unit_test(patterns_and_peers_choose_what_is_measured),
        cmocka_unit_test(a_classic_benchmark_is_judged_by_its_floor),
        cmocka_unit_test(a_server_is_started_and_loaded),
        cmocka_unit_test(pools_are_measured),
        cmocka_unit_test(a_saved_baseline_can_be_compared_with),
        cmocka_unit_test(the_list_names_cells_and_subjects),
        cmocka_unit_test(mistakes_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
