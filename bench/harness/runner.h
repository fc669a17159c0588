/*
 * Takes the samples: block by block, round by round, in random order, until each series is precise
 * enough or the time is over.
 *
 * A round asks every series of the block for one sample, in an order that is drawn anew each time
 * (from the seed, so it can be repeated). Before each sample the runner waits until background
 * work of the process has settled, and reads the control figures.
 *
 * With a baseline, series that seem changed are measured again (begin to end), up to
 * DECISION_ATTEMPTS times, while they go on to seem so.
 */
#ifndef BENCH_HARNESS_RUNNER_H
#define BENCH_HARNESS_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <glib.h>
#include <kvs/types.h>

#include "harness/baseline.h"
#include "harness/series.h"

#define RUNNER_SAMPLES_MAX 30u /* more make the median hardly more precise */

struct runner_config {
    uint64_t seed;
    double precision;     /* stop when the median's interval is within this share of it: 0.02 */
    uint32_t samples_min; /* of each series, before precision is looked at */
    uint32_t samples_max;
    double series_s;    /* seconds per series: the cap of a block is this times its series */
    uint32_t settle_ms; /* longest wait for background work before a sample */
    double threshold;   /* of a change against the baseline, as a share */
    bool no_controls;   /* leave the control figures 0: they take a few milliseconds each */
    const struct baseline *baseline; /* NULL: none */
    FILE *progress;                  /* NULL: silent */
};

/* What is known about how it will go, before it begins. */
double runner_estimate_s(const GPtrArray *series, const struct runner_config *config);

/*
 * Measures all series (struct series *, those of a block next to each other). A series that fails
 * is left out from then on and carries the reason. KVS_OK, also then; KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status runner_run(GPtrArray *series, const struct runner_config *config,
                                   struct kvs_error *err);

#endif
