/*
 * What the tests of the pools share: a pool plugin opened with the services that it needs, hooks
 * that count, jobs that count, a gate to hold jobs at.
 *
 * A test runs once for each pool named on the command line, or for each one found in the build's
 * plugin folders when none is; it skips those that lack what it is about (kit_can).
 */
#ifndef TESTS_POOLS_POOL_KIT_H
#define TESTS_POOLS_POOL_KIT_H

#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include <kvs/pool.h>

#include "base/log.h"
#include "plugin/host.h"
#include "plugin/loader.h"

struct pool_kit {
    char *name;
    struct plugin *plugin;
    struct log log;
    struct plugin_host *host;
    const struct kvs_pool_ops *ops;
    struct kvs_pool *pool;    /* or NULL */
    unsigned threads_at_rest; /* of this process, without any pool */
    void *extra;              /* the test's own: its hooks get the kit */

    /* What the hooks saw. */
    atomic_uint started;      /* thread_start */
    atomic_uint stopped;      /* thread_stop */
    atomic_uint lost;         /* job_lost */
    atomic_uint out_of_order; /* hooks on a thread where they do not belong */
};

/* Runs count tests of group `name` for each pool; the argument of a test is a pool_kit without a
   pool. To be returned by main. */
int kit_run(const char *name, const struct CMUnitTest *tests, size_t count, int argc, char **argv);

/* Does the pool have all of these KVS_POOL_* capabilities? */
bool kit_can(const struct pool_kit *kit, uint64_t capabilities);

/* Opens the plugin again with these options ("NAME=VALUE"). */
void kit_set_options(struct pool_kit *kit, const char *const *options, uint32_t count);

/* A configuration with the kit's hooks. */
struct kvs_pool_config kit_config(struct pool_kit *kit, uint32_t threads);

/* Makes the kit's pool; the test fails if that fails. */
void kit_create(struct pool_kit *kit, uint32_t threads);
void kit_create_with(struct pool_kit *kit, const struct kvs_pool_config *config);

/* Shuts the kit's pool down and frees it; checks the sum of its jobs and that the hooks are
   balanced. */
void kit_finish(struct pool_kit *kit, uint32_t mode);
/* The same in two halves. */
void kit_shutdown(struct pool_kit *kit, uint32_t mode);
void kit_destroy(struct pool_kit *kit);

/* Spawns a job that must be accepted. */
void kit_spawn(struct pool_kit *kit, void (*run)(void *arg), void *arg);

struct kvs_pool_stats kit_stats(struct pool_kit *kit);

/* Waits until as many jobs have been run, dropped or lost as were accepted. */
void kit_wait_quiet(struct pool_kit *kit);
/* Waits until the process has count threads more than without any pool. Each test ends with a wait
   for 0. */
void kit_wait_threads(const struct pool_kit *kit, unsigned count);

/* ---- jobs --------------------------------------------------------------------------------- */

/* Adds 1 to the atomic_uint at arg. */
void job_count(void *arg);

/* Holds jobs until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
    atomic_uint inside; /* jobs that wait at it */
};
void gate_init(struct gate *gate);
void gate_deinit(struct gate *gate);
void gate_open(struct gate *gate);
void job_wait_at_gate(void *gate);
/* Waits until count jobs wait at the gate. */
void gate_await(struct gate *gate, unsigned count);

/* A barrier that counts on being reached by all at once. */
struct rendezvous {
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    unsigned missing;
    atomic_uint gone; /* those that do not need it any more */
};
void rendezvous_init(struct rendezvous *rendezvous, unsigned count);
void job_meet(void *rendezvous);

/* Waits until the atomic_uint at counter has this value. */
void wait_for_count(atomic_uint *counter, unsigned value);

#endif
