/*
 * A conversation with one client: from the bytes received to the bytes to send. No sockets and no
 * scheduling: the connection around it reads, sends, and decides who runs it.
 *
 * A request is served in one of these ways:
 *     at once       its reply is in `output` when session_serve looks at the next one
 *     in a group    consecutive writes become one batch of the engine (write_group.h), consecutive
 *                   reads one get_many (read_group.h)
 *     in a run      a command with a transaction of its own (run.h), done again when others were faster
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
#include "command/client.h"
#include "command/command.h"
#include "protocol/resp.h"
#include "server/limits.h"
#include "server/worker.h"

#define SESSION_TLS_FIRST   0x16             /* the first byte of who speaks TLS */
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

/* One of the two protocols: how the request at the front of the input is served, and how what the
   engine did for a group is answered. */
struct session_protocol {
    /* Serves one request, or a group of them. SESSION_MORE: done, unless session->needed says what is
       missing. There is input. */
    enum session_step (*serve)(struct session *session, struct worker *worker);
    /* Answers a complete group of writes. SESSION_MORE or SESSION_ABORT. */
    enum session_step (*answer_writes)(struct session *session, struct worker *worker,
                                       const struct write_group *group);
    /* Answers one lookup of a group of reads; its kvs_status is that of writing the answer. */
    kvs_status (*answer_read)(struct session *session, const struct read_result *result);
    /* Answers a whole request that has several lookups, with a fault; as answer_read. */
    kvs_status (*answer_fault)(struct session *session, const struct read_result *result);
};

/* What all sessions of a server share. Constant while it serves. */
struct session_service {
    const struct command_context *commands;
    const struct log *log;
    struct limits *limits;
    struct resp_limits resp_limits;
    struct resp_limits resp_stranger_limits; /* before authentication */
    bool writes_wait;                        /* writes wait for the disk (KVS_DURABILITY_ALWAYS) */
    bool reads_wait; /* reads may (an engine without KVS_ENGINE_GET_NEVER_BLOCKS) */

    /* The session is about to call the engine and may wait there: the moment to send the output
       that there is. Called by the thread that serves the session. */
    void (*before_waiting)(struct session *session, struct worker *worker);
    /* A wrong password was given, client.wrong_passwords of them by now. True: that is enough, the
       connection must be closed. */
    bool (*wrong_password)(struct session *session);
    /* What the session waited for is complete. Runs once for each SESSION_WAITING, perhaps before
       session_serve returns that, on any thread; does not block. */
    void (*completed)(struct session *session);
};

struct session {
    const struct session_service *service;
    bool trusted;                            /* it need not log in, or has */
    const struct session_protocol *protocol; /* NULL until the first byte was seen */
    struct buffer input; /* what was received and is not yet served; filled by the connection */
    struct buffer
        output;    /* replies; emptied by the connection, but not while reads are waited for */
    uint64_t skip; /* bytes of input still to be thrown away */
    uint64_t received_ns; /* when input last grew; set by the connection */
    uint64_t needed;      /* bytes of input without which nothing gets further; 0: any more */

    /* While something is in the engine. */
    struct write_group *writes;
    struct read_group *reads;
    kvs_status reads_status; /* of writing the answers; KVS_TOO_LARGE: over reply_max */
    size_t reads_start;      /* bytes of output before them */
    struct run *run;
    enum session_step (*finish)(struct session *session, struct worker *worker);

    /* The Redis protocol's. */
    struct resp_parser parser;
    struct client client;
    struct buffer unquoted; /* arguments of what is in the engine that are not in the input */
};

/* Who is at the other end. */
struct session_peer {
    uint64_t id; /* not used before */
    const char *address;
    const char *local_address; /* where it came in */
    bool trusted;              /* it need not log in */
};

/* A zeroed session becomes ready. */
void session_init(struct session *session, const struct session_service *service,
                  const struct session_peer *peer);
/* Frees what it holds. Nothing is in the engine. */
void session_deinit(struct session *session);

/* Serves what is in the input, as far as it goes. Never with something in the engine. */
enum session_step session_serve(struct session *session, struct worker *worker);

/* Goes on after `completed`. SESSION_MORE: call session_serve; otherwise as that. */
enum session_step session_resume(struct session *session, struct worker *worker);

/* ---- for the protocols -------------------------------------------------------------------- */

extern const struct session_protocol session_native;
extern const struct session_protocol session_resp;
extern const struct session_protocol session_stray; /* what is not spoken here: TLS */

/* Sends the group to the engine, answers it, consumes its input. Takes the group. */
enum session_step session_submit_writes(struct session *session, struct worker *worker,
                                        struct write_group *group);

/* The same for reads. can_stop: each lookup is a request of its own, so that those for which the
   output has no room are left in the input. */
enum session_step session_submit_reads(struct session *session, struct worker *worker,
                                       struct read_group *group, bool can_stop);

/* True when the output, from this many bytes on, is more than one client may be sent at once. */
bool session_is_reply_over(const struct session *session, size_t start);
/* Puts an error in the place of that. The Redis protocol's. SESSION_MORE or SESSION_ABORT. */
enum session_step session_refuse_reply(struct session *session, struct worker *worker,
                                       size_t start);

/* Appends an error that belongs to no request; best effort. The connection is closed then. */
void session_refuse(struct session *session, kvs_status status, const char *text);

/* Consumes size bytes of input, also if they are not all there yet. */
void session_skip_input(struct session *session, uint64_t size);

#endif
