/*
 * Commands that consist of subcommands ("CLIENT GETNAME"): each has a table of them, ending with a
 * NULL name.
 */
#ifndef COMMAND_RESP_SUBCOMMAND_H
#define COMMAND_RESP_SUBCOMMAND_H

#include "command/resp_command.h"

struct resp_subcommand {
    const char *name; /* lower case */
    int32_t arity;    /* arguments with both names; negative: at least so many */
    const char *help; /* arguments and meaning, for HELP; NULL: not shown there */
    void (*run)(struct call *call);
};

/* Runs the one that arguments[1] names, or answers why not: with the wrong number of arguments, an
   unknown name, or HELP. */
void resp_subcommand_run(struct call *call, const struct resp_subcommand *table);

#endif
