/* See results.h: making and finding; the forms are in results-json.c, results-csv.c, table.c. */
#include "harness/results.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void note_clear(gpointer data)
{
    struct results_note *note = data;
    free(note->name);
    free(note->value);
}

static void series_destroy(gpointer data)
{
    series_free(data);
}

void results_init(struct results *results, const char *data_dir, int argc, char **argv)
{
    GDateTime *now = g_date_time_new_now_utc();
    _cleanup_(freep) char *program = g_path_get_basename(argc > 0 ? argv[0] : "");
    GString *command = g_string_new(program);
    for (int i = 1; i < argc; i++) {
        _cleanup_(freep) char *quoted = g_shell_quote(argv[i]);
        bool plain = strpbrk(argv[i], " \"'$*?\\") == NULL && argv[i][0] != '\0';
        g_string_append_printf(command, " %s", plain ? argv[i] : quoted);
    }
    *results = (struct results){
        .when = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ"),
        .command = g_string_free(command, FALSE),
        .series = g_ptr_array_new_with_free_func(series_destroy),
        .notes = g_array_new(FALSE, FALSE, sizeof(struct results_note)),
        .targets = g_array_new(FALSE, FALSE, sizeof(struct target_result)),
    };
    g_array_set_clear_func(results->notes, note_clear);
    machine_init(&results->machine, data_dir);
    g_date_time_unref(now);
}

void results_deinit(struct results *results)
{
    if (results->series == NULL)
        return;
    free(results->when);
    free(results->command);
    machine_deinit(&results->machine);
    g_ptr_array_free(results->series, TRUE);
    g_array_free(results->notes, TRUE);
    g_array_free(results->targets, TRUE);
    *results = (struct results){0};
}

void results_note_add(struct results *results, const char *name, const char *value)
{
    struct results_note note = {.name = g_strdup(name), .value = g_strdup(value)};
    g_array_append_val(results->notes, note);
}

const struct series *results_peer(const struct results *results, const struct series *series,
                                  const char *subject)
{
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *other = g_ptr_array_index(results->series, i);
        if (strcmp(other->config.cell, series->config.cell) == 0 &&
            strcmp(other->config.subject, subject) == 0 &&
            other->config.threads == series->config.threads)
            return other;
    }
    return NULL;
}

uint32_t results_disturbed(const struct results *results, uint32_t *ret_all)
{
    uint32_t disturbed = 0;
    uint32_t all = 0;
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        for (guint k = 0; k < series->samples->len; k++, all++)
            disturbed += series_sample(series, k)->disturbed;
    }
    *ret_all = all;
    return disturbed;
}
