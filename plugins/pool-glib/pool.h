/*
 * What the files of the glib pool share: a GThreadPool with exclusive threads, and what has to be
 * put around it to keep a pool's promises.
 *
 * GThreadPool runs a function for each pointer pushed. It knows nothing of these, which are ours:
 *   Lost threads. It does not notice that a job ended its thread: it goes on counting it, and waits
 *     for it for ever when it is freed with wait. So a thread-specific key's destructor notices
 *     (worker.c), and raises the maximum by one for each lost thread, so that GLib starts another.
 *     What GLib counts is therefore threads that live plus threads that were lost.
 *   Draining. Since GLib's own counts are wrong after a loss, the pool counts its jobs itself.
 *   Hooks. The first task on a thread runs thread_start. At the end every thread is given one last
 *     task, the goodbye, which runs thread_stop.
 *   Ending. Threads that leave a GThreadPool wait in a reserve of GLib's for another pool to use
 *     them. Shutdown asks GLib to end those in reserve until all that served here have ended.
 *
 * What it cannot do: set the stack size (GLib offers no way), take jobs by priority, count
 * wake-ups, resize. A pool that lost a thread leaks GLib's record of the GThreadPool (some hundred
 * bytes) when it is destroyed: GLib frees it when the last thread that it counts has left, and lost
 * ones never do.
 *
 * Invariants (under the lock):
 * I1  GLib counts live + threads_lost threads, of at most target + threads_lost.
 * I2  There is a struct worker for each thread that GLib may ever start: blocks_made >= target +
 *     threads_lost before the maximum is raised to that. So a thread's first task cannot fail.
 * I3  present = threads that ran a task and whose key destructor has not run to its end. The pool's
 *     memory is freed only when present = 0.
 * I4  spawned = run + dropped + lost + queued + running; taken = spawned - queued.
 */
#ifndef POOL_GLIB_POOL_H
#define POOL_GLIB_POOL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include <kvs/plugin.h>
#include <kvs/pool.h>

#define NAME_SIZE 16u /* what the kernel keeps of a thread's name, terminator included */

/* Where a worker stands: read by its own key destructor. */
enum worker_stage {
    WORKER_NO_JOB,
    WORKER_IN_JOB,   /* run() was called */
    WORKER_RETURNED, /* run() returned, but a cancellation that it left behind may still strike */
    WORKER_LEFT,     /* said goodbye */
};

/* One thread's state; its own but for next. On the heap, since the key destructor reads it after
   the stack is gone. */
struct worker {
    struct kvs_pool *pool;
    struct worker *next; /* in pool->blocks, under the lock */
    enum worker_stage stage;
    struct kvs_job job;
};

/* What is pushed: a job, or (run is NULL) the goodbye. */
struct task {
    struct task *next; /* in pool->free_tasks, under the lock */
    struct kvs_job job;
};

enum pool_state {
    POOL_OPEN,
    POOL_CLOSING, /* spawn gives KVS_CLOSED */
    POOL_ENDED,   /* no thread is left */
};

struct kvs_pool {
    /* Constant after create. */
    struct kvs_pool_config config; /* a copy, padded with zeroes where the host's is shorter */
    char name[NAME_SIZE];
    sigset_t signal_mask; /* of whoever called create; every worker runs with it */
    pthread_key_t key;    /* a worker's own struct, in its thread; NULL elsewhere */
    unsigned target;      /* threads wanted */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something that shutdown waits for; clock: monotonic */

    /* Guarded by lock. */
    enum pool_state state;
    bool dropping;        /* queued jobs are dropped, not run */
    GThreadPool *threads; /* NULL once all have said goodbye; accepted jobs keep it */
    bool orphaned;        /* destroyed while present > 0: the last thread frees it */

    struct task *free_tasks; /* to be used again: so that spawn allocates nothing as a rule */
    struct worker *blocks;   /* without a thread yet (I2) */
    unsigned blocks_made;    /* ever (I2) */
    unsigned present;        /* I3 */
    unsigned goodbyes;       /* threads that have not taken theirs yet */

    uint64_t spawned, refused, taken, run, dropped, lost;
    uint64_t threads_lost, threads_started;
};

static inline uint64_t pool_queued(const struct kvs_pool *pool)
{
    return pool->spawned - pool->taken;
}

static inline uint64_t pool_ended(const struct kvs_pool *pool)
{
    return pool->run + pool->dropped + pool->lost;
}

/* ---- worker.c ---- */

/* The GThreadPool's function. task: a struct task; pool: the pool. */
void worker_main(gpointer task, gpointer pool);

/* The destructor of pool->key: runs in every worker thread that ends, however it ends. */
void worker_ended(void *worker);

/* Starts the threads that are missing, if any. With the lock held. False: no memory, or the system
   gives no thread; what GLib said is at ret_error (may be NULL). */
bool worker_fill(struct kvs_pool *pool, GError **ret_error);

/* Threads that live, by GLib's count and ours. With the lock held, before POOL_ENDED. */
unsigned worker_live(const struct kvs_pool *pool);

/* ---- life.c ---- */

kvs_status life_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err);
kvs_status life_spawn(struct kvs_pool *pool, const struct kvs_job *job);
kvs_status life_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err);
void life_destroy(struct kvs_pool *pool);
void life_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats);

/* Frees a pool without threads. */
void life_free(struct kvs_pool *pool);

#endif
