/*
 * libkvs: a blocking client for kvs-server's native protocol.
 *
 *     struct kvs_client_config config = {.size = sizeof(config), .address = "127.0.0.1:4000"};
 *     struct kvs_client *client;
 *     if (kvs_client_new(&config, &client, &error) != KVS_OK) ...
 *     kvs_client_set(client, key, value, &error);
 *     kvs_client_free(client);
 *
 * A client holds one connection, which it makes at the first call and keeps. When the connection
 * breaks, the call that notices gives KVS_NETWORK (or KVS_TIMEOUT) and the next call makes a new
 * one: a call is never sent twice, so after such a failure a write may or may not have happened.
 *
 * A password that the server does not accept makes each call give KVS_DENIED.
 *
 * Threads: a client is used by one thread at a time; different clients are independent.
 * Errors: each call returns KVS_OK, a positive outcome, or a negative status with err filled (err
 * may be NULL). Those of the server come with the server's message.
 */
#ifndef KVS_CLIENT_H
#define KVS_CLIENT_H

#include <kvs/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvs_client;

enum {                               /* kvs_client_config.flags */
    KVS_CLIENT_TLS = 1 << 0,         /* speak TLS 1.3 */
    KVS_CLIENT_TLS_INSECURE = 1 << 1 /* with whoever is there: take any certificate */
};

struct kvs_client_config {
    uint32_t size;
    uint32_t reserved;           /* 0 */
    const char *address;         /* "IP:PORT", "[IPv6]:PORT" or "unix:PATH"; NULL: 127.0.0.1:4000 */
    uint64_t connect_timeout_ms; /* 0: 5000 */
    uint64_t request_timeout_ms; /* 0: 30000; from sending to the whole reply */
    const char *password;        /* given to the server at each connection; NULL: none */

    uint32_t flags; /* KVS_CLIENT_* */
    uint32_t reserved2;
    /* With KVS_CLIENT_TLS: paths of PEM files. */
    const char *tls_ca;   /* who may vouch for the server; NULL: whom the system trusts */
    const char *tls_cert; /* our own certificate and key; NULL: none */
    const char *tls_key;
    const char
        *tls_server_name; /* what the server's certificate must name; NULL: the address's IP */
};

/* Checks the configuration and makes a client, without connecting. KVS_OK, KVS_INVALID (an address
   that does not parse, a password that is empty or too long, a certificate that is none), KVS_DENIED
   (others may read the key), KVS_UNSUPPORTED (a library without TLS), KVS_NO_MEMORY. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_new(const struct kvs_client_config *config,
                                                  struct kvs_client **ret_client,
                                                  struct kvs_error *err);

/* Closes the connection and frees the client. NULL is fine. */
KVS_EXPORT void kvs_client_free(struct kvs_client *client);

/* KVS_OK when the server answers. */
KVS_EXPORT kvs_status kvs_client_ping(struct kvs_client *client, struct kvs_error *err);

/* Stores the value of key as ret_value, a view that lives until the next call on this client.
   KVS_OK, KVS_NOT_FOUND. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_get(struct kvs_client *client, struct kvs_bytes key,
                                                  struct kvs_bytes *ret_value,
                                                  struct kvs_error *err);

/* KVS_OK: the value is stored, as durably as the server's --sync says. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_set(struct kvs_client *client, struct kvs_bytes key,
                                                  struct kvs_bytes value, struct kvs_error *err);

/* KVS_OK, KVS_NOT_FOUND. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_remove(struct kvs_client *client,
                                                     struct kvs_bytes key, struct kvs_error *err);

/* The server's figures as text, a "name value" line each; the view lives until the next call. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_stats(struct kvs_client *client,
                                                    struct kvs_bytes *ret_text,
                                                    struct kvs_error *err);

/* The library's version, "MAJOR.MINOR.PATCH". A constant. */
KVS_EXPORT const char *kvs_client_version(void);

#ifdef __cplusplus
}
#endif

#endif
