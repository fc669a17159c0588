/* See injector.h. A ring that doubles when it is full, and never shrinks. */
#include "injector.h"

#include <stdlib.h>

#define CAPACITY_FIRST 64u

void injector_init(struct injector *injector)
{
    *injector = (struct injector){.ring = NULL};
    pthread_mutex_init(&injector->lock, NULL);
}

void injector_deinit(struct injector *injector)
{
    free(injector->ring);
    pthread_mutex_destroy(&injector->lock);
}

static struct kvs_job *slot_at(struct injector *injector, uint64_t position)
{
    return &injector->ring[(injector->head + position) & (injector->capacity - 1)];
}

/* Makes room for count jobs in all; the lock is held. */
static bool grow_locked(struct injector *injector, uint64_t count)
{
    uint64_t capacity = injector->capacity > 0 ? injector->capacity : CAPACITY_FIRST;
    while (capacity < count)
        capacity *= 2;
    if (capacity == injector->capacity)
        return true;
    struct kvs_job *ring = calloc(capacity, sizeof(*ring));
    if (ring == NULL)
        return false;
    uint64_t held = injector_count(injector);
    for (uint64_t i = 0; i < held; i++)
        ring[i] = *slot_at(injector, i);
    free(injector->ring);
    injector->ring = ring;
    injector->capacity = capacity;
    injector->head = 0;
    return true;
}

kvs_status injector_push(struct injector *injector, const struct kvs_job *jobs, uint64_t count)
{
    kvs_status status = KVS_OK;
    pthread_mutex_lock(&injector->lock);
    uint64_t held = injector_count(injector);
    if (injector->closed) {
        status = KVS_CLOSED;
    } else if (!grow_locked(injector, held + count)) {
        status = KVS_BUSY;
    } else {
        for (uint64_t i = 0; i < count; i++)
            *slot_at(injector, held + i) = jobs[i];
        atomic_store_explicit(&injector->count, held + count, memory_order_seq_cst);
    }
    pthread_mutex_unlock(&injector->lock);
    return status;
}

uint64_t injector_take(struct injector *injector, struct kvs_job *jobs, uint64_t max)
{
    if (injector_count(injector) == 0)
        return 0;
    pthread_mutex_lock(&injector->lock);
    uint64_t held = injector_count(injector);
    uint64_t count = held < max ? held : max;
    for (uint64_t i = 0; i < count; i++)
        jobs[i] = *slot_at(injector, i);
    injector->head += count;
    atomic_store_explicit(&injector->count, held - count, memory_order_seq_cst);
    pthread_mutex_unlock(&injector->lock);
    return count;
}

void injector_close(struct injector *injector)
{
    pthread_mutex_lock(&injector->lock);
    injector->closed = true;
    pthread_mutex_unlock(&injector->lock);
}
