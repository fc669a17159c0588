/* Histograms of durations: bounds, quantiles, adding up. */
#include "support/support.h"

#include <string.h>

#include "base/latency.h"

static void every_duration_is_below_the_bound_of_its_bucket(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns < UINT64_C(17000000000); ns += 1 + ns / 7) {
        struct latency latency = {0};
        latency_record(&latency, ns, 1);
        uint64_t bound = latency_quantile(&latency, 1.0);
        assert_true(ns < bound);
        /* At most a quarter too much, from a microsecond on. */
        if (ns >= 1024)
            assert_true(bound - ns <= ns / 4 + 1);
    }
}

static void bounds_rise(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < LATENCY_BUCKETS; i++)
        assert_true(latency_bound_ns(i) > latency_bound_ns(i - 1));
}

static void extremes_are_counted(void **state)
{
    (void)state;
    struct latency latency = {0};
    latency_record(&latency, 0, 1);
    latency_record(&latency, UINT64_MAX / 2, 1);
    assert_int_equal(latency_count(&latency), 2);
    assert_int_equal(latency_quantile(&latency, 0.5), latency_bound_ns(0));
    assert_int_equal(latency_quantile(&latency, 1.0), latency_bound_ns(LATENCY_BUCKETS - 1));
}

static void quantiles_count(void **state)
{
    (void)state;
    struct latency latency = {0};
    assert_int_equal(latency_quantile(&latency, 0.5), 0);
    latency_record(&latency, 2000, 98);
    latency_record(&latency, 1000000, 2);
    assert_true(latency_quantile(&latency, 0.98) < 3000);
    assert_true(latency_quantile(&latency, 0.99) > 1000000);
    assert_int_equal(latency.sum_ns, 98 * 2000 + 2 * 1000000);
}

static void adding_up(void **state)
{
    (void)state;
    struct latency sum = {0};
    struct latency one = {0};
    latency_record(&one, 5000, 3);
    latency_add(&sum, &one);
    latency_add(&sum, &one);
    assert_int_equal(latency_count(&sum), 6);
    assert_int_equal(sum.sum_ns, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_duration_is_below_the_bound_of_its_bucket),
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(extremes_are_counted),
        cmocka_unit_test(quantiles_count),
        cmocka_unit_test(adding_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
