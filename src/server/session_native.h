/* Between session_native.c and what runs single commands over transactions, session_native_run.c. */
#ifndef SERVER_SESSION_NATIVE_H
#define SERVER_SESSION_NATIVE_H

#include "command/command.h"
#include "server/session.h"

/* Runs the request at the front of the input, of size bytes; commits what it wrote, and again if
   somebody was faster; answers and consumes. */
enum session_step session_native_run(struct session *session, struct worker *worker,
                                     const struct command *command, const struct request *request,
                                     uint64_t size);

#endif
