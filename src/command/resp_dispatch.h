/*
 * What happens to a Redis request before its command is served: the command is looked up, and the
 * request is checked, refused with an error, or put into the client's transaction.
 */
#ifndef COMMAND_RESP_DISPATCH_H
#define COMMAND_RESP_DISPATCH_H

#include "command/client.h"
#include "command/command.h"
#include "command/resp_table.h"
#include "protocol/resp_reply.h"

enum resp_dispatch {
    RESP_DISPATCH_SERVE,   /* serve it; nothing is answered yet */
    RESP_DISPATCH_QUEUED,  /* put into the client's MULTI, answered */
    RESP_DISPATCH_REFUSED, /* answered with an error */
    RESP_DISPATCH_UNKNOWN, /* there is no such command: answered with an error */
};

/* arguments: at least the name. *ret_index: of the command in the table, unless it is unknown. */
enum resp_dispatch resp_dispatch(const struct command_context *context, struct client *client,
                                 const struct kvs_bytes *arguments, uint32_t count,
                                 struct resp_writer *reply, uint32_t *ret_index);

/* True when the number of arguments fits the command and its keys have sizes that the store takes. What
   a command makes of other keys is its own matter. */
bool resp_dispatch_is_sound(const struct command_context *context,
                            const struct resp_command *command, const struct kvs_bytes *arguments,
                            uint32_t count);

#endif
