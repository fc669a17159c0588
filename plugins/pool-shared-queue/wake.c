/*
 * Who is woken, and when (I4).
 *
 * Waking a thread on another core costs the waker some microseconds and the woken one some tens of
 * them; a typical job is done sooner than that. So as long as one worker is awake, another is only
 * woken when
 *   - more is queued than is worth a wake-up: the queue's length times the recent service time,
 *     against a threshold for each of those awake. That is the option wake-threshold, or WORTH
 *     times what wake-ups take at present, if that is more: they take long where they have to cross
 *     to a sleeping virtual CPU, or where the CPUs have other things to do, and then a further
 *     worker would only take turns with those it is to help; or
 *   - nobody watches. The one who is woken then helps if there still is something to do, and
 *     otherwise stays as the standby (wait.c), which finds out when those awake are stuck. That is
 *     one wake-up each time a quiet pool becomes busy, none while it stays busy.
 * Whoever was picked counts as awake from then on, so that a second spawn does not wake a second
 * worker for the same job; when it comes up, it decides anew whether there is more than it can do.
 */
#include "pool.h"

#define WORTH 4u /* a wake-up must save so many times what it takes */

static void wake_link_picked(struct kvs_pool *pool, struct worker *worker, struct wake *wake)
{
    worker->woken = true;
    worker->woken_ns = clock_ns();
    pool->waking++;
    wake->workers[wake->count++] = worker;
}

void wake_unlink_parked(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    if (worker->previous != NULL)
        worker->previous->next_parked = worker->next_parked;
    else
        pool->parked = worker->next_parked;
    if (worker->next_parked != NULL)
        worker->next_parked->previous = worker->previous;
    worker->next_parked = worker->previous = NULL;
    pool->parked_count--;
}

/* Picks one that waits: a parked one first, so that the standby goes on watching. */
static void wake_pick(struct kvs_pool *pool, const struct worker *caller, struct wake *wake)
{
    if (pool->parked != NULL) {
        struct worker *worker = pool->parked;
        wake_unlink_parked(worker);
        wake_link_picked(pool, worker, wake);
    } else if (pool->standby != NULL && pool->standby != pool->poller) {
        struct worker *worker = pool->standby;
        pool->standby = NULL;
        wake_link_picked(pool, worker, wake);
    } else if (pool->poller_waits && !pool->poller_kicked && pool->poller != caller) {
        pool->poller_kicked = true;
        wake->kick = true;
    }
}

static uint64_t wake_threshold_ns(const struct kvs_pool *pool)
{
    if (pool->wake_threshold_ns == 0)
        return 1; /* whatever it takes */
    uint64_t worth_ns = WORTH * pool->wake_ns;
    return worth_ns > pool->wake_threshold_ns ? worth_ns : pool->wake_threshold_ns;
}

/* How many to wake so that what is queued is done within the threshold by each one awake. */
static uint64_t wake_for_backlog(const struct kvs_pool *pool, unsigned awake)
{
    uint64_t queued = ring_count(&pool->queue);
    uint64_t backlog_ns = queued * pool->service_ns;
    uint64_t threshold_ns = wake_threshold_ns(pool);
    if (backlog_ns <= threshold_ns * awake)
        return 0;
    uint64_t wanted = (backlog_ns + threshold_ns - 1) / threshold_ns - awake;
    return wanted < queued ? wanted : queued;
}

void wake_choose(struct kvs_pool *pool, const struct worker *caller, struct wake *ret_wake)
{
    ret_wake->count = 0;
    ret_wake->kick = false;

    bool parked_standby = pool->standby != NULL && pool->standby != pool->poller;
    bool poller_sleeps = pool->poller_waits && pool->poller != caller;
    unsigned waiting = pool->parked_count + (parked_standby ? 1 : 0) +
                       (poller_sleeps && !pool->poller_kicked ? 1 : 0);
    if (waiting == 0)
        return;
    uint64_t queued = ring_count(&pool->queue);
    if (queued == 0 && !(pool_polls(pool) && pool->poller == NULL))
        return;

    unsigned awake = pool->live - waiting;
    bool watched = (pool->standby != NULL && pool->standby != caller) || pool->waking > 0 ||
                   (poller_sleeps && pool->poller_kicked);
    uint64_t wanted = awake > 0 ? wake_for_backlog(pool, awake) : 1;
    if (wanted == 0 && !watched)
        wanted = 1;
    if (wanted > waiting)
        wanted = waiting;
    for (; wanted > 0 && ret_wake->count < WAKE_MAX; wanted--)
        wake_pick(pool, caller, ret_wake);
}

bool wake_all(struct kvs_pool *pool)
{
    struct wake wake = {.count = 0};
    while (pool->parked != NULL || (pool->standby != NULL && pool->standby != pool->poller)) {
        wake_pick(pool, NULL, &wake);
        (void)pthread_cond_signal(&wake.workers[0]->wake);
        wake.count = 0;
    }
    wake_pick(pool, NULL, &wake);
    return wake.kick;
}

void wake_do(struct kvs_pool *pool, const struct wake *wake)
{
    for (unsigned i = 0; i < wake->count; i++)
        (void)pthread_cond_signal(&wake->workers[i]->wake);
    if (wake->kick && pool->config.wake_idle != NULL)
        pool->config.wake_idle(pool->config.arg);
}
