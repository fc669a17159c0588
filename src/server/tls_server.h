/*
 * The server's side of TLS: certificates, and the transport layer of connections that come in at a "tls:"
 * listener. TLS 1.3 only. Without OpenSSL in the build (tls_server_none.c) none can be made.
 *
 * Safe from any thread; one connection's layer is used by one thread at a time.
 */
#ifndef SERVER_TLS_SERVER_H
#define SERVER_TLS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/log.h"
#include "server/transport.h"

/* Paths of PEM files. Views. */
struct tls_config {
    const char *certificate; /* with the chain up to the root behind it */
    const char *key;
    const char *client_ca; /* NULL: clients are not asked for certificates */
    bool client_optional;  /* who has none may come in all the same */
};

struct tls_figures {
    uint64_t handshakes; /* that came to an end */
    uint64_t failures;   /* and that did not, but for peers that just went away */
};

struct tls_server;

/* Reads the files. KVS_OK; KVS_INVALID (something is missing, or is not what it should be), KVS_DENIED (others
   may read the key), KVS_UNSUPPORTED (no TLS in this build), KVS_NO_MEMORY. log must outlive it. */
KVS_MUST_USE kvs_status tls_server_new(const struct tls_config *config, const struct log *log,
                                       struct tls_server **ret_tls, struct kvs_error *err);

/* Reads the files again: connections that begin from now on get what they say. A failure changes nothing. */
KVS_MUST_USE kvs_status tls_server_reload(struct tls_server *tls, const struct tls_config *config,
                                          struct kvs_error *err);

/* Makes a transport over a socket speak TLS. KVS_NO_MEMORY: it stays as it is. */
KVS_MUST_USE kvs_status tls_server_begin(struct tls_server *tls, struct transport *transport);

/* NULL is fine, and has done nothing. */
struct tls_figures tls_server_count(const struct tls_server *tls);

/* No transport uses it any more. NULL is fine. */
void tls_server_free(struct tls_server *tls);

#endif
