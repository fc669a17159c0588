/*
 * What the files of the shared-queue pool share: the pool, its workers, and who does what.
 *
 *     plugin.c   the descriptor and its options
 *     life.c     create, shutdown, destroy, stats
 *     threads.c  how workers come and go: start, replacement, end, resize
 *     worker.c   what a worker does: takes jobs, runs them, survives those that end its thread
 *     wait.c     what a worker does when there is none: polls (the idle hook) or parks
 *     wake.c     who is woken, and when
 *     spawn.c    jobs come in
 *     ring.c     the queue itself
 *
 * There is one queue, first in, first out: a job's prio is not looked at.
 *
 * One mutex guards everything that changes. It is held for some tens of nanoseconds at a time: no
 * job, no hook, no thread creation, no join and (but for shutdown) no wake-up happens under it.
 *
 * A worker is always in one of these states:
 *     serving   looks for jobs or runs one; also from the moment it is picked to be woken
 *     polling   holds the polling role (pool->poller): it is inside the idle hook
 *     parked    sleeps on its own condition variable
 * At most one of those that wait (polling or parked) is the standby: it sleeps with a short timeout
 * and looks whether the others got stuck. Once nothing has happened for a while it stops looking,
 * so a quiet pool makes no wake-ups at all.
 *
 * Invariants (under the lock):
 * I1  live = workers that serve, poll or park, or are being started; present = live + those on
 *     their way out. Nothing of the pool is freed while present > 0.
 * I2  A worker is in pool->parked if and only if it is parked, not picked to be woken, and not the
 *     standby.
 * I3  A worker begins to wait only with the lock held, having seen that the queue is empty, that it
 *     is not superfluous, that the pool is open, and that the polling role is taken (or takes it).
 *     Whoever changes one of these does so under the lock and then calls wake_choose. So no change
 *     falls between looking and waiting.
 * I4  While there is a queued job, or nobody polls in a pool that can, either all workers are
 *     occupied, or one that is not has been picked to be woken, or the standby watches. So
 *     what waits is noticed within two standby intervals, however long the jobs at hand run.
 * I5  The polling role is held by at most one worker, from taking it until its idle call returned.
 * I6  spawned = run + dropped + lost + queued + running, but for the moment in which shutdown
 *     holds the jobs that it is about to drop.
 * I7  live = target, or the missing ones are tried again: at each spawn, by workers before they
 *     wait, and in waits with a timeout; not more often than each RETRY_NS. The last thread of a
 *     pool does not go before it has a successor.
 */
#ifndef POOL_SHARED_QUEUE_POOL_H
#define POOL_SHARED_QUEUE_POOL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <kvs/plugin.h>
#include <kvs/pool.h>

#include "ring.h"

#define NAME_SIZE 16u /* what the kernel keeps of a thread's name, terminator included */

/* Where a worker stands with its job: read by its own key destructor. */
enum worker_stage {
    WORKER_NO_JOB,
    WORKER_IN_JOB,   /* run() was called */
    WORKER_RETURNED, /* run() returned, but a cancellation that it left behind may still strike */
};

/* A worker's struct outlives its thread: it is used again for a later one and freed with the pool,
   so that a late signal at its condition variable finds one. */
struct worker {
    struct kvs_pool *pool;
    struct worker *next_all; /* pool->all; constant once linked */
    pthread_cond_t wake;     /* goes with pool->lock */

    /* Guarded by pool->lock. */
    struct worker *next_unused;            /* pool->unused */
    struct worker *next_parked, *previous; /* pool->parked */
    pthread_t thread;  /* written by the thread itself at its start; read by who joins it */
    bool woken;        /* picked to be woken */
    uint64_t woken_ns; /* and when */

    uint64_t seen_taken;   /* as standby: pool->jobs_taken at the last look */
    unsigned quiet_checks; /* as standby: looks in a row that found nothing going on */

    /* The thread's own. On the heap, since a key destructor reads it after the stack is gone. */
    enum worker_stage stage;
    struct kvs_job job;
};

enum pool_state {
    POOL_OPEN,
    POOL_CLOSING, /* spawn gives KVS_CLOSED; workers end once the queue is empty */
    POOL_ENDED,   /* no thread is left */
};

struct kvs_pool {
    /* Constant after create. */
    struct kvs_pool_config config; /* a copy, padded with zeroes where the host's is shorter */
    char name[NAME_SIZE];          /* of the threads; empty: unnamed */
    uint64_t spin_ns;              /* option spin; 0 where there is one CPU only */
    uint64_t wake_threshold_ns;    /* option wake-threshold */
    uint64_t standby_ns;           /* option standby */
    pthread_attr_t attributes;     /* of the threads */
    sigset_t signal_mask;          /* of whoever called create; every worker runs with it */
    pthread_key_t key;             /* a worker's own struct, in its thread; NULL elsewhere */

    pthread_mutex_t lock;
    pthread_cond_t ended; /* present fell to 0, or the state became POOL_ENDED */

    /* Guarded by lock. */
    enum pool_state state;
    struct ring queue;
    uint64_t service_ns; /* recent time per job, smoothed */
    unsigned bursts;     /* of short jobs; wraps */
    uint64_t wake_ns;    /* recent time from picking a parked worker to its being awake, smoothed */

    unsigned target;  /* workers wanted */
    unsigned live;    /* I1 */
    unsigned present; /* I1 */
    bool filling;     /* somebody starts what is missing: a worker that sees it leaves it to him */
    uint64_t retry_at_ns;      /* when creating a thread failed: not before this time again */
    struct worker *all;        /* every worker struct */
    struct worker *unused;     /* those without a thread */
    struct worker *last_ended; /* its thread is on its last steps: to be joined by the next one */

    struct worker *parked;  /* I2; the one that parked last comes first: its cache is warm */
    unsigned parked_count;  /* of that list; without the standby */
    unsigned waking;        /* picked to be woken, but not awake yet */
    struct worker *standby; /* or NULL */
    struct worker *poller;  /* I5; or NULL */
    bool poller_waits;      /* the poller may be asleep in the hook (it is not just looking) */
    bool poller_kicked;     /* wake_idle was called for this idle call */
    uint64_t taken_at_poll; /* jobs_taken when the last idle call returned */
    unsigned spin_pause; /* polls without a spin after the last spin: none if it found something */
    unsigned spins_left_out; /* how many of them are still to come */

    uint64_t jobs_spawned, jobs_refused, jobs_taken, jobs_run, jobs_dropped, jobs_lost;
    uint64_t threads_started, threads_lost, threads_replaced, wakeups;

    /* There is a job, or the pool closes: for a worker that spins without the lock. Written under
       the lock, read without, relaxed: whoever sees it takes the lock before it believes it. */
    bool look_hint;
};

static inline uint64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- threads.c: all are called with the lock held and return with it; they may let it go ---- */

/* Starts threads until there are as many as wanted. 0, or the errno of pthread_create. */
int threads_fill(struct kvs_pool *pool);

/* True when threads are missing and it is time to try again. */
bool threads_missing(const struct kvs_pool *pool);

/* Joins the threads that ended; all of them once present is 0. */
void threads_join_ended(struct kvs_pool *pool);

/* ---- worker.c ---- */

/* A worker's life, from its first look at the queue until it is superfluous or the pool closes.
   Called and returns with the lock held. */
void worker_loop(struct worker *worker);

/* ---- wait.c: called and return with the lock held ---- */

/* Takes the polling role, which must be free, and waits in the idle hook. */
void wait_poll(struct worker *worker);

/* Takes the polling role, which must be free, and only looks what the idle hook finds. */
void wait_look(struct worker *worker);

/* Parks until picked to be woken, or, as the standby, until others are stuck. */
void wait_park(struct worker *worker);

/* ---- wake.c ---- */

#define WAKE_MAX 16u /* threads woken by one call; each of them goes on where there are more */

/* Who is to be woken, decided with the lock held and done without. */
struct wake {
    struct worker *workers[WAKE_MAX];
    unsigned count;
    bool kick; /* call wake_idle */
};

/* Decides who is to be woken (I4). With the lock held; caller is the calling worker or NULL. */
void wake_choose(struct kvs_pool *pool, const struct worker *caller, struct wake *ret_wake);

/* Picks every worker that waits. With the lock held, after the state left POOL_OPEN. Signals at
   once; true when wake_idle must be called after the lock was let go. */
bool wake_all(struct kvs_pool *pool);

/* Carries out what was decided. Without the lock. */
void wake_do(struct kvs_pool *pool, const struct wake *wake);

/* Takes a worker off pool->parked. With the lock held. */
void wake_unlink_parked(struct worker *worker);

/* ---- the operations ---- */

kvs_status life_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                       struct kvs_error *err);
kvs_status life_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err);
void life_destroy(struct kvs_pool *pool);
void life_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats);
kvs_status threads_resize(struct kvs_pool *pool, uint32_t threads, struct kvs_error *err);
kvs_status spawn_one(struct kvs_pool *pool, const struct kvs_job *job);
kvs_status spawn_batch(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                       uint64_t *ret_accepted);

/* The destructor of pool->key: runs in a thread that a job ended. */
void threads_lost(void *worker);

/* Has this pool an idle hook and is it still of use? With the lock held. */
static inline bool pool_polls(const struct kvs_pool *pool)
{
    return pool->config.idle != NULL && pool->state == POOL_OPEN;
}

/* Is there, or will there be, anything for a worker to do? With the lock held. */
static inline bool pool_needs_workers(const struct kvs_pool *pool)
{
    return pool->state == POOL_OPEN || ring_count(&pool->queue) > 0;
}

#endif
