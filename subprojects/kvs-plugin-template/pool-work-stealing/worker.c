/*
 * The life of a worker's thread: find a job, run it, and so on until the pool closes.
 *
 * A job may end its thread, by pthread_exit or by being cancelled. Nothing after its run() is then
 * executed; but the pool's key has this thread's worker as its value, so the key's destructor is
 * called with it: worker_lost. It reports the job and starts another thread, to which the worker
 * goes with all that is in its deque. (A cleanup handler around run() would not do: unwinding can
 * jump over it, or find the frame's variables stale.) The new thread joins the old one, so that no
 * thread is left unjoined.
 *
 * Cancellation is only enabled while a job runs: our own waits are cancellation points, and a
 * thread that ended inside one would take a lock along.
 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Figures with one writer need no locked instruction. */
static void count_up(_Atomic uint64_t *figure)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

struct worker *worker_new(struct kvs_pool *pool, uint64_t seed)
{
    struct worker *worker = aligned_alloc(alignof(struct worker), sizeof(*worker));
    if (worker == NULL)
        return NULL;
    memset(worker, 0, sizeof(*worker));
    worker->pool = pool;
    worker->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    return worker;
}

/* ---- finding a job ------------------------------------------------------------------------ */

/* Takes one of the jobs that have waited longest: in turns the injector's and the worker's own. */
static bool find_oldest(struct worker *worker, struct kvs_job *ret_job)
{
    struct injector *injector = &worker->pool->injector;
    bool own_first = worker->ticks / FAIR_EVERY % 2 == 0;
    return (own_first && deque_steal(&worker->deque, ret_job) == DEQUE_TAKEN) ||
           injector_take(injector, ret_job, 1) == 1 ||
           deque_steal(&worker->deque, ret_job) == DEQUE_TAKEN;
}

/*
 * Takes from the injector: one to run, and its share of what waits there into the (empty) deque, in
 * reverse, so that popping gives them in the order in which they came.
 */
static bool find_injected(struct worker *worker, struct kvs_job *ret_job)
{
    struct kvs_pool *pool = worker->pool;
    struct kvs_job jobs[INJECTOR_BATCH];
    uint64_t share = injector_count(&pool->injector) / pool->worker_count + 1;
    uint64_t count =
        injector_take(&pool->injector, jobs, share < INJECTOR_BATCH ? share : INJECTOR_BATCH);
    if (count == 0)
        return false;
    for (uint64_t i = count - 1; i > 0; i--)
        (void)deque_push(&worker->deque, &jobs[i]); /* has room: it was empty */
    if (count > 1)
        sleep_wake_one(&pool->sleep); /* on their way they were in no queue: nobody saw them */
    *ret_job = jobs[0];
    return true;
}

/* xorshift64: quick, and good enough to choose a victim. */
static uint64_t next_random(struct worker *worker)
{
    uint64_t value = worker->random;
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
    worker->random = value;
    return value;
}

/* Tries every other worker once, from a random one on; all again if a race was lost. */
static bool steal(struct worker *worker, struct kvs_job *ret_job)
{
    struct kvs_pool *pool = worker->pool;
    for (bool again = true; again;) {
        uint64_t first = next_random(worker) % pool->worker_count;
        again = false;
        for (uint32_t i = 0; i < pool->worker_count; i++) {
            struct worker *victim = pool->workers[(first + i) % pool->worker_count];
            enum deque_result result =
                victim == worker ? DEQUE_EMPTY : deque_steal(&victim->deque, ret_job);
            if (result == DEQUE_TAKEN)
                return true;
            again |= result == DEQUE_RACED;
        }
    }
    return false;
}

static bool find(struct worker *worker, struct kvs_job *ret_job)
{
    if (++worker->ticks % FAIR_EVERY == 0 && find_oldest(worker, ret_job))
        return true;
    return deque_pop(&worker->deque, ret_job) || find_injected(worker, ret_job);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * Looks around for a moment before parking: to wake a parked thread costs far more than a moment.
 * Only one searcher does this; the others would only be in its way. True if there is work.
 */
static bool spin(struct kvs_pool *pool)
{
    if (pool->spin_ns == 0 || sleep_searching(&pool->sleep) > 1)
        return false;
    uint64_t end = now_ns() + pool->spin_ns;
    do {
        if (pool_has_work(pool))
            return true;
        for (int i = 0; i < 16; i++)
            pause_briefly();
    } while (now_ns() < end && !atomic_load_explicit(&pool->closing, memory_order_relaxed));
    return false;
}

/* The worker searched and found a job: if nobody else searches, there may be work for another. */
static void end_search(struct kvs_pool *pool)
{
    if (sleep_end_search(&pool->sleep) && pool_has_work(pool))
        sleep_wake_one(&pool->sleep);
}

/*
 * Waits for a job. False: the pool is closing, and there is nothing for this thread to do. What
 * lies in a closing pool stays where it is, or moves from the injector to the deque of a worker
 * that looks at it before it ends; so a worker that finds nothing may end.
 */
static bool next_job(struct worker *worker, struct kvs_job *ret_job)
{
    struct kvs_pool *pool = worker->pool;
    bool searching = false;
    for (;;) {
        bool closing = atomic_load_explicit(&pool->closing, memory_order_acquire);
        if (closing && atomic_load_explicit(&pool->mode, memory_order_relaxed) == KVS_POOL_DROP)
            return false;
        bool found = find(worker, ret_job);
        if (!found && !searching) {
            sleep_begin_search(&pool->sleep);
            searching = true;
        }
        if (found || steal(worker, ret_job)) {
            if (searching)
                end_search(pool);
            return true;
        }
        if (closing)
            return false;
        if (!spin(pool))
            searching = sleep_park(&pool->sleep, pool_has_work, pool);
    }
}

/* ---- running it --------------------------------------------------------------------------- */

static void set_cancellable(bool enabled)
{
    int before;
    pthread_setcancelstate(enabled ? PTHREAD_CANCEL_ENABLE : PTHREAD_CANCEL_DISABLE, &before);
}

static void run_job(struct worker *worker)
{
    atomic_store_explicit(&worker->busy, 1, memory_order_relaxed);
    worker->has_job = true;
    set_cancellable(true);
    worker->job.run(worker->job.arg);
    worker->has_job = false;
    count_up(&worker->jobs_run);
    atomic_store_explicit(&worker->busy, 0, memory_order_relaxed);
    pthread_testcancel(); /* cancelled, but it returned first: not the next job's fault */
    set_cancellable(false);
}

static void hook(void (*function)(void *arg), void *arg)
{
    if (function != NULL)
        function(arg);
}

/* The thread is done with the worker: it ends as it should. */
static void leave(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    pthread_setspecific(pool->key, NULL);
    pthread_mutex_lock(&pool->lock);
    pool->alive--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    set_cancellable(false);
    pthread_mutex_lock(&pool->lock); /* whoever started this thread has it until all is noted */
    bool has_predecessor = worker->has_predecessor;
    pthread_t predecessor = worker->predecessor;
    worker->has_predecessor = false;
    pthread_mutex_unlock(&pool->lock);
    if (has_predecessor)
        pthread_join(predecessor, NULL);
    pthread_setspecific(pool->key, worker); /* cannot fail: the thread has few keys so far */
    if (pool->thread_name[0] != '\0')
        pthread_setname_np(pthread_self(), pool->thread_name);
    hook(pool->config.thread_start, pool->config.arg);
    while (next_job(worker, &worker->job)) {
        pool_job_taken(pool);
        run_job(worker);
    }
    hook(pool->config.thread_stop, pool->config.arg);
    leave(worker);
    return NULL;
}

/* ---- starting and losing threads ---------------------------------------------------------- */

int worker_start_locked(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    pthread_attr_t attributes;
    pthread_t thread;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    if (pool->config.stack_size != 0)
        code = pthread_attr_setstacksize(&attributes, pool->config.stack_size);
    if (code == 0)
        code = pthread_create(&thread, &attributes, thread_main, worker);
    pthread_attr_destroy(&attributes);
    if (code != 0)
        return code;
    worker->predecessor = worker->thread;
    worker->has_predecessor = worker->has_thread;
    worker->thread = thread;
    worker->has_thread = true;
    pool->alive++;
    pool->threads_started++;
    return 0;
}

/* Starts the next thread for the worker; without one the worker is vacant, and the next spawn tries
   again (pool.c). */
static void replace(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->threads_lost++;
    pool->alive--;
    if (worker_start_locked(worker) == 0) {
        pool->threads_replaced++;
    } else {
        worker->vacant = true;
        atomic_fetch_add_explicit(&pool->vacant_count, 1, memory_order_relaxed);
        sleep_wake_one(&pool->sleep); /* what lies in the deque is for the others now */
    }
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void worker_lost(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    set_cancellable(false);
    /* Until the worker is handed on, the hooks run on one of the pool's threads. */
    pthread_setspecific(pool->key, worker);
    if (worker->has_job) {
        struct kvs_job job = worker->job;
        worker->has_job = false;
        count_up(&worker->jobs_lost);
        atomic_store_explicit(&worker->busy, 0, memory_order_relaxed);
        if (pool->config.job_lost != NULL)
            pool->config.job_lost(pool->config.arg, &job);
    }
    hook(pool->config.thread_stop, pool->config.arg);
    pthread_setspecific(pool->key, NULL);
    replace(worker);
}
