/*
 * The naive pool: a new thread for each job, which may therefore block as long as it likes. It is
 * what everything else is measured against; it is unbounded and ignores `threads`.
 *
 * A thread runs one job and ends. When the job ends the thread itself (pthread_exit, cancellation),
 * the destructor of a thread-specific key notices: it runs in every thread that ends, however it
 * ends, and finds its state on the heap (struct naive_thread), since the stack is gone by then. A
 * thread that ends by itself clears its key first. Nothing has to be replaced.
 *
 * Joining. Threads are joinable, and each one that ends joins the one that ended before it; the
 * last one is joined by shutdown. So at most one ended thread holds memory, and once shutdown has
 * returned, no thread is left, not even in its last steps.
 *
 * Invariants (under the lock):
 * I1  present = threads that were or are being started and have not linked themselves as
 *     last_ended. Shutdown returns only when present = 0 and last_ended was joined.
 * I2  spawned = run + lost + running. Nothing is ever queued or dropped.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvs/plugin.h>
#include <kvs/pool.h>
#include <kvs/version.h>

#define NAME_SIZE          16u /* what the kernel keeps of a thread's name, terminator included */
#define STACK_SIZE_DEFAULT (UINT64_C(256) * 1024) /* bytes: room for ten thousand connections */

enum naive_state {
    NAIVE_OPEN,
    NAIVE_CLOSING,
    NAIVE_ENDED,
};

struct kvs_pool {
    /* Constant after create. */
    struct kvs_pool_config config; /* a copy, padded with zeroes where the host's is shorter */
    char name[NAME_SIZE];
    pthread_attr_t attributes;
    sigset_t signal_mask; /* of whoever called create; every thread runs with it */
    pthread_key_t key;    /* a thread's own struct, in its thread; NULL elsewhere */

    pthread_mutex_t lock;
    pthread_cond_t ended; /* present fell to 0, or the state became NAIVE_ENDED */

    /* Guarded by lock. */
    enum naive_state state;
    uint64_t present;                /* I1 */
    struct naive_thread *last_ended; /* on its last steps: to be joined by the next one */
    uint64_t spawned, refused, run, lost, threads_started, threads_lost;
};

struct naive_thread {
    struct kvs_pool *pool;
    struct kvs_job job;
    pthread_t thread; /* written by the thread itself, read by who joins it; under the lock */
    bool returned;    /* the thread's own: the job is done, but a cancellation may still strike */
};

/* ---- a thread's life ---------------------------------------------------------------------- */

/* Joins the threads that ended. Called and returns with the lock held; lets it go meanwhile. */
static void naive_join_ended(struct kvs_pool *pool)
{
    while (pool->last_ended != NULL) {
        struct naive_thread *ended = pool->last_ended;
        pool->last_ended = NULL;
        (void)pthread_mutex_unlock(&pool->lock);
        (void)pthread_join(ended->thread, NULL);
        free(ended);
        (void)pthread_mutex_lock(&pool->lock);
    }
}

/* The last steps of a thread. */
static void naive_end(struct naive_thread *self, bool lost_thread)
{
    struct kvs_pool *pool = self->pool;
    bool lost_job = lost_thread && !self->returned;
    if (lost_job && pool->config.job_lost != NULL)
        pool->config.job_lost(pool->config.arg, &self->job);
    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);
    (void)pthread_setspecific(pool->key, NULL);

    (void)pthread_mutex_lock(&pool->lock);
    pool->run += lost_job ? 0 : 1;
    pool->lost += lost_job ? 1 : 0;
    pool->threads_lost += lost_thread ? 1 : 0;
    naive_join_ended(pool);
    self->thread = pthread_self();
    pool->last_ended = self;
    assert(pool->present > 0);
    if (--pool->present == 0)
        (void)pthread_cond_broadcast(&pool->ended);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* The destructor of pool->key: the thread was ended by its job. */
static void naive_lost(void *arg)
{
    struct naive_thread *self = arg;
    /* Still a thread of this pool: a shutdown from a hook must be refused. */
    (void)pthread_setspecific(self->pool->key, self);
    naive_end(self, true);
}

/* A thread cannot be cancelled but while its job runs: elsewhere a cancellation could end it while
   it holds the lock. */
static void *naive_main(void *arg)
{
    struct naive_thread *self = arg;
    struct kvs_pool *pool = self->pool;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &pool->signal_mask, NULL);
    (void)pthread_setspecific(pool->key, self);
    if (pool->name[0] != '\0')
        (void)pthread_setname_np(pthread_self(), pool->name);
    if (pool->config.thread_start != NULL)
        pool->config.thread_start(pool->config.arg);

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    self->job.run(self->job.arg);
    self->returned = true;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);

    naive_end(self, false);
    return NULL;
}

/* ---- spawn -------------------------------------------------------------------------------- */

/* Takes the spawn back: no thread was to be had. */
static kvs_status naive_refuse(struct kvs_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->spawned--;
    pool->threads_started--;
    pool->refused++;
    if (--pool->present == 0)
        (void)pthread_cond_broadcast(&pool->ended);
    (void)pthread_mutex_unlock(&pool->lock);
    return KVS_BUSY;
}

static kvs_status naive_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool open = pool->state == NAIVE_OPEN;
    pool->spawned += open ? 1 : 0;
    pool->threads_started += open ? 1 : 0;
    pool->refused += open ? 0 : 1;
    pool->present += open ? 1 : 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (!open)
        return KVS_CLOSED;

    struct naive_thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return naive_refuse(pool);
    thread->pool = pool;
    thread->job = *job;
    pthread_t id;
    if (pthread_create(&id, &pool->attributes, naive_main, thread) != 0) {
        free(thread);
        return naive_refuse(pool);
    }
    return KVS_OK;
}

static kvs_status naive_spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs,
                                    uint64_t count, uint64_t *ret_accepted)
{
    kvs_status status = KVS_OK;
    uint64_t accepted = 0;
    while (accepted < count && (status = naive_spawn(pool, &jobs[accepted])) == KVS_OK)
        accepted++;
    if (status != KVS_OK && count - accepted > 1) {
        (void)pthread_mutex_lock(&pool->lock);
        pool->refused += count - accepted - 1; /* the first of them is counted already */
        (void)pthread_mutex_unlock(&pool->lock);
    }
    *ret_accepted = accepted;
    return status;
}

/* ---- the pool's life ---------------------------------------------------------------------- */

static kvs_status naive_init_attributes(struct kvs_pool *pool, struct kvs_error *err)
{
    (void)pthread_attr_init(&pool->attributes);
    uint64_t size = pool->config.stack_size > 0 ? pool->config.stack_size : STACK_SIZE_DEFAULT;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (size < (uint64_t)PTHREAD_STACK_MIN)
        size = (uint64_t)PTHREAD_STACK_MIN;
    int error = size > SIZE_MAX - page ? EINVAL : 0;
    if (error == 0)
        error = pthread_attr_setstacksize(&pool->attributes, (size + page - 1) / page * page);
    if (error == 0)
        return KVS_OK;
    (void)pthread_attr_destroy(&pool->attributes);
    return kvs_error_set(err, KVS_INVALID, error, "a stack of %llu bytes is not possible: %s",
                         (unsigned long long)size, strerror(error));
}

static kvs_status naive_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                               struct kvs_error *err)
{
    struct kvs_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    memcpy(&pool->config, config, config->size < sizeof(*config) ? config->size : sizeof(*config));
    if (pool->config.thread_name != NULL)
        (void)strncpy(pool->name, pool->config.thread_name, sizeof(pool->name) - 1);
    pool->config.thread_name = NULL;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &pool->signal_mask);

    kvs_status status = naive_init_attributes(pool, err);
    if (status != KVS_OK) {
        free(pool);
        return status;
    }
    int error = pthread_key_create(&pool->key, naive_lost);
    if (error != 0) {
        (void)pthread_attr_destroy(&pool->attributes);
        free(pool);
        return kvs_error_set(err, KVS_BUSY, error, "no thread-specific key for a pool: %s",
                             strerror(error));
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->ended, NULL);
    *ret_pool = pool;
    return KVS_OK;
}

/* Nothing is ever queued here, so both modes mean the same: wait for what runs. */
static kvs_status naive_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    (void)mode;
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pool cannot be shut down from one of its own jobs");
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->state != NAIVE_OPEN) {
        while (pool->state != NAIVE_ENDED)
            (void)pthread_cond_wait(&pool->ended, &pool->lock);
    } else {
        pool->state = NAIVE_CLOSING;
        while (pool->present > 0)
            (void)pthread_cond_wait(&pool->ended, &pool->lock);
        naive_join_ended(pool);
        pool->state = NAIVE_ENDED;
        (void)pthread_cond_broadcast(&pool->ended);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

static void naive_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)naive_shutdown(pool, KVS_POOL_DROP, NULL);
    assert(pool->present == 0 && pool->last_ended == NULL);
    (void)pthread_key_delete(pool->key);
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->lock);
    (void)pthread_attr_destroy(&pool->attributes);
    free(pool);
}

static void naive_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    struct kvs_pool_stats now = {.size = stats->size};
    (void)pthread_mutex_lock(&pool->lock);
    now.threads = (uint32_t)pool->present;
    now.threads_lost = pool->threads_lost;
    now.threads_started = pool->threads_started;
    now.jobs_spawned = pool->spawned;
    now.jobs_refused = pool->refused;
    now.jobs_run = pool->run;
    now.jobs_lost = pool->lost;
    now.jobs_running = pool->spawned - pool->run - pool->lost;
    (void)pthread_mutex_unlock(&pool->lock);
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
}

/* ---- the plugin --------------------------------------------------------------------------- */

static const struct kvs_pool_ops ops = {
    .size = (uint32_t)sizeof(ops),
    .capabilities = KVS_POOL_HAS_SPAWN_BATCH | KVS_POOL_HAS_STATS | KVS_POOL_UNBOUNDED |
                    KVS_POOL_SURVIVES_THREAD_EXIT,
    .create = naive_create,
    .spawn = naive_spawn,
    .shutdown = naive_shutdown,
    .destroy = naive_destroy,
    .spawn_batch = naive_spawn_batch,
    .stats = naive_stats,
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = "naive",
    .version = KVS_VERSION,
    .description = "A new thread for each job; jobs may block as long as they like",
    .author = "The kvs authors",
    .licence = "MIT",
    .option_stride = (uint32_t)sizeof(struct kvs_option),
    .ops = &ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const plugins[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return plugins;
}
