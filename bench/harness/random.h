/*
 * Random numbers that are the same on every machine for the same seed (xoshiro256++), and what the
 * workloads draw with them. Not for secrets. One struct belongs to one thread.
 */
#ifndef BENCH_HARNESS_RANDOM_H
#define BENCH_HARNESS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

/* Fills the state from seed; any seed is good, equal seeds give equal sequences. */
void random_init(struct random *random, uint64_t seed);

/* Puts the count numbers at order into a random order, each order as likely as any other. */
void random_shuffle(struct random *random, uint32_t *order, size_t count);

/* A one-to-one mixing of 64 bits: distinct inputs give distinct outputs that look random. */
static inline uint64_t random_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    value ^= value >> 31;
    return value;
}

static inline uint64_t random_rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state;
    uint64_t result = random_rotate(state[0] + state[3], 23) + state[0];
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = random_rotate(state[3], 45);
    return result;
}

/* A number in [0, limit), limit at least 1. The bias is below limit / 2^64: nobody can see it. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    __extension__ unsigned __int128 product = random_next(random);
    product *= limit;
    return (uint64_t)(product >> 64);
}

/* A number in [0, 1), with 53 random bits. */
static inline double random_unit(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1.0p-53;
}

#endif
