/* Series: identifiers, patterns, values and ratios. */
#include "fake.h"

#include "base/cleanup.h"
#include "harness/target.h"

static void patterns_match_parts_or_the_whole(void **state)
{
    (void)state;
    assert_true(series_id_matches("get/t1/lmdb", "get"));
    assert_true(series_id_matches("get/t1/lmdb", "t1/lm"));
    assert_false(series_id_matches("get/t1/lmdb", "get/t2"));
    assert_true(series_id_matches("get/t1/lmdb", "get/*"));
    assert_true(series_id_matches("get/t1/lmdb", "get/t?/lmdb"));
    assert_false(series_id_matches("get/t1/lmdb", "et/*"));
    assert_false(series_id_matches("get/t1/lmdb", "get/?/lmdb"));
}

static void an_id_names_cell_threads_and_subject(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct series *series = fake_series(&fake, "reads", "get", "lmdb");
    assert_string_equal(series->id, "get/t1/lmdb");
    series_free(series);
    assert_int_equal(fake.frees, 1);
}

static void a_finished_series_frees_once_and_keeps_its_samples(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct series *series = fake_series(&fake, "reads", "get", "lmdb");
    fake_sample_add(series, 0, 0, 5);
    series_finish(series);
    assert_int_equal(fake.frees, 1);
    assert_int_equal(series->samples->len, 1);
    series_free(series);
    assert_int_equal(fake.frees, 1);
}

static void values_of_an_extra_need_it_in_every_sample(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct series *series = fake_series(&fake, "reads", "get", "lmdb");
    assert_null(series_values(series, NULL));
    struct sample sample = {.value = 1};
    sample_extra_add(&sample, "a_bytes", 7);
    g_array_append_val(series->samples, sample);
    _cleanup_(freep) double *values = series_values(series, "a_bytes");
    assert_true(values != NULL && values[0] > 6.9 && values[0] < 7.1);
    assert_null(series_values(series, "b_bytes"));
    fake_sample_add(series, 0, 1, 2);
    assert_null(series_values(series, "a_bytes"));
    series_free(series);
}

/* Rounds that only one of the two took part in are left out. */
static void ratios_in_a_block_are_paired_by_round(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct ratio ratio;
    struct series *a = fake_series(&fake, "reads", "get", "a");
    struct series *b = fake_series(&fake, "reads", "get", "b");
    fake_sample_add(a, 0, 0, 20);
    fake_sample_add(a, 0, 1, 4000);
    fake_sample_add(a, 0, 3, 60);
    fake_sample_add(b, 0, 0, 10);
    fake_sample_add(b, 0, 2, 1);
    fake_sample_add(b, 0, 3, 30);
    assert_true(series_ratio(a, NULL, b, NULL, 1, &ratio));
    assert_int_equal(ratio.count, 2);
    assert_true(ratio.value > 1.999 && ratio.value < 2.001);
    assert_true(ratio.interval.high < 2.001);
    series_free(a);
    series_free(b);
}

static void ratios_across_blocks_are_unpaired(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct ratio ratio;
    struct series *a = fake_series(&fake, "reads", "get", "a");
    struct series *b = fake_series(&fake, "writes", "set", "a");
    assert_false(series_ratio(a, NULL, b, NULL, 1, &ratio));
    fake_sample_add(a, 0, 0, 30);
    fake_sample_add(b, 0, 5, 10);
    assert_true(series_ratio(a, NULL, b, NULL, 1, &ratio));
    assert_true(ratio.value > 2.999 && ratio.value < 3.001);
    fake_sample_add(b, 0, 6, 0);
    assert_false(series_ratio(a, NULL, b, NULL, 1, &ratio));
    series_free(a);
    series_free(b);
}

static void targets_are_judged_by_ratio_or_figure(void **state)
{
    (void)state;
    struct fake fake = {0};
    GPtrArray *all = g_ptr_array_new();
    struct series *a = fake_series(&fake, "reads", "get", "a");
    struct series *b = fake_series(&fake, "reads", "get", "b");
    g_ptr_array_add(all, a);
    g_ptr_array_add(all, b);
    struct target twice = {.text = "twice",
                           .numerator = "get/t1/a",
                           .denominator = "get/t1/b",
                           .limit = 2,
                           .unit = "x"};
    struct target small = {
        .text = "small", .numerator = "get/t1/a", .at_most = true, .limit = 50, .unit = "ms"};
    assert_int_equal(target_judge(&twice, all, 1).state, TARGET_NOT_MEASURED);
    fake_sample_add(a, 0, 0, 40);
    fake_sample_add(a, 0, 1, 60);
    fake_sample_add(a, 0, 2, 44);
    fake_sample_add(b, 0, 0, 10);
    fake_sample_add(b, 0, 1, 10);
    fake_sample_add(b, 0, 2, 11);
    assert_int_equal(target_judge(&twice, all, 1).state, TARGET_REACHED);
    assert_false(target_judge(&twice, all, 1).close);
    twice.limit = 5;
    assert_int_equal(target_judge(&twice, all, 1).state, TARGET_MISSED);
    assert_true(target_judge(&twice, all, 1).close);
    assert_int_equal(target_judge(&small, all, 1).state, TARGET_REACHED);
    small.limit = 43;
    assert_int_equal(target_judge(&small, all, 1).state, TARGET_MISSED);
    small.numerator_extra = "nothing";
    assert_int_equal(target_judge(&small, all, 1).state, TARGET_NOT_MEASURED);
    series_free(a);
    series_free(b);
    g_ptr_array_free(all, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_parts_or_the_whole),
        cmocka_unit_test(an_id_names_cell_threads_and_subject),
        cmocka_unit_test(a_finished_series_frees_once_and_keeps_its_samples),
        cmocka_unit_test(values_of_an_extra_need_it_in_every_sample),
        cmocka_unit_test(ratios_in_a_block_are_paired_by_round),
        cmocka_unit_test(ratios_across_blocks_are_unpaired),
        cmocka_unit_test(targets_are_judged_by_ratio_or_figure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
