/*
 * The client's side of TLS. Without OpenSSL in the build (client_tls_none.c) none can be made.
 *
 * A client_tls is what a client's connections have in common, a client_stream is one of them. Used by one
 * thread at a time.
 */
#ifndef CLIENT_CLIENT_TLS_H
#define CLIENT_CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <kvs/types.h>

#include "base/address.h"

/* Paths of PEM files, each may be NULL. Views. */
struct client_tls_config {
    const char *ca; /* the server's certificate must come from one of these; NULL: the system's */
    const char *certificate; /* ours */
    const char *key;
    const char *server_name; /* what the server's certificate must name; NULL: the address's IP */
    bool insecure;           /* whatever the server's certificate is */
};

struct client_tls;
struct client_stream;

/* Reads the files. KVS_OK; KVS_INVALID, KVS_DENIED (others may read the key), KVS_UNSUPPORTED (no TLS in this
   build), KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status client_tls_new(const struct client_tls_config *config,
                                       struct client_tls **ret_tls, struct kvs_error *err);
/* NULL is fine. Streams may outlive it. */
void client_tls_free(struct client_tls *tls);

/* A stream over a connected non-blocking socket, which stays the caller's. NULL: out of memory. */
struct client_stream *client_stream_new(struct client_tls *tls, int fd,
                                        const struct address *address);
/* Says good-bye if it can, and frees. NULL is fine. */
void client_stream_free(struct client_stream *stream);

/* As those of tls_stream.h. */
int client_stream_handshake(struct client_stream *stream);
ssize_t client_stream_read(struct client_stream *stream, void *to, size_t size);
ssize_t client_stream_write(struct client_stream *stream, const void *from, size_t size);
short client_stream_wanted(const struct client_stream *stream);
bool client_stream_is_quiet(struct client_stream *stream);
/* Why the last call gave EPROTO. */
const char *client_stream_reason(const struct client_stream *stream);

#endif
