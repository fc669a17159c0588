/*
 * One side of a TLS connection over a non-blocking socket, with the semantics of recv() and send(): for
 * the server's connections and for the client.
 *
 * Nothing here blocks, raises SIGPIPE or logs. The handshake happens within the first reads and writes. A
 * stream is used by one thread at a time.
 */
#ifndef TLS_TLS_STREAM_H
#define TLS_TLS_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <kvs/types.h>

struct tls_stream {
    SSL *ssl;         /* owned; NULL: none */
    short wanted;     /* POLLIN or POLLOUT: what the last EAGAIN waits for */
    bool broken;      /* a fault ended it */
    bool deaf;        /* the socket takes no more; what it has received can still be read */
    char reason[128]; /* why it is broken; "" : it is not */
};

/* Makes the stream of a context over a socket, which stays the caller's. KVS_NO_MEMORY: nothing is made. */
KVS_MUST_USE kvs_status tls_stream_init(struct tls_stream *stream, SSL_CTX *context, int fd,
                                        bool is_server);
/* Frees it; the socket stays open. A zeroed one is fine. */
void tls_stream_deinit(struct tls_stream *stream);

/*
 * As recv and send, without EINTR. EAGAIN: wait for `wanted`, then call again (a write with at least the same
 * bytes, which may have moved). EPROTO: TLS failed, `reason` says why, and the peer was told if that was
 * possible. 0 of a read: the peer has ended.
 */
ssize_t tls_stream_read(struct tls_stream *stream, void *to, size_t size);
ssize_t tls_stream_write(struct tls_stream *stream, const void *from, size_t size);

/* Goes on with the handshake. 0: it is done; -1 with errno as above (ECONNRESET: the peer went). */
int tls_stream_handshake(struct tls_stream *stream);
bool tls_stream_is_established(const struct tls_stream *stream);

/* After a read that gave something: true when nothing is left, neither here nor in the socket. */
bool tls_stream_is_drained(const struct tls_stream *stream);

/* True between two messages: nothing was received that is not read, and the peer has not ended. */
bool tls_stream_is_quiet(struct tls_stream *stream);

/* Tells the peer that nothing more will come. Best effort. */
void tls_stream_end_output(struct tls_stream *stream);

/* What OpenSSL has to say of the failure of a call that was not a stream's, as one line. Empties its
   list of errors of this thread. */
void tls_explain(char *text, size_t size);

#endif
