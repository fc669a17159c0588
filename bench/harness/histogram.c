/* See histogram.h. */
#include "harness/histogram.h"

#include <math.h>
#include <string.h>

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->min = UINT64_MAX;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    if (from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        to->buckets[i] += from->buckets[i];
}

uint64_t histogram_bucket_low(uint32_t bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB_COUNT)
        return bucket;
    uint32_t shift = bucket / HISTOGRAM_SUB_COUNT - 1;
    return (uint64_t)(bucket % HISTOGRAM_SUB_COUNT + HISTOGRAM_SUB_COUNT) << shift;
}

uint64_t histogram_bucket_high(uint32_t bucket)
{
    return bucket + 1 < HISTOGRAM_BUCKET_COUNT ? histogram_bucket_low(bucket + 1) - 1 : UINT64_MAX;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    if (histogram->count == 0)
        return 0;
    double rank = ceil(share * (double)histogram->count);
    uint64_t wanted = rank < 1.0 ? 1 : (uint64_t)rank;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted) {
            uint64_t high = histogram_bucket_high(i);
            return high < histogram->max ? high : histogram->max;
        }
    }
    return histogram->max;
}
