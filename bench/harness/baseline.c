/* See baseline.h. The file is read once, into a table from id to values. */
#include "harness/baseline.h"

#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/results.h"
#include "harness/statistics.h"

struct baseline {
    GHashTable *series; /* id to struct baseline_series *, both owned */
};

static void baseline_series_free(gpointer data)
{
    struct baseline_series *series = data;
    g_free((gpointer)(uintptr_t)series->values);
    free(series);
}

void baseline_free(struct baseline *baseline)
{
    if (baseline == NULL)
        return;
    g_hash_table_destroy(baseline->series);
    free(baseline);
}

static void baseline_freep(struct baseline **baseline)
{
    baseline_free(*baseline);
}

/* The median of a member of every sample's object (its own, or one level down). */
static double samples_median(const json_t *samples, const char *group, const char *name)
{
    size_t count = json_array_size(samples);
    _cleanup_(freep) double *values = g_new(double, count);
    for (size_t i = 0; i < count; i++)
        values[i] = json_number_value(
            json_object_get(json_object_get(json_array_get(samples, i), group), name));
    return statistics_median(values, count);
}

/* Adds one series; false when the object is not of the form that results.h writes. */
static bool baseline_add(struct baseline *baseline, const json_t *object)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    const json_t *samples = json_object_get(object, "samples");
    size_t count = json_array_size(samples);
    if (id == NULL || !json_is_array(samples))
        return false;
    if (count == 0)
        return true;
    _cleanup_(freep) double *values = g_new(double, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(json_array_get(samples, i), "value");
        if (!json_is_number(value) || !(json_number_value(value) > 0))
            return false;
        values[i] = json_number_value(value);
    }
    struct baseline_series *series = g_new0(struct baseline_series, 1);
    series->values = TAKE(values);
    series->count = count;
    series->controls.bounce_ns = samples_median(samples, "controls", "bounce_ns");
    series->controls.multiply_ns = samples_median(samples, "controls", "multiply_ns");
    series->controls.memory_ns = samples_median(samples, "controls", "memory_ns");
    g_hash_table_replace(baseline->series, g_strdup(id), series);
    return true;
}

/* The names of the baselines in dir, for a message. */
static char *baseline_names(const char *dir)
{
    GString *names = g_string_new(NULL);
    GDir *folder = g_dir_open(dir, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (g_str_has_suffix(name, ".json"))
            g_string_append_printf(names, "%s%.*s", names->len > 0 ? ", " : "",
                                   (int)strlen(name) - 5, name);
    }
    if (folder != NULL)
        g_dir_close(folder);
    if (names->len == 0)
        g_string_append(names, "none: make one with --save NAME");
    return g_string_free(names, FALSE);
}

kvs_status baseline_load(const char *dir, const char *name, struct baseline **ret_baseline,
                         struct kvs_error *err)
{
    _cleanup_(freep) char *path = g_strdup_printf("%s/%s.json", dir, name);
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        _cleanup_(freep) char *names = baseline_names(dir);
        return kvs_error_set(err, KVS_MISSING, 0, "no baseline '%s' in %s; there are: %s", name,
                             dir, names);
    }
    json_error_t fault;
    _cleanup_(json_decrefp) json_t *root = json_load_file(path, 0, &fault);
    if (root == NULL)
        return kvs_error_set(err, KVS_CORRUPT, 0, "%s, line %d: %s", path, fault.line, fault.text);
    const char *format = json_string_value(json_object_get(root, "format"));
    if (format == NULL || strcmp(format, RESULTS_FORMAT) != 0)
        return kvs_error_set(err, KVS_CORRUPT, 0, "%s is not of the format " RESULTS_FORMAT, path);
    _cleanup_(baseline_freep) struct baseline *baseline = g_new0(struct baseline, 1);
    baseline->series = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, baseline_series_free);
    const json_t *all = json_object_get(root, "series");
    for (size_t i = 0; i < json_array_size(all); i++) {
        if (!baseline_add(baseline, json_array_get(all, i)))
            return kvs_error_set(err, KVS_CORRUPT, 0, "%s: series %zu is damaged", path, i);
    }
    *ret_baseline = TAKE(baseline);
    return KVS_OK;
}

const struct baseline_series *baseline_find(const struct baseline *baseline, const char *id)
{
    return g_hash_table_lookup(baseline->series, id);
}
