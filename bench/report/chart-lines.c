/* Figures against the number of threads, or connections (chart.h), which stand at equal distances.
   Times that are far apart are on a logarithmic scale. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/format.h"
#include "report/chart.h"
#include "report/svg.h"

#define LEFT        64.0
#define RIGHT       (CHART_WIDTH - 24)
#define PLOT_HEIGHT 260.0
#define AXIS_HEIGHT 42.0

#define LOGARITHMIC_FROM 20 /* times between the shortest and the longest */

struct line_point {
    double x;
    double value;
    struct interval interval;
    const struct series *series;
};

/* Where a number of threads stands. */
static double thread_place(const struct chart_cell *cell, uint32_t threads)
{
    guint index = 0;
    while (g_array_index(cell->threads, uint32_t, index) != threads)
        index++;
    double step = (RIGHT - LEFT - 40) / (double)(cell->threads->len - 1);
    return LEFT + 20 + step * index;
}

/* A subject's points, in the order of threads; how many there are. */
static guint subject_points(const struct chart_cell *cell, const char *subject,
                            struct line_point *points)
{
    guint count = 0;
    for (guint k = 0; k < cell->threads->len; k++) {
        for (guint i = 0; i < cell->series->len; i++) {
            const struct series *series = g_ptr_array_index(cell->series, i);
            if (strcmp(chart_subject(cell, series), subject) != 0 ||
                series->config.threads != g_array_index(cell->threads, uint32_t, k))
                continue;
            _cleanup_(freep) double *values = series_values(series, NULL);
            size_t size = series->samples->len;
            points[count++] = (struct line_point){
                .x = thread_place(cell, series->config.threads),
                .value = statistics_median(values, size),
                .interval =
                    statistics_bootstrap(values, size, statistics_median, cell->results->seed),
                .series = series,
            };
        }
    }
    return count;
}

/* Drops the points above the scale; how many stay. */
static guint points_inside(guint count, struct line_point *points, double high)
{
    guint kept = 0;
    for (guint i = 0; i < count; i++) {
        if (points[i].value <= high)
            points[kept++] = points[i];
    }
    return kept;
}

/* Says which points are not shown, under the axis. */
static void say_outside(GString *out, const struct chart_cell *cell, const struct scale *scale)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        _cleanup_(freep) double *values = series_values(series, NULL);
        double median = statistics_median(values, series->samples->len);
        char figure[FORMAT_MAX];
        if (median <= scale->high)
            continue;
        format_figure(median, figure);
        g_string_append_printf(text, "%s%s %c%u: %s", text->len > 0 ? ", " : "above the scale: ",
                               chart_subject(cell, series), series_parameter(series)[0],
                               series->config.threads, figure);
    }
    if (text->len > 0)
        svg_text(out, RIGHT, scale->from + 32, "end", "tick", text->str);
    g_string_free(text, TRUE);
}

static void draw_subject(GString *out, const struct chart_cell *cell, const struct scale *scale,
                         const char *subject)
{
    _cleanup_(freep) struct line_point *points =
        g_new(struct line_point, MAX(cell->series->len, 1));
    guint count = points_inside(subject_points(cell, subject, points), points, scale->high);
    guint colour = chart_colour(cell, subject);
    char class_name[24];
    if (count == 0)
        return;
    (void)snprintf(class_name, sizeof(class_name), "band s%u", colour);
    svg_path_begin(out, class_name);
    for (guint i = 0; i < count; i++)
        svg_path_to(out, points[i].x, scale_place(scale, points[i].interval.high));
    for (guint i = count; i > 0; i--)
        svg_path_to(out, points[i - 1].x, scale_place(scale, points[i - 1].interval.low));
    svg_path_end(out, true);
    (void)snprintf(class_name, sizeof(class_name), "curve s%u", colour);
    svg_path_begin(out, class_name);
    for (guint i = 0; i < count; i++)
        svg_path_to(out, points[i].x, scale_place(scale, points[i].value));
    svg_path_end(out, false);
    (void)snprintf(class_name, sizeof(class_name), "fill s%u", colour);
    for (guint i = 0; i < count; i++) {
        char figure[FORMAT_MAX];
        char tip[160];
        format_figure(points[i].value, figure);
        (void)snprintf(tip, sizeof(tip), "%s: %s %s", points[i].series->id, figure,
                       points[i].series->config.unit);
        svg_circle(out, points[i].x, scale_place(scale, points[i].value), 3.5, class_name, tip);
    }
}

/* The highest interval; floors may stand out by a half, and are not drawn where they do more. */
static double highest(const struct chart_cell *cell)
{
    double high = 0;
    double high_floor = 0;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        _cleanup_(freep) double *values = series_values(series, NULL);
        struct interval interval = statistics_bootstrap(values, series->samples->len,
                                                        statistics_median, cell->results->seed);
        if (series->config.floor)
            high_floor = MAX(high_floor, interval.high);
        else
            high = MAX(high, interval.high);
    }
    return high > 0 ? MAX(high, MIN(high_floor, 1.5 * high)) : high_floor;
}

/* The smallest median. */
static double lowest(const struct chart_cell *cell)
{
    double low = INFINITY;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = g_ptr_array_index(cell->series, i);
        _cleanup_(freep) double *values = series_values(series, NULL);
        low = MIN(low, statistics_median(values, series->samples->len));
    }
    return low;
}

static struct scale scale_of(const struct chart_cell *cell, double bottom, double top)
{
    const struct series *first = g_ptr_array_index(cell->series, 0);
    double low = lowest(cell);
    double high = highest(cell);
    if (first->config.less_is_better && low > 0 && high / low > LOGARITHMIC_FROM)
        return scale_logarithmic(low / 1.2, high * 1.1, bottom, top);
    return scale_linear(high, bottom, top);
}

void chart_lines(GString *out, const struct chart_cell *cell)
{
    GString *body = g_string_new(NULL);
    double top = chart_legend(body, cell, 0) + 10;
    const struct scale scale = scale_of(cell, top + PLOT_HEIGHT, top);
    const struct series *first = g_ptr_array_index(cell->series, 0);
    svg_axis_left(body, &scale, LEFT, RIGHT, format_tick);
    for (guint k = 0; k < cell->threads->len; k++) {
        uint32_t threads = g_array_index(cell->threads, uint32_t, k);
        char text[24];
        (void)snprintf(text, sizeof(text), "%u", threads);
        svg_text(body, thread_place(cell, threads), scale.from + 14, "middle", "tick", text);
    }
    svg_text(body, (LEFT + RIGHT) / 2, scale.from + 32, "middle", "label", series_parameter(first));
    for (guint i = cell->subjects->len; i > 0; i--) /* the reference last: on top */
        draw_subject(body, cell, &scale, g_ptr_array_index(cell->subjects, i - 1));
    say_outside(body, cell, &scale);
    svg_begin(out, CHART_WIDTH, scale.from + AXIS_HEIGHT, cell->name);
    g_string_append_len(out, body->str, (gssize)body->len);
    svg_end(out);
    g_string_free(body, TRUE);
}
