/* See client_tls.h: a build without OpenSSL. There are no streams, so none of their calls is ever made. */
#include "client/client_tls.h"

#include <stdlib.h>

kvs_status client_tls_new(const struct client_tls_config *config, struct client_tls **ret_tls,
                          struct kvs_error *err)
{
    (void)config;
    (void)ret_tls;
    return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                         "this client was built without TLS: build it with OpenSSL (meson setup "
                         "-Dtls=enabled)");
}

void client_tls_free(struct client_tls *tls)
{
    (void)tls;
}

struct client_stream *client_stream_new(struct client_tls *tls, int fd,
                                        const struct address *address)
{
    (void)tls;
    (void)fd;
    (void)address;
    abort();
}

void client_stream_free(struct client_stream *stream)
{
    (void)stream;
}

int client_stream_handshake(struct client_stream *stream)
{
    (void)stream;
    abort();
}

ssize_t client_stream_read(struct client_stream *stream, void *to, size_t size)
{
    (void)stream;
    (void)to;
    (void)size;
    abort();
}

ssize_t client_stream_write(struct client_stream *stream, const void *from, size_t size)
{
    (void)stream;
    (void)from;
    (void)size;
    abort();
}

short client_stream_wanted(const struct client_stream *stream)
{
    (void)stream;
    abort();
}

bool client_stream_is_quiet(struct client_stream *stream)
{
    (void)stream;
    abort();
}

const char *client_stream_reason(const struct client_stream *stream)
{
    (void)stream;
    abort();
}
