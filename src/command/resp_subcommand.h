/*
 * Commands that consist of subcommands ("CLIENT GETNAME"): each has a table of them, ending with a
 * NULL name.
 */
#ifndef COMMAND_RESP_SUBCOMMAND_H
#define COMMAND_RESP_SUBCOMMAND_H

#include <stdbool.h>

#include "command/resp_command.h"

struct resp_subcommand {
    const char *name; /* lower case */
    int32_t arity;    /* arguments with both names; negative: at least so many */
    const char *help; /* arguments and meaning, for HELP; NULL: not shown there */
    void (*run)(struct call *call);
};

/* False: arguments[1] names none in the table, nor HELP, or one with another number of arguments; the
   error is answered. There are at least two arguments. */
bool resp_subcommand_fits(const struct resp_subcommand *table, const struct kvs_bytes *arguments,
                          uint32_t count, struct resp_writer *reply);

/* The `run` of a command with subcommands: runs the one that arguments[1] names, HELP too; or answers
   why not, as above. */
void resp_subcommand_run(struct call *call);

#endif
