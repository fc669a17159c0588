/* A series whose figures are made up: what the tests of the harness measure. */
#ifndef TESTS_BENCH_FAKE_H
#define TESTS_BENCH_FAKE_H

#include "support/support.h"

#include <stdlib.h>

#include "harness/series.h"

struct fake {
    double value;     /* of each sample... */
    double drift;     /* ...times this from sample to sample */
    double noise;     /* as a share: +- half of it, alternating */
    double extra;     /* "extra_bytes", when above 0 */
    uint32_t fail_at; /* the sample that fails, from 1; 0: none */
    uint64_t ns;      /* a latency that each sample records; 0: none */
    /* What was done with it. */
    uint32_t begins, samples, ends, frees;
    GArray *trace; /* of const char *: the name is added at each sample; may be NULL */
    const char *name;
};

static kvs_status fake_begin(void *arg, struct kvs_error *err)
{
    (void)err;
    struct fake *fake = arg;
    fake->begins++;
    return KVS_OK;
}

static kvs_status fake_sample(void *arg, struct sample *ret, struct histogram *latency,
                              struct kvs_error *err)
{
    struct fake *fake = arg;
    fake->samples++;
    if (fake->trace != NULL)
        g_array_append_val(fake->trace, fake->name);
    if (fake->samples == fake->fail_at)
        return kvs_error_set(err, KVS_IO, 0, "the disk is on fire");
    ret->value = fake->value * (1 + (fake->samples % 2 == 0 ? fake->noise : -fake->noise) / 2);
    ret->ops = 10;
    ret->wall_ns = 1000;
    fake->value *= fake->drift != 0 ? fake->drift : 1;
    if (fake->extra > 0)
        sample_extra_add(ret, "extra_bytes", fake->extra);
    if (fake->ns > 0)
        histogram_record(latency, fake->ns);
    return KVS_OK;
}

static void fake_end(void *arg)
{
    struct fake *fake = arg;
    fake->ends++;
}

static void fake_free(void *arg)
{
    struct fake *fake = arg;
    fake->frees++;
}

static const struct series_ops fake_ops = {
    .begin = fake_begin,
    .sample = fake_sample,
    .end = fake_end,
    .free = fake_free,
};

static inline struct series *fake_series(struct fake *fake, const char *block, const char *cell,
                                         const char *subject)
{
    const struct series_config config = {
        .block = block,
        .cell = cell,
        .subject = subject,
        .threads = 1,
        .unit = "ops/s",
        .sample_s = 0.001,
        .ops = &fake_ops,
        .arg = fake,
    };
    return series_new(&config);
}

/* Adds a sample as if it had been measured. */
static inline void fake_sample_add(struct series *series, uint32_t attempt, uint32_t round,
                                   double value)
{
    struct sample sample = {.attempt = attempt, .round = round, .value = value};
    g_array_append_val(series->samples, sample);
}

#endif
