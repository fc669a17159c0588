/*
 * One pool under check, with hooks that look after themselves and jobs that count how they end. What
 * takes no status back fails the rule by itself.
 */
#ifndef PLUGIN_CHECK_CREW_H
#define PLUGIN_CHECK_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <kvs/pool.h>

#include "check.h"
#include "plugin/host.h"

struct crew {
    struct check *check;
    const struct kvs_pool_ops *ops;
    struct plugin_host *host;
    struct kvs_pool *pool;
    void *extra; /* the rule's own, for hooks that it brings */

    /* Written by the hooks, on any thread; read by the rule when nothing goes on, or to wait. */
    atomic_uint started; /* thread_start */
    atomic_uint stopped; /* thread_stop */
    atomic_uint lost;    /* job_lost */
};

bool crew_has(const struct check *check, uint64_t capabilities);
/* Threads of its own, of which there are as many as the configuration says. */
bool crew_is_bounded(const struct check *check);

/* Host services, no pool yet. */
void crew_init(struct crew *crew, struct check *check);
struct kvs_pool_config crew_config(struct crew *crew, uint32_t threads);
/* The status of create. */
kvs_status crew_try_create(struct crew *crew, const struct kvs_pool_config *config,
                           struct check_error *error);
/* All of it. */
void crew_create(struct crew *crew, struct check *check, uint32_t threads);
void crew_shutdown(struct crew *crew, uint32_t mode);
/* Destroys the pool, and frees the host services. */
void crew_destroy(struct crew *crew);

struct kvs_pool_stats crew_stats(struct crew *crew);

/* ---- jobs ------------------------------------------------------------------------------------ */

/* One job's fate. */
struct task {
    struct crew *crew;
    atomic_uint runs;
    atomic_uint drops;
    atomic_uint losses;
    unsigned number;
};

/* count of them, malloced. */
struct task *crew_tasks(struct crew *crew, unsigned count);
/* A job that counts: run and drop. */
struct kvs_job crew_job(struct task *task);
void crew_run(void *task);
void crew_drop(void *task);
/* Waits until each of them has ended, in whatever way. */
void crew_await(struct crew *crew, struct task *tasks, unsigned count);
/* Each ended exactly once: fails with the number of the first that did not. */
void crew_expect_once(struct crew *crew, struct task *tasks, unsigned count);
unsigned crew_sum_runs(struct task *tasks, unsigned count);
unsigned crew_sum_drops(struct task *tasks, unsigned count);

/* Spawns a job that must be accepted. */
void crew_spawn(struct crew *crew, void (*run)(void *arg), void *arg);

/* ---- a gate that holds jobs ------------------------------------------------------------------- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;       /* under lock */
    atomic_uint inside; /* jobs that wait at it */
    atomic_uint gone;   /* jobs that are done with it: their last touch */
};
void gate_init(struct gate *gate);
void gate_open(struct gate *gate);
void gate_wait(void *gate); /* a job */
void gate_await(struct crew *crew, struct gate *gate, unsigned count);
/* Opens it for the count jobs that were spawned for it, and waits until none needs it any more. */
void gate_clear(struct crew *crew, struct gate *gate, unsigned count);

/* Waits until *counter is at least value. */
void crew_wait_count(struct crew *crew, const char *what, atomic_uint *counter, unsigned value);

#endif
