/* Targets: what a figure, or a ratio of two, is to reach; and whether it did. */
#ifndef BENCH_HARNESS_TARGET_H
#define BENCH_HARNESS_TARGET_H

#include <stdbool.h>

#include <glib.h>

#include "harness/series.h"

struct target {
    const char *text;              /* "get, 1 thread, against tkrzw" */
    const char *numerator;         /* a series' id */
    const char *numerator_extra;   /* NULL: its value */
    const char *denominator;       /* a series' id; NULL: the numerator itself is the figure */
    const char *denominator_extra; /* NULL: its value */
    bool at_most;                  /* else at least */
    double limit;
    const char *unit; /* of the figure ("ms"); "x" for a ratio */
};

/* clang-format off */
enum target_state {
    TARGET_NOT_MEASURED = 0, /* a series is missing or failed */
    TARGET_REACHED      = 1,
    TARGET_MISSED       = 2
};
/* clang-format on */

struct target_result {
    const struct target *target;
    enum target_state state;
    bool close;            /* the interval holds the limit: it could be either */
    struct ratio measured; /* the ratio, or the figure itself */
};

/* "reached", "not reached", "not measured": a constant. */
const char *target_state_text(enum target_state state);

/* Judges one target by its figure's median or its ratio. */
struct target_result target_judge(const struct target *target, const GPtrArray *series,
                                  uint64_t seed);

#endif
