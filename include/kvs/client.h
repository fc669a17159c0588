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
    const char *address;         /* "IP:PORT", "[IPv6]:PORT" or "unix:PATH", with "tls:" in front
                             for KVS_CLIENT_TLS; NULL: 127.0.0.1:4000 */
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

/* ---- conditions, expiry, counters, several keys at once ---- */

/* clang-format off */
enum { /* kvs_client_op.kind */
    KVS_CLIENT_SET    = 1,
    KVS_CLIENT_REMOVE = 2,
    KVS_CLIENT_CHECK  = 3 /* writes nothing: only its condition counts */
};

enum { /* kvs_client_op.condition */
    KVS_CLIENT_IF_ALWAYS  = 0,
    KVS_CLIENT_IF_ABSENT  = 1,
    KVS_CLIENT_IF_PRESENT = 2,
    KVS_CLIENT_IF_EQUAL   = 3 /* present, and the value equals `expected` */
};

enum { /* what a time means */
    KVS_CLIENT_EXPIRES_NEVER = 0,
    KVS_CLIENT_EXPIRES_KEEP  = 1, /* as the key does now; only in an operation */
    KVS_CLIENT_EXPIRES_IN    = 2, /* milliseconds from now, at least 1 */
    KVS_CLIENT_EXPIRES_AT    = 3  /* Unix milliseconds, at least 1 */
};

enum { /* flags of kvs_client_batch */
    KVS_CLIENT_ALL_OR_NONE = 1u << 0 /* one failed condition: nothing is written */
};
/* clang-format on */

/* One operation of a batch. A zeroed one is to be filled in. */
struct kvs_client_op {
    uint32_t kind;      /* KVS_CLIENT_SET, ... */
    uint32_t condition; /* KVS_CLIENT_IF_* */
    uint32_t expires;   /* KVS_CLIENT_EXPIRES_*, of a set */
    kvs_status status;  /* out: KVS_OK, KVS_NOT_FOUND (a remove), KVS_CONDITION_FAILED */
    int64_t time_ms;
    struct kvs_bytes key;
    struct kvs_bytes value;    /* of a set */
    struct kvs_bytes expected; /* of KVS_CLIENT_IF_EQUAL */
};

/* Operations that take effect at one moment, in order: each sees those before it. KVS_OK: see each
   one's status; those whose condition failed were left out. KVS_CONDITION_FAILED
   (KVS_CLIENT_ALL_OR_NONE): nothing was written. All keys and values together have at most 64 MiB. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_batch(struct kvs_client *client,
                                                    struct kvs_client_op *ops, uint32_t count,
                                                    uint32_t flags, struct kvs_error *err);

/* Adds step to the decimal integer at key (0 if there is none), and stores the sum at ret_sum. It goes on
   to expire as it did. KVS_INVALID: the value is no integer, or the sum does not fit. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_increment(struct kvs_client *client,
                                                        struct kvs_bytes key, int64_t step,
                                                        int64_t *ret_sum, struct kvs_error *err);

/* One key of kvs_client_mget. */
struct kvs_client_lookup {
    struct kvs_bytes key;
    struct kvs_bytes value; /* out: a view that lives until the next call on this client */
    kvs_status status;      /* out: KVS_OK, KVS_NOT_FOUND */
    uint32_t reserved;      /* 0 */
};

/* Looks several keys up, each at a moment of its own. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_mget(struct kvs_client *client,
                                                   struct kvs_client_lookup *lookups,
                                                   uint32_t count, struct kvs_error *err);

/*
 * Shows the next of the server's keys: of about `limit` of them (0: 10) those that match the pattern
 * (* any bytes, ? one, [a-z] one of these, \ the next one as it is; empty: all). *cursor is 0 at the
 * start, then what the last call left there, and 0 at the end. Every key that is there from the start
 * to the end is shown, perhaps twice. visit may not use the client; non-zero from it gives KVS_STOPPED.
 */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_scan(
    struct kvs_client *client, uint64_t *cursor, uint32_t limit, struct kvs_bytes pattern,
    int32_t (*visit)(void *arg, struct kvs_bytes key), void *arg, struct kvs_error *err);

/* Changes when key expires. KVS_OK, KVS_NOT_FOUND. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_expire(struct kvs_client *client,
                                                     struct kvs_bytes key, uint32_t expires,
                                                     int64_t time_ms, struct kvs_error *err);

/* What kvs_client_look tells. */
struct kvs_client_info {
    uint64_t value_size;   /* bytes */
    int64_t expires_at_ms; /* Unix milliseconds; 0: never */
    int64_t left_ms;       /* until then, by the server's clock; -1: never */
};

/* Looks at a key without its value. KVS_OK, KVS_NOT_FOUND. */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_client_look(struct kvs_client *client, struct kvs_bytes key,
                                                   struct kvs_client_info *ret_info,
                                                   struct kvs_error *err);

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
