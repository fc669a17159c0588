/*
 * A histogram of durations that is cheap to record and can be read while it is written: four buckets
 * to each power of two from a microsecond to about 17 seconds, so a quantile is at most 25 % above the
 * true one. What is shorter or longer counts in the first or last bucket.
 *
 * One thread records into one histogram; any thread may add it to another meanwhile.
 */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define LATENCY_STEPS   4u /* buckets to a power of two */
#define LATENCY_OCTAVES 24u
#define LATENCY_BUCKETS (LATENCY_STEPS * LATENCY_OCTAVES)

/* Written by its one recorder, read by anybody, relaxed: the counts order nothing, and a reader may
   see a record in one of them and not yet in another. */
struct latency {
    _Atomic uint64_t counts[LATENCY_BUCKETS];
    _Atomic uint64_t sum_ns;
};

/* Counts `times` durations of ns nanoseconds. */
void latency_record(struct latency *latency, uint64_t ns, uint64_t times);

/* Adds what from has counted so far. The recorder of `to` calls it. */
void latency_add(struct latency *to, const struct latency *from);

uint64_t latency_count(const struct latency *latency);

/* The smallest bound that at least `fraction` (0 to 1) of the durations do not exceed; 0 when there
   are none. Nanoseconds. */
uint64_t latency_quantile(const struct latency *latency, double fraction);

/* The upper bound of a bucket, exclusive; nanoseconds. */
uint64_t latency_bound_ns(uint32_t bucket);

#endif
