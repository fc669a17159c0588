/* One cell of the server benchmarks, and one run of it; shared by the files of this folder. */
#ifndef BENCH_SERVER_CELL_H
#define BENCH_SERVER_CELL_H

#include <stdbool.h>

#include "harness/series.h"
#include "load/process.h"
#include "server/instance.h"
#include "server/suite.h"

#define CELL_POINTS_MAX 6u

/* How a cell is measured. */
enum cell_kind {
    CELL_CLOSED = 0, /* the value is requests/s; the points are connections */
    CELL_OPEN = 1,   /* the value is the p99; the points are rates */
    CELL_REDIS = 2,  /* as CELL_CLOSED, by redis-benchmark; RESP servers only */
};

struct server_cell {
    const char *name; /* its series are "NAME_SYNC/pPOINT/SUBJECT" */
    enum cell_kind kind;
    const char *mix; /* of plan.h; of CELL_REDIS: "set" or "get" */
    uint32_t pipeline;
    bool writes;                      /* says something about how writes are synced */
    bool full;                        /* with --full only */
    uint32_t points[CELL_POINTS_MAX]; /* 0 ends them */
    const char *help;
};

extern const struct server_cell server_cells[];
extern const size_t server_cell_count;

/* One server that the series of a block share: started for the first of them, stopped after the
   last. */
struct server_shelf {
    const struct instance_kind *kind;
    enum instance_sync sync;
    struct instance instance; /* pid 0: not running */
    uint32_t users;           /* series that have yet to finish */
    kvs_status status;        /* why it could not be started: nobody tries twice */
    char message[KVS_ERROR_MESSAGE_MAX];
};

struct server_run {
    const struct server_config *config;
    const struct server_cell *cell;
    struct server_shelf *shelf;
    uint32_t point;
    uint64_t requests; /* of redis-benchmark; 0: not known yet */
};

/* Starts the shelf's server and sets all keys, unless that was done or has failed. */
KVS_MUST_USE kvs_status server_shelf_open(struct server_shelf *shelf,
                                          const struct server_config *config,
                                          struct kvs_error *err);

/* The two ways to take a sample. */
KVS_MUST_USE kvs_status server_load_sample(void *arg, struct sample *ret, struct histogram *latency,
                                           struct kvs_error *err);
KVS_MUST_USE kvs_status server_redis_sample(void *arg, struct sample *ret,
                                            struct histogram *latency, struct kvs_error *err);

#endif
