/* The runner: rounds, random order, stopping, failures, attempts against a baseline. */
#include "fake.h"

#include <string.h>

#include "base/cleanup.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/runner.h"

static const struct runner_config usual = {
    .seed = 1,
    .precision = 0.02,
    .samples_min = 4,
    .samples_max = 12,
    .series_s = 60,
    .threshold = 0.05,
    .no_controls = true,
};

static void run(GPtrArray *all, const struct runner_config *config)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, runner_run(all, config, &error.error), &error);
}

static GPtrArray *series_array(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)series_free);
}

static void precise_series_stop_at_the_minimum(void **state)
{
    (void)state;
    struct fake fake = {.value = 100, .ns = 5000, .extra = 3};
    GPtrArray *all = series_array();
    struct series *series = fake_series(&fake, "reads", "get", "a");
    struct runner_config config = usual;
    config.no_controls = false;
    series->config.warm_ups = 2;
    g_ptr_array_add(all, series);
    run(all, &config);
    assert_int_equal(series->samples->len, 4);
    assert_int_equal(fake.samples, 6); /* the warm-ups are not kept */
    assert_int_equal(series->latency->count, 4);
    assert_int_equal(fake.begins, 1);
    assert_int_equal(fake.ends, 1);
    assert_int_equal(fake.frees, 1);
    const struct sample *sample = series_sample(series, 3);
    assert_int_equal(sample->round, 3);
    assert_true(sample->p99_ns >= 5000 && sample->p99_ns <= 5000 * 65.0 / 64);
    assert_true(sample->controls.multiply_ns > 0 && sample->controls.memory_ns > 0);
    g_ptr_array_free(all, TRUE);
}

static void noisy_series_go_on_to_the_maximum(void **state)
{
    (void)state;
    struct fake noisy = {.value = 100, .noise = 1};
    struct fake calm = {.value = 100};
    struct fake once = {.value = 100};
    GPtrArray *all = series_array();
    g_ptr_array_add(all, fake_series(&noisy, "reads", "get", "a"));
    g_ptr_array_add(all, fake_series(&calm, "reads", "get", "b"));
    struct series *single = fake_series(&once, "reads", "get", "c");
    single->config.samples_max = 1;
    g_ptr_array_add(all, single);
    run(all, &usual);
    assert_int_equal(noisy.samples, 12);
    assert_int_equal(calm.samples, 12); /* so that every round is a pair */
    assert_int_equal(once.samples, 1);
    g_ptr_array_free(all, TRUE);
}

static void time_ends_a_block_after_the_minimum(void **state)
{
    (void)state;
    struct fake noisy = {.value = 100, .noise = 1};
    struct runner_config config = usual;
    config.series_s = 1e-9;
    GPtrArray *all = series_array();
    g_ptr_array_add(all, fake_series(&noisy, "reads", "get", "a"));
    run(all, &config);
    assert_int_equal(noisy.samples, 4);
    g_ptr_array_free(all, TRUE);
}

/* Runs three series for 12 rounds; the order of their samples as a text. */
static char *order_of_run(uint64_t seed)
{
    struct runner_config config = usual;
    GArray *trace = g_array_new(FALSE, FALSE, sizeof(const char *));
    struct fake fakes[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    GPtrArray *all = series_array();
    config.seed = seed;
    for (int i = 0; i < 3; i++) {
        fakes[i].value = 1;
        fakes[i].noise = 1;
        fakes[i].trace = trace;
        g_ptr_array_add(all, fake_series(&fakes[i], "reads", "get", fakes[i].name));
    }
    run(all, &config);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < trace->len; i++)
        g_string_append(text, g_array_index(trace, const char *, i));
    g_array_free(trace, TRUE);
    g_ptr_array_free(all, TRUE);
    return g_string_free(text, FALSE);
}

static void each_round_has_each_series_once_in_random_order(void **state)
{
    (void)state;
    _cleanup_(freep) char *one = order_of_run(1);
    _cleanup_(freep) char *again = order_of_run(1);
    _cleanup_(freep) char *two = order_of_run(2);
    assert_int_equal(strlen(one), 36);
    uint32_t equal_rounds = 0;
    for (size_t round = 0; round < 36; round += 3) {
        for (const char *name = "abc"; *name != '\0'; name++)
            assert_non_null(memchr(one + round, *name, 3));
        equal_rounds += memcmp(one, one + round, 3) == 0;
    }
    assert_true(equal_rounds < 12);
    assert_string_equal(one, again);
    assert_string_not_equal(one, two);
}

static void a_failure_ends_only_its_series(void **state)
{
    (void)state;
    struct fake bad = {.value = 1, .fail_at = 3};
    struct fake good = {.value = 1};
    GPtrArray *all = series_array();
    struct series *failing = fake_series(&bad, "reads", "get", "bad");
    g_ptr_array_add(all, failing);
    g_ptr_array_add(all, fake_series(&good, "reads", "get", "good"));
    run(all, &usual);
    assert_string_equal(failing->failure, "the disk is on fire");
    assert_int_equal(bad.samples, 3);
    assert_int_equal(bad.ends, 1);
    assert_int_equal(good.samples, 4);
    g_ptr_array_free(all, TRUE);
}

/* Saves a baseline of one series at 100. */
static struct baseline *baseline_at_100(const char *dir)
{
    char program[] = "test";
    char *arguments[] = {program, NULL};
    struct test_error error;
    struct results results;
    struct fake fake = {.value = 100, .noise = 0.01};
    struct baseline *baseline = NULL;
    _cleanup_(freep) char *path = path_join(dir, "before.json");
    test_error_init(&error);
    results_init(&results, dir, 1, arguments);
    g_ptr_array_add(results.series, fake_series(&fake, "reads", "get", "a"));
    run(results.series, &usual);
    assert_status(KVS_OK, results_write_json(&results, path, &error.error), &error);
    results_deinit(&results);
    assert_status(KVS_OK, baseline_load(dir, "before", &baseline, &error.error), &error);
    return baseline;
}

static void compare_with_100(struct fake *fake, enum verdict expected, uint32_t attempts)
{
    char *dir = temp_dir_new();
    struct baseline *baseline = baseline_at_100(dir);
    struct runner_config config = usual;
    GPtrArray *all = series_array();
    struct series *series = fake_series(fake, "reads", "get", "a");
    config.baseline = baseline;
    series->config.samples_max = 4;
    g_ptr_array_add(all, series);
    run(all, &config);
    assert_int_equal(series->verdict, expected);
    assert_int_equal(series->attempt_count, attempts);
    assert_int_equal(fake->begins, attempts);
    assert_int_equal(fake->ends, attempts);
    assert_int_equal(fake->frees, 1);
    g_ptr_array_free(all, TRUE);
    baseline_free(baseline);
    temp_dir_free(dir);
}

static void a_change_is_confirmed_by_further_attempts(void **state)
{
    (void)state;
    struct fake same = {.value = 101, .noise = 0.01};
    struct fake faster = {.value = 150, .noise = 0.01};
    struct fake slower = {.value = 70, .noise = 0.01};
    struct fake fading = {.value = 120, .drift = 0.97}; /* faster at first, and then not any more */
    compare_with_100(&same, VERDICT_NO_CHANGE, 1);
    compare_with_100(&faster, VERDICT_FASTER, 3);
    compare_with_100(&slower, VERDICT_SLOWER, 3);
    compare_with_100(&fading, VERDICT_NO_CHANGE, 2);
}

static void the_estimate_counts_what_will_be_done(void **state)
{
    (void)state;
    struct fake fake = {.value = 1};
    GPtrArray *all = series_array();
    g_ptr_array_add(all, fake_series(&fake, "reads", "get", "a"));
    g_ptr_array_add(all, fake_series(&fake, "reads", "get", "b"));
    g_ptr_array_add(all, fake_series(&fake, "writes", "set", "a"));
    double estimate_s = runner_estimate_s(all, &usual); /* three times 12 samples of 1 ms */
    assert_true(estimate_s > 0.0359 && estimate_s < 0.0361);
    struct progress progress;
    progress_init(&progress, NULL, 100);
    assert_true(progress_left_s(&progress, 0) > 99);
    progress_block_begin(&progress, "reads", 20);
    progress_block_end(&progress);
    double left_s = progress_left_s(&progress, 40); /* it takes twice as long as was thought */
    assert_true(left_s > 159 && left_s < 161);
    g_ptr_array_free(all, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precise_series_stop_at_the_minimum),
        cmocka_unit_test(noisy_series_go_on_to_the_maximum),
        cmocka_unit_test(time_ends_a_block_after_the_minimum),
        cmocka_unit_test(each_round_has_each_series_once_in_random_order),
        cmocka_unit_test(a_failure_ends_only_its_series),
        cmocka_unit_test(a_change_is_confirmed_by_further_attempts),
        cmocka_unit_test(the_estimate_counts_what_will_be_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
