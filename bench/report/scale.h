/* From figures to places on a chart's axis, and where the axis has its marks. */
#ifndef BENCH_REPORT_SCALE_H
#define BENCH_REPORT_SCALE_H

#include <stdbool.h>
#include <stddef.h>

#define SCALE_TICKS_MAX 16u

struct scale {
    bool logarithmic;
    double low; /* the figure at from; of a logarithmic scale above 0 */
    double high;
    double from; /* in pixels */
    double to;
};

/* A scale that begins at 0 and holds high, ending at a round figure. */
struct scale scale_linear(double high, double from, double to);
/* A logarithmic scale that holds low and high (above 0), and at least a factor of two. */
struct scale scale_logarithmic(double low, double high, double from, double to);

/* The place of a figure; figures beyond the ends are put there. */
double scale_place(const struct scale *scale, double figure);

/* Round figures for the marks, ascending, at least two; how many there are. */
size_t scale_ticks(const struct scale *scale, double ticks[SCALE_TICKS_MAX]);

#endif
