/* A pool's life: create, spawn, shutdown, destroy; and its figures. */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX   100000u /* far beyond use, small enough for GLib's int with all lost ones */
#define END_PAUSE_NS  UINT64_C(1000000)
#define END_WAIT_NS   UINT64_C(2000000000)
#define NS_PER_SECOND UINT64_C(1000000000)

static uint64_t life_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- create ------------------------------------------------------------------------------ */

void life_free(struct kvs_pool *pool)
{
    assert(pool->present == 0);
    while (pool->free_tasks != NULL) {
        struct task *task = pool->free_tasks;
        pool->free_tasks = task->next;
        free(task);
    }
    while (pool->blocks != NULL) {
        struct worker *worker = pool->blocks;
        pool->blocks = worker->next;
        free(worker);
    }
    (void)pthread_key_delete(pool->key);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void life_init(struct kvs_pool *pool, const struct kvs_pool_config *config)
{
    memcpy(&pool->config, config, config->size < sizeof(*config) ? config->size : sizeof(*config));
    pool->target = pool->config.threads;
    if (pool->config.thread_name != NULL)
        (void)strncpy(pool->name, pool->config.thread_name, sizeof(pool->name) - 1);
    pool->config.thread_name = NULL;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &pool->signal_mask);
    (void)pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

kvs_status life_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err)
{
    if (config->threads == 0 || config->threads > THREADS_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "a glib pool needs 1 to %u threads, not %u",
                             THREADS_MAX, config->threads);
    struct kvs_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    int error = pthread_key_create(&pool->key, worker_ended);
    if (error != 0) {
        free(pool);
        return kvs_error_set(err, KVS_BUSY, error, "no thread-specific key for a pool: %s",
                             strerror(error));
    }
    life_init(pool, config);

    /* Without threads at first: after a failure to start some, GLib may not give the pool back. */
    GError *fault = NULL;
    pool->threads = g_thread_pool_new(worker_main, pool, 0, TRUE, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    bool filled = worker_fill(pool, &fault);
    unsigned live = worker_live(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    if (filled) {
        *ret_pool = pool;
        return KVS_OK;
    }
    (void)life_shutdown(pool, KVS_POOL_DROP, NULL);
    life_destroy(pool);
    kvs_status status =
        fault == NULL ? kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool")
                      : kvs_error_set(err, KVS_BUSY, EAGAIN, "cannot start thread %u of %u: %s",
                                      live + 1, config->threads, fault->message);
    g_clear_error(&fault);
    return status;
}

/* ---- spawn -------------------------------------------------------------------------------- */

/* A task to push: a used one, or a new one. NULL: no memory. With the lock held. */
static struct task *life_task(struct kvs_pool *pool)
{
    struct task *task = pool->free_tasks;
    if (task != NULL)
        pool->free_tasks = task->next;
    else
        task = malloc(sizeof(*task));
    return task;
}

kvs_status life_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    kvs_status status = KVS_OK;
    struct task *task = NULL;
    GThreadPool *threads = pool->threads;
    uint64_t limit = pool->config.queue_limit;
    if (pool->state != POOL_OPEN)
        status = KVS_CLOSED;
    else if ((limit > 0 && pool_queued(pool) >= limit) || (task = life_task(pool)) == NULL)
        status = KVS_BUSY;
    if (status == KVS_OK) {
        task->job = *job;
        pool->spawned++;
    } else {
        pool->refused++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (status != KVS_OK)
        return status;
    /* The job counts as accepted, so the GThreadPool lives until it has run. A failure means that
       GLib could not start a missing thread: the task is queued nevertheless. */
    (void)g_thread_pool_push(threads, task, NULL);
    return KVS_OK;
}

/* ---- shutdown ---------------------------------------------------------------------------- */

/* Gives each live thread its goodbye and frees the GThreadPool. With the lock held, after all jobs
   have ended: the number of threads no longer changes. */
static void life_say_goodbye(struct kvs_pool *pool)
{
    struct task goodbye = {.job = {.run = NULL}};
    unsigned live = worker_live(pool);
    pool->goodbyes = live;
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < live; i++)
        (void)g_thread_pool_push(pool->threads, &goodbye, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->goodbyes > 0)
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    pool->threads_started = g_thread_pool_get_num_threads(pool->threads);
    GThreadPool *threads = pool->threads;
    pool->threads = NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    /* Immediately: nothing is queued. Without waiting: GLib would wait for lost threads, too. */
    g_thread_pool_free(threads, TRUE, FALSE);
    (void)pthread_mutex_lock(&pool->lock);
}

/*
 * Waits until the threads have ended, which now are or soon will be in GLib's reserve. Not for
 * ever: somebody else's GThreadPool may have taken one over, which then ends with that one, as it
 * may: it has said goodbye. With the lock held.
 */
static void life_await_threads(struct kvs_pool *pool)
{
    /* GLib's stop is a change of a process-wide setting and back, which two at a time would leave
       changed: so all pools of the process take turns. */
    static pthread_mutex_t stopping = PTHREAD_MUTEX_INITIALIZER;
    uint64_t end_ns = life_now_ns() + END_WAIT_NS;
    while (pool->present > 0 && life_now_ns() < end_ns) {
        (void)pthread_mutex_unlock(&pool->lock);
        (void)pthread_mutex_lock(&stopping);
        g_thread_pool_stop_unused_threads();
        (void)pthread_mutex_unlock(&stopping);
        (void)pthread_mutex_lock(&pool->lock);
        uint64_t until_ns = life_now_ns() + END_PAUSE_NS;
        struct timespec until = {(time_t)(until_ns / NS_PER_SECOND),
                                 (long)(until_ns % NS_PER_SECOND)};
        if (pool->present > 0)
            (void)pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
    }
}

kvs_status life_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pool cannot be shut down from one of its own jobs");
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->state != POOL_OPEN) {
        while (pool->state != POOL_ENDED)
            (void)pthread_cond_wait(&pool->changed, &pool->lock);
    } else {
        pool->state = POOL_CLOSING;
        pool->dropping = mode == KVS_POOL_DROP;
        while (pool_ended(pool) < pool->spawned)
            (void)pthread_cond_wait(&pool->changed, &pool->lock);
        life_say_goodbye(pool);
        life_await_threads(pool);
        pool->state = POOL_ENDED;
        (void)pthread_cond_broadcast(&pool->changed);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

void life_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)life_shutdown(pool, KVS_POOL_DROP, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    pool->orphaned = pool->present > 0;
    bool orphaned = pool->orphaned;
    (void)pthread_mutex_unlock(&pool->lock);
    if (!orphaned)
        life_free(pool);
}

/* ---- figures ------------------------------------------------------------------------------ */

void life_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    struct kvs_pool_stats now = {.size = stats->size};
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->threads != NULL) {
        now.threads = worker_live(pool);
        pool->threads_started = g_thread_pool_get_num_threads(pool->threads);
    }
    now.threads_started = pool->threads_started;
    now.threads_lost = pool->threads_lost;
    /* GLib's count, which includes lost ones, less those that were wanted from the first. */
    if (pool->threads_started > pool->target)
        now.threads_replaced = pool->threads_started - pool->target;
    now.jobs_spawned = pool->spawned;
    now.jobs_refused = pool->refused;
    now.jobs_run = pool->run;
    now.jobs_dropped = pool->dropped;
    now.jobs_lost = pool->lost;
    now.jobs_queued = pool_queued(pool);
    now.jobs_running = pool->taken - pool_ended(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
}
