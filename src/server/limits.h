/*
 * What clients may take of the server, and what becomes of those who take more: how many there may be,
 * how large a request and a reply may be, and for how long a connection may do nothing, send a request in
 * pieces, or leave its replies unread.
 *
 * Times are looked at now and then, by whoever polls (limits_sweep); there is no timer per connection,
 * and nobody is woken while nothing can time out. A request, and a reader, are given their time again
 * with each LIMITS_PROGRESS bytes that move, so that slow lines are no reason and single bytes no way out.
 */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMITS_PROGRESS ((uint64_t)65536) /* bytes */

/* What a connection waits for while nobody runs it. */
enum limits_wait {
    LIMITS_WAIT_NOT,     /* for its client: it is run, or in the engine */
    LIMITS_WAIT_REQUEST, /* a new request */
    LIMITS_WAIT_REST,    /* the rest of one */
    LIMITS_WAIT_READER,  /* that replies are taken */
};

struct limits {
    /* Written by a reload, read by any thread: relaxed, each is good by itself. 0: no limit. */
    _Atomic uint64_t clients_max;
    _Atomic uint64_t reply_max; /* bytes */
    _Atomic uint64_t idle_timeout_ns;
    _Atomic uint64_t request_timeout_ns;
    _Atomic uint64_t reader_timeout_ns;

    /* How often each was met, since the start. Relaxed. */
    _Atomic uint64_t clients_refused;
    _Atomic uint64_t replies_refused;
    _Atomic uint64_t idle_timeouts;
    _Atomic uint64_t request_timeouts;
    _Atomic uint64_t reader_timeouts;

    /* Connections that wait for a rest or a reader: without any, only idle_timeout can run out. Changed by
       their owners, read by the poller before it sleeps: sequentially consistent, with `asleep`. */
    _Atomic uint64_t pressed;
    /* The poller is about to sleep without an end, or does. */
    _Atomic uint32_t asleep;

    uint64_t swept_ns; /* the poller's: when it last looked */
};

/* The part of a connection that limits are about. Written by the connection's owner, but `expired`. */
struct limits_watch {
    /* Read by the poller: relaxed, it looks again later. */
    _Atomic uint32_t wait; /* enum limits_wait */
    _Atomic uint64_t since_ns;
    /* Written once by the poller: the wait whose time ran out. Relaxed: the end of input, which it
       brings about afterwards, orders it. */
    _Atomic uint32_t expired;
    uint64_t moved; /* bytes since since_ns, of what it waits for */
};

/* Notes what a connection waits for from now on. received_ns: when something came last. True: the poller sleeps
   and must be woken. */
bool limits_note(struct limits *limits, struct limits_watch *watch, enum limits_wait wait,
                 uint64_t received_ns);

/* When a sweep is due next; UINT64_MAX: none is, until limits_note says so. The poller's. */
uint64_t limits_next_sweep_ns(const struct limits *limits);

/* True when the connection's time has run out, which is then counted and noted in `expired`. */
bool limits_is_over(struct limits *limits, struct limits_watch *watch, uint64_t now_ns);

/* Counts a client for which there is no room, and tells it so, best effort, on its fresh non-blocking socket
   (-1: it cannot be told). The socket stays the caller's. */
void limits_refuse_client(struct limits *limits, int fd);

/* The limit of time for a wait; 0: there is none. */
uint64_t limits_timeout_ns(const struct limits *limits, enum limits_wait wait);

#endif
