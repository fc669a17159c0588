/* The tables of the classic benchmarks: what there is to measure. */
#ifndef BENCH_CLASSIC_SUBJECTS_H
#define BENCH_CLASSIC_SUBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/wire.h"
#include "plugin/loader.h"

#define CLASSIC_BLOCK        "classic"
#define CLASSIC_FLOOR        "floor"
#define CLASSIC_SEGMENT_SIZE "8m" /* of the log engine: a thousand small values need no more */
#define CLASSIC_THREADS_MAX  80u

struct classic_benchmark {
    const char *name;
    const char *pool;
    const char *engine;
    enum wire_command command;
    const char *help;
};

struct classic_subject {
    const char *name;
    uint32_t durability; /* KVS_DURABILITY_*; 0: the engine that stores nothing */
    bool constant;       /* gets find the same value under every key */
    bool bare;           /* no server at all */
    double limit;        /* of its time over the floor's; 0: none */
};

extern const struct classic_benchmark classic_benchmarks[];
extern const size_t classic_benchmark_count;
extern const struct classic_subject classic_subjects[];
extern const size_t classic_subject_count;

/* The numbers of threads: 1, 2, 4 and every even number up to twice the CPUs; how many. */
size_t classic_threads(uint32_t cpus, uint32_t threads[CLASSIC_THREADS_MAX]);

/* Are the benchmark's pool and engine in one of the folders? */
bool classic_plugins_exist(const struct classic_benchmark *benchmark,
                           const struct plugin_dirs *dirs);

#endif
