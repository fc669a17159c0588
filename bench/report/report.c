/*
 * See report.h. The order of the page: what, where and how; targets and changes; all ratios in one
 * chart; then section by section, cell by cell: a chart of the figures, latencies folded away, a
 * table. A section is the part of a block's name in front of its colon: "classic" of
 * "classic:read_glib_log". A subject has one colour in the charts of its section.
 */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "report/chart.h"
#include "report/report-tables.h"
#include "report/svg.h"

static void head(GString *out, const struct results *results)
{
    g_string_append(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
                         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>"
                         "<meta name=\"color-scheme\" content=\"light dark\"/>"
                         "<title>kvs benchmarks</title><style>\n");
    g_string_append(out, report_style);
    g_string_append(out, "</style></head><body><main>\n<h1>kvs benchmarks</h1>\n"
                         "<p class=\"muted\">");
    html_append(out, results->when);
    g_string_append(out, " \xc2\xb7 <code>");
    html_append(out, results->command);
    g_string_append_printf(out, "</code> \xc2\xb7 seed %" G_GUINT64_FORMAT "</p>\n", results->seed);
}

/* What a reader should know before trusting any figure. */
static void warnings(GString *out, const struct results *results)
{
    uint32_t all;
    uint32_t disturbed = results_disturbed(results, &all);
    if (disturbed > 0)
        g_string_append_printf(out,
                               "<p class=\"bad\">%u of %u samples were taken while other "
                               "processes used more than a tenth of the CPUs.</p>\n",
                               disturbed, all);
}

/* Do two series belong to the same section? */
static bool same_section(const struct series *a, const struct series *b)
{
    size_t size = strcspn(a->config.block, ":");
    return size == strcspn(b->config.block, ":") &&
           strncmp(a->config.block, b->config.block, size) == 0;
}

static char *section_name(const struct series *series)
{
    return g_strndup(series->config.block, strcspn(series->config.block, ":"));
}

static bool has_text(const GPtrArray *texts, const char *text)
{
    for (guint i = 0; i < texts->len; i++) {
        if (strcmp(g_ptr_array_index(texts, i), text) == 0)
            return true;
    }
    return false;
}

/* All subjects of a series' section: the reference first, then as they come. */
static GPtrArray *all_subjects(const struct results *results, const struct series *of)
{
    GPtrArray *subjects = g_ptr_array_new();
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        const char *subject = series->config.subject;
        if (!same_section(of, series) || has_text(subjects, subject))
            continue;
        bool leads = results->reference != NULL && strcmp(subject, results->reference) == 0;
        g_ptr_array_insert(subjects, leads ? 0 : -1, (gpointer)(uintptr_t)subject);
    }
    return subjects;
}

/* Those subjects that are measured beside the reference. */
static GPtrArray *compared_subjects(const struct results *results)
{
    GPtrArray *subjects = g_ptr_array_new();
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        const char *subject = series->config.subject;
        if (results_peer(results, series, results->reference) == NULL ||
            has_text(subjects, subject))
            continue;
        bool leads = strcmp(subject, results->reference) == 0;
        g_ptr_array_insert(subjects, leads ? 0 : -1, (gpointer)(uintptr_t)subject);
    }
    return subjects;
}

static void add_threads(GArray *threads, uint32_t number)
{
    guint at = 0;
    while (at < threads->len && g_array_index(threads, uint32_t, at) < number)
        at++;
    if (at == threads->len || g_array_index(threads, uint32_t, at) != number)
        g_array_insert_val(threads, at, number);
}

/* The series of a block's cell that have samples, subject by subject. */
static struct chart_cell cell_make(const struct results *results, const GPtrArray *subjects,
                                   const struct series *like)
{
    struct chart_cell cell = {
        .results = results,
        .name = like->config.cell,
        .subjects = subjects,
        .series = g_ptr_array_new(),
        .threads = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
    };
    for (guint k = 0; k < subjects->len; k++) {
        for (guint i = 0; i < results->series->len; i++) {
            struct series *series = g_ptr_array_index(results->series, i);
            if (strcmp(series->config.cell, cell.name) != 0 || series->samples->len == 0 ||
                strcmp(series->config.subject, g_ptr_array_index(subjects, k)) != 0)
                continue;
            g_ptr_array_add(cell.series, series);
            add_threads(cell.threads, series->config.threads);
        }
    }
    return cell;
}

static void cell_clear(struct chart_cell *cell)
{
    g_ptr_array_free(cell->series, TRUE);
    g_array_free(cell->threads, TRUE);
}

static void figure_begin(GString *out, const char *caption)
{
    g_string_append(out, "<figure><figcaption>");
    html_append(out, caption);
    g_string_append(out, "</figcaption>\n");
}

static void latencies(GString *out, const struct chart_cell *cell)
{
    for (guint i = 0; i < cell->threads->len; i++) {
        uint32_t threads = g_array_index(cell->threads, uint32_t, i);
        char caption[128];
        if (!chart_has_latency(cell, threads))
            continue;
        const struct series *first = g_ptr_array_index(cell->series, 0);
        g_string_append_printf(out, "<details><summary>Latency, %s: %u</summary>\n",
                               series_parameter(first), threads);
        (void)snprintf(caption, sizeof(caption),
                       "Distribution of latencies; marks: median, p99, p99.9");
        figure_begin(out, caption);
        chart_violins(out, cell, threads);
        g_string_append(out, "</figure>\n");
        figure_begin(out, "Latency by percentile");
        chart_latency(out, cell, threads);
        g_string_append(out, "</figure></details>\n");
    }
}

static void cell_section(GString *out, const struct results *results, const GPtrArray *subjects,
                         const struct series *like)
{
    struct chart_cell cell = cell_make(results, subjects, like);
    g_string_append_printf(out, "<h3 id=\"%s\">%s</h3>\n", cell.name, cell.name);
    if (like->config.help != NULL) {
        g_string_append(out, "<p class=\"muted\">");
        html_append(out, like->config.help);
        g_string_append(out, "</p>\n");
    }
    if (cell.series->len > 0) {
        char caption[160];
        (void)snprintf(caption, sizeof(caption), "%s%s; 95 %% interval of the median",
                       like->config.unit, like->config.less_is_better ? ", less is better" : "");
        figure_begin(out, caption);
        if (cell.threads->len > 1)
            chart_lines(out, &cell);
        else
            chart_bars(out, &cell);
        g_string_append(out, "</figure>\n");
        latencies(out, &cell);
        table_of_cell(out, &cell);
    }
    cell_clear(&cell);
}

/* Is this the first series of its cell? */
static bool begins_cell(const struct results *results, guint index)
{
    const struct series *series = g_ptr_array_index(results->series, index);
    for (guint i = 0; i < index; i++) {
        const struct series *before = g_ptr_array_index(results->series, i);
        if (strcmp(before->config.cell, series->config.cell) == 0)
            return false;
    }
    return true;
}

static bool begins_section(const struct results *results, guint index)
{
    const struct series *series = g_ptr_array_index(results->series, index);
    return index == 0 || !same_section(series, g_ptr_array_index(results->series, index - 1));
}

static void navigation(GString *out, const struct results *results)
{
    g_string_append(out, "<nav>");
    for (guint i = 0; i < results->series->len; i++) {
        if (!begins_section(results, i))
            continue;
        _cleanup_(freep) char *name = section_name(g_ptr_array_index(results->series, i));
        g_string_append_printf(out, "<a href=\"#section-%s\">%s</a>", name, name);
    }
    g_string_append(out, "<a href=\"#machine\">machine</a></nav>\n");
}

/* Which subjects are shown over all cells of a section in one chart. */
static const struct comparison {
    const char *section;
    const char *subject;
    const char *caption;
} comparisons[] = {
    {"classic", "none", "All classic benchmarks in one, --sync none: requests/s"},
    {"classic", "always", "All classic benchmarks in one, --sync always: requests/s"},
};

/* A cell of one subject's series in the section, told apart by their own cells. */
static struct chart_cell comparison_make(const struct results *results,
                                         const struct comparison *comparison, GPtrArray *cells)
{
    struct chart_cell cell = {
        .results = results,
        .name = comparison->subject,
        .by_cell = true,
        .subjects = cells,
        .series = g_ptr_array_new(),
        .threads = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
    };
    for (guint i = 0; i < results->series->len; i++) {
        struct series *series = g_ptr_array_index(results->series, i);
        _cleanup_(freep) char *section = section_name(series);
        if (strcmp(section, comparison->section) != 0 || series->samples->len == 0 ||
            strcmp(series->config.subject, comparison->subject) != 0)
            continue;
        g_ptr_array_add(cell.series, series);
        add_threads(cell.threads, series->config.threads);
        if (!has_text(cells, series->config.cell))
            g_ptr_array_add(cells, (gpointer)(uintptr_t)series->config.cell);
    }
    return cell;
}

static void section_comparisons(GString *out, const struct results *results, const char *section)
{
    for (size_t i = 0; i < G_N_ELEMENTS(comparisons); i++) {
        if (strcmp(comparisons[i].section, section) != 0)
            continue;
        GPtrArray *cells = g_ptr_array_new();
        struct chart_cell cell = comparison_make(results, &comparisons[i], cells);
        if (cells->len > 1 && cell.threads->len > 1) {
            figure_begin(out, comparisons[i].caption);
            chart_lines(out, &cell);
            g_string_append(out, "</figure>\n");
        }
        cell_clear(&cell);
        g_ptr_array_free(cells, TRUE);
    }
}

static void ratios(GString *out, const struct results *results)
{
    char caption[200];
    if (results->reference == NULL)
        return;
    GPtrArray *subjects = compared_subjects(results);
    if (subjects->len < 2) {
        g_ptr_array_free(subjects, TRUE);
        return;
    }
    (void)snprintf(caption, sizeof(caption),
                   "How many times better %s is: right of 1 it is ahead, left of 1 behind",
                   results->reference);
    g_string_append(out, "<h2>All against one</h2>\n");
    figure_begin(out, caption);
    chart_ratios(out, results, subjects);
    g_string_append(out, "</figure>\n");
    g_ptr_array_free(subjects, TRUE);
}

/* A section's heading, and what is over all its cells. */
static void section_begin(GString *out, const struct results *results, const struct series *series)
{
    _cleanup_(freep) char *name = section_name(series);
    g_string_append_printf(out, "<h2 id=\"section-%s\">%s</h2>\n", name, name);
    section_comparisons(out, results, name);
}

static GString *report_text(const struct results *results)
{
    GString *out = g_string_new(NULL);
    GPtrArray *subjects = g_ptr_array_new();
    head(out, results);
    navigation(out, results);
    warnings(out, results);
    table_of_failures(out, results);
    table_of_targets(out, results);
    table_of_changes(out, results);
    ratios(out, results);
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        if (begins_section(results, i)) {
            g_ptr_array_free(subjects, TRUE);
            subjects = all_subjects(results, series);
            section_begin(out, results, series);
        }
        if (begins_cell(results, i))
            cell_section(out, results, subjects, series);
    }
    table_of_machine(out, results);
    g_string_append(out, "</main></body></html>\n");
    g_ptr_array_free(subjects, TRUE);
    return out;
}

kvs_status report_write(const struct results *results, const char *path, struct kvs_error *err)
{
    GError *error = NULL;
    GString *text = report_text(results);
    bool written = g_file_set_contents(path, text->str, (gssize)text->len, &error);
    g_string_free(text, TRUE);
    if (written)
        return KVS_OK;
    kvs_error_set(err, KVS_IO, 0, "%s", error->message);
    g_error_free(error);
    return KVS_IO;
}
