/*
 * The six classic benchmarks: a real server in this process, a thousand clients (crowd.h), the
 * number of threads in the server's pool as the parameter.
 *
 *     write_queued_log  read_queued_log   the log engine behind the pool shared-queue
 *     write_glib_log    read_glib_log     the log engine behind the pool glib
 *     write_glib_lmdb   read_glib_lmdb    LMDB behind the pool glib
 *
 * The subjects of each: "none" and "always" (how a write is synced), "floor" (the same server with
 * an engine that stores nothing), "bare" (one thread that only answers: no server at all). The
 * figure is requests per second; every request has a connection of its own.
 */
#ifndef BENCH_CLASSIC_CLASSIC_H
#define BENCH_CLASSIC_CLASSIC_H

#include <stdio.h>

#include <glib.h>

#include "plugin/loader.h"

struct classic_config {
    const char *base_dir;           /* where stores are made; outlives the suite */
    const struct plugin_dirs *dirs; /* of the plugins; outlives the suite */
    uint32_t iterations;            /* in a sample */
};

struct classic_suite;

/* Aborts without memory. */
struct classic_suite *classic_suite_new(const struct classic_config *config);
/* After every series has finished and the targets are no longer looked at. NULL is fine. */
void classic_suite_free(struct classic_suite *suite);

/* Adds the series whose "classic/CELL/tTHREADS/SUBJECT" matches one of the patterns (none: all).
   Those whose plugins were not built are left out. */
void classic_suite_add(struct classic_suite *suite, const char *const *patterns, GPtrArray *series);

/* Prints the cells. */
void classic_suite_list(FILE *out);

/*
 * Judges what was measured, and appends the results (struct target_result) to ret: with sync none
 * at most 1.1 times the floor's time at its best number of threads, with always 1.3; no connection
 * had to knock twice.
 */
void classic_suite_judge(struct classic_suite *suite, const GPtrArray *series, uint64_t seed,
                         GArray *ret);

#endif
