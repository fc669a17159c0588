/* See statistics.h. */
#include "harness/statistics.h"

#include <assert.h>
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/random.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted_copy(const double *values, size_t count)
{
    assert(count > 0);
    double *sorted = g_new(double, count);
    memcpy(sorted, values, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    return sorted;
}

static double quantile_of_sorted(const double *sorted, size_t count, double share)
{
    double position = share * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count)
        return sorted[count - 1];
    double weight = position - (double)below;
    return sorted[below] + weight * (sorted[below + 1] - sorted[below]);
}

double statistics_quantile(const double *values, size_t count, double share)
{
    _cleanup_(freep) double *sorted = sorted_copy(values, count);
    return quantile_of_sorted(sorted, count, share);
}

double statistics_median(const double *values, size_t count)
{
    return statistics_quantile(values, count, 0.5);
}

double statistics_mean(const double *values, size_t count)
{
    assert(count > 0);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

double statistics_geometric_mean(const double *values, size_t count)
{
    assert(count > 0);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += log(values[i]);
    return exp(sum / (double)count);
}

static double standard_deviation(const double *values, size_t count, double mean)
{
    if (count < 2)
        return 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return sqrt(sum / (double)(count - 1));
}

static double deviation_median(const double *values, size_t count, double median)
{
    _cleanup_(freep) double *distances = g_new(double, count);
    for (size_t i = 0; i < count; i++)
        distances[i] = fabs(values[i] - median);
    return statistics_median(distances, count);
}

static struct outliers outliers_count(const double *values, size_t count, double lower,
                                      double upper)
{
    struct outliers outliers = {0};
    double range = upper - lower;
    for (size_t i = 0; i < count; i++) {
        if (values[i] < lower - 3 * range)
            outliers.low_severe++;
        else if (values[i] < lower - 1.5 * range)
            outliers.low_mild++;
        else if (values[i] > upper + 3 * range)
            outliers.high_severe++;
        else if (values[i] > upper + 1.5 * range)
            outliers.high_mild++;
    }
    return outliers;
}

/* Draws count values with replacement. */
static void resample(struct random *random, const double *values, size_t count, double *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = values[random_below(random, count)];
}

static struct interval interval_of(const double *values, size_t count)
{
    double tail = (1 - STATISTICS_CONFIDENCE) / 2;
    _cleanup_(freep) double *sorted = sorted_copy(values, count);
    return (struct interval){.low = quantile_of_sorted(sorted, count, tail),
                             .high = quantile_of_sorted(sorted, count, 1 - tail)};
}

struct interval statistics_bootstrap(const double *values, size_t count, statistic_fn statistic,
                                     uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    _cleanup_(freep) double *drawn = g_new(double, count);
    _cleanup_(freep) double *results = g_new(double, STATISTICS_RESAMPLES);
    for (size_t i = 0; i < STATISTICS_RESAMPLES; i++) {
        resample(&random, values, count, drawn);
        results[i] = statistic(drawn, count);
    }
    return interval_of(results, STATISTICS_RESAMPLES);
}

struct summary statistics_summary(const double *values, size_t count, uint64_t seed)
{
    _cleanup_(freep) double *sorted = sorted_copy(values, count);
    struct summary summary = {
        .count = count,
        .mean = statistics_mean(values, count),
        .median = quantile_of_sorted(sorted, count, 0.5),
        .min = sorted[0],
        .max = sorted[count - 1],
        .lower_quartile = quantile_of_sorted(sorted, count, 0.25),
        .upper_quartile = quantile_of_sorted(sorted, count, 0.75),
        .mean_interval = statistics_bootstrap(values, count, statistics_mean, seed),
        .median_interval = statistics_bootstrap(values, count, statistics_median, seed),
    };
    summary.standard_deviation = standard_deviation(values, count, summary.mean);
    summary.deviation_median = deviation_median(values, count, summary.median);
    summary.outliers =
        outliers_count(values, count, summary.lower_quartile, summary.upper_quartile);
    return summary;
}

double statistics_precision(const struct summary *summary)
{
    double half = (summary->median_interval.high - summary->median_interval.low) / 2;
    if (half <= 0)
        return 0;
    return summary->median != 0 ? half / fabs(summary->median) : INFINITY;
}

struct ratio statistics_ratio_paired(const double *numerator, const double *denominator,
                                     size_t count, uint64_t seed)
{
    _cleanup_(freep) double *ratios = g_new(double, count);
    for (size_t i = 0; i < count; i++)
        ratios[i] = numerator[i] / denominator[i];
    return (struct ratio){
        .value = statistics_median(ratios, count),
        .interval = statistics_bootstrap(ratios, count, statistics_median, seed),
        .count = count,
    };
}

struct ratio statistics_ratio_unpaired(const double *numerator, size_t numerator_count,
                                       const double *denominator, size_t denominator_count,
                                       uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    _cleanup_(freep) double *upper = g_new(double, numerator_count);
    _cleanup_(freep) double *lower = g_new(double, denominator_count);
    _cleanup_(freep) double *ratios = g_new(double, STATISTICS_RESAMPLES);
    for (size_t i = 0; i < STATISTICS_RESAMPLES; i++) {
        resample(&random, numerator, numerator_count, upper);
        resample(&random, denominator, denominator_count, lower);
        ratios[i] =
            statistics_median(upper, numerator_count) / statistics_median(lower, denominator_count);
    }
    return (struct ratio){
        .value = statistics_median(numerator, numerator_count) /
                 statistics_median(denominator, denominator_count),
        .interval = interval_of(ratios, STATISTICS_RESAMPLES),
        .count = numerator_count < denominator_count ? numerator_count : denominator_count,
    };
}
