/*
 * Saved results to compare with: the values of every series of an earlier run, with its control
 * figures, in DIR/NAME.json (the same form as results.json).
 */
#ifndef BENCH_HARNESS_BASELINE_H
#define BENCH_HARNESS_BASELINE_H

#include <stddef.h>

#include <kvs/types.h>

#include "harness/controls.h"

struct baseline;

struct baseline_series {
    const double *values;
    size_t count;
    struct controls_reading controls; /* medians */
};

/* KVS_OK; KVS_MISSING (the message lists the baselines that exist), KVS_CORRUPT. */
KVS_MUST_USE kvs_status baseline_load(const char *dir, const char *name,
                                      struct baseline **ret_baseline, struct kvs_error *err);
void baseline_free(struct baseline *baseline); /* NULL is fine */

/* The series of that id, which lives as long as the baseline; NULL: not in it. */
const struct baseline_series *baseline_find(const struct baseline *baseline, const char *id);

#endif
