/*
 * The interface of a thread pool plugin: it runs jobs.
 *
 * Mandatory: create, spawn, shutdown, destroy. The others are optional: an operation is present
 * when it lies inside the table's size, is not NULL, and its capability bit is set.
 *
 * The life of a job. An accepted job ends in exactly one of three ways:
 *     run      run(arg) was called and returned;
 *     dropped  drop(arg) was called instead (shutdown without draining);
 *     lost     run(arg) ended its thread (pthread_exit, cancellation): the pool calls job_lost of
 *              its configuration, and afterwards has as many threads as before.
 * At any quiet moment spawned = run + dropped + lost + queued + running (struct kvs_pool_stats).
 * abort() and a longjmp out of a job are not survivable.
 *
 * Memory. A job is copied by spawn; what arg points to belongs to the caller until one of the three
 * endings. Everything that happened before spawn in the spawning thread is visible to run
 * (release / acquire).
 */
#ifndef KVS_POOL_H
#define KVS_POOL_H

#include <kvs/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvs_pool; /* one pool; the plugin's own */

/* Frozen. */
struct kvs_job {
    void (*run)(void *arg);  /* never NULL */
    void (*drop)(void *arg); /* NULL: nothing to do when dropped. Must not block, must not spawn */
    void *arg;
    uint32_t prio;  /* 0 is normal; larger is a hint that it should run sooner */
    uint32_t flags; /* 0 */
};

/* clang-format off */
enum { /* kvs_pool_ops.capabilities */
    /* optional operations */
    KVS_POOL_HAS_SPAWN_BATCH = 1u << 0,
    KVS_POOL_HAS_STATS       = 1u << 1,
    KVS_POOL_HAS_RESIZE      = 1u << 2,
    /* properties */
    KVS_POOL_UNBOUNDED            = 1u << 16, /* a thread per job: a job may block for ever */
    KVS_POOL_INLINE               = 1u << 17, /* spawn runs the job before it returns */
    KVS_POOL_SURVIVES_THREAD_EXIT = 1u << 18, /* a job that ends its thread costs only itself */
    KVS_POOL_RUNS_IDLE_HOOK       = 1u << 19  /* calls idle / wake_idle as described below */
};

enum { /* mode of shutdown() */
    KVS_POOL_DRAIN = 0, /* run what is queued */
    KVS_POOL_DROP  = 1  /* drop what is queued; what runs is still waited for */
};
/* clang-format on */

/*
 * How to make a pool. The struct and thread_name may go when create returns: the pool copies what
 * it keeps. host, arg and what the hooks need live until destroy returns.
 */
struct kvs_pool_config {
    uint32_t size;
    uint32_t threads;        /* workers, at least 1; ignored by UNBOUNDED and INLINE pools */
    uint64_t queue_limit;    /* jobs that may wait; spawn beyond it gives KVS_BUSY; 0: no limit */
    uint64_t stack_size;     /* bytes per thread; 0: the system's default */
    const char *thread_name; /* up to 15 bytes, or NULL */
    const struct kvs_host *host; /* never NULL */

    void *arg; /* handed to each of the hooks below; any hook may be NULL */

    /* Run on every worker before its first and after its last job, replacements and lost ones
       included; not on an INLINE pool's caller. */
    void (*thread_start)(void *arg);
    void (*thread_stop)(void *arg);

    /* A job ended its thread. Called exactly once for it, on a thread that the pool chooses. */
    void (*job_lost)(void *arg, const struct kvs_job *job);

    /*
     * What a worker without work does instead of parking (RUNS_IDLE_HOOK pools only). At most one
     * worker is inside at a time. The hook waits for something to do, for at most timeout_ns
     * (negative: as long as it takes; 0: only looks), spawns what it finds on this pool and
     * returns the number of jobs that it spawned. The worker then serves the queue itself; it is
     * awake, so these spawns need to wake nobody else unless there is more than it can do soon.
     */
    int32_t (*idle)(void *arg, int64_t timeout_ns);
    /*
     * Makes the running idle call return soon, or the next one if none runs. From any thread.
     * The pool calls it when a job was queued or a shutdown began while its only unoccupied worker
     * is inside idle.
     */
    void (*wake_idle)(void *arg);
};

/* Counts since create. Filled up to size, which the caller sets. */
struct kvs_pool_stats {
    uint32_t size;
    uint32_t threads;          /* now */
    uint64_t threads_started;  /* replacements included */
    uint64_t threads_lost;     /* ended by a job */
    uint64_t threads_replaced; /* lost ones that were made up for */
    uint64_t jobs_spawned;     /* accepted */
    uint64_t jobs_refused;     /* KVS_BUSY or KVS_CLOSED */
    uint64_t jobs_run;
    uint64_t jobs_dropped;
    uint64_t jobs_lost;
    uint64_t jobs_queued;  /* now */
    uint64_t jobs_running; /* now */
    uint64_t wakeups;      /* times a parked thread was woken */
};

struct kvs_pool_ops {
    uint32_t size;
    uint32_t reserved; /* 0 */
    uint64_t capabilities;

    /*
     * Makes a pool with all its threads running and stores it at ret_pool. On failure nothing is
     * left behind: threads already started have ended. KVS_OK; KVS_NO_MEMORY, KVS_INVALID,
     * KVS_BUSY (the system gives no further thread; os_errno says why).
     */
    kvs_status (*create)(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                         struct kvs_error *err);

    /*
     * Queues a copy of *job. Never blocks (an INLINE pool runs the job instead); from any thread,
     * jobs and idle hooks included. KVS_OK: accepted. KVS_BUSY: over the queue limit, or no thread
     * to be had. KVS_CLOSED: shutdown has begun. Unless KVS_OK, neither run nor drop is called.
     */
    kvs_status (*spawn)(struct kvs_pool *pool, const struct kvs_job *job);

    /*
     * Ends the pool: from its begin on spawn gives KVS_CLOSED. Returns when every accepted job has
     * ended and every worker is gone. KVS_OK; KVS_INVALID when called from a job of this pool
     * (refused, nothing changes). A second call from elsewhere waits for the first. A spawn that
     * began before is waited for as well; what it brought is accepted and ends, or is refused.
     * mode: KVS_POOL_*.
     */
    kvs_status (*shutdown)(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err);

    /* Frees a pool after shutdown (without one: shuts down with KVS_POOL_DROP first). No other call
       may be in progress or follow, and so no spawn: the caller sees to that, as by joining or
       draining what spawns. NULL is fine. */
    void (*destroy)(struct kvs_pool *pool);

    /*
     * Queues the first *ret_accepted of count jobs, in order, as one step with as few wake-ups as
     * it takes. Status as for spawn: KVS_OK when all were accepted, else why the rest was not.
     */
    kvs_status (*spawn_batch)(struct kvs_pool *pool, const struct kvs_job *jobs, uint64_t count,
                              uint64_t *ret_accepted);

    /* Fills stats up to stats->size. From any thread. */
    void (*stats)(struct kvs_pool *pool, struct kvs_pool_stats *stats);

    /* Changes the number of workers. May return before surplus ones have ended. As create. */
    kvs_status (*resize)(struct kvs_pool *pool, uint32_t threads, struct kvs_error *err);
};

#ifdef __cplusplus
}
#endif

#endif
