/*
 * The inline pool: spawn runs the job before it returns, in the thread that called. It has no
 * threads, no queue and no lock on a job's way: it is the single-threaded baseline.
 *
 * Nesting. A job that spawns runs the new job at once, inside itself, on the same stack; how deep
 * is up to the jobs.
 *
 * Lost jobs. A job that ends its thread ends the caller's thread, which this pool cannot make up
 * for (so it does not declare KVS_POOL_SURVIVES_THREAD_EXIT), but the job is accounted for: the
 * destructor of a thread-specific key runs in every thread that ends, and finds the jobs that were
 * running there. They are listed on the heap (struct inline_frame), since the stack is gone by
 * then. With nested jobs all of them are lost, the innermost first.
 *
 * Threads. Every operation may run on any thread at once; the shared fields are atomic.
 * I1  calls holds the number of spawn calls under way, and CLOSING once shutdown has begun: in one
 *     word, so that each call either is seen by shutdown, or sees CLOSING and is refused.
 * I2  The last call to leave a closing pool wakes shutdown under the lock. A call does not touch
 *     the pool after it left (after its change of calls, or letting the lock go): from then on
 *     shutdown may return and the pool may be freed.
 * I3  spawned = run + lost + running. Nothing is ever queued or dropped.
 */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/plugin.h>
#include <kvs/pool.h>
#include <kvs/version.h>

#define CLOSING (UINT64_C(1) << 63) /* in calls */

struct kvs_pool {
    struct kvs_pool_config config; /* constant; a copy, padded with zeroes */
    pthread_key_t key; /* constant; a thread's innermost frame, NULL while it runs no job */

    /* I1. Acquire and release: what the jobs did is visible to who shut the pool down. */
    uint64_t calls;
    /* A frame kept for the next job, or NULL: so that spawn does not allocate in the usual case.
       Whoever exchanges it owns it; acquire and release go with its content. */
    struct inline_frame *spare;
    /* Counts; relaxed. */
    uint64_t spawned, refused, run, lost;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_ended; /* guarded by lock: calls fell to 0 after CLOSING */
};

/* A job that runs. Its thread's own. */
struct inline_frame {
    struct kvs_pool *pool;
    struct inline_frame *outer; /* the job that spawned this one; NULL: none did */
    struct kvs_job job;
    bool returned; /* the job is done; what ends the thread now is no longer its doing */
};

// NOLINTNEXTLINE(readability-non-const-parameter): it is added to
static void inline_count(uint64_t *counter, uint64_t by)
{
    (void)__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* ---- frames ------------------------------------------------------------------------------- */

static struct inline_frame *inline_frame_new(struct kvs_pool *pool, const struct kvs_job *job)
{
    struct inline_frame *frame = __atomic_exchange_n(&pool->spare, NULL, __ATOMIC_ACQUIRE);
    if (frame == NULL)
        frame = malloc(sizeof(*frame));
    if (frame != NULL)
        *frame = (struct inline_frame){pool, pthread_getspecific(pool->key), *job, false};
    return frame;
}

static void inline_frame_free(struct inline_frame *frame)
{
    free(__atomic_exchange_n(&frame->pool->spare, frame, __ATOMIC_ACQ_REL));
}

/* ---- calls under way ---------------------------------------------------------------------- */

static bool inline_enter(struct kvs_pool *pool)
{
    uint64_t calls = __atomic_load_n(&pool->calls, __ATOMIC_RELAXED);
    do {
        if ((calls & CLOSING) != 0)
            return false;
    } while (!__atomic_compare_exchange_n(&pool->calls, &calls, calls + 1, true, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED));
    return true;
}

/* I2: the pool may be gone when it returns. */
static void inline_leave(struct kvs_pool *pool)
{
    uint64_t calls = __atomic_load_n(&pool->calls, __ATOMIC_RELAXED);
    while ((calls & CLOSING) == 0) {
        if (__atomic_compare_exchange_n(&pool->calls, &calls, calls - 1, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (__atomic_sub_fetch(&pool->calls, 1, __ATOMIC_ACQ_REL) == CLOSING) {
        pool->is_ended = true;
        (void)pthread_cond_broadcast(&pool->ended);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* The destructor of pool->key: the thread was ended by the job of the innermost frame. */
static void inline_lost(void *arg)
{
    struct inline_frame *frame = arg;
    struct kvs_pool *pool = frame->pool;
    while (frame != NULL) {
        struct inline_frame *outer = frame->outer;
        /* Still inside a job of this pool: a shutdown from the hook must be refused. */
        (void)pthread_setspecific(pool->key, frame);
        if (!frame->returned && pool->config.job_lost != NULL)
            pool->config.job_lost(pool->config.arg, &frame->job);
        inline_count(frame->returned ? &pool->run : &pool->lost, 1);
        inline_frame_free(frame);
        if (outer == NULL)
            (void)pthread_setspecific(pool->key, NULL);
        inline_leave(pool);
        frame = outer;
    }
}

/* ---- the operations ----------------------------------------------------------------------- */

static kvs_status inline_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    if (!inline_enter(pool)) {
        inline_count(&pool->refused, 1);
        return KVS_CLOSED;
    }
    struct inline_frame *frame = inline_frame_new(pool, job);
    if (frame == NULL || pthread_setspecific(pool->key, frame) != 0) {
        free(frame);
        inline_count(&pool->refused, 1);
        inline_leave(pool);
        return KVS_BUSY;
    }
    inline_count(&pool->spawned, 1);

    job = &frame->job; /* what the caller's pointed to is the job's to free */
    job->run(job->arg);

    frame->returned = true;
    (void)pthread_setspecific(pool->key, frame->outer);
    inline_frame_free(frame);
    inline_count(&pool->run, 1);
    inline_leave(pool);
    return KVS_OK;
}

/* A job that ends the thread ends the batch, too: those after it were never accepted. */
static kvs_status inline_spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs,
                                     uint64_t count, uint64_t *ret_accepted)
{
    kvs_status status = KVS_OK;
    uint64_t accepted = 0;
    while (accepted < count && (status = inline_spawn(pool, &jobs[accepted])) == KVS_OK)
        accepted++;
    if (status != KVS_OK)
        inline_count(&pool->refused, count - accepted - 1); /* the first is counted already */
    *ret_accepted = accepted;
    return status;
}

static kvs_status inline_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                                struct kvs_error *err)
{
    struct kvs_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    memcpy(&pool->config, config, config->size < sizeof(*config) ? config->size : sizeof(*config));
    pool->config.thread_name = NULL;
    int error = pthread_key_create(&pool->key, inline_lost);
    if (error != 0) {
        free(pool);
        return kvs_error_set(err, KVS_BUSY, error, "no thread-specific key for a pool: %s",
                             strerror(error));
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->ended, NULL);
    *ret_pool = pool;
    return KVS_OK;
}

/* Nothing is ever queued here, so both modes mean the same: wait for what other threads run. */
static kvs_status inline_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    (void)mode;
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pool cannot be shut down from one of its own jobs");
    (void)pthread_mutex_lock(&pool->lock);
    /* Under the lock, so that is_ended cannot be missed by a second shutdown. */
    if (__atomic_fetch_or(&pool->calls, CLOSING, __ATOMIC_ACQ_REL) == 0)
        pool->is_ended = true;
    while (!pool->is_ended)
        (void)pthread_cond_wait(&pool->ended, &pool->lock);
    (void)pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

static void inline_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)inline_shutdown(pool, KVS_POOL_DROP, NULL);
    assert(pool->is_ended);
    (void)pthread_key_delete(pool->key);
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->spare);
    free(pool);
}

static void inline_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    /* Those that end are read first, so that running is never negative. */
    struct kvs_pool_stats now = {.size = stats->size};
    now.jobs_run = __atomic_load_n(&pool->run, __ATOMIC_RELAXED);
    now.jobs_lost = __atomic_load_n(&pool->lost, __ATOMIC_RELAXED);
    now.jobs_refused = __atomic_load_n(&pool->refused, __ATOMIC_RELAXED);
    uint64_t ended = now.jobs_run + now.jobs_lost;
    now.jobs_spawned = __atomic_load_n(&pool->spawned, __ATOMIC_RELAXED);
    if (now.jobs_spawned < ended) /* relaxed counters may be seen in any order */
        now.jobs_spawned = ended;
    now.jobs_running = now.jobs_spawned - ended;
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
}

/* ---- the plugin --------------------------------------------------------------------------- */

static const struct kvs_pool_ops ops = {
    .size = (uint32_t)sizeof(ops),
    .capabilities = KVS_POOL_HAS_SPAWN_BATCH | KVS_POOL_HAS_STATS | KVS_POOL_INLINE,
    .create = inline_create,
    .spawn = inline_spawn,
    .shutdown = inline_shutdown,
    .destroy = inline_destroy,
    .spawn_batch = inline_spawn_batch,
    .stats = inline_stats,
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = "inline",
    .version = KVS_VERSION,
    .description = "Runs each job in the caller: no threads at all",
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
