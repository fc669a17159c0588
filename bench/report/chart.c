/* What the charts share (chart.h), and the bars. */
#include "report/chart.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "report/svg.h"

#define NAME_WIDTH   118.0
#define TEXT_WIDTH   150.0 /* right of the bars: figure and ratio */
#define ROW_HEIGHT   24.0
#define BAR_HEIGHT   14.0
#define AXIS_HEIGHT  26.0
#define LETTER_WIDTH 7.2
#define LEGEND_ROW   20.0

const char *chart_subject(const struct chart_cell *cell, const struct series *series)
{
    return cell->by_cell ? series->config.cell : series->config.subject;
}

guint chart_colour(const struct chart_cell *cell, const char *subject)
{
    for (guint i = 0; i < cell->subjects->len; i++) {
        if (strcmp(g_ptr_array_index(cell->subjects, i), subject) == 0)
            return i % SVG_COLOURS;
    }
    return 0;
}

bool chart_has_latency(const struct chart_cell *cell, uint32_t threads)
{
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        if (series->config.threads == threads && series->latency->count > 0)
            return true;
    }
    return false;
}

/* Is this the first series of its subject in the cell? */
static bool is_first_of_subject(const struct chart_cell *cell, guint index)
{
    const struct series *series = g_ptr_array_index(cell->series, index);
    for (guint i = 0; i < index; i++) {
        const struct series *before = g_ptr_array_index(cell->series, i);
        if (strcmp(chart_subject(cell, before), chart_subject(cell, series)) == 0)
            return false;
    }
    return true;
}

double chart_legend(GString *out, const struct chart_cell *cell, double y)
{
    double x = 8;
    double row = y + LEGEND_ROW / 2;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        const char *subject = chart_subject(cell, series);
        char class_name[16];
        if (!is_first_of_subject(cell, i))
            continue;
        double width = 26 + LETTER_WIDTH * (double)strlen(subject);
        if (x + width > CHART_WIDTH) {
            x = 8;
            row += LEGEND_ROW;
        }
        (void)snprintf(class_name, sizeof(class_name), "fill s%u", chart_colour(cell, subject));
        svg_rect(out, x, row - 5, 12, 10, class_name, NULL);
        svg_text(out, x + 17, row, "start", "label", subject);
        x += width;
    }
    return row + LEGEND_ROW / 2 - y;
}

/* ---- bars --------------------------------------------------------------------------------- */

/* The largest sample; floors may stand out by a half, beyond that their bars are cut. */
static double largest_value(const struct chart_cell *cell)
{
    double largest = 0;
    double largest_floor = 0;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        double *own = series->config.floor ? &largest_floor : &largest;
        for (guint k = 0; k < series->samples->len; k++)
            *own = MAX(*own, series_sample(series, k)->value);
    }
    return largest > 0 ? MAX(largest, MIN(largest_floor, 1.5 * largest)) : largest_floor;
}

/* Two slanted strokes through a bar that goes on beyond the scale. */
static void cut_mark(GString *out, double x, double y)
{
    for (int i = 0; i < 2; i++, x -= 5)
        svg_line(out, x - 10, y + BAR_HEIGHT / 2 + 2, x - 4, y - BAR_HEIGHT / 2 - 2, "cut");
}

/* "1.23M  0.45x": the figure, and how many times better the reference is. */
static void bar_text(const struct chart_cell *cell, const struct series *series, double median,
                     char *text, size_t cap)
{
    char figure[FORMAT_MAX];
    char times[FORMAT_MAX] = "";
    const char *reference = cell->results->reference;
    const struct series *own =
        reference != NULL ? results_peer(cell->results, series, reference) : NULL;
    struct ratio ratio;
    bool less = series->config.less_is_better;
    format_figure(median, figure);
    if (own != NULL && own != series &&
        (less ? series_ratio(series, NULL, own, NULL, cell->results->seed, &ratio)
              : series_ratio(own, NULL, series, NULL, cell->results->seed, &ratio)))
        format_figure(ratio.value, times);
    (void)snprintf(text, cap, "%s%s%s%s", figure, times[0] != '\0' ? "  (" : "", times,
                   times[0] != '\0' ? "x)" : "");
}

/* The samples as dots, and the interval. */
static void bar_spread(GString *out, const struct summary *summary, const double *values,
                       const struct scale *scale, double y)
{
    double low = scale_place(scale, summary->median_interval.low);
    double high = scale_place(scale, summary->median_interval.high);
    for (size_t i = 0; i < summary->count; i++)
        svg_circle(out, scale_place(scale, values[i]), y, 1.6, "dot", NULL);
    svg_line(out, low, y, high, y, "whisker");
    svg_line(out, low, y - 4, low, y + 4, "whisker");
    svg_line(out, high, y - 4, high, y + 4, "whisker");
}

static void bar_row(GString *out, const struct chart_cell *cell, const struct series *series,
                    const struct scale *scale, double y)
{
    _cleanup_(freep) double *values = series_values(series, NULL);
    struct summary summary = statistics_summary(values, series->samples->len, cell->results->seed);
    guint colour = chart_colour(cell, series->config.subject);
    char class_name[24];
    char label[96];
    char text[96];
    if (cell->threads->len > 1)
        (void)snprintf(label, sizeof(label), "%s %c%u", series->config.subject,
                       series_parameter(series)[0], series->config.threads);
    else
        (void)snprintf(label, sizeof(label), "%s", series->config.subject);
    svg_text(out, NAME_WIDTH - 8, y, "end", "label", label);
    (void)snprintf(class_name, sizeof(class_name), "%s s%u",
                   series->config.floor ? "floor" : "fill", colour);
    double end = scale_place(scale, summary.median);
    svg_rect(out, scale->from, y - BAR_HEIGHT / 2, MAX(end - scale->from, 1), BAR_HEIGHT,
             class_name, series->id);
    if (summary.median <= scale->high)
        bar_spread(out, &summary, values, scale, y);
    else
        cut_mark(out, end, y);
    bar_text(cell, series, summary.median, text, sizeof(text));
    svg_text(out, scale->to + 10, y, "start", "label", text);
}

void chart_bars(GString *out, const struct chart_cell *cell)
{
    double bottom = ROW_HEIGHT * cell->series->len + 6;
    const struct scale scale =
        scale_linear(largest_value(cell), NAME_WIDTH, CHART_WIDTH - TEXT_WIDTH);
    svg_begin(out, CHART_WIDTH, bottom + AXIS_HEIGHT, cell->name);
    svg_axis_bottom(out, &scale, bottom, 2, format_tick);
    for (guint i = 0; i < cell->series->len; i++)
        bar_row(out, cell, g_ptr_array_index(cell->series, i), &scale, 4 + ROW_HEIGHT * (i + 0.5));
    svg_end(out);
}
