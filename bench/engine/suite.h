/*
 * The engine benchmarks: every cell for every peer that can do it, as series for the runner.
 *
 * A cell is a row of a table in cells.c; how it is measured is one of the kinds below, a file each:
 *   filled   a share of time on the store that all cells of a peer share, full of keys
 *   fresh    a store of its own, empty at the beginning of each sample, or of the series
 *   classic  a hundred writes and a thousand reads of large random values
 *   reopen   opening a store that was closed, or whose process was killed
 *   space    memory, disk and stalls
 */
#ifndef BENCH_ENGINE_SUITE_H
#define BENCH_ENGINE_SUITE_H

#include <glib.h>

#include "engine/data.h"
#include "engine/fixture.h"
#include "engine/load.h"
#include "harness/series.h"
#include "peers/peer.h"

struct engine_config {
    uint64_t seed;
    uint64_t keys;
    uint64_t reopen_keys; /* of the reopen and memory cells */
    uint64_t sync_keys;   /* of the cells that sync every write */
    uint32_t value_size;
    uint64_t slice_ns;    /* how long a sample on a filled store takes */
    const char *base_dir; /* where stores are made; outlives the suite */
    /* How to run this program again as a filler of stores (filler.h): its arguments, without those
       that say what to fill. NULL-terminated; outlives the suite. */
    const char *const *filler_arguments;
};

struct engine_suite;

/* peers (of struct peer *) outlives the suite. Aborts without memory. */
struct engine_suite *engine_suite_new(const struct engine_config *config, const GPtrArray *peers);
/* After every series has finished. NULL is fine. */
void engine_suite_free(struct engine_suite *suite);

/* Adds the series whose "BLOCK/CELL/tTHREADS/SUBJECT" matches one of the patterns (none: all) to
   series, block by block. */
void engine_suite_add(struct engine_suite *suite, const char *const *patterns, GPtrArray *series);

/* Prints the cells: name, threads, what they do. */
void engine_suite_list(FILE *out);

#endif
