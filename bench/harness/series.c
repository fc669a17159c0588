/* See series.h. */
#include "harness/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void sample_extra_add(struct sample *sample, const char *name, double value)
{
    assert(sample->extra_count < SAMPLE_EXTRAS_MAX);
    sample->extras[sample->extra_count++] = (struct sample_extra){name, value};
}

struct series *series_new(const struct series_config *config)
{
    struct series *series = g_new0(struct series, 1);
    series->config = *config;
    series->config.block = g_strdup(config->block);
    series->config.cell = g_strdup(config->cell);
    series->config.subject = g_strdup(config->subject);
    series->id = g_strdup_printf("%s/%c%u/%s", config->cell, series_parameter(series)[0],
                                 config->threads, config->subject);
    series->samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    series->latency = g_new(struct histogram, 1);
    histogram_init(series->latency);
    return series;
}

void series_finish(struct series *series)
{
    if (series->config.arg != NULL && series->config.ops->free != NULL)
        series->config.ops->free(series->config.arg);
    series->config.arg = NULL;
}

void series_free(struct series *series)
{
    if (series == NULL)
        return;
    series_finish(series);
    g_free((gpointer)(uintptr_t)series->config.block);
    g_free((gpointer)(uintptr_t)series->config.cell);
    g_free((gpointer)(uintptr_t)series->config.subject);
    g_array_free(series->samples, TRUE);
    free(series->id);
    free(series->latency);
    free(series->failure);
    free(series);
}

const struct sample *series_sample(const struct series *series, size_t index)
{
    return &g_array_index(series->samples, struct sample, index);
}

static bool sample_value(const struct sample *sample, const char *extra, double *ret)
{
    if (extra == NULL) {
        *ret = sample->value;
        return true;
    }
    if (strcmp(extra, "p99_ns") == 0 || strcmp(extra, "max_ns") == 0) {
        *ret = extra[0] == 'p' ? sample->p99_ns : sample->max_ns;
        return *ret > 0;
    }
    for (uint32_t i = 0; i < sample->extra_count; i++) {
        if (strcmp(sample->extras[i].name, extra) == 0) {
            *ret = sample->extras[i].value;
            return true;
        }
    }
    return false;
}

double *series_values(const struct series *series, const char *extra)
{
    size_t count = series->samples->len;
    if (count == 0)
        return NULL;
    _cleanup_(freep) double *values = g_new(double, count);
    for (size_t i = 0; i < count; i++) {
        if (!sample_value(series_sample(series, i), extra, &values[i]))
            return NULL;
    }
    return TAKE(values);
}

const char *series_note(const struct series *series, uint32_t *ret_count)
{
    const char *note = NULL;
    uint32_t count = 0;
    for (guint i = 0; i < series->samples->len; i++) {
        if (series_sample(series, i)->note == NULL)
            continue;
        note = series_sample(series, i)->note;
        count++;
    }
    *ret_count = count;
    return note;
}

bool series_id_matches(const char *id, const char *pattern)
{
    if (strpbrk(pattern, "*?") != NULL)
        return g_pattern_match_simple(pattern, id);
    return strstr(id, pattern) != NULL;
}

static bool all_above_zero(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!(values[i] > 0))
            return false;
    }
    return true;
}

/* Collects the values of the samples that both series took in the same round. */
static size_t pair_up(const struct series *a, const double *a_values, const struct series *b,
                      const double *b_values, double *ret_a, double *ret_b)
{
    size_t count = 0;
    for (size_t i = 0, k = 0; i < a->samples->len && k < b->samples->len;) {
        const struct sample *left = series_sample(a, i);
        const struct sample *right = series_sample(b, k);
        uint64_t left_order = (uint64_t)left->attempt << 32 | left->round;
        uint64_t right_order = (uint64_t)right->attempt << 32 | right->round;
        if (left_order == right_order) {
            ret_a[count] = a_values[i];
            ret_b[count++] = b_values[k];
        }
        i += left_order <= right_order;
        k += right_order <= left_order;
    }
    return count;
}

bool series_ratio(const struct series *numerator, const char *numerator_extra,
                  const struct series *denominator, const char *denominator_extra, uint64_t seed,
                  struct ratio *ret)
{
    _cleanup_(freep) double *upper = series_values(numerator, numerator_extra);
    _cleanup_(freep) double *lower = series_values(denominator, denominator_extra);
    size_t upper_count = numerator->samples->len;
    size_t lower_count = denominator->samples->len;
    if (upper == NULL || lower == NULL || !all_above_zero(upper, upper_count) ||
        !all_above_zero(lower, lower_count))
        return false;
    if (strcmp(numerator->config.block, denominator->config.block) == 0) {
        _cleanup_(freep) double *upper_paired = g_new(double, upper_count);
        _cleanup_(freep) double *lower_paired = g_new(double, upper_count);
        size_t count = pair_up(numerator, upper, denominator, lower, upper_paired, lower_paired);
        if (count > 0) {
            *ret = statistics_ratio_paired(upper_paired, lower_paired, count, seed);
            return true;
        }
    }
    *ret = statistics_ratio_unpaired(upper, upper_count, lower, lower_count, seed);
    return true;
}
