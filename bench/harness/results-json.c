/* results_write_json (results.h). Numbers that are not finite become null: JSON has no others. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "harness/results.h"

#define JSON_PRECISION 9u /* digits of a number: more than any measurement has */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *json_of_machine(const struct machine *machine)
{
    json_t *object = json_object();
    put(object, "cpu", json_string(machine->cpu));
    put(object, "cpus", whole(machine->cpus));
    put(object, "cache_bytes", whole(machine->cache_bytes));
    put(object, "memory_bytes", whole(machine->memory_bytes));
    put(object, "kernel", json_string(machine->kernel));
    put(object, "distribution", json_string(machine->distribution));
    put(object, "governor", json_string(machine->governor));
    put(object, "hypervisor", json_string(machine->hypervisor));
    put(object, "clock_source", json_string(machine->clock_source));
    put(object, "filesystem", json_string(machine->filesystem));
    put(object, "compiler", json_string(machine->compiler));
    put(object, "load", number(machine->load));
    return object;
}

static json_t *json_of_usage(const struct usage *usage)
{
    json_t *object = json_object();
    put(object, "user_ns", whole(usage->user_ns));
    put(object, "system_ns", whole(usage->system_ns));
    put(object, "voluntary_switches", whole(usage->voluntary_switches));
    put(object, "involuntary_switches", whole(usage->involuntary_switches));
    put(object, "written_bytes", whole(usage->written_bytes));
    put(object, "machine_ns", whole(usage->machine_ns));
    return object;
}

static json_t *json_of_controls(const struct controls_reading *controls)
{
    json_t *object = json_object();
    put(object, "bounce_ns", number(controls->bounce_ns));
    put(object, "multiply_ns", number(controls->multiply_ns));
    put(object, "memory_ns", number(controls->memory_ns));
    return object;
}

static json_t *json_of_sample(const struct sample *sample)
{
    json_t *object = json_object();
    put(object, "attempt", whole(sample->attempt));
    put(object, "round", whole(sample->round));
    put(object, "value", number(sample->value));
    put(object, "ops", whole(sample->ops));
    put(object, "wall_ns", number(sample->wall_ns));
    put(object, "settled", json_boolean(sample->settled));
    put(object, "disturbed", json_boolean(sample->disturbed));
    if (sample->max_ns > 0) {
        put(object, "p50_ns", number(sample->p50_ns));
        put(object, "p99_ns", number(sample->p99_ns));
        put(object, "max_ns", number(sample->max_ns));
    }
    put(object, "usage", json_of_usage(&sample->usage));
    put(object, "controls", json_of_controls(&sample->controls));
    if (sample->note != NULL)
        put(object, "note", json_string(sample->note));
    json_t *extras = json_object();
    for (uint32_t i = 0; i < sample->extra_count; i++)
        put(extras, sample->extras[i].name, number(sample->extras[i].value));
    put(object, "extras", extras);
    return object;
}

static json_t *json_of_interval(const struct interval *interval)
{
    json_t *array = json_array();
    (void)json_array_append_new(array, number(interval->low));
    (void)json_array_append_new(array, number(interval->high));
    return array;
}

static json_t *json_of_ratio(const struct ratio *ratio)
{
    json_t *object = json_object();
    put(object, "value", number(ratio->value));
    put(object, "interval", json_of_interval(&ratio->interval));
    put(object, "count", whole(ratio->count));
    return object;
}

static json_t *json_of_summary(const struct summary *summary)
{
    json_t *object = json_object();
    put(object, "count", whole(summary->count));
    put(object, "median", number(summary->median));
    put(object, "median_interval", json_of_interval(&summary->median_interval));
    put(object, "mean", number(summary->mean));
    put(object, "mean_interval", json_of_interval(&summary->mean_interval));
    put(object, "standard_deviation", number(summary->standard_deviation));
    put(object, "deviation_median", number(summary->deviation_median));
    put(object, "min", number(summary->min));
    put(object, "max", number(summary->max));
    put(object, "outliers_low_severe", whole(summary->outliers.low_severe));
    put(object, "outliers_low_mild", whole(summary->outliers.low_mild));
    put(object, "outliers_high_mild", whole(summary->outliers.high_mild));
    put(object, "outliers_high_severe", whole(summary->outliers.high_severe));
    return object;
}

static json_t *json_of_latency(const struct histogram *latency)
{
    json_t *object = json_object();
    json_t *buckets = json_array();
    put(object, "count", whole(latency->count));
    put(object, "min_ns", whole(latency->min));
    put(object, "mean_ns", number((double)latency->sum / (double)latency->count));
    put(object, "p50_ns", whole(histogram_quantile(latency, 0.5)));
    put(object, "p90_ns", whole(histogram_quantile(latency, 0.9)));
    put(object, "p99_ns", whole(histogram_quantile(latency, 0.99)));
    put(object, "p999_ns", whole(histogram_quantile(latency, 0.999)));
    put(object, "max_ns", whole(latency->max));
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        if (latency->buckets[i] == 0)
            continue;
        json_t *pair = json_array();
        (void)json_array_append_new(pair, whole(histogram_bucket_high(i)));
        (void)json_array_append_new(pair, whole(latency->buckets[i]));
        (void)json_array_append_new(buckets, pair);
    }
    put(object, "buckets", buckets); /* [upper edge in ns, count] */
    return object;
}

static json_t *json_of_series(const struct series *series, uint64_t seed)
{
    json_t *object = json_object();
    json_t *samples = json_array();
    put(object, "id", json_string(series->id));
    put(object, "block", json_string(series->config.block));
    put(object, "cell", json_string(series->config.cell));
    put(object, "threads", whole(series->config.threads));
    put(object, "subject", json_string(series->config.subject));
    put(object, "unit", json_string(series->config.unit));
    put(object, "less_is_better", json_boolean(series->config.less_is_better));
    if (series->failure != NULL)
        put(object, "failure", json_string(series->failure));
    for (guint i = 0; i < series->samples->len; i++)
        (void)json_array_append_new(samples, json_of_sample(series_sample(series, i)));
    put(object, "samples", samples);
    _cleanup_(freep) double *values = series_values(series, NULL);
    if (values != NULL) {
        struct summary summary = statistics_summary(values, series->samples->len, seed);
        put(object, "summary", json_of_summary(&summary));
    }
    if (series->latency->count > 0)
        put(object, "latency", json_of_latency(series->latency));
    if (series->attempt_count > 0) {
        json_t *attempts = json_array();
        for (uint32_t i = 0; i < series->attempt_count; i++)
            (void)json_array_append_new(attempts, json_of_ratio(&series->attempts[i]));
        put(object, "change", attempts);
        put(object, "verdict", json_string(verdict_text(series->verdict)));
    }
    return object;
}

/* The ratio of the reference to each other subject, cell by cell. */
static json_t *json_of_ratios(const struct results *results)
{
    json_t *array = json_array();
    for (guint i = 0; i < results->series->len && results->reference != NULL; i++) {
        const struct series *other = g_ptr_array_index(results->series, i);
        const struct series *own = results_peer(results, other, results->reference);
        struct ratio ratio;
        if (own == NULL || own == other ||
            !series_ratio(own, NULL, other, NULL, results->seed, &ratio))
            continue;
        json_t *object = json_of_ratio(&ratio);
        put(object, "numerator", json_string(own->id));
        put(object, "denominator", json_string(other->id));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static json_t *json_of_targets(const struct results *results)
{
    json_t *array = json_array();
    for (guint i = 0; i < results->targets->len; i++) {
        const struct target_result *result =
            &g_array_index(results->targets, struct target_result, i);
        json_t *object = json_object();
        put(object, "text", json_string(result->target->text));
        put(object, "state", json_string(target_state_text(result->state)));
        put(object, "at_most", json_boolean(result->target->at_most));
        put(object, "limit", number(result->target->limit));
        put(object, "unit", json_string(result->target->unit));
        if (result->state != TARGET_NOT_MEASURED)
            put(object, "measured", json_of_ratio(&result->measured));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static json_t *json_of_results(const struct results *results)
{
    json_t *object = json_object();
    json_t *notes = json_object();
    json_t *all = json_array();
    put(object, "format", json_string(RESULTS_FORMAT));
    put(object, "when", json_string(results->when));
    put(object, "command", json_string(results->command));
    put(object, "seed", whole(results->seed));
    put(object, "reference",
        results->reference != NULL ? json_string(results->reference) : json_null());
    put(object, "machine", json_of_machine(&results->machine));
    for (guint i = 0; i < results->notes->len; i++) {
        const struct results_note *note = &g_array_index(results->notes, struct results_note, i);
        put(notes, note->name, json_string(note->value));
    }
    put(object, "notes", notes);
    for (guint i = 0; i < results->series->len; i++)
        (void)json_array_append_new(
            all, json_of_series(g_ptr_array_index(results->series, i), results->seed));
    put(object, "series", all);
    put(object, "ratios", json_of_ratios(results));
    put(object, "targets", json_of_targets(results));
    return object;
}

kvs_status results_write_json(const struct results *results, const char *path,
                              struct kvs_error *err)
{
    json_t *object = json_of_results(results);
    _cleanup_(freep) char *text =
        json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(JSON_PRECISION));
    json_decref(object);
    GError *error = NULL;
    if (text == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to write %s", path);
    if (!g_file_set_contents(path, text, -1, &error)) {
        kvs_error_set(err, KVS_IO, 0, "%s", error->message);
        g_error_free(error);
        return KVS_IO;
    }
    return KVS_OK;
}
