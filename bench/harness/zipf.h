/*
 * Zipf's distribution: rank r of 0 to count - 1 is drawn with probability proportional to
 * 1 / (r + 1)^exponent. The exact distribution (not the approximation that YCSB uses), by rejection
 * inversion: W. Hoermann, G. Derflinger, "Rejection-inversion to generate variates from monotone
 * discrete distributions", 1996. A draw costs a few logarithms and needs no table, which is too
 * slow for inside a benchmark's loop: workloads draw ahead with zipf_draws.
 */
#ifndef BENCH_HARNESS_ZIPF_H
#define BENCH_HARNESS_ZIPF_H

#include "harness/random.h"

struct zipf {
    uint64_t count;
    double exponent;
    double integral_first; /* where the area of rank 0 begins */
    double integral_last;  /* where that of the last rank ends */
    double threshold;      /* up to this distance a draw is accepted without a further look */
};

/* count at least 1, exponent above 0. */
void zipf_init(struct zipf *zipf, uint64_t count, double exponent);

/* A rank in [0, count). */
uint64_t zipf_next(const struct zipf *zipf, struct random *random);

/*
 * Makes draw_count draws from [0, count), with the ranks scattered over the indexes (the same way
 * for the same count), so that frequent ones are no neighbours. count at most 2^32. The caller
 * frees the result.
 */
uint32_t *zipf_draws(uint64_t count, double exponent, uint64_t seed, size_t draw_count);

#endif
