/*
 * How workers come and go.
 *
 * A job may end its thread: by pthread_exit, by cancelling itself. There are two ways to survive
 * that: to catch it (pthread_cleanup_push and a jump back into the loop), or to replace the thread.
 * Catching was tried and is not reliable: compiled by gcc with -O1 or more and without -fexceptions
 * the handler sees stale state, and with -fexceptions it is skipped when the job itself was built
 * without unwind tables. So the thread is replaced: the destructor of a thread-specific key runs in
 * every thread that ends, however it ends. Its state lives on the heap (struct worker), because the
 * stack frames of the worker are gone by then. A worker that ends by itself clears its key first.
 *
 * When the system gives no further thread at that moment, nothing is lost but time: the pool
 * remembers that it has fewer threads than wanted and tries again (I7). The last one stays in its
 * destructor until it has a successor, since after it there would be nobody to try.
 *
 * Joining. Threads are joinable, and each one that ends joins the one that ended before it; the
 * last one is joined by shutdown (or a failed create). So at most one ended thread holds memory,
 * and once shutdown has returned, no thread is left, not even in its last steps.
 */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define RETRY_NS          UINT64_C(10000000)
#define LAST_ONE_PAUSE_NS 1000000L

/* ---- one thread's end ------------------------------------------------------------------- */

void threads_join_ended(struct kvs_pool *pool)
{
    while (pool->last_ended != NULL) {
        struct worker *ended = pool->last_ended;
        pool->last_ended = NULL;
        (void)pthread_mutex_unlock(&pool->lock);
        (void)pthread_join(ended->thread, NULL);
        (void)pthread_mutex_lock(&pool->lock);
        ended->next_unused = pool->unused;
        pool->unused = ended;
    }
}

/* The last step of a thread of the pool. Takes the lock held and lets it go. */
static void threads_end(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    threads_join_ended(pool);
    pool->last_ended = worker;
    assert(pool->present > 0);
    if (--pool->present == 0)
        (void)pthread_cond_broadcast(&pool->ended);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void *threads_main(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &pool->signal_mask, NULL);
    (void)pthread_setspecific(pool->key, worker);
    if (pool->name[0] != '\0')
        (void)pthread_setname_np(pthread_self(), pool->name);
    if (pool->config.thread_start != NULL)
        pool->config.thread_start(pool->config.arg);

    (void)pthread_mutex_lock(&pool->lock);
    worker->thread = pthread_self();
    worker_loop(worker);
    pool->live--; /* the others look for themselves: who made this one go has woken all that wait */
    (void)pthread_mutex_unlock(&pool->lock);

    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);
    (void)pthread_setspecific(pool->key, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    threads_end(worker);
    return NULL;
}

/* What a lost worker without a successor leaves behind: another one may have to be woken for it. With
   the lock held; lets it go meanwhile. */
static void threads_hand_over(struct kvs_pool *pool)
{
    struct wake wake;
    wake_choose(pool, NULL, &wake);
    (void)pthread_mutex_unlock(&pool->lock);
    wake_do(pool, &wake);
    (void)pthread_mutex_lock(&pool->lock);
}

/* Gives a lost worker its successor. With the lock held. */
static void threads_replace(struct kvs_pool *pool)
{
    pool->live--;
    pool->threads_lost++;
    int error = threads_fill(pool);
    while (error != 0 && pool->live == 0 && pool_needs_workers(pool)) {
        (void)pthread_mutex_unlock(&pool->lock);
        struct timespec pause = {0, LAST_ONE_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
        (void)pthread_mutex_lock(&pool->lock);
        error = threads_fill(pool);
    }
    if (error != 0)
        threads_hand_over(pool);
}

void threads_lost(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    bool in_job = worker->stage == WORKER_IN_JOB;
    /* Still a thread of this pool: a shutdown from a hook must be refused. */
    (void)pthread_setspecific(pool->key, worker);

    (void)pthread_mutex_lock(&pool->lock);
    threads_replace(pool);
    (void)pthread_mutex_unlock(&pool->lock);

    if (in_job && pool->config.job_lost != NULL)
        pool->config.job_lost(pool->config.arg, &worker->job);
    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);

    (void)pthread_setspecific(pool->key, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    if (in_job)
        pool->jobs_lost++;
    else
        pool->jobs_run++;
    worker->stage = WORKER_NO_JOB;
    threads_end(worker);
}

/* ---- starting ---------------------------------------------------------------------------- */

/* A struct for a new worker: a used one, or a new one. NULL: no memory. With the lock held. */
static struct worker *threads_worker(struct kvs_pool *pool)
{
    struct worker *worker = pool->unused;
    if (worker != NULL) {
        pool->unused = worker->next_unused;
        return worker;
    }
    worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return NULL;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&worker->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    worker->pool = pool;
    worker->next_all = pool->all;
    pool->all = worker;
    return worker;
}

/* Starts one thread. 0, or why not. The lock is let go meanwhile. */
static int threads_start(struct kvs_pool *pool)
{
    struct worker *worker = threads_worker(pool);
    if (worker == NULL)
        return ENOMEM;
    worker->stage = WORKER_NO_JOB;
    worker->quiet_checks = 0;
    pool->live++;
    pool->present++;
    (void)pthread_mutex_unlock(&pool->lock);
    pthread_t thread;
    int error = pthread_create(&thread, &pool->attributes, threads_main, worker);
    (void)pthread_mutex_lock(&pool->lock);
    if (error == 0) {
        pool->threads_started++;
        return 0;
    }
    pool->live--;
    if (--pool->present == 0)
        (void)pthread_cond_broadcast(&pool->ended);
    worker->next_unused = pool->unused;
    pool->unused = worker;
    return error;
}

bool threads_missing(const struct kvs_pool *pool)
{
    return pool->live < pool->target && !pool->filling && pool_needs_workers(pool) &&
           (pool->retry_at_ns == 0 || clock_ns() >= pool->retry_at_ns);
}

int threads_fill(struct kvs_pool *pool)
{
    pool->filling = true;
    while (pool->live < pool->target && pool_needs_workers(pool)) {
        int error = threads_start(pool);
        if (error != 0) {
            pool->filling = false;
            pool->retry_at_ns = clock_ns() + RETRY_NS;
            return error;
        }
        if (pool->threads_replaced < pool->threads_lost)
            pool->threads_replaced++;
    }
    pool->filling = false;
    pool->retry_at_ns = 0;
    return 0;
}

/* ---- resize ------------------------------------------------------------------------------ */

kvs_status threads_resize(struct kvs_pool *pool, uint32_t threads, struct kvs_error *err)
{
    if (threads == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a pool needs at least 1 thread, not 0");

    (void)pthread_mutex_lock(&pool->lock);
    if (pool->state != POOL_OPEN) {
        (void)pthread_mutex_unlock(&pool->lock);
        return kvs_error_set(err, KVS_CLOSED, 0, "the pool is shutting down");
    }
    unsigned before = pool->target;
    pool->target = threads;
    int error = threads_fill(pool);
    unsigned live = pool->live;
    if (error != 0)
        pool->target = before;
    /* Superfluous ones that serve go by themselves; those that wait must be told. */
    bool kick = pool->live > pool->target && wake_all(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    if (kick && pool->config.wake_idle != NULL)
        pool->config.wake_idle(pool->config.arg);
    if (error == 0)
        return KVS_OK;
    return kvs_error_set(err, error == ENOMEM ? KVS_NO_MEMORY : KVS_BUSY, error,
                         "cannot start thread %u of %u: %s", live + 1, threads, strerror(error));
}
