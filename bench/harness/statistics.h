/*
 * What a set of samples says: middle, spread, outliers, and how sure that is. Pure functions; the
 * random numbers of the bootstrap come from a seed, so equal samples give equal intervals.
 */
#ifndef BENCH_HARNESS_STATISTICS_H
#define BENCH_HARNESS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#define STATISTICS_CONFIDENCE 0.95
#define STATISTICS_RESAMPLES  2000u

/* Where the true value lies with STATISTICS_CONFIDENCE. */
struct interval {
    double low;
    double high;
};

/* Samples beyond Tukey's fences: mild ones more than 1.5 interquartile ranges outside the
   quartiles, severe ones more than 3. They are counted, never removed. */
struct outliers {
    uint32_t low_severe;
    uint32_t low_mild;
    uint32_t high_mild;
    uint32_t high_severe;
};

struct summary {
    size_t count;
    double mean;
    double median;
    double min;
    double max;
    double lower_quartile;
    double upper_quartile;
    double standard_deviation; /* of the sample (divided by count - 1); 0 for a single one */
    double deviation_median;   /* MAD: the median of the distances from the median */
    struct interval mean_interval;
    struct interval median_interval;
    struct outliers outliers;
};

/* All that follow take at least one value, in any order, and leave the array as it is. */

/* The quantile at share (0 to 1), interpolated between neighbours. */
double statistics_quantile(const double *values, size_t count, double share);
double statistics_median(const double *values, size_t count);
double statistics_mean(const double *values, size_t count);
double statistics_geometric_mean(const double *values, size_t count); /* values above 0 */

struct summary statistics_summary(const double *values, size_t count, uint64_t seed);

/*
 * The interval of a statistic by the percentile bootstrap: the middle part of its values over
 * STATISTICS_RESAMPLES samples drawn with replacement. With fewer than about ten samples it is
 * somewhat too narrow, as every bootstrap is.
 */
typedef double (*statistic_fn)(const double *values, size_t count);
struct interval statistics_bootstrap(const double *values, size_t count, statistic_fn statistic,
                                     uint64_t seed);

/* The half width of the median's interval as a share of the median: the precision reached. */
double statistics_precision(const struct summary *summary);

/* How two sets of samples compare. */
struct ratio {
    double value;
    struct interval interval;
    size_t count; /* pairs; for an unpaired ratio the smaller count */
};

/* numerator[i] and denominator[i] were taken next to each other: the median of their ratios, so
   that what disturbs both falls out. All values above 0. */
struct ratio statistics_ratio_paired(const double *numerator, const double *denominator,
                                     size_t count, uint64_t seed);

/* Samples of different runs: the ratio of the medians, both resampled. All values above 0. */
struct ratio statistics_ratio_unpaired(const double *numerator, size_t numerator_count,
                                       const double *denominator, size_t denominator_count,
                                       uint64_t seed);

#endif
