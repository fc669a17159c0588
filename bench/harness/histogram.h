/*
 * A histogram of non-negative whole numbers (nanoseconds, mostly) in the manner of HdrHistogram:
 * buckets of equal width inside each power of two, so that the error is relative and bounded.
 *
 * A quantile is the upper edge of the bucket that holds it (at most the largest value seen), so it
 * is never below the true one and above it by at most 1/64 of it. Below 64 it is exact, as are
 * count, sum, minimum and maximum.
 *
 * Not thread-safe: each thread has its own, and they are added up afterwards.
 */
#ifndef BENCH_HARNESS_HISTOGRAM_H
#define BENCH_HARNESS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS     6u
#define HISTOGRAM_SUB_COUNT    (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKET_COUNT ((64u - HISTOGRAM_SUB_BITS + 1u) * HISTOGRAM_SUB_COUNT)

struct histogram {
    uint64_t count;
    uint64_t sum; /* wraps only after 584 years of nanoseconds */
    uint64_t min; /* UINT64_MAX while count is 0 */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKET_COUNT];
};

void histogram_init(struct histogram *histogram);

/* Adds all of from to to. */
void histogram_add(struct histogram *to, const struct histogram *from);

/* The value below or at which a share (0 to 1) of the values lies; 0 for an empty histogram. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* The smallest and the largest value that falls into a bucket. */
uint64_t histogram_bucket_low(uint32_t bucket);
uint64_t histogram_bucket_high(uint32_t bucket);

/* The number of a value's bucket: the first 64 hold one value each; above, the position of the
   highest bit chooses the row and the six bits behind it the bucket in the row. */
static inline uint32_t histogram_bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB_COUNT)
        return (uint32_t)value;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB_COUNT + (uint32_t)(value >> shift);
}

static inline void histogram_record_many(struct histogram *histogram, uint64_t value,
                                         uint64_t count)
{
    histogram->count += count;
    histogram->sum += value * count;
    if (value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->buckets[histogram_bucket_of(value)] += count;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram_record_many(histogram, value, 1);
}

#endif
