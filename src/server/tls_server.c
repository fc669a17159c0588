/*
 * See tls_server.h. The context is replaced by a reload, under the lock; a connection's SSL holds the one that it
 * began with. A handshake is nothing of its own: it happens in the first reads of a connection, on the
 * pool, and between two of its messages no thread is held.
 *
 * I1  A connection's failure is counted and logged once.
 */
#include "server/tls_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/native.h"
#include "server/tls_causes.h"
#include "server/tls_context.h"
#include "tls/tls_stream.h"

#define HANDSHAKE_RECORD 0x16 /* the first byte of who speaks TLS */

struct tls_server {
    const struct log *log;
    pthread_mutex_t lock;
    SSL_CTX *context; /* guarded by lock */
    struct tls_causes causes;
    _Atomic uint64_t handshakes; /* relaxed: they order nothing */
    _Atomic uint64_t failures;
};

/* A transport's state. */
struct tls_layer {
    struct tls_stream stream;
    struct tls_server *tls;
    char peer[ADDRESS_TEXT_MAX]; /* a socket whose peer is gone has forgotten it */
    bool begun;                  /* the peer's first byte is one of TLS */
    bool finished;               /* the handshake's end, good or bad, is counted (I1) */
};

kvs_status tls_server_new(const struct tls_config *config, const struct log *log,
                          struct tls_server **ret_tls, struct kvs_error *err)
{
    SSL_CTX *context;
    kvs_status status = tls_context_new(config, log, &context, err);
    if (status != KVS_OK)
        return status;
    struct tls_server *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        SSL_CTX_free(context);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    }
    tls->log = log;
    tls->context = context;
    tls_causes_init(&tls->causes);
    (void)pthread_mutex_init(&tls->lock, NULL);
    *ret_tls = tls;
    return KVS_OK;
}

kvs_status tls_server_reload(struct tls_server *tls, const struct tls_config *config,
                             struct kvs_error *err)
{
    SSL_CTX *context;
    kvs_status status = tls_context_new(config, tls->log, &context, err);
    if (status != KVS_OK)
        return status;
    (void)pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    (void)pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(before);
    return KVS_OK;
}

struct tls_figures tls_server_count(const struct tls_server *tls)
{
    struct tls_figures figures = {0};
    if (tls != NULL) {
        figures.handshakes = atomic_load_explicit(&tls->handshakes, memory_order_relaxed);
        figures.failures = atomic_load_explicit(&tls->failures, memory_order_relaxed);
    }
    return figures;
}

void tls_server_free(struct tls_server *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    tls_causes_deinit(&tls->causes);
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* ---- failures ----------------------------------------------------------------------------- */

static const char *hint_for(const char *reason)
{
    static const struct {
        const char *part;
        const char *hint;
    } hints[] = {
        {"peer did not return a certificate",
         "--tls-client-ca asks for one (kvs-client: --cert and --key)"},
        {"unsupported protocol", "it speaks an older version than TLS 1.3"},
        {"alert unknown ca", "it does not trust our certificate (kvs-client: --ca)"},
        {"alert bad certificate", "it does not accept our certificate"},
        {"unable to get local issuer certificate", "it is not of the CA of --tls-client-ca"},
        {"self-signed certificate", "it is not of the CA of --tls-client-ca"},
        {"alert certificate expired", "our certificate has expired, as it says"},
        {"alert certificate unknown", "it does not accept our certificate"},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strstr(reason, hints[i].part) != NULL)
            return hints[i].hint;
    }
    return "";
}

/* Notes the end of a connection by a fault of TLS, and lets the peer see what we said about it. */
static void fail(struct transport *transport, const char *reason, const char *hint)
{
    struct tls_layer *layer = transport->state;
    if (!layer->finished) {
        layer->finished = true;
        (void)atomic_fetch_add_explicit(&layer->tls->failures, 1, memory_order_relaxed);
    }
    tls_causes_note(&layer->tls->causes, layer->tls->log, layer->peer, reason, hint);
    transport_discard(transport->fd);
    layer->stream.broken = true;
    errno = EPROTO;
}

/* Tells a peer that does not speak TLS so, in what it seems to speak. */
static void refuse_plain(struct transport *transport, uint8_t first)
{
    static const char text[] = "this address speaks TLS (kvs-client, redis-cli: --tls)";
    uint8_t reply[NATIVE_HEADER_SIZE + sizeof(text) + 8];
    int size;
    if (first == NATIVE_MAGIC_REQUEST) {
        native_encode_reply(reply, 0, KVS_PROTOCOL, sizeof(text) - 1);
        memcpy(reply + NATIVE_HEADER_SIZE, text, sizeof(text) - 1);
        size = NATIVE_HEADER_SIZE + (int)sizeof(text) - 1;
    } else {
        size = snprintf((char *)reply, sizeof(reply), "-ERR %s\r\n", text);
    }
    (void)send(transport->fd, reply, (size_t)size, MSG_NOSIGNAL);
    fail(transport, "it does not speak TLS",
         "it must at this address (kvs-client, redis-cli: --tls)");
}

/* ---- the layer ---------------------------------------------------------------------------- */

/* What comes first decides whether this is TLS at all. 1: it is; 0, -1: as read. */
static int look_at_first(struct transport *transport, struct tls_layer *layer)
{
    uint8_t first;
    ssize_t received;
    do
        received = recv(transport->fd, &first, 1, MSG_PEEK);
    while (received < 0 && errno == EINTR);
    layer->stream.wanted = POLLIN;
    if (received <= 0)
        return (int)received;
    if (first != HANDSHAKE_RECORD) {
        refuse_plain(transport, first);
        return -1;
    }
    layer->begun = true;
    return 1;
}

/* The client's last message of the handshake gets no answer. One that sends its first request behind it
   and has not turned Nagle's algorithm off would wait 40 ms for its acknowledgement. */
static void acknowledge(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)); /* no Unix socket has it */
}

/* Counts the handshake when it is over, and gives the result back. */
static ssize_t conclude(struct transport *transport, struct tls_layer *layer, ssize_t result)
{
    if (!layer->finished && tls_stream_is_established(&layer->stream)) {
        layer->finished = true;
        (void)atomic_fetch_add_explicit(&layer->tls->handshakes, 1, memory_order_relaxed);
        acknowledge(transport->fd);
    }
    if (result < 0 && errno == EPROTO && layer->stream.reason[0] != '\0') {
        char reason[sizeof(layer->stream.reason)];
        memcpy(reason, layer->stream.reason, sizeof(reason));
        layer->stream.reason[0] = '\0';
        fail(transport, reason, hint_for(reason));
    }
    return result;
}

static ssize_t layer_read(struct transport *transport, void *to, size_t size)
{
    struct tls_layer *layer = transport->state;
    if (!layer->begun) {
        int begun = look_at_first(transport, layer);
        if (begun != 1)
            return begun;
    }
    return conclude(transport, layer, tls_stream_read(&layer->stream, to, size));
}

static ssize_t layer_write(struct transport *transport, const void *from, size_t size)
{
    struct tls_layer *layer = transport->state;
    return conclude(transport, layer, tls_stream_write(&layer->stream, from, size));
}

static bool layer_is_drained(const struct transport *transport)
{
    const struct tls_layer *layer = transport->state;
    return tls_stream_is_drained(&layer->stream);
}

static void layer_end_output(struct transport *transport)
{
    struct tls_layer *layer = transport->state;
    tls_stream_end_output(&layer->stream);
}

static short layer_wanted_events(const struct transport *transport, bool to_write)
{
    const struct tls_layer *layer = transport->state;
    (void)to_write; /* what the last try wanted, which was for that */
    return layer->stream.wanted;
}

static bool layer_is_established(const struct transport *transport)
{
    const struct tls_layer *layer = transport->state;
    return tls_stream_is_established(&layer->stream);
}

static void layer_free(struct transport *transport)
{
    struct tls_layer *layer = transport->state;
    tls_stream_deinit(&layer->stream);
    free(layer);
}

static const struct transport_layer tls_transport = {
    .read = layer_read,
    .write = layer_write,
    .is_drained = layer_is_drained,
    .end_output = layer_end_output,
    .wanted_events = layer_wanted_events,
    .is_established = layer_is_established,
    .free = layer_free,
};

kvs_status tls_server_begin(struct tls_server *tls, struct transport *transport)
{
    struct tls_layer *layer = calloc(1, sizeof(*layer));
    if (layer == NULL)
        return KVS_NO_MEMORY;
    (void)pthread_mutex_lock(&tls->lock);
    kvs_status status = tls_stream_init(&layer->stream, tls->context, transport->fd, true);
    (void)pthread_mutex_unlock(&tls->lock);
    if (status != KVS_OK) {
        free(layer);
        return status;
    }
    layer->tls = tls;
    transport_peer(transport, layer->peer);
    transport->layer = &tls_transport;
    transport->state = layer;
    return KVS_OK;
}
