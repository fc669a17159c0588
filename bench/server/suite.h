/*
 * The server benchmarks: kvs-server beside redis-server and memcached, where they are installed,
 * each started by the suite as a process of its own with equal durability, under the load generator
 * of bench/load (and redis-benchmark as a second one). The servers of a block run side by side and
 * are measured in turn.
 *
 * The subject kvs-log is kvs-server over RESP, with the protocol and the work of Redis; kvs-native
 * is the same server over its own protocol.
 */
#ifndef BENCH_SERVER_SUITE_H
#define BENCH_SERVER_SUITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

struct server_config {
    const char *base_dir; /* where stores are made; outlives the suite */
    uint64_t seed;
    uint64_t keys;
    uint32_t value_size;
    uint64_t slice_ns; /* how long a sample takes */
    bool full;         /* every cell */
};

struct server_suite;

/* Aborts without memory. */
struct server_suite *server_suite_new(const struct server_config *config);
/* After every series has finished and the targets are no longer looked at. NULL is fine. */
void server_suite_free(struct server_suite *suite);

/* Adds the series whose "server/CELL/pPOINT/SUBJECT" matches one of the patterns (none: all) and
   whose server is installed. */
void server_suite_add(struct server_suite *suite, const char *const *patterns, GPtrArray *series);
void server_suite_list(FILE *out);

/* Judges kvs-log beside redis in every cell that has a target; appends struct target_result. */
void server_suite_judge(struct server_suite *suite, const GPtrArray *series, uint64_t seed,
                        GArray *ret);

#endif
