/*
 * What a request means. The table names every command and says how it is served: as a read (at
 * once, on the calling thread), or as a write (an operation of a batch, which may complete later).
 *
 * Nothing here knows of sockets: a request comes in, and a reply is appended to a buffer.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include <stdbool.h>

#include <kvs/engine.h>

#include "base/buffer.h"
#include "command/hooks.h"
#include "command/keyspace.h"
#include "command/resp_table.h"
#include "command/store.h"
#include "protocol/codec.h"
#include "protocol/request.h"

#define LOADING_TEXT_MAX 128u

/* How far the opening of the store is. */
struct loading {
    int64_t started_ms; /* Unix time; 0: not yet */
    uint64_t done;      /* of total, in whatever the engine counts; total 0: not known */
    uint64_t total;
};

/* What commands need of the server around them. Read-only while it serves. */
struct command_context {
    struct store *store;
    struct keyspace *keyspace; /* NULL: there is none, and what needs it says so */
    const char *engine_name;
    /* Shows the server's own figures (connections, requests, pool, engine), for "stats". */
    void (*visit_stats)(void *arg, kvs_stat_fn visit, void *visit_arg);
    void *visit_stats_arg;
    /* Writes why the store is not open yet and how far it is, terminated. Any thread. */
    void (*format_loading)(void *arg, char *text, size_t text_size);
    /* The same as figures. */
    void (*show_loading)(void *arg, struct loading *ret);
    void *loading_arg;
    struct hooks hooks;
    const struct resp_table *resp_commands; /* of the Redis protocol */
};

struct native_call;

/* Where a reply goes. */
struct command_reply {
    const struct codec *codec;
    struct buffer *out;
};

struct command {
    uint32_t id; /* REQUEST_* */
    const char *name;
    bool loading_ok;   /* needs no store: served while it is being opened */
    bool before_login; /* may be used before a password was given */
    /* A read: serves the request and appends its reply. KVS_OK, or KVS_NO_MEMORY when the reply
       could not be written: the connection must then be closed. NULL for a write, and for what
       changes the session itself (auth). */
    kvs_status (*read)(const struct command_context *context, struct kvs_tls *tls,
                       const struct request *request, const struct command_reply *reply);
    /* A write: turns the request into an operation, whose views are the request's. NULL for a read.
     */
    void (*prepare)(const struct request *request, struct kvs_op *op);
    /* Runs over a transaction (native_keys.h): the only way of those that read, decide and write, and
       the one of writes for which an operation alone is not enough (command_needs_run). NULL for
       others. */
    kvs_status (*run)(struct native_call *call);
    bool writes; /* with run: its transaction is committed */
};

/* True for a write that must go through run: its value looks like a stored one with a trailer, or
   whether the key is there depends on whether it expired. */
bool command_needs_run(const struct command *command, const struct store *store,
                       const struct request *request);

/* The command of a request's number; NULL when there is none. */
const struct command *command_find(uint32_t id);

/*
 * Appends the reply to a write whose operation ended with status. message: the fault's, for a
 * negative status; NULL: the status's own text. As read's result.
 */
kvs_status command_reply_write(const struct command_reply *reply, uint64_t id, kvs_status status,
                               const char *message);

/* Appends the reply to a get that found this (value.h): the value, or that it expired. As read's
   result. */
kvs_status command_reply_stored(const struct command_reply *reply, uint64_t id,
                                struct kvs_bytes stored);

#endif
