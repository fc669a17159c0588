/*
 * See runner.h. One thread: the caller's. Samples that use several threads make and join them
 * themselves, so nothing of the harness runs while a sample is taken.
 */
#include "harness/runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/controls.h"
#include "harness/machine.h"
#include "harness/progress.h"
#include "harness/random.h"

#define CONTROL_TOLERANCE 1.25

struct run {
    const struct runner_config *config;
    struct controls *controls;
    uint32_t cpus;
    struct progress progress;
    struct random random;
    struct histogram latency; /* of the sample that is taken now */
};

/* The series of one block that take part in one attempt, and how far they are. */
struct block {
    struct series **series;
    uint32_t count;
    uint32_t attempt;
    uint64_t begin_ns;
    double cap_s;
};

static uint32_t series_samples_max(const struct series *series, const struct runner_config *config)
{
    uint32_t own = series->config.samples_max;
    return own != 0 && own < config->samples_max ? own : config->samples_max;
}

/* How many samples of the current attempt there are. */
static uint32_t series_samples_taken(const struct series *series, uint32_t attempt)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < series->samples->len; i++)
        count += series_sample(series, i)->attempt == attempt;
    return count;
}

/* ---- estimates --------------------------------------------------------------------------- */

static double block_estimate_s(struct series *const *series, uint32_t count,
                               const struct runner_config *config)
{
    double once_s = 0; /* begin and warm-up */
    double round_s = 0;
    double all_s = 0;
    for (uint32_t i = 0; i < count; i++)
        round_s += series[i]->config.sample_s;
    double rounds = round_s > 0 ? config->series_s * count / round_s : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t most = series_samples_max(series[i], config);
        double least = config->samples_min < most ? config->samples_min : most;
        double expected = rounds < least ? least : rounds > most ? most : rounds;
        all_s += expected * series[i]->config.sample_s;
        once_s +=
            series[i]->config.begin_s + series[i]->config.warm_ups * series[i]->config.sample_s;
    }
    return once_s + all_s;
}

/* The number of series from index on that belong to the same block. */
static uint32_t block_size(const GPtrArray *all, uint32_t index)
{
    const struct series *first = g_ptr_array_index(all, index);
    uint32_t end = index + 1;
    while (end < all->len) {
        const struct series *next = g_ptr_array_index(all, end);
        if (strcmp(next->config.block, first->config.block) != 0)
            break;
        end++;
    }
    return end - index;
}

double runner_estimate_s(const GPtrArray *series, const struct runner_config *config)
{
    double total_s = 0;
    for (uint32_t i = 0; i < series->len; i += block_size(series, i))
        total_s += block_estimate_s((struct series *const *)(series->pdata + i),
                                    block_size(series, i), config);
    return total_s;
}

/* ---- one sample -------------------------------------------------------------------------- */

static void series_fail(struct series *series, const struct kvs_error *error, kvs_status status)
{
    if (series->failure == NULL)
        series->failure = g_strdup(error->msg[0] != '\0' ? error->msg : kvs_status_text(status));
}

static void sample_take_latency(struct sample *sample, const struct histogram *latency)
{
    if (latency->count == 0)
        return;
    sample->p50_ns = (double)histogram_quantile(latency, 0.5);
    sample->p99_ns = (double)histogram_quantile(latency, 0.99);
    sample->max_ns = (double)latency->max;
}

/* Takes one sample; keeps it unless it is a warm-up. */
static void take_sample(struct run *run, struct series *series, uint32_t attempt, uint32_t round,
                        bool keep)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct sample sample = {.attempt = attempt, .round = round};
    histogram_init(&run->latency);
    sample.settled = usage_settle(run->config->settle_ms);
    if (!run->config->no_controls)
        sample.controls = controls_read(run->controls);
    struct usage before = usage_now();
    uint64_t begin_ns = clock_now_ns();
    kvs_status status =
        series->config.ops->sample(series->config.arg, &sample, &run->latency, &error);
    double spent_ns = (double)(clock_now_ns() - begin_ns);
    struct usage after = usage_now();
    if (status != KVS_OK) {
        series_fail(series, &error, status);
        return;
    }
    if (!keep)
        return;
    sample.usage = usage_between(&before, &after);
    usage_add(&sample.usage, &sample.helpers);
    sample.disturbed = usage_was_disturbed(&sample.usage, spent_ns, run->cpus);
    sample_take_latency(&sample, &run->latency);
    histogram_add(series->latency, &run->latency);
    g_array_append_val(series->samples, sample);
}

/* ---- one block, one attempt --------------------------------------------------------------- */

static double block_elapsed_s(const struct block *block)
{
    return (double)(clock_now_ns() - block->begin_ns) / (double)NS_PER_S;
}

static void block_begin(const struct block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        struct series *series = block->series[i];
        char message[KVS_ERROR_MESSAGE_MAX] = "";
        struct kvs_error error = KVS_ERROR_INIT(message);
        kvs_status status = KVS_OK;
        if (series->failure != NULL)
            continue;
        if (series->config.ops->begin != NULL)
            status = series->config.ops->begin(series->config.arg, &error);
        series->begun = status == KVS_OK;
        if (status != KVS_OK)
            series_fail(series, &error, status);
    }
}

static void block_end(const struct block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        struct series *series = block->series[i];
        if (series->begun && series->config.ops->end != NULL)
            series->config.ops->end(series->config.arg);
        series->begun = false;
    }
}

static double block_share(const struct run *run, const struct block *block, uint32_t round)
{
    double by_rounds = (double)round / run->config->samples_max;
    double by_time = block_elapsed_s(block) / block->cap_s;
    return by_rounds > by_time ? by_rounds : by_time;
}

/* One sample of every series that wants one, in random order. False: none did. */
static bool block_round(struct run *run, const struct block *block, uint32_t round, bool warm_up)
{
    bool any = false;
    _cleanup_(freep) uint32_t *order = g_new(uint32_t, block->count);
    for (uint32_t i = 0; i < block->count; i++)
        order[i] = i;
    random_shuffle(&run->random, order, block->count);
    for (uint32_t i = 0; i < block->count; i++) {
        struct series *series = block->series[order[i]];
        uint32_t most = warm_up ? series->config.warm_ups : series_samples_max(series, run->config);
        if (series->failure != NULL || round >= most)
            continue;
        progress_show(&run->progress, warm_up ? 0 : block_share(run, block, round), series->id);
        take_sample(run, series, block->attempt, round, !warm_up);
        any = true;
    }
    return any;
}

/* Is the median of this attempt's samples known well enough? */
static bool series_is_precise(const struct series *series, const struct block *block,
                              const struct runner_config *config)
{
    uint32_t count = series_samples_taken(series, block->attempt);
    if (series->failure != NULL || count >= series_samples_max(series, config))
        return true;
    if (count < config->samples_min)
        return false;
    _cleanup_(freep) double *values = series_values(series, NULL);
    const double *own = values + series->samples->len - count;
    struct summary summary = {
        .median = statistics_median(own, count),
        .median_interval = statistics_bootstrap(own, count, statistics_median, config->seed),
    };
    return statistics_precision(&summary) <= config->precision;
}

static bool block_is_precise(const struct block *block, const struct runner_config *config)
{
    for (uint32_t i = 0; i < block->count; i++) {
        if (!series_is_precise(block->series[i], block, config))
            return false;
    }
    return true;
}

static void block_run(struct run *run, struct block *block)
{
    const struct runner_config *config = run->config;
    block->cap_s = config->series_s * block->count;
    block_begin(block);
    uint32_t warm_up = 0;
    while (block_round(run, block, warm_up, true))
        warm_up++;
    block->begin_ns = clock_now_ns();
    for (uint32_t round = 0; round < config->samples_max; round++) {
        if (round >= config->samples_min) {
            double elapsed_s = block_elapsed_s(block);
            bool over = elapsed_s + elapsed_s / round > block->cap_s;
            if (over || block_is_precise(block, config))
                break;
        }
        if (!block_round(run, block, round, false))
            break;
    }
    block_end(block);
}

/* ---- against a baseline ------------------------------------------------------------------ */

static bool control_moved(double before, double now)
{
    return before > 0 && now > 0 &&
           (now > before * CONTROL_TOLERANCE || before > now * CONTROL_TOLERANCE);
}

/* Did the machine itself change since the baseline? Of the bounce only where it matters. */
static bool machine_moved(const struct series *series, const struct controls_reading *before)
{
    uint32_t count = series->samples->len;
    _cleanup_(freep) double *values = g_new(double, (size_t)count * 3);
    for (uint32_t i = 0; i < count; i++) {
        const struct controls_reading *now = &series_sample(series, i)->controls;
        values[i] = now->multiply_ns;
        values[count + i] = now->memory_ns;
        values[2 * count + i] = now->bounce_ns;
    }
    return control_moved(before->multiply_ns, statistics_median(values, count)) ||
           control_moved(before->memory_ns, statistics_median(values + count, count)) ||
           (series->config.threads > 1 &&
            control_moved(before->bounce_ns, statistics_median(values + 2 * count, count)));
}

/* Compares this attempt's samples with the baseline's and decides. */
static void series_compare(struct series *series, uint32_t attempt,
                           const struct runner_config *config)
{
    const struct baseline_series *before = baseline_find(config->baseline, series->id);
    uint32_t count = series_samples_taken(series, attempt);
    if (before == NULL || count == 0 || series->failure != NULL)
        return;
    _cleanup_(freep) double *values = series_values(series, NULL);
    const double *now = values + series->samples->len - count;
    struct ratio *ratio = &series->attempts[series->attempt_count++];
    *ratio =
        series->config.less_is_better
            ? statistics_ratio_unpaired(before->values, before->count, now, count, config->seed)
            : statistics_ratio_unpaired(now, count, before->values, before->count, config->seed);
    series->verdict = decision_make(series->attempts, series->attempt_count, config->threshold);
    series->machine_moved = machine_moved(series, &before->controls);
}

/* Further attempts for the series of a block that seem changed. */
static void block_confirm(struct run *run, const struct block *all)
{
    _cleanup_(freep) struct series **undecided = g_new(struct series *, all->count);
    struct block block = {.series = undecided};
    for (uint32_t attempt = 0; attempt < DECISION_ATTEMPTS; attempt++) {
        const struct block *from = attempt == 0 ? all : &block;
        uint32_t count = 0;
        for (uint32_t i = 0; i < from->count; i++) {
            struct series *series = from->series[i];
            series_compare(series, attempt, run->config);
            if (series->verdict == VERDICT_UNDECIDED)
                undecided[count++] = series;
        }
        if (count == 0)
            return;
        block.count = count;
        block.attempt = attempt + 1;
        block_run(run, &block);
    }
}

kvs_status runner_run(GPtrArray *series, const struct runner_config *config, struct kvs_error *err)
{
    _cleanup_(freep) struct run *run = g_new0(struct run, 1);
    run->config = config;
    run->cpus = machine_cpus();
    kvs_status status = controls_new(&run->controls, err);
    if (status != KVS_OK)
        return status;
    random_init(&run->random, config->seed);
    progress_init(&run->progress, config->progress, runner_estimate_s(series, config));
    for (uint32_t i = 0, count; i < series->len; i += count) {
        count = block_size(series, i);
        struct block block = {.series = (struct series **)(series->pdata + i), .count = count};
        progress_block_begin(&run->progress, block.series[0]->config.block,
                             block_estimate_s(block.series, count, config));
        block_run(run, &block);
        if (config->baseline != NULL)
            block_confirm(run, &block);
        for (uint32_t k = 0; k < count; k++)
            series_finish(block.series[k]);
        progress_block_end(&run->progress);
    }
    controls_free(run->controls);
    return KVS_OK;
}
