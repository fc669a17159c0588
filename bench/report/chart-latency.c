/*
 * Latencies (chart.h): curves by percentile, and violins.
 *
 * A curve's x axis counts nines (50 %, 90 %, 99 %, ...), so that the tail has as much room as the
 * rest. A violin is the density over the logarithm of the latency, smoothed a little, each with the
 * same greatest width; its marks are the median, p99 and p99.9.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "report/chart.h"
#include "report/svg.h"

#define LEFT          64.0
#define RIGHT         (CHART_WIDTH - 24)
#define PLOT_HEIGHT   240.0
#define AXIS_HEIGHT   42.0
#define NAME_WIDTH    118.0
#define VIOLIN_HEIGHT 34.0
#define VIOLIN_BINS   160u
#define TAIL_COUNT    10.0 /* a percentile is drawn while so many values lie beyond it */

static const struct series *latency_series(const struct chart_cell *cell, guint index,
                                           uint32_t threads)
{
    const struct series *series = g_ptr_array_index(cell->series, index);
    bool wanted = series->config.threads == threads && series->latency->count > 0;
    return wanted ? series : NULL;
}

/* The latencies between two shares, over the cell's series; of the upper share only as much as a
   series has values for. */
static void latency_range(const struct chart_cell *cell, uint32_t threads, double share,
                          double top_share, double *ret_low, double *ret_high)
{
    double low = INFINITY;
    double high = 1;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = latency_series(cell, i, threads);
        if (series == NULL)
            continue;
        double top = MIN(top_share, 1 - TAIL_COUNT / (double)series->latency->count);
        low = MIN(low, (double)histogram_quantile(series->latency, share));
        high = MAX(high, (double)histogram_quantile(series->latency, MAX(top, 0.5)));
    }
    *ret_low = MAX(low, 1);
    *ret_high = MAX(high, *ret_low);
}

/* ---- curves ------------------------------------------------------------------------------- */

/* How many nines: 0.9 is 1, 0.99 is 2, 0.5 is 0.3. */
static double nines_of(double share)
{
    return -log10(1 - share);
}

static double nines_max(const struct chart_cell *cell, uint32_t threads)
{
    double most = 2;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = latency_series(cell, i, threads);
        if (series != NULL)
            most = MAX(most, log10((double)series->latency->count / TAIL_COUNT));
    }
    return MIN(most, 6);
}

static void draw_curve(GString *out, const struct chart_cell *cell, const struct series *series,
                       const struct scale *x, const struct scale *y)
{
    char class_name[24];
    double end = MIN(x->high, log10((double)series->latency->count / TAIL_COUNT));
    (void)snprintf(class_name, sizeof(class_name), "curve s%u",
                   chart_colour(cell, series->config.subject));
    svg_path_begin(out, class_name);
    for (double nines = 0; nines <= MAX(end, 0.3); nines += 0.05) {
        double share = 1 - pow(10, -nines);
        double ns = (double)histogram_quantile(series->latency, share);
        svg_path_to(out, scale_place(x, nines), scale_place(y, ns));
    }
    svg_path_end(out, false);
}

static void nines_axis(GString *out, const struct scale *x, double y, double top)
{
    static const struct {
        double share;
        const char *text;
    } marks[] = {{0, "0 %"},        {0.5, "50 %"},       {0.9, "90 %"},        {0.99, "99 %"},
                 {0.999, "99.9 %"}, {0.9999, "99.99 %"}, {0.99999, "99.999 %"}};
    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        double nines = nines_of(marks[i].share);
        if (nines > x->high + 1e-9)
            break;
        double at = scale_place(x, nines);
        svg_line(out, at, y, at, top, "grid");
        svg_text(out, at, y + 14, "middle", "tick", marks[i].text);
    }
    svg_line(out, x->from, y, x->to, y, "axis");
}

void chart_latency(GString *out, const struct chart_cell *cell, uint32_t threads)
{
    GString *body = g_string_new(NULL);
    double low, high;
    double top = chart_legend(body, cell, 0) + 10;
    const struct scale x = {.high = nines_max(cell, threads), .from = LEFT, .to = RIGHT - 20};
    latency_range(cell, threads, 0, 1 - pow(10, -x.high), &low, &high);
    const struct scale y = scale_logarithmic(low, high * 1.1, top + PLOT_HEIGHT, top);
    svg_axis_left(body, &y, LEFT, x.to, format_tick_ns);
    nines_axis(body, &x, y.from, top);
    svg_text(body, (x.from + x.to) / 2, y.from + 32, "middle", "label",
             "share of calls that took no longer");
    for (guint i = cell->series->len; i > 0; i--) {
        const struct series *series = latency_series(cell, i - 1, threads);
        if (series != NULL)
            draw_curve(body, cell, series, &x, &y);
    }
    svg_begin(out, CHART_WIDTH, y.from + AXIS_HEIGHT, cell->name);
    g_string_append_len(out, body->str, (gssize)body->len);
    svg_end(out);
    g_string_free(body, TRUE);
}

/* ---- violins ------------------------------------------------------------------------------ */

/* The share of the values in each bin of the axis; a bucket is spread over the bins it covers. */
static void fill_bins(const struct histogram *latency, const struct scale *x,
                      double bins[VIOLIN_BINS])
{
    memset(bins, 0, VIOLIN_BINS * sizeof(bins[0]));
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        if (latency->buckets[i] == 0)
            continue;
        double low = scale_place(x, (double)histogram_bucket_low(i));
        double high = scale_place(x, (double)histogram_bucket_high(i) + 1);
        double to_bins = VIOLIN_BINS / (x->to - x->from);
        uint32_t first = MIN((uint32_t)((low - x->from) * to_bins), VIOLIN_BINS - 1);
        uint32_t last = MIN((uint32_t)((high - x->from) * to_bins), VIOLIN_BINS - 1);
        for (uint32_t k = first; k <= last; k++)
            bins[k] += (double)latency->buckets[i] / (last - first + 1);
    }
}

/* Smooths by a triangle of five bins and scales the greatest to 1. */
static void smooth_bins(double bins[VIOLIN_BINS])
{
    static const double weights[] = {1, 2, 3, 2, 1};
    double smooth[VIOLIN_BINS];
    double most = 0;
    for (int i = 0; i < (int)VIOLIN_BINS; i++) {
        smooth[i] = 0;
        for (int k = -2; k <= 2; k++) {
            if (i + k >= 0 && i + k < (int)VIOLIN_BINS)
                smooth[i] += weights[k + 2] * bins[i + k];
        }
        most = MAX(most, smooth[i]);
    }
    for (uint32_t i = 0; i < VIOLIN_BINS; i++)
        bins[i] = most > 0 ? smooth[i] / most : 0;
}

static void draw_marks(GString *out, const struct series *series, const struct scale *x, double y)
{
    static const struct {
        double share;
        const char *name;
    } marks[] = {{0.5, "median"}, {0.99, "p99"}, {0.999, "p99.9"}};
    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        double ns = (double)histogram_quantile(series->latency, marks[i].share);
        if (ns > x->high)
            continue;
        char figure[FORMAT_MAX];
        char tip[96];
        format_ns(ns, figure);
        (void)snprintf(tip, sizeof(tip), "%s %s %s", series->config.subject, marks[i].name, figure);
        svg_circle(out, scale_place(x, ns), y, i == 0 ? 3.5 : 2.2, "mark", tip);
    }
}

static void draw_violin(GString *out, const struct chart_cell *cell, const struct series *series,
                        const struct scale *x, double y)
{
    double bins[VIOLIN_BINS];
    char class_name[24];
    double half = VIOLIN_HEIGHT / 2 - 3;
    double step = (x->to - x->from) / VIOLIN_BINS;
    fill_bins(series->latency, x, bins);
    smooth_bins(bins);
    (void)snprintf(class_name, sizeof(class_name), "violin s%u",
                   chart_colour(cell, series->config.subject));
    svg_text(out, NAME_WIDTH - 8, y, "end", "label", series->config.subject);
    svg_path_begin(out, class_name);
    for (uint32_t i = 0; i < VIOLIN_BINS; i++)
        svg_path_to(out, x->from + step * (i + 0.5), y - half * bins[i]);
    for (uint32_t i = VIOLIN_BINS; i > 0; i--)
        svg_path_to(out, x->from + step * (i - 0.5), y + half * bins[i - 1]);
    svg_path_end(out, true);
    draw_marks(out, series, x, y);
}

void chart_violins(GString *out, const struct chart_cell *cell, uint32_t threads)
{
    double low, high;
    guint rows = 0;
    for (guint i = 0; i < cell->series->len; i++)
        rows += latency_series(cell, i, threads) != NULL;
    latency_range(cell, threads, 0.0001, 1, &low, &high);
    const struct scale x = scale_logarithmic(low / 1.1, high * 1.1, NAME_WIDTH, RIGHT);
    double bottom = VIOLIN_HEIGHT * rows + 6;
    svg_begin(out, CHART_WIDTH, bottom + 26, cell->name);
    svg_axis_bottom(out, &x, bottom, 2, format_tick_ns);
    double y = 4 + VIOLIN_HEIGHT / 2;
    for (guint i = 0; i < cell->series->len; i++) {
        const struct series *series = latency_series(cell, i, threads);
        if (series == NULL)
            continue;
        draw_violin(out, cell, series, &x, y);
        y += VIOLIN_HEIGHT;
    }
    svg_end(out);
}
