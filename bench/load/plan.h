/* What a load does: to whom, with what, how fast and for how long. */
#ifndef BENCH_LOAD_PLAN_H
#define BENCH_LOAD_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/client_tls.h"
#include "load/endpoint.h"

#define PLAN_CONNECTIONS_MAX 10000u
#define PLAN_PIPELINE_MAX    1024u
#define PLAN_THREADS_MAX     64u
#define PLAN_KEYS_MAX        (UINT64_C(1) << 32)
#define PLAN_VALUE_MAX       (UINT64_C(16) << 20)
#define PLAN_PASSWORD_MAX    512u                  /* bytes */
#define PLAN_OUT_MAX         (UINT64_C(256) << 20) /* bytes of a thread's one pipeline */

enum plan_distribution {
    PLAN_UNIFORM = 0,
    PLAN_ZIPF = 1,       /* exponent plan.exponent, the frequent keys scattered */
    PLAN_SEQUENTIAL = 2, /* one after the other, round and round */
    PLAN_LATEST = 3,     /* by zipf over age: what was inserted last is read most */
};

/* What requests are made of, in percent; together 100. */
struct plan_mix {
    const char *name;
    double gets;
    double sets;
    double changes; /* read, then write the same key: two requests, the second after the reply */
    double inserts; /* sets of keys that are new */
    enum plan_distribution distribution; /* that goes with it */
};

struct plan {
    struct endpoint endpoint;
    struct plan_mix mix;
    enum plan_distribution distribution;
    double exponent;
    uint64_t keys;
    uint32_t value_size; /* bytes; from DATA_STAMP_SIZE on gets can tell whose value they got */
    uint32_t threads;
    uint32_t connections;
    uint32_t pipeline; /* requests in one send */
    uint64_t rate;     /* requests/s begun by the clock, all together; 0: closed loop */
    uint64_t warm_up_ns;
    uint64_t duration_ns;
    uint64_t requests; /* if not 0: so many instead of duration_ns */
    bool preload;      /* set every key first */
    uint64_t seed;
    bool tls; /* speak it, as follows */
    struct client_tls_config tls_config;
    const char *password; /* given on every connection; NULL: none. A view */
    pid_t pid;            /* the server's process, if it is on this machine; 0: not known */
};

/*
 * Reads a mix: "get", "set", "SETS:GETS" ("1:10"), or a YCSB workload: a to d, f. KVS_OK,
 * KVS_INVALID, KVS_UNSUPPORTED (e needs scans). Its name is a constant, or text itself.
 */
KVS_MUST_USE kvs_status plan_mix_parse(const char *text, struct plan_mix *ret,
                                       struct kvs_error *err);
/* "uniform", "zipf", "sequential" or "latest". */
KVS_MUST_USE kvs_status plan_distribution_parse(const char *text, enum plan_distribution *ret,
                                                struct kvs_error *err);
const char *plan_distribution_text(enum plan_distribution distribution);

/* Do the numbers fit together? KVS_OK, or KVS_INVALID with a message. */
KVS_MUST_USE kvs_status plan_check(const struct plan *plan, struct kvs_error *err);

#endif
