/*
 * A work-stealing thread pool: what its parts share.
 *
 *     spawn from outside --> injector ---.
 *                                        v
 *     spawn from a job  --> own deque -> worker 0 <-. steal
 *                       --> own deque -> worker 1 --'
 *
 * A worker takes its newest job first (its data are warm in the cache), then from the injector,
 * then steals the oldest job of another. Every FAIR_EVERY jobs it looks at the oldest ones first,
 * the injector's and its own, so that jobs that keep spawning jobs starve nobody.
 *
 * deque.h, injector.h and sleep.h are whole in themselves; pool.c starts and ends the pool and
 * takes jobs in; worker.c is the life of a thread; plugin.c is what the host reads.
 */
#ifndef POOL_H
#define POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/pool.h>

#include "deque.h"
#include "injector.h"
#include "sleep.h"

#define FAIR_EVERY       64u /* jobs */
#define INJECTOR_BATCH   16u /* jobs that a worker takes from the injector at once */
#define THREAD_NAME_SIZE 16u

/* A place for a thread. Threads come and go (a job may end its thread); the worker stays, with its
   deque, and belongs to one thread at a time. */
struct worker {
    struct deque deque;

    /* Figures: written by the thread that the worker belongs to, read by stats; relaxed. */
    _Atomic uint64_t jobs_spawned;
    _Atomic uint64_t jobs_run;
    _Atomic uint64_t jobs_lost;
    _Atomic uint32_t busy; /* 1 while a job runs */

    /* Only used by the thread that the worker belongs to, and handed on with it. */
    struct kvs_pool *pool;
    struct kvs_job job; /* what runs now, if has_job: kept here for when it ends the thread */
    bool has_job;
    uint32_t ticks;  /* counts jobs, for FAIR_EVERY */
    uint64_t random; /* state of the choice of victims; never 0 */

    /* Guarded by the pool's lock. */
    pthread_t thread;      /* the last one that was started; to be joined once */
    pthread_t predecessor; /* the one before it, which it joins */
    bool has_thread;
    bool has_predecessor;
    bool vacant; /* its thread was lost, and none could be started for it */
};

struct kvs_pool {
    /* Constant after create. */
    struct kvs_pool_config config; /* the part that this was compiled with; thread_name is ours */
    char thread_name[THREAD_NAME_SIZE];
    uint64_t spin_ns; /* how long a worker looks around before it parks */
    struct worker **workers;
    uint32_t worker_count;
    pthread_key_t key; /* the calling thread's worker; its destructor notices lost threads */

    /* Lines of their own: everybody reads the one, and writes the other. */
    alignas(CACHE_LINE) struct injector injector;
    alignas(CACHE_LINE) struct sleep sleep;

    /* Jobs that wait anywhere; kept only with a queue_limit. Relaxed: a count, orders nothing. */
    _Atomic uint64_t waiting;
    /* Threads of others inside spawn: raised relaxed, lowered with release, read with acquire. */
    _Atomic uint64_t spawners;
    _Atomic uint64_t jobs_spawned_outside; /* relaxed, figures */
    _Atomic uint64_t jobs_refused;
    _Atomic uint64_t jobs_dropped;

    /* Set once, by shutdown: mode before closing. Release; read with acquire. */
    _Atomic bool closing;
    _Atomic uint32_t mode;
    _Atomic uint32_t vacant_count; /* written under lock; read without, relaxed: a hint */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* alive or ended changed */
    /* Guarded by lock. */
    uint32_t alive; /* workers with a thread */
    bool ended;     /* shutdown is through */
    uint64_t threads_started;
    uint64_t threads_lost;
    uint64_t threads_replaced;
};

/* ---- worker.c ---- */

/* Memory for a worker, NULL without; free() frees it. seed tells workers apart. */
struct worker *worker_new(struct kvs_pool *pool, uint64_t seed);

/* Starts a thread for a worker that has none; the pool's lock is held. 0 or an errno. */
int worker_start_locked(struct worker *worker);

/* The destructor of the pool's key: the thread ends without having left the worker. */
void worker_lost(void *worker);

/* ---- pool.c ---- */

kvs_status pool_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err);
kvs_status pool_spawn(struct kvs_pool *pool, const struct kvs_job *job);
kvs_status pool_spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                            uint64_t *ret_accepted);
kvs_status pool_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err);
void pool_destroy(struct kvs_pool *pool);
void pool_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats);

/* A job left its queue: makes room under the queue limit. */
void pool_job_taken(struct kvs_pool *pool);

/* True if a job lies in the injector or in any deque. arg is the pool. */
bool pool_has_work(void *arg);

#endif
