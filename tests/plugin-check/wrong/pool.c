/*
 * The pools of the shelf of wrong plugins. Without a switch: a right one, a queue behind one lock.
 * Each WRONG_... breaks one rule.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/pool.h>

#ifndef WRONG_NAME
#error "WRONG_NAME is the name of the plugin, as in its file's name"
#endif

struct node {
    struct kvs_job job;
    struct node *next;
};

struct kvs_pool {
    struct kvs_pool_config config; /* constant after create */
    pthread_key_t key;             /* a worker's struct worker; its destructor finds lost threads */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct node *first;
    struct node **last;
    uint32_t mode;
    int closing, ended;
    struct kvs_pool_stats stats;
};

struct worker {
    struct kvs_pool *pool;
    struct kvs_job job;
    int is_running;
};

static void *work(void *arg);

/* The lock is held. */
static int start_worker(struct kvs_pool *pool)
{
    pthread_t thread;
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return -1;
    worker->pool = pool;
    if (pthread_create(&thread, NULL, work, worker) != 0) {
        free(worker);
        return -1;
    }
    (void)pthread_detach(thread);
    pool->stats.threads++;
    pool->stats.threads_started++;
    return 0;
}

/* Runs on every thread at its end; the worker that was running a job lost its thread to it. */
static void end_worker(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    if (worker->is_running && pool->config.job_lost != NULL)
        pool->config.job_lost(pool->config.arg, &worker->job);
#ifndef WRONG_NO_STOP_HOOK
    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);
#endif
    pthread_mutex_lock(&pool->lock);
    pool->stats.threads--;
    if (worker->is_running) {
        pool->stats.jobs_running--;
        pool->stats.jobs_lost++;
        pool->stats.threads_lost++;
#ifndef WRONG_SHRINKS
        if (start_worker(pool) == 0)
            pool->stats.threads_replaced++;
#endif
    }
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    free(worker);
}

/* Takes the next job; the lock is held. */
static int take(struct kvs_pool *pool, struct kvs_job *ret_job)
{
    struct node *node = pool->first;
    if (node == NULL)
        return 0;
    pool->first = node->next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    pool->stats.jobs_queued--;
    *ret_job = node->job;
    free(node);
    return 1;
}

static void run_jobs(struct kvs_pool *pool, struct worker *worker)
{
    for (;;) {
        if (pool->closing && pool->mode == KVS_POOL_DROP)
            return;
        if (!take(pool, &worker->job)) {
            if (pool->closing)
                return;
            pthread_cond_wait(&pool->changed, &pool->lock);
            continue;
        }
        pool->stats.jobs_running++;
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);
        worker->is_running = 1;
        worker->job.run(worker->job.arg);
        worker->is_running = 0;
        pthread_mutex_lock(&pool->lock);
        pool->stats.jobs_running--;
#ifdef WRONG_STATS
        pool->stats.jobs_run += pool->stats.jobs_run % 50 != 49;
#else
        pool->stats.jobs_run++;
#endif
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    (void)pthread_setspecific(pool->key, worker);
    if (pool->config.thread_start != NULL)
        pool->config.thread_start(pool->config.arg);
    pthread_mutex_lock(&pool->lock);
    run_jobs(pool, worker);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static kvs_status wrong_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                               struct kvs_error *err)
{
    struct kvs_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    memcpy(&pool->config, config,
           config->size < sizeof(pool->config) ? config->size : sizeof(pool->config));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    (void)pthread_key_create(&pool->key, end_worker);
    pool->last = &pool->first;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < config->threads; i++)
        (void)start_worker(pool);
    pthread_mutex_unlock(&pool->lock);
#ifdef WRONG_LEAKS_MEMORY
    char *memory = malloc(100);
    __asm__ volatile("" : : "r"(memory) : "memory"); /* or the compiler takes it out */
#endif
    *ret_pool = pool;
    return KVS_OK;
}

/* The lock is held. */
static kvs_status push(struct kvs_pool *pool, const struct kvs_job *job)
{
#ifndef WRONG_OPEN_FOR_EVER
    if (pool->closing) {
        pool->stats.jobs_refused++;
        return KVS_CLOSED;
    }
#endif
#ifdef WRONG_BLOCKS
    while (pool->stats.jobs_queued >= 10)
        pthread_cond_wait(&pool->changed, &pool->lock);
#endif
#ifndef WRONG_NO_LIMIT
    if (pool->config.queue_limit != 0 && pool->stats.jobs_queued >= pool->config.queue_limit) {
        pool->stats.jobs_refused++;
        return KVS_BUSY;
    }
#endif
    pool->stats.jobs_spawned++;
#ifdef WRONG_LOSES_JOB
    if (pool->stats.jobs_spawned % 100 == 0)
        return KVS_OK;
#endif
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return KVS_NO_MEMORY;
    node->job = *job;
    *pool->last = node;
    pool->last = &node->next;
    pool->stats.jobs_queued++;
    pthread_cond_broadcast(&pool->changed);
    return KVS_OK;
}

static kvs_status wrong_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    pthread_mutex_lock(&pool->lock);
    kvs_status status = push(pool, job);
#ifdef WRONG_RUNS_TWICE
    if (status == KVS_OK && pool->stats.jobs_spawned % 100 == 0)
        (void)push(pool, job);
#endif
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static kvs_status wrong_spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs,
                                    uint64_t count, uint64_t *ret_accepted)
{
    kvs_status status = KVS_OK;
    uint64_t accepted = 0;
    pthread_mutex_lock(&pool->lock);
    while (accepted < count && status == KVS_OK) {
#ifdef WRONG_BATCH_FROM_BEHIND
        status = push(pool, &jobs[count - 1 - accepted]);
#else
        status = push(pool, &jobs[accepted]);
#endif
        accepted += status == KVS_OK;
    }
    pthread_mutex_unlock(&pool->lock);
    *ret_accepted = accepted;
    return status;
}

static void drop_queued(struct kvs_pool *pool)
{
    struct kvs_job job;
    while (take(pool, &job)) {
        pool->stats.jobs_dropped++;
        pthread_mutex_unlock(&pool->lock);
#ifndef WRONG_FORGETS_DROPPED
        if (job.drop != NULL)
            job.drop(job.arg);
#endif
        pthread_mutex_lock(&pool->lock);
    }
}

static kvs_status wrong_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
#ifndef WRONG_SHUTDOWN_FROM_JOB
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0, "a job cannot shut its own pool down");
#else
    (void)err;
#endif
    pthread_mutex_lock(&pool->lock);
    int is_first = !pool->closing;
    if (is_first) {
        pool->closing = 1;
        pool->mode = mode;
        pthread_cond_broadcast(&pool->changed);
    }
#ifdef WRONG_SHUTDOWN_HURRIES
    if (pool->stats.jobs_queued > 0 && mode == KVS_POOL_DRAIN) {
        pthread_mutex_unlock(&pool->lock);
        return KVS_OK;
    }
#endif
    while (is_first ? pool->stats.threads > 0 : !pool->ended)
        pthread_cond_wait(&pool->changed, &pool->lock);
    drop_queued(pool);
    pool->ended = 1;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

static void wrong_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)wrong_shutdown(pool, KVS_POOL_DROP, NULL);
    pthread_key_delete(pool->key);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void wrong_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    struct kvs_pool_stats now = pool->stats;
    pthread_mutex_unlock(&pool->lock);
    now.size = stats->size;
#ifdef WRONG_STATS_SIZE
    memcpy(stats, &now, sizeof(now));
#else
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
#endif
}

static const struct kvs_pool_ops operations = {
    .size = sizeof(struct kvs_pool_ops),
    .capabilities = KVS_POOL_HAS_SPAWN_BATCH | KVS_POOL_HAS_STATS | KVS_POOL_SURVIVES_THREAD_EXIT
#ifdef WRONG_CLAIMS_IDLE
                    | KVS_POOL_RUNS_IDLE_HOOK
#endif
    ,
    .create = wrong_create,
    .spawn = wrong_spawn,
    .shutdown = wrong_shutdown,
    .destroy = wrong_destroy,
    .spawn_batch = wrong_spawn_batch,
    .stats = wrong_stats,
};

static const struct kvs_plugin plugin = {
    .size = sizeof(struct kvs_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = WRONG_NAME,
    .version = "1",
    .description = "a pool for the tests of kvs-plugin-check",
    .ops = &operations,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
