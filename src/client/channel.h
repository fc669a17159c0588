/*
 * One connection (TCP or a Unix socket, with TLS or without) on which every wait ends at a deadline.
 *
 * Used by one thread at a time. A failure of channel_send or channel_receive leaves the stream at
 * an unknown place: the caller then closes the channel. No call raises SIGPIPE.
 */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <kvs/types.h>

#include "base/address.h"
#include "base/buffer.h"
#include "client/client_tls.h"

/* A moment on the monotonic clock, and how long that was from its making (for messages). */
struct deadline {
    uint64_t at_ns;
    uint64_t timeout_ms;
};

struct deadline deadline_in_ms(uint64_t timeout_ms);

struct channel {
    struct address address;
    char name[ADDRESS_TEXT_MAX];  /* the address as text, for messages */
    int fd;                       /* owned; -1: closed */
    struct client_tls *tls;       /* NULL: the bytes go as they are. Not owned */
    struct client_stream *stream; /* owned; NULL: closed, or without TLS */
};

/* A closed channel to address. tls may be NULL, and must outlive it. */
void channel_init(struct channel *channel, const struct address *address, struct client_tls *tls);

/* Connects a closed channel, the TLS handshake included. KVS_OK, KVS_TIMEOUT, KVS_NETWORK. */
KVS_MUST_USE kvs_status channel_open(struct channel *channel, const struct deadline *deadline,
                                     struct kvs_error *err);

/* Closes it; a closed one is fine. */
void channel_close(struct channel *channel);

/*
 * True for an open connection between two requests: the peer has neither closed it nor sent
 * anything that nobody asked for. Costs one system call, which does not wait.
 */
bool channel_is_idle(struct channel *channel);

/*
 * Sends the parts (which are changed) one behind the other, by one system call where the socket
 * takes all of it. KVS_OK, KVS_TIMEOUT, KVS_NETWORK, or KVS_STOPPED: the peer answered or closed
 * before it had taken everything; what it said can still be received.
 */
KVS_MUST_USE kvs_status channel_send(struct channel *channel, struct iovec *parts,
                                     uint32_t part_count, const struct deadline *deadline,
                                     struct kvs_error *err);

/*
 * Appends what arrives to buffer until it holds size bytes; it may then hold more. KVS_OK,
 * KVS_TIMEOUT, KVS_NETWORK (also when the peer closed before that), KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status channel_receive(struct channel *channel, struct buffer *buffer, size_t size,
                                        const struct deadline *deadline, struct kvs_error *err);

#endif
