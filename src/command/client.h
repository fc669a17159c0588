/*
 * What the server knows of a client that speaks RESP, beside its socket: identity, what it chose with
 * HELLO and CLIENT, and what it is in the middle of. The connection embeds it.
 */
#ifndef COMMAND_CLIENT_H
#define COMMAND_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/address.h"

struct multi; /* resp_multi.h */

struct client {
    /* Constant from the first request on. */
    uint64_t id;                          /* never used twice by a server; ascending */
    int64_t created_ms;                   /* Unix time */
    char address[ADDRESS_TEXT_MAX];       /* the peer's, "127.0.0.1:50312"; "unix" without one */
    char local_address[ADDRESS_TEXT_MAX]; /* the server's end */

    bool trusted; /* came in where no password is wanted */

    /* Only the thread that serves the client. */
    bool authenticated;       /* or needs no password */
    bool close_after_reply;   /* set by a command: QUIT */
    bool replies_off;         /* CLIENT REPLY OFF */
    bool skips_reply;         /* of the request that is served now: CLIENT REPLY SKIP came before it */
    bool skips_next_reply;
    uint32_t wrong_passwords; /* given so far */
    struct multi *multi;      /* owned; NULL: no MULTI and no WATCH */

    /* Written by the thread that serves, read by others for CLIENT LIST; relaxed: they order nothing. */
    _Atomic uint32_t resp_version;      /* 2 or 3 */
    _Atomic uint32_t in_multi;          /* 1 between MULTI and EXEC */
    _Atomic int64_t last_active_ms;     /* Unix time */
    _Atomic(const char *) last_command; /* a constant; NULL: none yet */

    /* Guarded by lock; NULL: never set. */
    pthread_mutex_t lock;
    char *name;
    char *library_name;
    char *library_version;
};

/* What is different in each client; the addresses may be NULL. */
void client_init(struct client *client, uint64_t id, int64_t now_ms, const char *address,
                 const char *local_address);
/* Frees what it holds, all but `multi`, which is gone by then. */
void client_deinit(struct client *client);

static inline uint32_t client_resp_version(const struct client *client)
{
    return atomic_load_explicit(&client->resp_version, memory_order_relaxed);
}

/* The request that is served now gets no reply. */
static inline bool client_is_muted(const struct client *client)
{
    return client->replies_off || client->skips_reply;
}

/* A request was served, whether or not it was answered. */
static inline void client_end_request(struct client *client)
{
    client->skips_reply = client->skips_next_reply;
    client->skips_next_reply = false;
}

/* Sets one of the texts to a copy; empty: to none. KVS_OK; KVS_NO_MEMORY; KVS_INVALID: text holds a
   blank, a line end or what is not printable, which CLIENT LIST could not show. */
KVS_MUST_USE kvs_status client_set_text(struct client *client, char **text, struct kvs_bytes value);

#endif
