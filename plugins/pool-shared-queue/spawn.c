/*
 * Jobs come in: a check, a copy into the ring, and the decision who is woken, all in one short
 * stretch under the lock; the wake-ups themselves come after it.
 */
#include "pool.h"

/* How many of count jobs may still be queued. */
static uint64_t spawn_room(struct kvs_pool *pool, uint64_t count)
{
    uint64_t limit = pool->config.queue_limit;
    uint64_t queued = ring_count(&pool->queue);
    if (limit > 0 && count > limit - queued)
        count = limit - queued;
    if (ring_reserve(&pool->queue, count))
        return count;
    /* No memory for all of them: as many as fit into what there is. */
    uint64_t left = pool->queue.cap - queued;
    return left < count ? left : count;
}

kvs_status spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                       uint64_t *ret_accepted)
{
    const struct worker *caller = pthread_getspecific(pool->key);
    struct wake wake = {.count = 0};
    uint64_t accepted = 0;

    (void)pthread_mutex_lock(&pool->lock);
    bool open = pool->state == POOL_OPEN;
    if (open)
        accepted = spawn_room(pool, count);
    ring_put(&pool->queue, jobs, accepted);
    pool->jobs_spawned += accepted;
    pool->jobs_refused += count - accepted;
    if (accepted > 0) {
        __atomic_store_n(&pool->look_hint, true, __ATOMIC_RELAXED);
        wake_choose(pool, caller, &wake);
    }
    if (open && threads_missing(pool))
        (void)threads_fill(pool);
    (void)pthread_mutex_unlock(&pool->lock);

    wake_do(pool, &wake);
    *ret_accepted = accepted;
    if (accepted == count)
        return open ? KVS_OK : KVS_CLOSED;
    return open ? KVS_BUSY : KVS_CLOSED;
}

kvs_status spawn_one(struct kvs_pool *pool, const struct kvs_job *job)
{
    uint64_t accepted;
    return spawn_batch(pool, job, 1, &accepted);
}
