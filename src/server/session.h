/*
 * A conversation with one client: from the bytes received to the bytes to send. No sockets and no
 * scheduling: the connection around it reads, sends, and decides who runs it.
 *
 * A request is served in one of these ways:
 *     at once       its reply is in `output` when session_serve looks at the next one
 *     in a group    consecutive writes become one batch of the engine (write_group.h)
 * What the engine completes later makes session_serve return SESSION_WAITING. The session then stays
 * as it is until `completed` was called, and session_resume goes on. So there is at most one thing
 * in the engine, requests are answered in order, and a read sees the writes before it.
 *
 * Threads: one at a time, which the connection sees to.
 */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/log.h"
#include "command/command.h"
#include "server/worker.h"

#define SESSION_OUTPUT_HIGH ((size_t)262144) /* bytes; see SESSION_FLUSH */

/* What the connection has to do next. */
enum session_step {
    SESSION_MORE,    /* all that was received is served: more input is needed */
    SESSION_FLUSH,   /* at least SESSION_OUTPUT_HIGH bytes of output: send before going on */
    SESSION_WAITING, /* something is in the engine: session_resume after `completed` */
    SESSION_CLOSE,   /* send the output, then close */
    SESSION_ABORT,   /* out of memory: close at once */
};

struct session;

/* What all sessions of a server share. Constant while it serves. */
struct session_service {
    const struct command_context *commands;
    const struct log *log;
    bool writes_wait; /* writes wait for the disk (KVS_DURABILITY_ALWAYS) */

    /* The session is about to call the engine and may wait there: the moment to send the output
       that there is. Called by the thread that serves the session. */
    void (*before_waiting)(struct session *session, struct worker *worker);
    /* What the session waited for is complete. Runs once for each SESSION_WAITING, perhaps before
       session_serve returns that, on any thread; does not block. */
    void (*completed)(struct session *session);
};

struct session {
    const struct session_service *service;
    const struct codec *codec;
    struct buffer input;  /* what was received and is not yet served; filled by the connection */
    struct buffer output; /* replies; emptied by the connection */
    uint64_t skip;        /* bytes of input still to be thrown away */
    uint64_t needed;      /* bytes of input without which nothing gets further; 0: any more */

    /* While something is in the engine. */
    struct write_group *writes;
    enum session_step (*finish)(struct session *session, struct worker *worker);
};

/* A zeroed session becomes ready. */
void session_init(struct session *session, const struct session_service *service);
/* Frees what it holds. Nothing is in the engine. */
void session_deinit(struct session *session);

/* Serves what is in the input, as far as it goes. Never with something in the engine. */
enum session_step session_serve(struct session *session, struct worker *worker);

/* Goes on after `completed`. SESSION_MORE: call session_serve; otherwise as that. */
enum session_step session_resume(struct session *session, struct worker *worker);

#endif
