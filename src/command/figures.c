/* See figures.h. */
#include "command/figures.h"

#include <stdio.h>
#include <string.h>

static void add(void *arg, const char *name, uint64_t value)
{
    struct figures *figures = arg;
    if (figures->count == FIGURES_MAX)
        return;
    struct figure *figure = &figures->items[figures->count++];
    (void)snprintf(figure->name, sizeof(figure->name), "%s", name);
    figure->value = value;
}

void figures_take(struct figures *figures, const struct command_context *context)
{
    figures->count = 0;
    if (context->visit_stats != NULL)
        context->visit_stats(context->visit_stats_arg, add, figures);
}

uint64_t figures_get(const struct figures *figures, const char *name)
{
    for (uint32_t i = 0; i < figures->count; i++) {
        if (strcmp(figures->items[i].name, name) == 0)
            return figures->items[i].value;
    }
    return 0;
}
