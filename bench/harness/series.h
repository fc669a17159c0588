/*
 * A series: one cell (what is done), one subject (to whom: an engine, a peer, a server) and one
 * number of threads; and the samples that were taken of it.
 *
 * Series of one block are measured together: in each round every one of them gives one sample, in
 * random order. So two series of a block can be compared pair by pair.
 */
#ifndef BENCH_HARNESS_SERIES_H
#define BENCH_HARNESS_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>
#include <kvs/types.h>

#include "harness/controls.h"
#include "harness/decision.h"
#include "harness/histogram.h"
#include "harness/statistics.h"
#include "harness/usage.h"

#define SAMPLE_EXTRAS_MAX 12u

/* A further figure of a sample; name has its unit last ("disk_bytes") and is a constant. */
struct sample_extra {
    const char *name;
    double value;
};

struct sample {
    double value; /* in the series' unit; above 0 */
    uint64_t ops; /* operations done; 0 where that means nothing */
    double wall_ns;
    struct sample_extra extras[SAMPLE_EXTRAS_MAX];
    uint32_t extra_count;
    struct usage helpers; /* used for it by other processes: a server; added to usage */
    const char *note;     /* what to know before believing it, a constant; NULL: nothing */

    /* Filled in by the runner. */
    uint32_t attempt; /* 0 for the first */
    uint32_t round;
    bool settled;   /* the background threads were at rest when it began */
    bool disturbed; /* others used the CPUs meanwhile */
    struct usage usage;
    struct controls_reading controls;
    double p50_ns, p99_ns, max_ns; /* of the sample's latencies; 0 without any */
};

/* Adds a further figure. */
void sample_extra_add(struct sample *sample, const char *name, double value);

/*
 * How a series is measured. begin prepares (fills a store, starts a server); sample is then called
 * again and again and fills value, ops, wall_ns and extras, and latencies where it takes them; end
 * undoes begin. The three are called in that order, possibly several times over (attempts), and
 * free once at last. A sample that fails ends the series; what it said is in the report.
 */
struct series_ops {
    kvs_status (*begin)(void *arg, struct kvs_error *err); /* may be NULL */
    kvs_status (*sample)(void *arg, struct sample *ret, struct histogram *latency,
                         struct kvs_error *err);
    void (*end)(void *arg);  /* may be NULL */
    void (*free)(void *arg); /* may be NULL */
};

struct series_config {
    const char *block;
    const char *cell;
    const char *subject;
    uint32_t threads;
    const char *parameter; /* what the number is if not threads: "connections"; a constant */
    const char *help;      /* one line: what is done; a constant, or NULL */
    const char *unit;      /* a constant: "ops/s", "ms", "bytes/key" */
    bool less_is_better;
    bool floor;           /* the subject is no competitor: it shows what can be reached at most */
    double begin_s;       /* about how long begin takes, for the estimate */
    double sample_s;      /* and one sample */
    uint32_t samples_max; /* 0: as many as the precision needs */
    uint32_t warm_ups;    /* samples that are thrown away first */
    const struct series_ops *ops;
    void *arg; /* owned by the series: ops->free; NULL once finished */
};

struct series {
    struct series_config config; /* its texts are owned copies, but for help and unit */
    char *id;                    /* "CELL/tTHREADS/SUBJECT"; the letter is the parameter's first */
    GArray *samples;             /* of struct sample */
    struct histogram *latency;   /* of all samples */
    char *failure;               /* NULL: fine so far */
    bool begun;

    /* Against a baseline. */
    struct ratio attempts[DECISION_ATTEMPTS]; /* speed now / before */
    uint32_t attempt_count;
    enum verdict verdict;
    bool machine_moved; /* a control figure differs from the baseline's by more than a quarter */
};

/* Copies the texts, takes over arg. Aborts without memory. */
struct series *series_new(const struct series_config *config);
void series_free(struct series *series); /* NULL is fine */

/* Says that no further sample will be taken: calls ops->free, so that what only this series needed
   can go. The samples stay. */
void series_finish(struct series *series);

/* The samples' values, or those of one extra ("p99_ns" and "max_ns" too); NULL when some sample
   lacks it, or there is none. The caller frees it; there are series->samples->len of them. */
double *series_values(const struct series *series, const char *extra);

const struct sample *series_sample(const struct series *series, size_t index);

/* The last note of the series' samples, and how many samples have one; NULL: none has. */
const char *series_note(const struct series *series, uint32_t *ret_count);

/* "threads", or what the series' number is instead. */
static inline const char *series_parameter(const struct series *series)
{
    return series->config.parameter != NULL ? series->config.parameter : "threads";
}

/* Does the id match? A pattern with '*' or '?' must match all of it, another one a part. */
bool series_id_matches(const char *id, const char *pattern);

/*
 * The ratio of two series (or of their extra): paired where both took part in the same rounds of
 * the same block, else unpaired. False when one of them has no samples, or values that are not
 * above 0.
 */
bool series_ratio(const struct series *numerator, const char *numerator_extra,
                  const struct series *denominator, const char *denominator_extra, uint64_t seed,
                  struct ratio *ret);

#endif
