/* See report-tables.h. */
#include "report/report-tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "report/svg.h"

static void cell_text(GString *out, const char *class_name, const char *text)
{
    g_string_append_printf(out, "<td class=\"%s\">", class_name);
    html_append(out, text);
    g_string_append(out, "</td>");
}

static void cell_figure(GString *out, double figure)
{
    char text[FORMAT_MAX];
    format_figure(figure, text);
    cell_text(out, "", text);
}

static void cell_named(GString *out, const char *name, double figure)
{
    char text[FORMAT_MAX];
    format_named(name, figure, text);
    cell_text(out, "", text);
}

static void table_begin(GString *out, const char *const *columns, size_t count)
{
    g_string_append(out, "<div class=\"scroll\"><table><tr>");
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(out, "<th>%s</th>", columns[i]);
    g_string_append(out, "</tr>\n");
}

static void table_end(GString *out)
{
    g_string_append(out, "</table></div>\n");
}

/* Those that follow each other with the same reason are one line. */
void table_of_failures(GString *out, const struct results *results)
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
        g_string_append(out, "<p class=\"bad\">Failed: ");
        html_append(out, series->id);
        if (more > 0)
            g_string_append_printf(out, " and %u more", more);
        g_string_append(out, ": ");
        html_append(out, series->failure);
        g_string_append(out, "</p>\n");
    }
}

static void measured_text(const struct target_result *result, char text[128])
{
    const struct ratio *measured = &result->measured;
    if (strcmp(result->target->unit, "ns") == 0) {
        char value[FORMAT_MAX];
        format_ns(measured->value, value);
        (void)snprintf(text, 128, "%s", value);
        return;
    }
    (void)snprintf(text, 128, "%.3g%s (%.3g to %.3g)", measured->value, result->target->unit,
                   measured->interval.low, measured->interval.high);
}

static void wanted_text(const struct target *target, char text[64])
{
    char value[FORMAT_MAX];
    if (strcmp(target->unit, "ns") == 0)
        format_ns(target->limit, value);
    else
        (void)snprintf(value, sizeof(value), "%g%s", target->limit, target->unit);
    (void)snprintf(text, 64, "%s %s", target->at_most ? "at most" : "at least", value);
}

void table_of_targets(GString *out, const struct results *results)
{
    static const char *const columns[] = {"target", "measured", "wanted", ""};
    if (results->targets->len == 0)
        return;
    g_string_append(out, "<h2 id=\"targets\">Targets</h2>\n");
    table_begin(out, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < results->targets->len; i++) {
        const struct target_result *result =
            &g_array_index(results->targets, struct target_result, i);
        char measured[128];
        char wanted[64];
        char state[48];
        measured_text(result, measured);
        wanted_text(result->target, wanted);
        (void)snprintf(state, sizeof(state), "%s%s", target_state_text(result->state),
                       result->close ? " (close)" : "");
        g_string_append(out, "<tr>");
        cell_text(out, "wide", result->target->text);
        cell_text(out, "", measured);
        cell_text(out, "", wanted);
        cell_text(out, result->state == TARGET_REACHED ? "good" : "bad", state);
        g_string_append(out, "</tr>\n");
    }
    table_end(out);
}

static void change_row(GString *out, const struct series *series)
{
    const struct ratio *ratio = &series->attempts[series->attempt_count - 1];
    char text[96];
    const char *class_name = series->verdict == VERDICT_FASTER   ? "good"
                             : series->verdict == VERDICT_SLOWER ? "bad"
                                                                 : "muted";
    g_string_append(out, "<tr>");
    cell_text(out, "", series->id);
    cell_text(out, class_name, verdict_text(series->verdict));
    (void)snprintf(text, sizeof(text), "%.3fx (%.3f to %.3f)", ratio->value, ratio->interval.low,
                   ratio->interval.high);
    cell_text(out, "", text);
    cell_text(out, "muted", series->machine_moved ? "the machine's own figures moved too" : "");
    g_string_append(out, "</tr>\n");
}

void table_of_changes(GString *out, const struct results *results)
{
    static const char *const columns[] = {"against the baseline", "", "speed now / before", ""};
    bool any = false;
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        if (series->attempt_count == 0)
            continue;
        if (!any) {
            g_string_append(out, "<h2 id=\"changes\">Changes</h2>\n");
            table_begin(out, columns, G_N_ELEMENTS(columns));
        }
        any = true;
        change_row(out, series);
    }
    if (any)
        table_end(out);
}

/* ---- the figures of a cell ---------------------------------------------------------------- */

/* Sums over a series' samples. */
struct totals {
    double ops;
    double cpu_ns;
    double voluntary;
    double involuntary;
    double written_bytes;
    double bounce_ns; /* mean */
    bool settled;
};

static struct totals totals_of(const struct series *series)
{
    struct totals totals = {.settled = true};
    for (guint i = 0; i < series->samples->len; i++) {
        const struct sample *sample = series_sample(series, i);
        totals.ops += (double)sample->ops;
        totals.cpu_ns += (double)(sample->usage.user_ns + sample->usage.system_ns);
        totals.voluntary += (double)sample->usage.voluntary_switches;
        totals.involuntary += (double)sample->usage.involuntary_switches;
        totals.written_bytes += (double)sample->usage.written_bytes;
        totals.bounce_ns += sample->controls.bounce_ns / series->samples->len;
        totals.settled = totals.settled && sample->settled;
    }
    return totals;
}

static void latency_cells(GString *out, const struct histogram *latency)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < G_N_ELEMENTS(shares); i++) {
        if (latency->count > 0)
            cell_named(out, "_ns", (double)histogram_quantile(latency, shares[i]));
        else
            cell_text(out, "", "");
    }
}

static void outlier_text(const struct outliers *outliers, char text[64])
{
    uint32_t mild = outliers->low_mild + outliers->high_mild;
    uint32_t severe = outliers->low_severe + outliers->high_severe;
    text[0] = '\0';
    if (mild + severe != 0)
        (void)snprintf(text, 64, "%u mild, %u severe", mild, severe);
}

static void figure_row(GString *out, const struct chart_cell *cell, const struct series *series)
{
    _cleanup_(freep) double *values = series_values(series, NULL);
    struct summary summary = statistics_summary(values, series->samples->len, cell->results->seed);
    struct totals totals = totals_of(series);
    char text[96];
    g_string_append(out, "<tr>");
    (void)snprintf(text, sizeof(text), "%s %c%u", series->config.subject,
                   series_parameter(series)[0], series->config.threads);
    cell_text(out, "", text);
    cell_figure(out, summary.median);
    (void)snprintf(text, sizeof(text), "%.1f %%", 100 * statistics_precision(&summary));
    cell_text(out, "", text);
    (void)snprintf(text, sizeof(text), "%zu", summary.count);
    cell_text(out, "", text);
    outlier_text(&summary.outliers, text);
    cell_text(out, "", text);
    latency_cells(out, series->latency);
    if (totals.ops > 0) {
        cell_named(out, "_ns", totals.cpu_ns / totals.ops);
        cell_figure(out, (totals.voluntary + totals.involuntary) / totals.ops);
        cell_figure(out, totals.written_bytes / totals.ops);
    } else {
        g_string_append(out, "<td></td><td></td><td></td>");
    }
    if (series->config.threads > 1)
        cell_named(out, "_ns", totals.bounce_ns);
    else
        cell_text(out, "", "");
    uint32_t noted;
    const char *note = series_note(series, &noted);
    if (note != NULL)
        (void)snprintf(text, sizeof(text), "%s (%u of %zu)", note, noted, summary.count);
    cell_text(out, "muted", note != NULL ? text : totals.settled ? "" : "background work went on");
    g_string_append(out, "</tr>\n");
}

/* "server_cpu_ns" as a heading: words, without the unit that the figures have themselves. */
static void heading(GString *out, const char *name)
{
    _cleanup_(freep) char *text = g_strdelimit(g_strdup(name), "_", ' ');
    size_t size = strlen(text);
    if (g_str_has_suffix(text, " ns"))
        text[size - 3] = '\0';
    g_string_append(out, "<th>");
    html_append(out, text);
    g_string_append(out, "</th>");
}

/* The further figures of the cell's samples, a row per series. */
static void extra_rows(GString *out, const struct chart_cell *cell)
{
    const struct series *first = g_ptr_array_index(cell->series, 0);
    const struct sample *like = series_sample(first, 0);
    if (like->extra_count == 0)
        return;
    g_string_append(out, "<div class=\"scroll\"><table><tr><th></th>");
    for (uint32_t i = 0; i < like->extra_count; i++)
        heading(out, like->extras[i].name);
    g_string_append(out, "</tr>\n");
    for (guint k = 0; k < cell->series->len; k++) {
        const struct series *series = g_ptr_array_index(cell->series, k);
        g_string_append(out, "<tr>");
        char name[96];
        (void)snprintf(name, sizeof(name), "%s %c%u", series->config.subject,
                       series_parameter(series)[0], series->config.threads);
        cell_text(out, "", name);
        for (uint32_t i = 0; i < like->extra_count; i++) {
            _cleanup_(freep) double *values = series_values(series, like->extras[i].name);
            if (values != NULL)
                cell_named(out, like->extras[i].name,
                           statistics_median(values, series->samples->len));
            else
                cell_text(out, "", "");
        }
        g_string_append(out, "</tr>\n");
    }
    table_end(out);
}

void table_of_cell(GString *out, const struct chart_cell *cell)
{
    static const char *const columns[] = {"",
                                          "median",
                                          "+-",
                                          "samples",
                                          "outliers",
                                          "p50",
                                          "p90",
                                          "p99",
                                          "p99.9",
                                          "max",
                                          "CPU/op",
                                          "switches/op",
                                          "bytes written/op",
                                          "core to core",
                                          ""};
    extra_rows(out, cell);
    g_string_append(out, "<details><summary>Figures</summary>\n");
    table_begin(out, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < cell->series->len; i++)
        figure_row(out, cell, g_ptr_array_index(cell->series, i));
    table_end(out);
    g_string_append(out, "</details>\n");
}

/* ---- the machine -------------------------------------------------------------------------- */

static void pair_row(GString *out, const char *name, const char *value)
{
    g_string_append(out, "<tr>");
    cell_text(out, "", name);
    cell_text(out, "wide", value);
    g_string_append(out, "</tr>\n");
}

static void pair_row_bytes(GString *out, const char *name, uint64_t bytes)
{
    _cleanup_(freep) char *text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
    pair_row(out, name, text);
}

void table_of_machine(GString *out, const struct results *results)
{
    const struct machine *machine = &results->machine;
    char text[64];
    g_string_append(out, "<h2 id=\"machine\">The machine and the subjects</h2>\n"
                         "<div class=\"scroll\"><table>\n");
    pair_row(out, "CPU", machine->cpu);
    (void)snprintf(text, sizeof(text), "%u", machine->cpus);
    pair_row(out, "CPUs", text);
    pair_row_bytes(out, "last-level cache", machine->cache_bytes);
    pair_row_bytes(out, "memory", machine->memory_bytes);
    pair_row(out, "virtual", machine->hypervisor);
    pair_row(out, "kernel", machine->kernel);
    pair_row(out, "system", machine->distribution);
    pair_row(out, "clock governor", machine->governor);
    pair_row(out, "clock", machine->clock_source);
    pair_row(out, "file system of the stores", machine->filesystem);
    pair_row(out, "compiler", machine->compiler);
    (void)snprintf(text, sizeof(text), "%.2f", machine->load);
    pair_row(out, "load before", text);
    for (guint i = 0; i < results->notes->len; i++) {
        const struct results_note *note = &g_array_index(results->notes, struct results_note, i);
        pair_row(out, note->name, note->value);
    }
    table_end(out);
}
