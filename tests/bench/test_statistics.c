/* Statistics against samples whose answers are known. */
#include "support/support.h"

#include <math.h>

#include "harness/random.h"
#include "harness/statistics.h"

#define assert_near(expected, actual, distance)                                                    \
    assert_true(fabs((double)(expected) - (double)(actual)) <= (double)(distance))

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void known_samples_give_known_figures(void **state)
{
    (void)state;
    const double values[] = {9, 2, 4, 4, 5, 4, 5, 7}; /* the textbook's: deviation 2 over all 8 */
    struct summary summary = statistics_summary(values, COUNT(values), 1);
    assert_int_equal(summary.count, 8);
    assert_near(5.0, summary.mean, 1e-12);
    assert_near(4.5, summary.median, 1e-12);
    assert_near(2.0 * sqrt(8.0 / 7.0), summary.standard_deviation, 1e-12);
    assert_near(4.0, summary.lower_quartile, 1e-12);
    assert_near(5.5, summary.upper_quartile, 1e-12);
    assert_near(2.0, summary.min, 0);
    assert_near(9.0, summary.max, 0);
    assert_near(0.5, summary.deviation_median, 1e-12);
}

static void quantiles_are_interpolated(void **state)
{
    (void)state;
    const double values[] = {40, 10, 30, 20};
    assert_near(10, statistics_quantile(values, 4, 0), 0);
    assert_near(40, statistics_quantile(values, 4, 1), 0);
    assert_near(25, statistics_quantile(values, 4, 0.5), 1e-12);
    assert_near(13, statistics_quantile(values, 4, 0.1), 1e-12);
    assert_near(10, values[1], 0); /* the caller's order is left alone */
}

static void a_single_sample_is_its_own_summary(void **state)
{
    (void)state;
    const double value = 7;
    struct summary summary = statistics_summary(&value, 1, 1);
    assert_near(7, summary.median, 0);
    assert_near(0, summary.standard_deviation, 0);
    assert_near(7, summary.median_interval.low, 0);
    assert_near(7, summary.median_interval.high, 0);
    assert_near(0, statistics_precision(&summary), 0);
}

static void outliers_are_sorted_by_tukeys_fences(void **state)
{
    (void)state;
    /* Quartiles 11 and 13 (so fences at 8 / 5 and 16 / 19) with one value beyond each fence. */
    const double values[] = {4, 7, 11, 11, 11, 11, 12, 12, 12, 13, 13, 13, 13, 17, 20};
    struct summary summary = statistics_summary(values, COUNT(values), 1);
    assert_near(11, summary.lower_quartile, 1e-12);
    assert_near(13, summary.upper_quartile, 1e-12);
    assert_int_equal(summary.outliers.low_severe, 1);
    assert_int_equal(summary.outliers.low_mild, 1);
    assert_int_equal(summary.outliers.high_mild, 1);
    assert_int_equal(summary.outliers.high_severe, 1);
}

static void the_geometric_mean_is_that_of_the_logarithms(void **state)
{
    (void)state;
    const double values[] = {1, 4, 16};
    assert_near(4, statistics_geometric_mean(values, 3), 1e-12);
}

/* Roughly normal around 100 with a deviation of 10: the sum of twelve uniform draws. */
static double normal(struct random *random)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += random_unit(random);
    return 100 + 10 * (sum - 6);
}

/* Of 95 % intervals, about 95 in 100 hold the true mean. */
static void bootstrap_intervals_cover_the_truth(void **state)
{
    (void)state;
    enum {
        TRIALS = 300,
        SAMPLES = 30
    };
    struct random random;
    int covered = 0;
    random_init(&random, 2);
    for (int trial = 0; trial < TRIALS; trial++) {
        double values[SAMPLES];
        for (int i = 0; i < SAMPLES; i++)
            values[i] = normal(&random);
        struct interval interval =
            statistics_bootstrap(values, SAMPLES, statistics_mean, (uint64_t)trial);
        assert_true(interval.low <= interval.high);
        covered += interval.low <= 100 && 100 <= interval.high;
    }
    assert_true(covered >= TRIALS * 90 / 100);
    assert_true(covered <= TRIALS * 99 / 100);
}

static void equal_seeds_give_equal_intervals(void **state)
{
    (void)state;
    const double values[] = {3, 1, 4, 1, 5, 9, 2, 6};
    struct interval a = statistics_bootstrap(values, COUNT(values), statistics_median, 7);
    struct interval b = statistics_bootstrap(values, COUNT(values), statistics_median, 7);
    assert_near(a.low, b.low, 0);
    assert_near(a.high, b.high, 0);
}

/* What disturbs both of a pair falls out of a paired ratio, and not of an unpaired one. */
static void paired_ratios_cancel_common_noise(void **state)
{
    (void)state;
    double fast[20];
    double slow[20];
    struct random random;
    random_init(&random, 3);
    for (int i = 0; i < 20; i++) {
        slow[i] = 100 * (1 + random_unit(&random)); /* the machine: anything up to twice as fast */
        fast[i] = 1.5 * slow[i] * (0.99 + 0.02 * random_unit(&random));
    }
    struct ratio paired = statistics_ratio_paired(fast, slow, 20, 1);
    struct ratio unpaired = statistics_ratio_unpaired(fast, 20, slow, 20, 1);
    assert_near(1.5, paired.value, 0.02);
    assert_true(paired.interval.low > 1.48 && paired.interval.high < 1.52);
    assert_true(unpaired.interval.high - unpaired.interval.low >
                5 * (paired.interval.high - paired.interval.low));
    assert_int_equal(paired.count, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_samples_give_known_figures),
        cmocka_unit_test(quantiles_are_interpolated),
        cmocka_unit_test(a_single_sample_is_its_own_summary),
        cmocka_unit_test(outliers_are_sorted_by_tukeys_fences),
        cmocka_unit_test(the_geometric_mean_is_that_of_the_logarithms),
        cmocka_unit_test(bootstrap_intervals_cover_the_truth),
        cmocka_unit_test(equal_seeds_give_equal_intervals),
        cmocka_unit_test(paired_ratios_cancel_common_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
