/*
 * The report's charts. Each draws one cell (all its series) into the page as SVG; a subject has the
 * same colour in all of them.
 */
#ifndef BENCH_REPORT_CHART_H
#define BENCH_REPORT_CHART_H

#include <stdbool.h>

#include <glib.h>

#include "harness/results.h"

/* The series of one cell, in the order of subjects and threads, and what charts need to know. Or
   those of one subject over several cells, which are then told apart by their cells. */
struct chart_cell {
    const struct results *results;
    const char *name;
    bool by_cell;              /* subjects are names of cells */
    const GPtrArray *subjects; /* of const char *: all of the section; the index is the colour */
    GPtrArray *series;         /* of const struct series *, with samples */
    GArray *threads;           /* of uint32_t: the numbers of threads that occur, ascending */
};

#define CHART_WIDTH 720.0

/* What a series of the chart is called: its subject, or its cell. */
const char *chart_subject(const struct chart_cell *cell, const struct series *series);

/* The number of a subject's colour: 0 to SVG_COLOURS - 1. */
guint chart_colour(const struct chart_cell *cell, const char *subject);

/* Bars, a row for each series: the median, its interval, and a dot for each sample. */
void chart_bars(GString *out, const struct chart_cell *cell);
/* Figures against threads: a line for each subject, with its interval as a band. */
void chart_lines(GString *out, const struct chart_cell *cell);
/* Latency by percentile: a line for each subject, for one number of threads. */
void chart_latency(GString *out, const struct chart_cell *cell, uint32_t threads);
/* How latencies are distributed: a violin for each subject, for one number of threads. */
void chart_violins(GString *out, const struct chart_cell *cell, uint32_t threads);
/* The reference against everybody, over all cells: ratios with intervals, on one axis. */
void chart_ratios(GString *out, const struct results *results, const GPtrArray *subjects);

/* Has any series of the cell latencies, with so many threads? */
bool chart_has_latency(const struct chart_cell *cell, uint32_t threads);

/* A row of coloured names; the height that it takes. */
double chart_legend(GString *out, const struct chart_cell *cell, double y);

#endif
