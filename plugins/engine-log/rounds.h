/*
 * Waiting for commit rounds (committer.c). Rounds are numbered from 1 and end in this order, one at
 * a time; any number of threads may wait, each for a round of its own.
 */
#ifndef ENGINE_LOG_ROUNDS_H
#define ENGINE_LOG_ROUNDS_H

#include <stdatomic.h>
#include <stdint.h>

struct rounds {
    _Atomic uint64_t ended; /* the last one that is over. Written by the leader, release; acquire */
    _Atomic uint32_t word;  /* what waiting threads sleep on: ended's lower half, a moment later */
};

/* Ends a round, and wakes all who wait for it: they see what was written before. The leader's. */
void rounds_end(struct rounds *rounds, uint64_t round);

/* Returns when the round is over. Any thread. */
void rounds_wait(struct rounds *rounds, uint64_t round);

#endif
