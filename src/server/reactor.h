/*
 * The reactor: waits for sockets and hands those that are ready to the pool.
 *
 * One thread at a time is the poller: it is inside reactor_poll. Which thread that is may change
 * from call to call (a pool with the idle hook), but calls never overlap and each sees what the one
 * before did; so the poller's fields need no lock.
 */
#ifndef SERVER_REACTOR_H
#define SERVER_REACTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/pool.h>

#include "base/log.h"
#include "server/connection.h"
#include "server/connection_set.h"
#include "server/listeners.h"

#define REACTOR_EVENTS_MAX 512u

struct reactor {
    /* Constant while it serves. */
    int epoll_fd;
    int wake_fd; /* eventfd, watched by epoll_fd */
    const struct kvs_pool_ops *pool_ops;
    struct kvs_pool *pool;
    bool pool_is_inline;
    bool pool_polls; /* the pool's workers call reactor_poll: its idle hook */
    struct connection_service service;
    struct connection_set *connections;
    struct listeners *listeners; /* their `ready` is the poller's */
    struct limits *limits;
    uint64_t connections_most; /* so that descriptors are left for the engine's files */
    /* What a connection has to log in, its handshake included. Written by a reload, read by the
       poller; relaxed: connections to come. */
    _Atomic uint64_t login_timeout_ns;
    const struct log *log;

    /* The poller's. */
    uint64_t last_id;   /* of a connection */
    bool accept_ready;  /* connections may wait at a listener */
    bool accept_paused; /* none can be taken at the moment: out of descriptors or memory */
    uint64_t accept_retry_ns;
    uint64_t
        strangers_until_ns; /* when the first one is cut off, if it stays one; UINT64_MAX: none */
    uint64_t refused_logged_ns;    /* when we last said so */
    struct connection *retry;      /* QUEUED, but the pool was busy; linked by `link` */
    struct connection *retry_last; /* its end */

    /* Pushed by any thread (release), taken whole by the poller (acquire). */
    _Atomic(struct connection *) resumed; /* parked, complete: to be given to the pool */
    _Atomic(struct connection *) closed;  /* to be freed when no event can name them */

    /* Written by the thread that stops the server, read by the poller; relaxed, wake_fd orders. */
    _Atomic uint32_t accepting;
    _Atomic uint64_t refused;        /* times that accepting was paused */
    _Atomic uint64_t login_timeouts; /* connections that were cut off before they had logged in */
};

/* Prepares polling. KVS_OK, KVS_BUSY (out of descriptors). Fields from pool_ops on are set by the
   server before the first poll. */
KVS_MUST_USE kvs_status reactor_open(struct reactor *reactor, struct kvs_error *err);
/* Frees what is left. Nobody polls, no connection is open. A zeroed or closed one is fine. */
void reactor_close(struct reactor *reactor);

/* Begins to accept from the listeners. */
KVS_MUST_USE kvs_status reactor_accept_begin(struct reactor *reactor, struct kvs_error *err);
/* Ends accepting. From any thread; a poll that is under way may still take what was waiting. */
void reactor_accept_end(struct reactor *reactor);

/*
 * Waits for at most timeout_ns (negative: as long as it takes; 0: only looks) and spawns a job for
 * each connection that is ready. Returns how many it spawned. The poller's.
 */
int32_t reactor_poll(struct reactor *reactor, int64_t timeout_ns);

/* Makes the running or the next reactor_poll return soon. From any thread. */
void reactor_wake(struct reactor *reactor);

/* connection_service.requeue, .wake and .close; arg is the reactor. */
void reactor_requeue(void *arg, struct connection *connection, bool resumed);
void reactor_wake_for_limits(void *arg);
void reactor_take_closed(void *arg, struct connection *connection);

#endif
