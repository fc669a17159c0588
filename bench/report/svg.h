/*
 * Writing SVG into a text. Colours are classes, so that the page's style gives them for light and
 * dark: "s0" to "s9" for subjects, "axis", "grid", "label" and so on for the rest.
 */
#ifndef BENCH_REPORT_SVG_H
#define BENCH_REPORT_SVG_H

#include <glib.h>

#include "report/scale.h"

#define SVG_COLOURS 10u

/* Begins an image of that size, with a title for those who cannot see it. */
void svg_begin(GString *out, double width, double height, const char *title);
void svg_end(GString *out);

void svg_line(GString *out, double x1, double y1, double x2, double y2, const char *class_name);
void svg_rect(GString *out, double x, double y, double width, double height, const char *class_name,
              const char *tip);
void svg_circle(GString *out, double x, double y, double radius, const char *class_name,
                const char *tip);
/* anchor: "start", "middle" or "end". The text is escaped. */
void svg_text(GString *out, double x, double y, const char *anchor, const char *class_name,
              const char *text);

/* A path of points: svg_path_begin, svg_path_to for each, svg_path_end. */
void svg_path_begin(GString *out, const char *class_name);
void svg_path_to(GString *out, double x, double y);
void svg_path_end(GString *out, bool closed);

/* Marks and grid lines of an axis along the bottom (at y, grid up to grid_y) or along the left side
   (at x, grid to grid_x), with what text_of makes of each figure. */
typedef void (*svg_text_of_fn)(double figure, char *text);
void svg_axis_bottom(GString *out, const struct scale *scale, double y, double grid_y,
                     svg_text_of_fn text_of);
void svg_axis_left(GString *out, const struct scale *scale, double x, double grid_x,
                   svg_text_of_fn text_of);

/* Appends text with <, > and & made harmless. */
void html_append(GString *out, const char *text);

#endif
