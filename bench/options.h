/* kvs-bench's command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <kvs/types.h>

struct options {
    bool list;
    bool quick;
    bool full;
    bool quiet;
    char **patterns; /* what to measure: NULL-terminated; NULL: everything */
    char *peers;     /* "kvs-log,lmdb"; NULL: all */
    char *reference;
    char *dir; /* where stores are made */
    char *out; /* where results go */
    char *save;
    char *compare;
    char *baselines; /* the folder of saved results; NULL: OUT/baselines */
    char **engine_options;
    char **plugin_dirs;
    char *fill; /* this is a filler (engine/filler.h) */
    uint64_t seed;
    uint64_t keys;
    uint64_t reopen_keys;
    uint64_t value_size;
    uint64_t slice_ms;    /* how long a sample of a rate takes */
    uint64_t samples_min; /* of each series */
    double series_s;
    double precision;
    double threshold;
};

/* Reads the command line; what is not given gets its default (by quick and full). KVS_OK, or
   KVS_INVALID with a message. --help prints and ends the program. */
KVS_MUST_USE kvs_status options_parse(struct options *options, int argc, char **argv,
                                      struct kvs_error *err);
void options_deinit(struct options *options);

#endif
