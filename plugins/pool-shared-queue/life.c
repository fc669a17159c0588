/* A pool's life: create, shutdown, destroy; and its figures. */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- create ------------------------------------------------------------------------------ */

static uint64_t life_option(const struct kvs_pool *pool, const char *name)
{
    struct kvs_option_value value = {.size = (uint32_t)sizeof(value)};
    if (pool->config.host->config_get(pool->config.host, name, &value) != KVS_OK)
        return 0;
    return value.u64;
}

static bool life_has_one_cpu(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

static void life_configure(struct kvs_pool *pool, const struct kvs_pool_config *config)
{
    size_t size = config->size < sizeof(*config) ? config->size : sizeof(*config);
    memcpy(&pool->config, config, size);
    if (pool->config.thread_name != NULL)
        (void)strncpy(pool->name, pool->config.thread_name, sizeof(pool->name) - 1);
    pool->config.thread_name = NULL;
    pool->spin_ns = life_has_one_cpu() ? 0 : life_option(pool, "spin");
    pool->wake_threshold_ns = life_option(pool, "wake-threshold");
    pool->standby_ns = life_option(pool, "standby");
    pool->service_ns = pool->wake_threshold_ns; /* not known yet: rather wake one too many */
    (void)pthread_sigmask(SIG_SETMASK, NULL, &pool->signal_mask);
}

/* Threads contend for the lock for less time than it takes to put one to sleep. */
static void life_init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    (void)pthread_mutex_init(lock, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
}

static kvs_status life_init_attributes(struct kvs_pool *pool, struct kvs_error *err)
{
    (void)pthread_attr_init(&pool->attributes);
    uint64_t size = pool->config.stack_size;
    if (size == 0)
        return KVS_OK;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (size < (uint64_t)PTHREAD_STACK_MIN)
        size = (uint64_t)PTHREAD_STACK_MIN;
    size = (size + page - 1) / page * page;
    int error = pthread_attr_setstacksize(&pool->attributes, size);
    if (error == 0)
        return KVS_OK;
    (void)pthread_attr_destroy(&pool->attributes);
    return kvs_error_set(err, KVS_INVALID, error, "a stack of %llu bytes is not possible: %s",
                         (unsigned long long)pool->config.stack_size, strerror(error));
}

/* Frees a pool without threads. */
static void life_free(struct kvs_pool *pool)
{
    assert(pool->present == 0 && ring_count(&pool->queue) == 0);
    while (pool->all != NULL) {
        struct worker *worker = pool->all;
        pool->all = worker->next_all;
        (void)pthread_cond_destroy(&worker->wake);
        free(worker);
    }
    (void)pthread_key_delete(pool->key);
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->lock);
    (void)pthread_attr_destroy(&pool->attributes);
    ring_deinit(&pool->queue);
    free(pool);
}

kvs_status life_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err)
{
    struct kvs_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    life_configure(pool, config);
    if (pool->config.threads == 0) {
        free(pool);
        return kvs_error_set(err, KVS_INVALID, 0, "a pool needs at least 1 thread, not 0");
    }
    kvs_status status = life_init_attributes(pool, err);
    if (status != KVS_OK) {
        free(pool);
        return status;
    }
    int error = pthread_key_create(&pool->key, threads_lost);
    if (error != 0) {
        (void)pthread_attr_destroy(&pool->attributes);
        free(pool);
        return kvs_error_set(err, KVS_BUSY, error, "no thread-specific key for a pool: %s",
                             strerror(error));
    }
    life_init_lock(&pool->lock);
    (void)pthread_cond_init(&pool->ended, NULL);

    status = threads_resize(pool, pool->config.threads, err);
    if (status != KVS_OK) {
        (void)life_shutdown(pool, KVS_POOL_DROP, NULL);
        life_free(pool);
        return status;
    }
    *ret_pool = pool;
    return KVS_OK;
}

/* ---- shutdown ---------------------------------------------------------------------------- */

/* Drops every job of the ring, which is the caller's own. Returns how many. */
static uint64_t life_drop(struct ring *queue)
{
    uint64_t dropped = ring_count(queue);
    while (ring_count(queue) > 0) {
        struct kvs_job job;
        ring_take(queue, &job);
        if (job.drop != NULL)
            job.drop(job.arg);
    }
    ring_deinit(queue);
    return dropped;
}

kvs_status life_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pool cannot be shut down from one of its own jobs");
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->state != POOL_OPEN) {
        while (pool->state != POOL_ENDED)
            (void)pthread_cond_wait(&pool->ended, &pool->lock);
        (void)pthread_mutex_unlock(&pool->lock);
        return KVS_OK;
    }
    pool->state = POOL_CLOSING;
    struct ring dropping = {.cap = 0};
    if (mode == KVS_POOL_DROP) {
        dropping = pool->queue;
        memset(&pool->queue, 0, sizeof(pool->queue));
    }
    __atomic_store_n(&pool->look_hint, true, __ATOMIC_RELAXED);
    bool kick = wake_all(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    if (kick && pool->config.wake_idle != NULL)
        pool->config.wake_idle(pool->config.arg);
    uint64_t dropped = life_drop(&dropping);

    (void)pthread_mutex_lock(&pool->lock);
    pool->jobs_dropped += dropped;
    while (pool->present > 0)
        (void)pthread_cond_wait(&pool->ended, &pool->lock);
    threads_join_ended(pool);
    pool->state = POOL_ENDED;
    (void)pthread_cond_broadcast(&pool->ended);
    (void)pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

void life_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)life_shutdown(pool, KVS_POOL_DROP, NULL);
    life_free(pool);
}

/* ---- figures ------------------------------------------------------------------------------ */

void life_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    struct kvs_pool_stats now = {.size = stats->size};
    (void)pthread_mutex_lock(&pool->lock);
    now.threads = pool->live;
    now.threads_started = pool->threads_started;
    now.threads_lost = pool->threads_lost;
    now.threads_replaced = pool->threads_replaced;
    now.jobs_spawned = pool->jobs_spawned;
    now.jobs_refused = pool->jobs_refused;
    now.jobs_run = pool->jobs_run;
    now.jobs_dropped = pool->jobs_dropped;
    now.jobs_lost = pool->jobs_lost;
    now.jobs_queued = ring_count(&pool->queue);
    now.jobs_running = pool->jobs_taken - pool->jobs_run - pool->jobs_lost;
    now.wakeups = pool->wakeups;
    (void)pthread_mutex_unlock(&pool->lock);
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
}
