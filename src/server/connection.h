/*
 * One client's connection: its socket, its buffers, and whose turn it is.
 *
 * A connection is always in exactly one hand:
 *     IDLE                    nobody's: the next readiness event queues it
 *     QUEUED                  in the pool's queue
 *     RUNNING, RUNNING_AGAIN  a job serves it, or it is parked: something of its session is in the
 *                             engine, whose completion resumes it. AGAIN: the socket became ready
 *                             meanwhile, so look once more before becoming IDLE
 *     CLOSED                  its descriptor is closed; only the graveyard knows it
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "server/access.h"
#include "server/limits.h"
#include "server/session.h"
#include "server/tls_server.h"
#include "server/transport.h"
#include "server/worker.h"

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_QUEUED,
    CONNECTION_RUNNING,
    CONNECTION_RUNNING_AGAIN,
    CONNECTION_CLOSED,
};

struct connection;

/* What all connections of a server share. Constant while it serves. */
struct connection_service {
    struct session_service sessions; /* with connection_before_waiting and connection_completed */
    struct workers *workers;
    const struct log *log;
    struct limits *limits;
    struct slow_log *slow_log;
    struct access *access;  /* who may do what; NULL: everybody */
    struct tls_server *tls; /* for "tls:" listeners; NULL: there is none */
    bool blocking;          /* a thread keeps its connection for life (an unbounded pool) */

    /* Hands a connection back to the pool: resumed ones continue (connection_resume), others begin
       again (connection_run). Any thread; does not block. */
    void (*requeue)(void *arg, struct connection *connection, bool resumed);
    /* Takes a closed connection (its descriptor is closed by this call), to be freed when nobody
       can name it any more. Any thread. */
    void (*close)(void *arg, struct connection *connection);
    /* Wakes the poller, which sleeps: a time has to be kept. Any thread. */
    void (*wake)(void *arg);
    void *arg;
};

struct connection {
    /* Constant. */
    const struct connection_service *service;

    /* Guarded by the lock of the connection set. */
    struct connection *next;
    struct connection *previous;
    struct connection *stranger_next; /* in the list of those with a deadline */
    struct connection *stranger_previous;
    uint64_t deadline_ns; /* when it must be trusted; 0: it is in no hurry */

    /* Set by the owner once the session may do what it likes, read by the poller; relaxed: only a
       filter. */
    _Atomic uint32_t trusted;

    struct limits_watch watch; /* see limits.h */

    /* Written by the poller and by whoever runs the connection; see connection.c for the orders. */
    _Atomic uint32_t state;
    _Atomic uint32_t hangup;   /* the poller saw the peer's end of sending, or an error */
    _Atomic uint32_t handover; /* between a job that parks and the completion that resumes */

    /* The owner's: whoever has the connection in hand (see above). */
    struct transport transport; /* its socket, `fd`, is constant, and closed by service->close */
    struct connection *link;    /* in one of the hand-over lists */
    struct session session;
    uint64_t queued_ns; /* when it became QUEUED */
    bool timed;         /* received_ns is that of the read to come */
    bool drained;       /* the last read emptied the socket */
    bool closing;       /* close as soon as output is sent */
    bool resumes;       /* in a hand-over list: goes on with connection_resume */
    bool parked;        /* the session waits for the engine, or did so until now */
    sem_t completed;    /* blocking only: what the session waits for is complete */
};

/* Makes a connection around a non-blocking socket that came in at this listener. id: not used before.
   NULL: out of memory; fd stays the caller's. */
struct connection *connection_new(int fd, uint64_t id, const struct listener *listener,
                                  const struct connection_service *service);
/* Frees memory only. NULL is fine. */
void connection_free(struct connection *connection);

/* Notes epoll events; true: it is now QUEUED and must be given to the pool (connection_run). Only
   the poller calls it. */
bool connection_note_events(struct connection *connection, uint32_t events);

/* session_service.before_waiting, .completed and .wrong_password, for the sessions of connections. */
void connection_before_waiting(struct session *session, struct worker *worker);
void connection_completed(struct session *session);
bool connection_wrong_password(struct session *session);

/* The jobs. arg is the connection. */
void connection_run(void *arg);          /* QUEUED: serve until the socket would block */
void connection_resume(void *arg);       /* parked, the engine is done: go on */
void connection_run_blocking(void *arg); /* serve until the end, waiting in poll() */
void connection_drop(void *arg);         /* the pool dropped or lost its job: close */

#endif
