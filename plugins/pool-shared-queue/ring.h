/*
 * A first-in first-out queue of jobs in a ring that grows.
 *
 * Not thread-safe: the pool's lock guards it. A zeroed struct is an empty ring without memory. The
 * memory only grows (to the next power of two), so a pool that has met its load once allocates no
 * more.
 */
#ifndef POOL_SHARED_QUEUE_RING_H
#define POOL_SHARED_QUEUE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/pool.h>

struct ring {
    struct kvs_job *jobs; /* owned; NULL while cap is 0 */
    uint64_t cap;         /* places: 0 or a power of two */
    uint64_t head;        /* jobs taken so far: the place of the oldest is head % cap */
    uint64_t tail;        /* jobs put so far; tail - head <= cap */
};

static inline uint64_t ring_count(const struct ring *ring)
{
    return ring->tail - ring->head;
}

/* Frees the memory, not what the jobs point to; the ring is then empty and usable. */
void ring_deinit(struct ring *ring);

/* Makes room for count more jobs. False when there is no memory for it: nothing changed. */
bool ring_reserve(struct ring *ring, uint64_t count);

/* Copies count jobs to the end, in order. There must be room. */
void ring_put(struct ring *ring, const struct kvs_job *jobs, uint64_t count);

/* Takes the oldest job. There must be one. */
void ring_take(struct ring *ring, struct kvs_job *ret_job);

#endif
