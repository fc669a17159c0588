/*
 * See latency.h. A duration is scaled so that the smallest octave begins at LATENCY_STEPS; the place of
 * its highest bit is then the octave, and the two bits below it are the step.
 */
#include "base/latency.h"

#define STEP_BITS  2u
#define SCALE_BITS 8u /* the first bucket ends at (LATENCY_STEPS + 1) << SCALE_BITS ns */

static uint32_t bucket_of(uint64_t ns)
{
    uint64_t scaled = ns >> SCALE_BITS;
    if (scaled < LATENCY_STEPS)
        return 0;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(scaled);
    uint32_t bucket = (top - STEP_BITS) * LATENCY_STEPS +
                      (uint32_t)((scaled >> (top - STEP_BITS)) & (LATENCY_STEPS - 1));
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

uint64_t latency_bound_ns(uint32_t bucket)
{
    uint64_t next = bucket + 1;
    return (LATENCY_STEPS + next % LATENCY_STEPS) << (next / LATENCY_STEPS + SCALE_BITS);
}

/* A plain read and write: there is one writer. */
static void add(_Atomic uint64_t *to, uint64_t delta)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + delta,
                          memory_order_relaxed);
}

void latency_record(struct latency *latency, uint64_t ns, uint64_t times)
{
    add(&latency->counts[bucket_of(ns)], times);
    add(&latency->sum_ns, ns * times);
}

void latency_add(struct latency *to, const struct latency *from)
{
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&from->counts[i], memory_order_relaxed);
        if (count != 0)
            add(&to->counts[i], count);
    }
    add(&to->sum_ns, atomic_load_explicit(&from->sum_ns, memory_order_relaxed));
}

uint64_t latency_count(const struct latency *latency)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        count += atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
    return count;
}

uint64_t latency_quantile(const struct latency *latency, double fraction)
{
    uint64_t count = latency_count(latency);
    if (count == 0)
        return 0;
    double wanted = fraction * (double)count;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
        if (seen > 0 && (double)seen >= wanted)
            return latency_bound_ns(i);
    }
    return latency_bound_ns(LATENCY_BUCKETS - 1);
}
