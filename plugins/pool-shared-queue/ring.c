/*
 * See ring.h. Positions count up for ever and are reduced to a place only at the access, so a full
 * and an empty ring differ without a spare place.
 */
#include "ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN UINT64_C(256)
#define CAP_MAX (UINT64_C(1) << 40) /* far beyond any memory, small enough never to overflow */

static void ring_copy_in(struct ring *ring, uint64_t position, const struct kvs_job *jobs,
                         uint64_t count)
{
    uint64_t place = position & (ring->cap - 1);
    uint64_t first = ring->cap - place < count ? ring->cap - place : count;
    memcpy(ring->jobs + place, jobs, first * sizeof(*jobs));
    if (first < count)
        memcpy(ring->jobs, jobs + first, (count - first) * sizeof(*jobs));
}

void ring_deinit(struct ring *ring)
{
    free(ring->jobs);
    memset(ring, 0, sizeof(*ring));
}

bool ring_reserve(struct ring *ring, uint64_t count)
{
    uint64_t used = ring_count(ring);
    if (count <= ring->cap - used)
        return true;
    if (count > CAP_MAX - used)
        return false;

    struct ring grown = {.cap = ring->cap > 0 ? ring->cap : CAP_MIN, .head = ring->head};
    while (grown.cap - used < count)
        grown.cap *= 2;
    grown.jobs = malloc(grown.cap * sizeof(*grown.jobs));
    if (grown.jobs == NULL)
        return false;
    grown.tail = ring->tail;
    if (used > 0) {
        uint64_t place = ring->head & (ring->cap - 1);
        uint64_t first = ring->cap - place < used ? ring->cap - place : used;
        ring_copy_in(&grown, grown.head, ring->jobs + place, first);
        ring_copy_in(&grown, grown.head + first, ring->jobs, used - first);
    }
    free(ring->jobs);
    *ring = grown;
    return true;
}

void ring_put(struct ring *ring, const struct kvs_job *jobs, uint64_t count)
{
    assert(count <= ring->cap - ring_count(ring));
    if (count == 0)
        return;
    ring_copy_in(ring, ring->tail, jobs, count);
    ring->tail += count;
}

void ring_take(struct ring *ring, struct kvs_job *ret_job)
{
    assert(ring_count(ring) > 0);
    *ret_job = ring->jobs[ring->head & (ring->cap - 1)];
    ring->head++;
}
