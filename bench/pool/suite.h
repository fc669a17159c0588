/*
 * The pool benchmarks of kvs-bench: every pool plugin that is found, without any network or engine.
 * bench-pool prints more of the same for one pool.
 */
#ifndef BENCH_POOL_SUITE_H
#define BENCH_POOL_SUITE_H

#include <stdint.h>
#include <stdio.h>

#include <glib.h>

#include "plugin/loader.h"

struct pool_config {
    const struct plugin_dirs *dirs; /* outlives the series */
    uint64_t slice_ns;              /* how long a sample of a rate takes */
};

/* Adds the series whose "pool/CELL/tTHREADS/POOL" matches one of the patterns (none: all) and whose
   pool can do what the cell asks. config outlives them. KVS_OK, KVS_IO, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status pool_suite_add(const struct pool_config *config,
                                       const char *const *patterns, GPtrArray *series,
                                       struct kvs_error *err);
void pool_suite_list(FILE *out);

#endif
