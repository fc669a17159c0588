/* Figures as people read them: three digits and a unit's prefix. */
#ifndef BENCH_HARNESS_FORMAT_H
#define BENCH_HARNESS_FORMAT_H

#define FORMAT_MAX 32u /* bytes of a text, terminator included */

/* "4.10M", "812k", "0.53": three digits, thousands as k, M, G. */
void format_figure(double value, char text[FORMAT_MAX]);
/* "812ns", "1.20us", "3.05ms", "1.50s". */
void format_ns(double ns, char text[FORMAT_MAX]);
/* The two above for round figures, as axes have them: "20k", "0.5", "5us". */
void format_tick(double figure, char text[FORMAT_MAX]);
void format_tick_ns(double ns, char text[FORMAT_MAX]);
/* A figure whose name ends in its unit ("disk_bytes", "p99_ns"): the two above by the ending. */
void format_named(const char *name, double value, char text[FORMAT_MAX]);

#endif
