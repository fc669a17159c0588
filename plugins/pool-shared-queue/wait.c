/*
 * What a worker does when there is no job: it polls or parks.
 *
 * Polling. The first worker without work takes the polling role and waits in the idle hook; what
 * the hook finds it spawns here, and the same worker then serves it, on a warm cache and without a
 * hand-over. It looks repeatedly for a while (the option spin) before it lets the hook sleep: where
 * one client's next request follows its last reply, going to sleep and being woken takes longer than
 * the request. A spin that finds nothing was a waste: after each the next one comes twice as many
 * polls later, so that one in SPIN_PAUSE_MAX is left where events are further apart than that.
 *
 * Parking. The others sleep on their own condition variables, without a timeout, but for the
 * standby: that is the one that watches those awake. It sleeps for one standby interval at a time.
 * When it finds that no job was taken meanwhile although one waits, or although nobody polls, those
 * awake are stuck (a long job, a page fault): it joins in. When it has found nothing going on for
 * QUIET_CHECKS looks it stops watching: it sleeps without a timeout, or polls without one. The next
 * spawn notices that nobody watches (wake.c).
 *
 * The standby is a parked worker where there is one. Where all others serve, it is the poller,
 * which then gives the idle hook the standby interval as its timeout.
 */
#include "pool.h"

#include <errno.h>
#include <sched.h>

#define QUIET_CHECKS  2u
#define WAKE_SMOOTHER 8u /* a wake-up's weight in the average is one over this */
#define WAKE_COUNTED_MAX_NS                                                                        \
    UINT64_C(1000000) /* longer ones count as this: the thread was not run */
#define SPIN_PAUSE_MAX  63u
#define RETRY_CHECKS_NS INT64_C(10000000) /* a wait while threads are missing (I7) */

static void wait_begin_watch(struct worker *worker)
{
    worker->pool->standby = worker;
    worker->seen_taken = worker->pool->jobs_taken;
    worker->quiet_checks = 0;
}

/* One look of the standby; false when it has watched a quiet pool for long enough. */
static bool wait_look_on(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    if (pool->jobs_taken != worker->seen_taken) {
        worker->seen_taken = pool->jobs_taken;
        worker->quiet_checks = 0;
    } else if (pool->live == pool->target && ++worker->quiet_checks >= QUIET_CHECKS) {
        return false;
    }
    return true;
}

/* ---- polling ---------------------------------------------------------------------------- */

/* What the poller gives the hook as its timeout; makes it the standby where there is no other. */
static int64_t wait_poll_timeout_ns(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    bool others_serve = pool->live > 1 && pool->parked_count == 0;
    if (pool->standby == NULL && others_serve &&
        (worker->quiet_checks < QUIET_CHECKS || worker->seen_taken != pool->jobs_taken))
        wait_begin_watch(worker);
    /* A hook that cannot be woken is not left alone for long either. */
    if (pool->standby == worker || pool->config.wake_idle == NULL)
        return (int64_t)pool->standby_ns;
    return pool->live < pool->target ? RETRY_CHECKS_NS : -1;
}

/* Is the wait that begins one to spin in? */
static bool wait_may_spin(struct kvs_pool *pool)
{
    if (pool->spin_ns == 0)
        return false;
    if (pool->spins_left_out == 0)
        return true;
    pool->spins_left_out--;
    return false;
}

/* Looks with the hook until the option's time is over (false) or there is something to do. */
static bool wait_spin(struct kvs_pool *pool)
{
    uint64_t end_ns = clock_ns() + pool->spin_ns;
    while (pool->config.idle(pool->config.arg, 0) <= 0) {
        if (__atomic_load_n(&pool->look_hint, __ATOMIC_RELAXED))
            return true;
        if (clock_ns() >= end_ns)
            return false;
        (void)sched_yield(); /* whoever is to make the event may wait for this CPU */
    }
    return true;
}

static void wait_note_spin(struct kvs_pool *pool, bool found)
{
    if (found)
        pool->spin_pause = 0;
    else if (pool->spin_pause < SPIN_PAUSE_MAX)
        pool->spin_pause = 2 * pool->spin_pause + 1;
    pool->spins_left_out = pool->spin_pause;
}

void wait_poll(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    pool->poller = worker;

    if (wait_may_spin(pool)) {
        (void)pthread_mutex_unlock(&pool->lock);
        bool found = wait_spin(pool);
        (void)pthread_mutex_lock(&pool->lock);
        wait_note_spin(pool, found);
    }
    if (ring_count(&pool->queue) == 0 && pool->state == POOL_OPEN && pool->live <= pool->target) {
        int64_t timeout_ns = wait_poll_timeout_ns(worker);
        pool->poller_waits = true;
        pool->poller_kicked = false;
        (void)pthread_mutex_unlock(&pool->lock);
        (void)pool->config.idle(pool->config.arg, timeout_ns);
        (void)pthread_mutex_lock(&pool->lock);
        pool->poller_waits = false;
        pool->poller_kicked = false;
    }

    pool->poller = NULL;
    pool->taken_at_poll = pool->jobs_taken;
    if (pool->standby == worker && (ring_count(&pool->queue) > 0 || !wait_look_on(worker)))
        pool->standby = NULL;
}

void wait_look(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    pool->poller = worker;
    (void)pthread_mutex_unlock(&pool->lock);
    (void)pool->config.idle(pool->config.arg, 0);
    (void)pthread_mutex_lock(&pool->lock);
    pool->poller = NULL;
    pool->taken_at_poll = pool->jobs_taken;
}

/* ---- parking ---------------------------------------------------------------------------- */

static void wait_link_parked(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    worker->previous = NULL;
    worker->next_parked = pool->parked;
    if (pool->parked != NULL)
        pool->parked->previous = worker;
    pool->parked = worker;
    pool->parked_count++;
}

/* Sleeps for one standby interval. True when it is to join in; it is then no longer the standby. */
static bool wait_stand_by(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    uint64_t until_ns = clock_ns() + pool->standby_ns;
    struct timespec until = {(time_t)(until_ns / UINT64_C(1000000000)),
                             (long)(until_ns % UINT64_C(1000000000))};
    int error = 0;
    while (error != ETIMEDOUT && !worker->woken)
        error = pthread_cond_timedwait(&worker->wake, &pool->lock, &until);
    if (worker->woken)
        return false;

    pool->wakeups++;
    bool needed = ring_count(&pool->queue) > 0 || (pool_polls(pool) && pool->poller == NULL);
    if ((needed && pool->jobs_taken == worker->seen_taken) || threads_missing(pool)) {
        pool->standby = NULL;
        return true;
    }
    if (!wait_look_on(worker)) {
        pool->standby = NULL;
        wait_link_parked(worker);
    }
    return false;
}

/* Notes how long the wake-up took that has just ended. */
static void wait_measure_wake(const struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    uint64_t took_ns = clock_ns() - worker->woken_ns;
    if (took_ns > WAKE_COUNTED_MAX_NS)
        took_ns = WAKE_COUNTED_MAX_NS;
    pool->wake_ns = (pool->wake_ns * (WAKE_SMOOTHER - 1) + took_ns) / WAKE_SMOOTHER;
}

void wait_park(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    worker->woken = false;
    if (pool->standby == NULL || pool->standby == pool->poller)
        wait_begin_watch(worker);
    else
        wait_link_parked(worker);

    while (!worker->woken) {
        if (pool->standby != worker)
            (void)pthread_cond_wait(&worker->wake, &pool->lock);
        else if (wait_stand_by(worker))
            return;
    }
    pool->waking--;
    pool->wakeups++;
    wait_measure_wake(worker);
}
