/* Between session_resp.c and what serves single commands, session_run.c. */
#ifndef SERVER_SESSION_RESP_H
#define SERVER_SESSION_RESP_H

#include "command/resp_command.h"
#include "protocol/resp_reply.h"
#include "server/session.h"

/* Writes replies to the client: its version, and nothing if it wants none. */
static inline struct resp_writer session_resp_writer(const struct session *session,
                                                     struct buffer *out)
{
    return (struct resp_writer){.out = out,
                                .version = client_resp_version(&session->client),
                                .muted = client_is_muted(&session->client)};
}

/*
 * Runs the command with this index in the table, of the request at the front of the input, of size bytes, whose arguments are
 * worker->arguments; commits what it wrote, and again if somebody was faster; answers and consumes.
 */
enum session_step session_run(struct session *session, struct worker *worker, uint32_t index,
                              uint64_t size);

/* What is in worker->arguments is needed until the engine is done: takes the memory behind unquoted
   ones along. True: there are such. */
bool session_resp_keep_unquoted(struct session *session, struct worker *worker);

/* The request of size bytes at the front of the input was answered through writer. place: its
   command's in command_metrics.h. */
enum session_step session_resp_end(struct session *session, struct worker *worker,
                                   const struct resp_writer *writer, uint32_t place, uint64_t size);

#endif
