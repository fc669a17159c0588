/*
 * How a connection's bytes get to the peer and back: over the socket as they are, or through a layer
 * (TLS). Reading and writing behave as recv() and send() on a non-blocking socket do; a plain socket
 * pays one predictable branch for that.
 *
 * Readiness. The socket is watched edge-triggered in both directions, so EAGAIN means: any event of the
 * socket is a reason to try again, whichever way the bytes were going. A layer may have to receive in
 * order to send and the other way round, and keeps bytes that it has taken off the socket: so only
 * transport_is_drained tells that nothing is left to read.
 *
 * Threads: used by whoever has the connection in hand, one thread at a time.
 */
#ifndef SERVER_TRANSPORT_H
#define SERVER_TRANSPORT_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"

struct transport;

/* What a layer does instead of the socket. It never raises SIGPIPE and never gives EINTR. */
struct transport_layer {
    /* As recv and send: bytes moved; 0 (read) when the peer has ended; -1 with errno. EAGAIN: wait for
       the socket. Another errno: it is broken for good. */
    ssize_t (*read)(struct transport *transport, void *to, size_t size);
    ssize_t (*write)(struct transport *transport, const void *from, size_t size);
    /* After a read that gave something: true when nothing is left, neither here nor in the socket. */
    bool (*is_drained)(const struct transport *transport);
    /* Tells the peer that nothing more will come; not the socket's shutdown. Best effort. */
    void (*end_output)(struct transport *transport);
    /* What the socket must be ready for (POLLIN, POLLOUT) after EAGAIN, for those who poll. */
    short (*wanted_events)(const struct transport *transport, bool to_write);
    /* True once the peer is known to speak the layer's language: its handshake is over. */
    bool (*is_established)(const struct transport *transport);
    /* Frees `state`. */
    void (*free)(struct transport *transport);
};

struct transport {
    int fd;                              /* the non-blocking socket; not owned */
    const struct transport_layer *layer; /* NULL: the bytes go as they are */
    void *state;                         /* the layer's */
};

/* Frees the layer's state; the socket stays open. */
static inline void transport_deinit(struct transport *transport)
{
    if (transport->layer != NULL)
        transport->layer->free(transport);
    transport->layer = NULL;
}

/* Receives up to size bytes. As recv, without EINTR. */
static inline ssize_t transport_read(struct transport *transport, void *to, size_t size)
{
    if (__builtin_expect(transport->layer != NULL, 0))
        return transport->layer->read(transport, to, size);
    ssize_t received;
    do
        received = recv(transport->fd, to, size, 0);
    while (received < 0 && errno == EINTR);
    return received;
}

/* Sends up to size bytes. As send, without EINTR and SIGPIPE. A call that gave EAGAIN must be made
   again with at least the same bytes, which may have moved, before others are sent. */
static inline ssize_t transport_write(struct transport *transport, const void *from, size_t size)
{
    if (__builtin_expect(transport->layer != NULL, 0))
        return transport->layer->write(transport, from, size);
    ssize_t sent;
    do
        sent = send(transport->fd, from, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* True when a read that asked for `size` bytes and got `received` says that nothing is left until the
   next event. A layer's short read says nothing by itself: it gives what one record held. */
static inline bool transport_is_drained(const struct transport *transport, size_t received,
                                        size_t size)
{
    if (transport->layer != NULL)
        return transport->layer->is_drained(transport);
    return received < size;
}

/* What to poll() for when reading (or writing) gave EAGAIN. */
static inline short transport_wanted_events(const struct transport *transport, bool to_write)
{
    if (transport->layer != NULL)
        return transport->layer->wanted_events(transport, to_write);
    return to_write ? POLLOUT : POLLIN;
}

/* True once bytes of requests can come: at once, or after the layer's handshake. */
static inline bool transport_is_established(const struct transport *transport)
{
    return transport->layer == NULL || transport->layer->is_established(transport);
}

/* Writes the peer's address as text, terminated: "127.0.0.1:50312", or "a Unix socket". */
void transport_peer(const struct transport *transport, char text[ADDRESS_TEXT_MAX]);

/*
 * Ends the sending side and throws away a bounded amount of what was received and will not be served:
 * closing a socket with unread input makes the kernel send a reset, which may overtake the last reply.
 */
void transport_finish(struct transport *transport);

/* The same of a socket, below any layer. */
void transport_discard(int fd);

#endif
