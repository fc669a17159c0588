/* The server's own figures at one moment, to be asked for by name. */
#ifndef COMMAND_FIGURES_H
#define COMMAND_FIGURES_H

#include <stdint.h>

#include <kvs/engine.h>

#include "command/command.h"

#define FIGURES_MAX     256u
#define FIGURE_NAME_MAX 64u

struct figure {
    char name[FIGURE_NAME_MAX];
    uint64_t value;
};

struct figures {
    uint32_t count; /* what is beyond FIGURES_MAX is left out */
    struct figure items[FIGURES_MAX];
};

void figures_take(struct figures *figures, const struct command_context *context);

/* 0 when there is none of this name. */
uint64_t figures_get(const struct figures *figures, const char *name);

#endif
