/*
 * results_print (results.h): one table per block, a column per subject, two lines per cell: the
 * medians, and below them how many times better the reference is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "harness/results.h"

#define LABEL_WIDTH   46
#define COLUMN_MIN    10
#define SERIES_SHORT  40u /* with more series than that the table leaves out... */
#define TARGETS_SHORT 24u /* ...and with more targets: what is in the report anyway */

/* The series of one block, and the subjects that appear in it. */
struct table {
    const struct results *results;
    FILE *out;
    guint first;
    guint end;
    GPtrArray *subjects; /* of const char *, not owned */
    int column_width;
};

static const struct series *table_series(const struct table *table, guint index)
{
    return g_ptr_array_index(table->results->series, index);
}

static bool has_text(const GPtrArray *texts, const char *text)
{
    for (guint i = 0; i < texts->len; i++) {
        if (strcmp(g_ptr_array_index(texts, i), text) == 0)
            return true;
    }
    return false;
}

static void table_collect(struct table *table)
{
    const char *reference = table->results->reference;
    table->column_width = COLUMN_MIN;
    for (guint i = table->first; i < table->end; i++) {
        const char *subject = table_series(table, i)->config.subject;
        if (has_text(table->subjects, subject))
            continue;
        bool leads = reference != NULL && strcmp(subject, reference) == 0;
        table->column_width = MAX(table->column_width, (int)strlen(subject) + 2);
        g_ptr_array_insert(table->subjects, leads ? 0 : -1, (gpointer)(uintptr_t)subject);
    }
}

/* Prints one line: a label, then text_of's text for each subject's series. */
typedef void (*table_text_fn)(const struct table *table, const struct series *series,
                              const char *name, char text[FORMAT_MAX]);

static void table_line(const struct table *table, const struct series *cell, const char *label,
                       const char *name, table_text_fn text_of)
{
    (void)fprintf(table->out, "%-*s", LABEL_WIDTH, label);
    for (guint i = 0; i < table->subjects->len; i++) {
        char text[FORMAT_MAX] = "";
        const struct series *series =
            results_peer(table->results, cell, g_ptr_array_index(table->subjects, i));
        if (series != NULL)
            text_of(table, series, name, text);
        (void)fprintf(table->out, "%*s", table->column_width, text);
    }
    (void)fputc('\n', table->out);
}

static void text_of_median(const struct table *table, const struct series *series, const char *name,
                           char text[FORMAT_MAX])
{
    (void)table;
    _cleanup_(freep) double *values = series_values(series, name);
    if (values == NULL) {
        (void)snprintf(text, FORMAT_MAX, "%s", series->failure != NULL ? "failed" : "-");
        return;
    }
    double median = statistics_median(values, series->samples->len);
    if (name == NULL)
        format_figure(median, text);
    else
        format_named(name, median, text);
}

static void text_of_ratio(const struct table *table, const struct series *series, const char *name,
                          char text[FORMAT_MAX])
{
    (void)name;
    const struct series *own = results_peer(table->results, series, table->results->reference);
    uint64_t seed = table->results->seed;
    struct ratio ratio;
    if (own == series) {
        _cleanup_(freep) double *values = series_values(series, NULL);
        if (values == NULL)
            return;
        struct summary summary = statistics_summary(values, series->samples->len, seed);
        (void)snprintf(text, FORMAT_MAX, "+-%.1f%%", 100 * statistics_precision(&summary));
        return;
    }
    bool less = series->config.less_is_better;
    if (own == NULL || !(less ? series_ratio(series, NULL, own, NULL, seed, &ratio)
                              : series_ratio(own, NULL, series, NULL, seed, &ratio)))
        return;
    char digits[FORMAT_MAX];
    format_figure(ratio.value, digits);
    bool unclear = ratio.interval.low <= 1 && ratio.interval.high >= 1;
    (void)snprintf(text, FORMAT_MAX, "%.12sx%s", digits, unclear ? "?" : "");
}

/* Is the extra figure 0 for every subject of the cell? Then there is nothing to say. */
static bool extra_is_zero(const struct table *table, const struct series *cell, const char *name)
{
    for (guint i = 0; i < table->subjects->len; i++) {
        const struct series *series =
            results_peer(table->results, cell, g_ptr_array_index(table->subjects, i));
        if (series == NULL)
            continue;
        _cleanup_(freep) double *values = series_values(series, name);
        for (guint k = 0; values != NULL && k < series->samples->len; k++) {
            if (values[k] != 0)
                return false;
        }
    }
    return true;
}

/* A line for each extra figure that the cell's samples have. */
static void table_extras(const struct table *table, const struct series *cell)
{
    if (cell->samples->len == 0 || table->results->series->len > SERIES_SHORT)
        return;
    const struct sample *sample = series_sample(cell, 0);
    for (uint32_t i = 0; i < sample->extra_count; i++) {
        char label[LABEL_WIDTH + 1];
        if (extra_is_zero(table, cell, sample->extras[i].name))
            continue;
        (void)snprintf(label, sizeof(label), "    %s", sample->extras[i].name);
        table_line(table, cell, label, sample->extras[i].name, text_of_median);
    }
}

static void table_cell(const struct table *table, const struct series *cell)
{
    char label[128];
    (void)snprintf(label, sizeof(label), "%s %c%u [%s%s]", cell->config.cell,
                   series_parameter(cell)[0], cell->config.threads, cell->config.unit,
                   cell->config.less_is_better ? ", less" : "");
    table_line(table, cell, label, NULL, text_of_median);
    const char *reference = table->results->reference;
    const struct series *own =
        reference != NULL ? results_peer(table->results, cell, reference) : NULL;
    if (own != NULL && own->samples->len > 0)
        table_line(table, cell, "", NULL, text_of_ratio);
    table_extras(table, cell);
}

/* What to know before believing a figure, for each series that has something to say. */
static void table_notes(const struct table *table)
{
    for (guint i = table->first; i < table->end; i++) {
        const struct series *series = table_series(table, i);
        uint32_t count;
        const char *note = series_note(series, &count);
        if (note != NULL)
            (void)fprintf(table->out, "  NOTE %s: %s (%u of %u samples)\n", series->id, note, count,
                          series->samples->len);
    }
}

static void table_print(struct table *table)
{
    table_collect(table);
    (void)fprintf(table->out, "\n%-*s", LABEL_WIDTH,
                  table_series(table, table->first)->config.block);
    for (guint i = 0; i < table->subjects->len; i++)
        (void)fprintf(table->out, "%*s", table->column_width,
                      (const char *)g_ptr_array_index(table->subjects, i));
    (void)fputc('\n', table->out);
    for (guint i = table->first; i < table->end; i++) {
        const struct series *series = table_series(table, i);
        bool seen = false;
        for (guint k = table->first; k < i && !seen; k++) {
            const struct series *before = table_series(table, k);
            seen = strcmp(before->config.cell, series->config.cell) == 0 &&
                   before->config.threads == series->config.threads;
        }
        if (!seen)
            table_cell(table, series);
    }
    table_notes(table);
}

static bool has_reference(const struct results *results)
{
    for (guint i = 0; results->reference != NULL && i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        if (strcmp(series->config.subject, results->reference) == 0)
            return true;
    }
    return false;
}

static void print_blocks(const struct results *results, FILE *out)
{
    for (guint i = 0; i < results->series->len;) {
        struct table table = {.results = results, .out = out, .first = i, .end = i};
        const char *block = table_series(&table, i)->config.block;
        while (table.end < results->series->len &&
               strcmp(table_series(&table, table.end)->config.block, block) == 0)
            table.end++;
        table.subjects = g_ptr_array_new();
        table_print(&table);
        g_ptr_array_free(table.subjects, TRUE);
        i = table.end;
    }
    if (has_reference(results))
        (void)fprintf(out,
                      "\n2.00x: %s is twice as good; ?: the interval holds 1, so it may be equal;"
                      " +-: half of the median's 95%% interval; less: less is better\n",
                      results->reference);
}

/* The median bounce of all samples that used more than one thread. */
static void print_bounce(const struct results *results, FILE *out)
{
    GArray *values = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        for (guint k = 0; k < series->samples->len; k++) {
            const struct sample *sample = series_sample(series, k);
            if (series->config.threads > 1 && sample->controls.bounce_ns > 0)
                g_array_append_val(values, sample->controls.bounce_ns);
        }
    }
    if (values->len > 0) {
        const double *all = (const double *)(const void *)values->data;
        (void)fprintf(out,
                      "cache line from core to core, next to the figures with several threads: "
                      "median %.0f ns (%.0f to %.0f ns)\n",
                      statistics_median(all, values->len), statistics_quantile(all, values->len, 0),
                      statistics_quantile(all, values->len, 1));
    }
    g_array_free(values, TRUE);
}

static void print_disturbed(const struct results *results, FILE *out)
{
    uint32_t all;
    uint32_t disturbed = results_disturbed(results, &all);
    if (disturbed > 0)
        (void)fprintf(out,
                      "%u of %u samples were taken while other processes used more than a tenth of "
                      "the CPUs\n",
                      disturbed, all);
}

static void print_target(const struct target_result *result, int width, FILE *out)
{
    const struct target *target = result->target;
    char measured[128] = "-";
    if (result->state != TARGET_NOT_MEASURED)
        (void)snprintf(measured, sizeof(measured), "%.3g%s [%.3g, %.3g]", result->measured.value,
                       target->unit, result->measured.interval.low, result->measured.interval.high);
    (void)fprintf(out, "%-*s%-14s%-24s%s %g%s%s\n", width, target->text,
                  target_state_text(result->state), measured,
                  target->at_most ? "at most" : "at least", target->limit, target->unit,
                  result->close ? " (close)" : "");
}

/* All targets, or of many those that were not reached. */
static void print_targets(const struct results *results, FILE *out)
{
    int width = 0; /* of the longest text */
    guint reached = 0;
    guint count = results->targets->len;
    for (guint i = 0; i < count; i++) {
        const struct target_result *result =
            &g_array_index(results->targets, struct target_result, i);
        width = MAX(width, (int)strlen(result->target->text) + 2);
        reached += result->state == TARGET_REACHED;
    }
    if (count == 0)
        return;
    (void)fprintf(out, "\n%-*s%-14s%-24s%s\n", width,
                  count > TARGETS_SHORT ? "targets that were not reached" : "targets", "",
                  "measured", "wanted");
    for (guint i = 0; i < count; i++) {
        const struct target_result *result =
            &g_array_index(results->targets, struct target_result, i);
        if (count <= TARGETS_SHORT || result->state != TARGET_REACHED)
            print_target(result, width, out);
    }
    (void)fprintf(out, "%u of %u targets reached\n", reached, count);
}

static void print_changes(const struct results *results, FILE *out)
{
    guint compared = 0;
    guint changed = 0;
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        if (series->verdict == VERDICT_NONE)
            continue;
        if (compared++ == 0)
            (void)fprintf(out, "\nagainst the baseline\n");
        if (series->verdict != VERDICT_FASTER && series->verdict != VERDICT_SLOWER)
            continue;
        const struct ratio *ratio = &series->attempts[series->attempt_count - 1];
        (void)fprintf(out, "%-48s%-8s %.2fx [%.2f, %.2f]%s\n", series->id,
                      verdict_text(series->verdict), ratio->value, ratio->interval.low,
                      ratio->interval.high,
                      series->machine_moved ? "  (the machine's own figures moved too)" : "");
        changed++;
    }
    if (compared > 0)
        (void)fprintf(out, "%u series compared, %u changed\n", compared, changed);
}

/* The failures; those that follow each other with the same reason together. */
static void print_failures(const struct results *results, FILE *out)
{
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        guint more = 0;
        if (series->failure == NULL)
            continue;
        for (; i + 1 < results->series->len; i++, more++) {
            const struct series *next = g_ptr_array_index(results->series, i + 1);
            if (next->failure == NULL || strcmp(next->failure, series->failure) != 0)
                break;
        }
        (void)fprintf(out, "FAILED %s", series->id);
        if (more > 0)
            (void)fprintf(out, " and %u more", more);
        (void)fprintf(out, ": %s\n", series->failure);
    }
}

void results_print(const struct results *results, FILE *out)
{
    print_blocks(results, out);
    print_bounce(results, out);
    print_disturbed(results, out);
    print_targets(results, out);
    print_changes(results, out);
    print_failures(results, out);
}
