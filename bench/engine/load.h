/*
 * A load: threads of one or more roles that work on one store at the same time. All begin together
 * at a barrier; the load ends when the roles that have a number of operations are through, or, if
 * none has, when the time is over.
 */
#ifndef BENCH_ENGINE_LOAD_H
#define BENCH_ENGINE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/data.h"
#include "harness/histogram.h"
#include "peers/peer.h"

#define LOAD_ROLES_MAX 2u

struct worker;

/* Does one step of work; the number of operations that it was. 0 ends the load: the worker says
   why through worker_fail. */
typedef uint32_t (*load_step_fn)(struct worker *worker);

struct load_role {
    load_step_fn step;
    uint32_t threads;
    uint64_t ops;           /* for each thread; 0: until the load ends */
    uint32_t write_percent; /* of step_mixed */
    bool time_all;          /* every step's latency, else one in LOAD_TIME_EVERY */
    bool record;            /* its latencies go into the load's histogram */
};

struct load {
    const struct peer *peer;
    struct peer_store *store;
    const struct data *data;
    struct load_role roles[LOAD_ROLES_MAX];
    uint32_t role_count;
    uint64_t duration_ns;
    uint64_t seed;
    uint64_t version;      /* of the values that are written: unlike those before */
    const uint32_t *draws; /* of step_mixed: which keys, drawn ahead */
    uint64_t draw_count;
    struct histogram *latency;
};

struct load_result {
    uint64_t ops[LOAD_ROLES_MAX];
    double rate[LOAD_ROLES_MAX];   /* operations per second of all the role's threads together */
    double max_ns[LOAD_ROLES_MAX]; /* the longest step that was timed */
    double wall_ns;                /* from the first thread's begin to the last one's end */
};

#define LOAD_TIME_EVERY 16u

/* Runs the load. KVS_OK, or the first failure of a worker: no thread is left behind then either. */
KVS_MUST_USE kvs_status load_run(const struct load *load, struct load_result *ret,
                                 struct kvs_error *err);

/* One thread of a load; what steps work with. */
struct worker {
    const struct load *load;
    const struct load_role *role;
    const struct peer_ops *ops;
    struct peer_store *store;
    struct peer_thread *thread;
    const struct data *data;
    struct random random;
    uint64_t next; /* of steps that go through the keys: the next one's number */
    uint64_t stride;
    uint64_t draw;  /* the next of load->draws */
    uint8_t *value; /* data->value_size bytes, to be stamped and written */
    uint8_t *read;  /* PEER_MANY_MAX values of data->value_size bytes */
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};

/* Notes why the worker cannot go on; gives 0, for a step to return. */
KVS_PRINTF(3, 4)
uint32_t worker_fail(struct worker *worker, kvs_status status, const char *format, ...);

#endif
