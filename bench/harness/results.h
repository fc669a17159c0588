/* All that a run found out, and writing it: results.json, results.csv, results.md,
   the tables for people. */
#ifndef BENCH_HARNESS_RESULTS_H
#define BENCH_HARNESS_RESULTS_H

#include <stdio.h>

#include <glib.h>
#include <kvs/types.h>

#include "harness/machine.h"
#include "harness/series.h"
#include "harness/target.h"

#define RESULTS_FORMAT "kvs-bench/1"

/* A setting of the run or of a subject, for the record. */
struct results_note {
    char *name;  /* owned */
    char *value; /* owned */
};

struct results {
    char *when;    /* ISO 8601, UTC; owned */
    char *command; /* as typed, without the program's folder; owned */
    uint64_t seed;
    const char *reference; /* the subject that the others are compared with; NULL: none */
    struct machine machine;
    GPtrArray *series; /* of struct series *; owned */
    GArray *notes;     /* of struct results_note */
    GArray *targets;   /* of struct target_result */
};

/* Empty results of now; the machine is looked at through data_dir. Aborts without memory. */
void results_init(struct results *results, const char *data_dir, int argc, char **argv);
void results_deinit(struct results *results);
void results_note_add(struct results *results, const char *name, const char *value);

/* The same cell and number of threads of another subject; NULL: not there. */
const struct series *results_peer(const struct results *results, const struct series *series,
                                  const char *subject);

/* How many samples there are, and how many of them were taken while others used the CPUs. */
uint32_t results_disturbed(const struct results *results, uint32_t *ret_all);

/* Writes a file anew (by way of a temporary one beside it). KVS_OK, KVS_IO. */
KVS_MUST_USE kvs_status results_write_json(const struct results *results, const char *path,
                                           struct kvs_error *err);
KVS_MUST_USE kvs_status results_write_markdown(const struct results *results, const char *path,
                                               struct kvs_error *err);
KVS_MUST_USE kvs_status results_write_csv(const struct results *results, const char *path,
                                          struct kvs_error *err);

/* Prints the tables: figures by block, ratios of the reference to the others, changes against a
   baseline, targets, failures. */
void results_print(const struct results *results, FILE *out);

#endif
