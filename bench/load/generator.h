/* A whole load: threads, phases, and what came out of it. */
#ifndef BENCH_LOAD_GENERATOR_H
#define BENCH_LOAD_GENERATOR_H

#include "load/plan.h"
#include "load/process.h"
#include "load/tally.h"

/* Shares from which a figure says more about something else than about the server. */
#define GENERATOR_BOUND_SHARE    0.90 /* of a CPU that a thread of the generator used */
#define GENERATOR_OVERLOAD_SHARE 0.98 /* of the rate that was reached */

struct generator_outcome {
    double wall_ns; /* that was counted */
    double requests_per_s;
    double gets_per_s;
    double sets_per_s;
    uint64_t replies;
    uint64_t misses;
    uint64_t errors; /* refused by the server */
    uint64_t wrong;  /* gets that gave something else than was set */
    uint64_t late;   /* open loop: due requests that no connection was free for until the end */
    double requests_per_send;

    struct histogram latency; /* of all requests, of gets, of sets */
    struct histogram get_latency;
    struct histogram set_latency;
    struct histogram lag; /* open loop: see tally.h */

    double cpu_ns;        /* of the generator's threads */
    double busiest_share; /* of a CPU, that the busiest of them used */
    bool generator_bound;
    bool overloaded; /* open loop: the rate was not reached */

    bool has_server; /* plan->pid was there */
    struct process_usage server;

    char error_text[TALLY_ERROR_MAX]; /* the first error's, or "" */
};

/*
 * Runs the plan: connects, preloads, warms up, counts. KVS_OK also when the server refused some
 * requests or gave wrong values: that is in the outcome. KVS_NETWORK, KVS_PROTOCOL, KVS_TIMEOUT,
 * KVS_INVALID, KVS_MISSING (no such process). Raises the process's limit of open files as far as it
 * may.
 */
KVS_MUST_USE kvs_status generator_run(const struct plan *plan, struct generator_outcome *ret,
                                      struct kvs_error *err);

#endif
