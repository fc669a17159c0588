/* See format.h. */
#include "harness/format.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <glib.h>

/* Three digits in all, and what stands behind them. */
static void format_digits(double value, const char *suffix, char text[FORMAT_MAX])
{
    double size = fabs(value);
    int decimals = size >= 99.95 || size == 0 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
    (void)snprintf(text, FORMAT_MAX, "%.*f%s", decimals, value, suffix);
}

static void format_round(double value, const char *suffix, char text[FORMAT_MAX])
{
    (void)snprintf(text, FORMAT_MAX, "%g%s", value, suffix);
}

static void format_scaled(double value, const char *const *suffixes, size_t suffix_count,
                          void (*write)(double, const char *, char *), char text[FORMAT_MAX])
{
    size_t i = 0;
    for (; fabs(value) >= 999.5 && i + 1 < suffix_count; i++)
        value /= 1000;
    write(value, suffixes[i], text);
}

static const char *const figure_suffixes[] = {"", "k", "M", "G", "T"};
static const char *const ns_suffixes[] = {"ns", "us", "ms", "s"};

void format_figure(double value, char text[FORMAT_MAX])
{
    format_scaled(value, figure_suffixes, G_N_ELEMENTS(figure_suffixes), format_digits, text);
}

void format_ns(double ns, char text[FORMAT_MAX])
{
    format_scaled(ns, ns_suffixes, G_N_ELEMENTS(ns_suffixes), format_digits, text);
}

void format_tick(double figure, char text[FORMAT_MAX])
{
    format_scaled(figure, figure_suffixes, G_N_ELEMENTS(figure_suffixes), format_round, text);
}

void format_tick_ns(double ns, char text[FORMAT_MAX])
{
    format_scaled(ns, ns_suffixes, G_N_ELEMENTS(ns_suffixes), format_round, text);
}

void format_named(const char *name, double value, char text[FORMAT_MAX])
{
    if (g_str_has_suffix(name, "_ns"))
        format_ns(value, text);
    else
        format_figure(value, text);
}
