/*
 * results_write_markdown (results.h): the medians as tables for a page of documentation, with the
 * machine, the load on it and the command, so that the page need not be written by hand.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "harness/results.h"

/* A text with what would end a table's cell made harmless. */
static void append_cell(GString *out, const char *text)
{
    for (; *text != '\0'; text++)
        g_string_append_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static const struct series *series_at(const struct results *results, guint index)
{
    return g_ptr_array_index(results->series, index);
}

/* The subjects of a block's series, in the order in which they come. */
static GPtrArray *block_subjects(const struct results *results, guint first, guint end)
{
    GPtrArray *subjects = g_ptr_array_new();
    for (guint i = first; i < end; i++) {
        const char *subject = series_at(results, i)->config.subject;
        if (!g_ptr_array_find_with_equal_func(subjects, subject, g_str_equal, NULL))
            g_ptr_array_add(subjects, (gpointer)(uintptr_t)subject);
    }
    return subjects;
}

/* "12.3k" and half the median's interval in percent. */
static void append_figure(GString *out, const struct results *results, const struct series *series)
{
    char figure[FORMAT_MAX];
    if (series == NULL || series->samples->len == 0) {
        g_string_append(out, series != NULL && series->failure != NULL ? " failed |" : " |");
        return;
    }
    _cleanup_(freep) double *values = series_values(series, NULL);
    struct summary summary = statistics_summary(values, series->samples->len, results->seed);
    uint32_t noted;
    format_figure(summary.median, figure);
    g_string_append_printf(out, " %s \xc2\xb1%.0f%%%s |", figure,
                           100 * statistics_precision(&summary),
                           series_note(series, &noted) != NULL ? " \\*" : "");
}

/* Is this the first series of its cell and number in the block? */
static bool begins_row(const struct results *results, guint first, guint index)
{
    const struct series *series = series_at(results, index);
    for (guint i = first; i < index; i++) {
        const struct series *before = series_at(results, i);
        if (strcmp(before->config.cell, series->config.cell) == 0 &&
            before->config.threads == series->config.threads)
            return false;
    }
    return true;
}

static void append_block(GString *out, const struct results *results, guint first, guint end)
{
    GPtrArray *subjects = block_subjects(results, first, end);
    g_string_append_printf(out, "\n### %s\n\n| |", series_at(results, first)->config.block);
    for (guint i = 0; i < subjects->len; i++) {
        g_string_append_c(out, ' ');
        append_cell(out, g_ptr_array_index(subjects, i));
        g_string_append(out, " |");
    }
    g_string_append(out, "\n|---|");
    for (guint i = 0; i < subjects->len; i++)
        g_string_append(out, "---:|");
    g_string_append_c(out, '\n');
    for (guint i = first; i < end; i++) {
        const struct series *series = series_at(results, i);
        if (!begins_row(results, first, i))
            continue;
        g_string_append_printf(out, "| %s, %s %u [%s%s] |", series->config.cell,
                               series_parameter(series), series->config.threads,
                               series->config.unit, series->config.less_is_better ? ", less" : "");
        for (guint k = 0; k < subjects->len; k++)
            append_figure(out, results,
                          results_peer(results, series, g_ptr_array_index(subjects, k)));
        g_string_append_c(out, '\n');
    }
    g_ptr_array_free(subjects, TRUE);
}

/* A target's figure: nanoseconds in their own way, all else with its unit. */
static void append_measure(GString *out, const struct target *target, double value)
{
    char text[FORMAT_MAX];
    if (strcmp(target->unit, "ns") != 0) {
        g_string_append_printf(out, "%.3g%s", value, target->unit);
        return;
    }
    format_ns(value, text);
    g_string_append(out, text);
}

static void append_targets(GString *out, const struct results *results)
{
    if (results->targets->len == 0)
        return;
    g_string_append(out, "\n### Targets\n\n| | measured | wanted | |\n|---|---:|---:|---|\n");
    for (guint i = 0; i < results->targets->len; i++) {
        const struct target_result *result =
            &g_array_index(results->targets, struct target_result, i);
        const struct target *target = result->target;
        g_string_append(out, "| ");
        append_cell(out, target->text);
        g_string_append(out, " | ");
        append_measure(out, target, result->measured.value);
        g_string_append(out, " (");
        append_measure(out, target, result->measured.interval.low);
        g_string_append(out, " to ");
        append_measure(out, target, result->measured.interval.high);
        g_string_append_printf(out, ") | %s ", target->at_most ? "at most" : "at least");
        append_measure(out, target, target->limit);
        g_string_append_printf(out, " | %s%s |\n", target_state_text(result->state),
                               result->close ? " (close)" : "");
    }
}

static void append_head(GString *out, const struct results *results)
{
    const struct machine *machine = &results->machine;
    uint32_t all;
    uint32_t disturbed = results_disturbed(results, &all);
    g_string_append_printf(out, "Measured %s by `%s`, seed %" G_GUINT64_FORMAT ".\n\n",
                           results->when, results->command, results->seed);
    g_string_append_printf(out, "- %s, %u CPUs, hypervisor %s; %s; %s\n", machine->cpu,
                           machine->cpus, machine->hypervisor, machine->kernel,
                           machine->distribution);
    g_string_append_printf(out, "- file system of the stores: %s\n", machine->filesystem);
    g_string_append_printf(out,
                           "- load before: %.2f; %u of %u samples were taken while other "
                           "processes used more than a tenth of the CPUs\n",
                           machine->load, disturbed, all);
    g_string_append(out,
                    "\nMedians, \xc2\xb1 half of their 95 % interval; \\*: see the report's note "
                    "(the generator was the limit, or a rate was not reached).\n");
}

kvs_status results_write_markdown(const struct results *results, const char *path,
                                  struct kvs_error *err)
{
    GString *out = g_string_new(NULL);
    GError *error = NULL;
    append_head(out, results);
    append_targets(out, results);
    for (guint first = 0, end; first < results->series->len; first = end) {
        const char *block = series_at(results, first)->config.block;
        end = first + 1;
        while (end < results->series->len &&
               strcmp(series_at(results, end)->config.block, block) == 0)
            end++;
        append_block(out, results, first, end);
    }
    bool written = g_file_set_contents(path, out->str, (gssize)out->len, &error);
    g_string_free(out, TRUE);
    if (written)
        return KVS_OK;
    kvs_error_set(err, KVS_IO, 0, "%s", error->message);
    g_error_free(error);
    return KVS_IO;
}
