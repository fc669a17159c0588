/* The histogram's error bound, over its whole range. */
#include "support/support.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "harness/histogram.h"
#include "harness/random.h"

static struct histogram *histogram_new(void)
{
    struct histogram *histogram = malloc(sizeof(*histogram));
    assert_non_null(histogram);
    histogram_init(histogram);
    return histogram;
}

static void buckets_join_without_gap_or_overlap(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket_low(0), 0);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t low = histogram_bucket_low(i);
        uint64_t high = histogram_bucket_high(i);
        assert_true(low <= high);
        assert_int_equal(histogram_bucket_of(low), i);
        assert_int_equal(histogram_bucket_of(high), i);
        if (i + 1 < HISTOGRAM_BUCKET_COUNT)
            assert_int_equal(histogram_bucket_low(i + 1), high + 1);
    }
    assert_int_equal(histogram_bucket_of(UINT64_MAX), HISTOGRAM_BUCKET_COUNT - 1);
}

static void a_bucket_is_at_most_a_64th_of_its_values_wide(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t low = histogram_bucket_low(i);
        uint64_t error = histogram_bucket_high(i) - low;
        assert_true(error <= low / 64);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Never below the true quantile, and above it by at most a 64th. */
static void quantiles_keep_the_error_bound(void **state)
{
    (void)state;
    enum {
        COUNT = 20000
    };
    static uint64_t values[COUNT];
    static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct random random;
    _cleanup_(freep) struct histogram *histogram = histogram_new();
    random_init(&random, 5);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = random_next(&random) >> random_below(&random, 60);
        histogram_record(histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare_numbers);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t rank = (uint64_t)(shares[i] * COUNT + 0.9999999);
        uint64_t exact = values[rank - 1];
        uint64_t quantile = histogram_quantile(histogram, shares[i]);
        assert_true(quantile >= exact);
        assert_true(quantile - exact <= exact / 64);
    }
    assert_int_equal(histogram->count, COUNT);
    assert_int_equal(histogram->min, values[0]);
    assert_int_equal(histogram->max, values[COUNT - 1]);
    assert_int_equal(histogram_quantile(histogram, 1), values[COUNT - 1]);
}

static void adding_is_as_recording_all_in_one(void **state)
{
    (void)state;
    _cleanup_(freep) struct histogram *one = histogram_new();
    _cleanup_(freep) struct histogram *two = histogram_new();
    _cleanup_(freep) struct histogram *all = histogram_new();
    for (uint64_t i = 1; i < 1000; i++) {
        histogram_record(i % 3 == 0 ? one : two, i * i);
        histogram_record(all, i * i);
    }
    histogram_add(one, two);
    assert_memory_equal(one, all, sizeof(*all));
}

static void many_are_as_one_after_the_other(void **state)
{
    (void)state;
    _cleanup_(freep) struct histogram *together = histogram_new();
    _cleanup_(freep) struct histogram *apart = histogram_new();
    for (uint64_t i = 1; i < 100; i++) {
        histogram_record_many(together, i * i * i, i % 7 + 1);
        for (uint64_t n = 0; n <= i % 7; n++)
            histogram_record(apart, i * i * i);
    }
    assert_memory_equal(together, apart, sizeof(*apart));
}

static void an_empty_histogram_has_no_quantiles(void **state)
{
    (void)state;
    _cleanup_(freep) struct histogram *histogram = histogram_new();
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    histogram_record(histogram, 0);
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    assert_int_equal(histogram->count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_join_without_gap_or_overlap),
        cmocka_unit_test(a_bucket_is_at_most_a_64th_of_its_values_wide),
        cmocka_unit_test(quantiles_keep_the_error_bound),
        cmocka_unit_test(adding_is_as_recording_all_in_one),
        cmocka_unit_test(many_are_as_one_after_the_other),
        cmocka_unit_test(an_empty_histogram_has_no_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
