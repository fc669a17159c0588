/*
 * The reference against everybody (chart.h): a row for each cell and number of threads, in it a dot
 * for each other subject at the ratio, with its interval; right of 1 the reference is better.
 */
#include <math.h>
#include <string.h>

#include "harness/format.h"
#include "report/chart.h"
#include "report/svg.h"

#define NAME_WIDTH  236.0
#define RIGHT       (CHART_WIDTH - 24)
#define ROW_HEIGHT  22.0
#define AXIS_HEIGHT 44.0

struct dot {
    guint row;
    const struct series *own;
    const struct series *other;
    struct ratio ratio; /* above 1: the reference is better */
};

/* Collects all ratios, row by row; the number of rows. */
static guint collect(const struct results *results, GArray *dots)
{
    guint rows = 0;
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *own = g_ptr_array_index(results->series, i);
        guint before = dots->len;
        if (strcmp(own->config.subject, results->reference) != 0)
            continue;
        for (guint k = 0; k < results->series->len; k++) {
            const struct series *other = g_ptr_array_index(results->series, k);
            struct dot dot = {.row = rows, .own = own, .other = other};
            if (other == own || results_peer(results, other, results->reference) != own)
                continue;
            bool less = own->config.less_is_better;
            if (less ? series_ratio(other, NULL, own, NULL, results->seed, &dot.ratio)
                     : series_ratio(own, NULL, other, NULL, results->seed, &dot.ratio))
                g_array_append_val(dots, dot);
        }
        rows += dots->len > before;
    }
    return rows;
}

static void format_times(double figure, char *text)
{
    char digits[FORMAT_MAX];
    format_figure(figure, digits);
    (void)snprintf(text, FORMAT_MAX, "%.20sx", digits);
}

static void format_times_tick(double figure, char *text)
{
    (void)snprintf(text, FORMAT_MAX, "%gx", figure);
}

static void draw_dot(GString *out, const struct chart_cell *cell, const struct dot *dot,
                     const struct scale *x)
{
    char class_name[24];
    char figures[3][FORMAT_MAX];
    char tip[200];
    double y = 4 + ROW_HEIGHT * (dot->row + 0.5);
    guint colour = chart_colour(cell, dot->other->config.subject);
    format_times(dot->ratio.value, figures[0]);
    format_times(dot->ratio.interval.low, figures[1]);
    format_times(dot->ratio.interval.high, figures[2]);
    (void)snprintf(tip, sizeof(tip), "%s against %s: %s (%s to %s)", dot->own->id,
                   dot->other->config.subject, figures[0], figures[1], figures[2]);
    (void)snprintf(class_name, sizeof(class_name), "thin s%u", colour);
    svg_line(out, scale_place(x, dot->ratio.interval.low), y,
             scale_place(x, dot->ratio.interval.high), y, class_name);
    (void)snprintf(class_name, sizeof(class_name), "fill s%u", colour);
    svg_circle(out, scale_place(x, dot->ratio.value), y, 4.5, class_name, tip);
}

static void draw_rows(GString *out, const GArray *dots, const struct scale *x)
{
    for (guint i = 0; i < dots->len; i++) {
        const struct dot *dot = &g_array_index(dots, struct dot, i);
        if (i > 0 && g_array_index(dots, struct dot, i - 1).row == dot->row)
            continue;
        char label[96];
        double y = 4 + ROW_HEIGHT * (dot->row + 0.5);
        (void)snprintf(label, sizeof(label), "%s %c%u", dot->own->config.cell,
                       series_parameter(dot->own)[0], dot->own->config.threads);
        svg_text(out, NAME_WIDTH - 8, y, "end", "label", label);
        svg_line(out, x->from, y, x->to, y, "grid");
    }
}

/* A stand-in cell of all series, for the legend and the colours. */
static struct chart_cell legend_cell(const struct results *results, const GPtrArray *subjects,
                                     const GArray *dots)
{
    struct chart_cell cell = {
        .results = results, .subjects = subjects, .series = g_ptr_array_new()};
    for (guint i = 0; i < dots->len; i++) {
        const struct series *series = g_array_index(dots, struct dot, i).other;
        g_ptr_array_add(cell.series, (gpointer)(uintptr_t)series);
    }
    return cell;
}

void chart_ratios(GString *out, const struct results *results, const GPtrArray *subjects)
{
    GArray *dots = g_array_new(FALSE, FALSE, sizeof(struct dot));
    guint rows = collect(results, dots);
    double low = 0.5;
    double high = 2;
    for (guint i = 0; i < dots->len; i++) {
        low = MIN(low, g_array_index(dots, struct dot, i).ratio.value / 1.2);
        high = MAX(high, g_array_index(dots, struct dot, i).ratio.value * 1.2);
    }
    if (rows > 0) {
        struct chart_cell cell = legend_cell(results, subjects, dots);
        GString *body = g_string_new(NULL);
        const struct scale x = scale_logarithmic(low, high, NAME_WIDTH, RIGHT);
        double bottom = ROW_HEIGHT * rows + 6;
        draw_rows(body, dots, &x);
        svg_axis_bottom(body, &x, bottom, 2, format_times_tick);
        svg_line(body, scale_place(&x, 1), 2, scale_place(&x, 1), bottom, "one");
        for (guint i = 0; i < dots->len; i++)
            draw_dot(body, &cell, &g_array_index(dots, struct dot, i), &x);
        double legend = chart_legend(body, &cell, bottom + AXIS_HEIGHT - 14);
        svg_begin(out, CHART_WIDTH, bottom + AXIS_HEIGHT - 10 + legend, "ratios");
        g_string_append_len(out, body->str, (gssize)body->len);
        svg_end(out);
        g_string_free(body, TRUE);
        g_ptr_array_free(cell.series, TRUE);
    }
    g_array_free(dots, TRUE);
}
