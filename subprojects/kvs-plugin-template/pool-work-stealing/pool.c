/*
 * Starting and ending the pool, and taking jobs in.
 *
 * Shutdown. closing is set, the injector refuses from then on, and all parked workers wake. When
 * they drain, each ends once it finds nothing more; when they drop, after its present job. Shutdown
 * waits until no worker has a thread, joins the last thread of each, and drops what is left.
 *
 * I1  A job that was accepted is in a queue until a worker, or shutdown when all workers have
 *     ended, takes it out: exactly one of run, drop and job_lost follows.
 * I2  A worker ends only with an empty deque (or, dropping, leaves it to shutdown).
 * I3  Shutdown returns only when every spawn that it could have raced with has left the pool.
 */
#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- create and destroy ------------------------------------------------------------------- */

/* Frees a pool without threads, also one that is only half made. */
static void pool_free(struct kvs_pool *pool)
{
    for (uint32_t i = 0; pool->workers != NULL && i < pool->worker_count; i++)
        free(pool->workers[i]);
    free(pool->workers);
    pthread_key_delete(pool->key);
    injector_deinit(&pool->injector);
    sleep_deinit(&pool->sleep);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static kvs_status pool_make_workers(struct kvs_pool *pool)
{
    pool->workers = calloc(pool->config.threads, sizeof(struct worker *));
    if (pool->workers == NULL)
        return KVS_NO_MEMORY;
    for (; pool->worker_count < pool->config.threads; pool->worker_count++) {
        struct worker *worker = worker_new(pool, pool->worker_count);
        if (worker == NULL)
            return KVS_NO_MEMORY;
        pool->workers[pool->worker_count] = worker;
    }
    return KVS_OK;
}

/* Starts all threads, or ends those that it started. */
static kvs_status pool_start(struct kvs_pool *pool, struct kvs_error *err)
{
    int code = 0;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->worker_count && code == 0; i++)
        code = worker_start_locked(pool->workers[i]);
    pthread_mutex_unlock(&pool->lock);
    if (code == 0)
        return KVS_OK;
    (void)pool_shutdown(pool, KVS_POOL_DROP, NULL);
    return kvs_error_set(err, code == EINVAL ? KVS_INVALID : KVS_BUSY, code,
                         "cannot start %u threads with a stack of %llu bytes (0: the system's "
                         "default): %s",
                         pool->worker_count, (unsigned long long)pool->config.stack_size,
                         strerror(code));
}

/* Copies the part of the host's struct that both sides know; the rest stays zero. */
static void copy_config(struct kvs_pool *pool, const struct kvs_pool_config *config)
{
    size_t size = config->size < sizeof(pool->config) ? config->size : sizeof(pool->config);
    memcpy(&pool->config, config, size);
    if (config->thread_name != NULL)
        strncpy(pool->thread_name, config->thread_name, THREAD_NAME_SIZE - 1);
    pool->config.thread_name = NULL; /* the host's: it may go when create returns */
}

/* How long workers spin: as the option says, but never on a single CPU, where nobody else could do
   anything meanwhile. */
static uint64_t spin_ns_of(const struct kvs_host *host)
{
    struct kvs_option_value spin = {.size = sizeof(spin)};
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1)
        return 0;
    return host->config_get(host, "spin", &spin) == KVS_OK ? spin.u64 : 0;
}

kvs_status pool_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err)
{
    if (config->threads == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a pool has at least 1 thread");
    struct kvs_pool *pool = aligned_alloc(alignof(struct kvs_pool), sizeof(*pool));
    if (pool == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a pool");
    memset(pool, 0, sizeof(*pool));
    int code = pthread_key_create(&pool->key, worker_lost);
    if (code != 0) {
        free(pool);
        return kvs_error_set(err, KVS_BUSY, code, "cannot make a thread-specific key: %s",
                             strerror(code));
    }
    copy_config(pool, config);
    injector_init(&pool->injector);
    sleep_init(&pool->sleep);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pool->spin_ns = spin_ns_of(config->host);

    kvs_status status = pool_make_workers(pool);
    if (status != KVS_OK)
        (void)kvs_error_set(err, status, 0, "no memory for %u workers", config->threads);
    else
        status = pool_start(pool, err);
    if (status != KVS_OK) {
        pool_free(pool);
        return status;
    }
    *ret_pool = pool;
    return KVS_OK;
}

void pool_destroy(struct kvs_pool *pool)
{
    if (pool == NULL)
        return;
    (void)pool_shutdown(pool, KVS_POOL_DROP, NULL); /* returns at once after an earlier one */
    pool_free(pool);
}

/* ---- spawn -------------------------------------------------------------------------------- */

/* Takes up to count places under the queue limit; returns how many. */
static uint64_t admit(struct kvs_pool *pool, uint64_t count)
{
    uint64_t limit = pool->config.queue_limit;
    if (limit == 0)
        return count;
    uint64_t waiting = atomic_load_explicit(&pool->waiting, memory_order_relaxed);
    uint64_t admitted;
    do {
        uint64_t room = waiting < limit ? limit - waiting : 0;
        admitted = count < room ? count : room;
    } while (!atomic_compare_exchange_weak_explicit(&pool->waiting, &waiting, waiting + admitted,
                                                    memory_order_relaxed, memory_order_relaxed));
    return admitted;
}

static void give_back(struct kvs_pool *pool, uint64_t count)
{
    if (pool->config.queue_limit != 0 && count > 0)
        atomic_fetch_sub_explicit(&pool->waiting, count, memory_order_relaxed);
}

void pool_job_taken(struct kvs_pool *pool)
{
    give_back(pool, 1);
}

bool pool_has_work(void *arg)
{
    struct kvs_pool *pool = arg;
    if (injector_count(&pool->injector) > 0)
        return true;
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        if (deque_count(&pool->workers[i]->deque) > 0)
            return true;
    }
    return false;
}

/* Tries again to start the threads that could not be replaced when they were lost; the pool's lock
   is held. */
static void fill_vacancies_locked(struct kvs_pool *pool)
{
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        if (!worker->vacant || worker_start_locked(worker) != 0)
            continue;
        worker->vacant = false;
        atomic_fetch_sub_explicit(&pool->vacant_count, 1, memory_order_relaxed);
        pool->threads_replaced++;
    }
}

/* As a side job of spawn. A pool that is closing is left to shutdown. */
static void fill_vacancies(struct kvs_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (!atomic_load_explicit(&pool->closing, memory_order_relaxed))
        fill_vacancies_locked(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* Queues jobs of one of the pool's own threads: into its deque, and what does not fit (a long
   batch, a job that spawns hundreds) into the injector. */
static kvs_status push_inside(struct kvs_pool *pool, struct worker *worker,
                              const struct kvs_job *jobs, uint64_t count, uint64_t *ret_pushed)
{
    uint64_t pushed = 0;
    kvs_status status = KVS_OK;
    if (atomic_load_explicit(&pool->closing, memory_order_acquire))
        return KVS_CLOSED;
    while (pushed < count && deque_push(&worker->deque, &jobs[pushed]))
        pushed++;
    if (pushed < count)
        status = injector_push(&pool->injector, jobs + pushed, count - pushed);
    *ret_pushed = status == KVS_OK ? count : pushed;
    uint64_t spawned = atomic_load_explicit(&worker->jobs_spawned, memory_order_relaxed);
    atomic_store_explicit(&worker->jobs_spawned, spawned + *ret_pushed, memory_order_relaxed);
    return status;
}

static kvs_status push_outside(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                               uint64_t *ret_pushed)
{
    kvs_status status = injector_push(&pool->injector, jobs, count);
    if (status == KVS_OK) {
        *ret_pushed = count;
        atomic_fetch_add_explicit(&pool->jobs_spawned_outside, count, memory_order_relaxed);
    }
    return status;
}

/* All of spawn for a caller that is worker (NULL: none of ours). */
static kvs_status spawn_jobs(struct kvs_pool *pool, struct worker *worker,
                             const struct kvs_job *jobs, uint64_t count, uint64_t *ret_accepted)
{
    uint64_t admitted = admit(pool, count);
    uint64_t pushed = 0;
    kvs_status status = worker != NULL ? push_inside(pool, worker, jobs, admitted, &pushed)
                                       : push_outside(pool, jobs, admitted, &pushed);
    if (status == KVS_OK && pushed < count)
        status = KVS_BUSY;
    give_back(pool, admitted - pushed);
    if (pushed > 0)
        sleep_wake_one(&pool->sleep);
    if (pushed < count)
        atomic_fetch_add_explicit(&pool->jobs_refused, count - pushed, memory_order_relaxed);
    if (atomic_load_explicit(&pool->vacant_count, memory_order_relaxed) > 0)
        fill_vacancies(pool);
    *ret_accepted = pushed;
    return status;
}

/*
 * A job may run, and the pool be shut down and destroyed because of it, before the spawn that brought
 * it has returned. Shutdown waits for the pool's own threads in any case; the others are counted
 * while they are inside (I3).
 */
kvs_status pool_spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                            uint64_t *ret_accepted)
{
    struct worker *worker = pthread_getspecific(pool->key);
    if (worker != NULL)
        return spawn_jobs(pool, worker, jobs, count, ret_accepted);
    atomic_fetch_add_explicit(&pool->spawners, 1, memory_order_relaxed);
    kvs_status status = spawn_jobs(pool, NULL, jobs, count, ret_accepted);
    atomic_fetch_sub_explicit(&pool->spawners, 1, memory_order_release); /* no touch after this */
    return status;
}

kvs_status pool_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    uint64_t accepted;
    return pool_spawn_batch(pool, job, 1, &accepted);
}

/* ---- shutdown ----------------------------------------------------------------------------- */

/* Takes any job out of a pool whose threads have ended. */
static bool take_leftover(struct kvs_pool *pool, struct kvs_job *ret_job)
{
    if (injector_take(&pool->injector, ret_job, 1) == 1)
        return true;
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        if (deque_steal(&pool->workers[i]->deque, ret_job) == DEQUE_TAKEN)
            return true;
    }
    return false;
}

static void drop_leftovers(struct kvs_pool *pool)
{
    struct kvs_job job;
    while (take_leftover(pool, &job)) {
        pool_job_taken(pool);
        atomic_fetch_add_explicit(&pool->jobs_dropped, 1, memory_order_relaxed);
        if (job.drop != NULL)
            job.drop(job.arg);
    }
}

/* Waits until no worker has a thread. */
static void wait_for_workers(struct kvs_pool *pool, uint32_t mode)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->alive > 0)
        pthread_cond_wait(&pool->changed, &pool->lock);
    if (mode != KVS_POOL_DROP && pool_has_work(pool)) {
        /* The last threads were lost, and could not be replaced at once. */
        fill_vacancies_locked(pool);
        while (pool->alive > 0)
            pthread_cond_wait(&pool->changed, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Waits until no spawn is under way in another thread. That does not take long: spawn never blocks. */
static void wait_for_spawners(struct kvs_pool *pool)
{
    while (atomic_load_explicit(&pool->spawners, memory_order_acquire) > 0)
        sched_yield();
}

/* No worker has a thread any more, so none of this changes under us. */
static void join_workers(struct kvs_pool *pool)
{
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        if (worker->has_thread)
            pthread_join(worker->thread, NULL);
        worker->has_thread = false;
    }
}

/* Sets closing. False: another call did so before; it has ended when this returns. */
static bool begin_shutdown(struct kvs_pool *pool, uint32_t mode)
{
    pthread_mutex_lock(&pool->lock);
    bool first = !atomic_load_explicit(&pool->closing, memory_order_relaxed);
    if (first) {
        injector_close(&pool->injector);
        atomic_store_explicit(&pool->mode, mode, memory_order_relaxed);
        atomic_store_explicit(&pool->closing, true, memory_order_release);
        sleep_close(&pool->sleep);
    }
    while (!first && !pool->ended)
        pthread_cond_wait(&pool->changed, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return first;
}

kvs_status pool_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    if (pthread_getspecific(pool->key) != NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pool cannot be shut down from one of its own jobs: the job would "
                             "wait for itself");
    if (!begin_shutdown(pool, mode))
        return KVS_OK;
    wait_for_workers(pool, mode);
    join_workers(pool);
    drop_leftovers(pool);
    wait_for_spawners(pool);
    pthread_mutex_lock(&pool->lock);
    pool->ended = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return KVS_OK;
}

/* ---- stats -------------------------------------------------------------------------------- */

void pool_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    struct kvs_pool_stats now = {
        .size = stats->size,
        .jobs_spawned = atomic_load_explicit(&pool->jobs_spawned_outside, memory_order_relaxed),
        .jobs_refused = atomic_load_explicit(&pool->jobs_refused, memory_order_relaxed),
        .jobs_dropped = atomic_load_explicit(&pool->jobs_dropped, memory_order_relaxed),
        .jobs_queued = injector_count(&pool->injector),
        .wakeups = atomic_load_explicit(&pool->sleep.wakeups, memory_order_relaxed),
    };
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        now.jobs_spawned += atomic_load_explicit(&worker->jobs_spawned, memory_order_relaxed);
        now.jobs_run += atomic_load_explicit(&worker->jobs_run, memory_order_relaxed);
        now.jobs_lost += atomic_load_explicit(&worker->jobs_lost, memory_order_relaxed);
        now.jobs_running += atomic_load_explicit(&worker->busy, memory_order_relaxed);
        now.jobs_queued += deque_count(&worker->deque);
    }
    pthread_mutex_lock(&pool->lock);
    now.threads = pool->alive;
    now.threads_started = pool->threads_started;
    now.threads_lost = pool->threads_lost;
    now.threads_replaced = pool->threads_replaced;
    pthread_mutex_unlock(&pool->lock);
    memcpy(stats, &now, stats->size < sizeof(now) ? stats->size : sizeof(now));
}
