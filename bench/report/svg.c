/* See svg.h. Numbers are written with one decimal: a tenth of a pixel. */
#include "report/svg.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "harness/format.h"

#define TEXT_DROP 4.0 /* from a text's middle down to its base line */
#define TICK_SIZE 4.0

void html_append(GString *out, const char *text)
{
    _cleanup_(freep) char *escaped = g_markup_escape_text(text, -1);
    g_string_append(out, escaped);
}

void svg_begin(GString *out, double width, double height, const char *title)
{
    g_string_append_printf(out,
                           "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
                           "style=\"max-width:%.0fpx\"><title>",
                           width, height, width);
    html_append(out, title);
    g_string_append(out, "</title>\n");
}

void svg_end(GString *out)
{
    g_string_append(out, "</svg>\n");
}

void svg_line(GString *out, double x1, double y1, double x2, double y2, const char *class_name)
{
    g_string_append_printf(out,
                           "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                           class_name, x1, y1, x2, y2);
}

/* Ends an element, with a tip where there is one. */
static void end_with_tip(GString *out, const char *name, const char *tip)
{
    if (tip == NULL) {
        g_string_append(out, "/>\n");
        return;
    }
    g_string_append(out, "><title>");
    html_append(out, tip);
    g_string_append_printf(out, "</title></%s>\n", name);
}

void svg_rect(GString *out, double x, double y, double width, double height, const char *class_name,
              const char *tip)
{
    g_string_append_printf(
        out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", class_name,
        x, y, width, height);
    end_with_tip(out, "rect", tip);
}

void svg_circle(GString *out, double x, double y, double radius, const char *class_name,
                const char *tip)
{
    g_string_append_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"",
                           class_name, x, y, radius);
    end_with_tip(out, "circle", tip);
}

void svg_text(GString *out, double x, double y, const char *anchor, const char *class_name,
              const char *text)
{
    g_string_append_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
                           class_name, x, y + TEXT_DROP, anchor);
    html_append(out, text);
    g_string_append(out, "</text>\n");
}

void svg_path_begin(GString *out, const char *class_name)
{
    g_string_append_printf(out, "<path class=\"%s\" d=\"M", class_name);
}

void svg_path_to(GString *out, double x, double y)
{
    g_string_append_printf(out, " %.1f,%.1f", x, y);
}

void svg_path_end(GString *out, bool closed)
{
    g_string_append(out, closed ? " Z\"/>\n" : "\"/>\n");
}

void svg_axis_bottom(GString *out, const struct scale *scale, double y, double grid_y,
                     svg_text_of_fn text_of)
{
    double ticks[SCALE_TICKS_MAX];
    size_t count = scale_ticks(scale, ticks);
    for (size_t i = 0; i < count; i++) {
        char text[FORMAT_MAX];
        double x = scale_place(scale, ticks[i]);
        text_of(ticks[i], text);
        svg_line(out, x, y, x, grid_y, "grid");
        svg_text(out, x, y + 2 + 3 * TICK_SIZE, "middle", "tick", text);
    }
    svg_line(out, scale->from, y, scale->to, y, "axis");
}

void svg_axis_left(GString *out, const struct scale *scale, double x, double grid_x,
                   svg_text_of_fn text_of)
{
    double ticks[SCALE_TICKS_MAX];
    size_t count = scale_ticks(scale, ticks);
    for (size_t i = 0; i < count; i++) {
        char text[FORMAT_MAX];
        double y = scale_place(scale, ticks[i]);
        text_of(ticks[i], text);
        svg_line(out, x, y, grid_x, y, "grid");
        svg_text(out, x - 2 * TICK_SIZE, y, "end", "tick", text);
    }
    svg_line(out, x, scale->from, x, scale->to, "axis");
}
