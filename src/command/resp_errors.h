/* Errors that several commands answer, in the words that Redis clients expect. */
#ifndef COMMAND_RESP_ERRORS_H
#define COMMAND_RESP_ERRORS_H

#include <stdint.h>

#include <kvs/types.h>

#include "protocol/resp_reply.h"

void resp_error_syntax(struct resp_writer *reply);
void resp_error_not_integer(struct resp_writer *reply); /* or out of range */
void resp_error_no_auth(struct resp_writer *reply);     /* a password is wanted first */
void resp_error_wrong_password(struct resp_writer *reply);
/* For requests while the store loads. percent: how much of it is done; negative: not known. */
void resp_error_loading(struct resp_writer *reply, int32_t percent);

/* name: as in the table; of a subcommand "client|kill". */
void resp_error_arity(struct resp_writer *reply, const char *name);

/* arguments[0] is the name that no command has. Long ones are cut. */
void resp_error_unknown_command(struct resp_writer *reply, const struct kvs_bytes *arguments,
                                uint32_t argument_count);
/* container: the command with subcommands, in capitals. */
void resp_error_unknown_subcommand(struct resp_writer *reply, struct kvs_bytes subcommand,
                                   const char *container);

/* What this server has no use for, or does not offer: "ERR what". */
void resp_error_unsupported(struct resp_writer *reply, const char *what);

#endif
