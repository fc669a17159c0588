/*
 * The store that commands work on: one open database of one engine, with what the host adds to the
 * engine interface: limits, one writer at a time for engines that want that, and a batch call with
 * conditions for engines that have none.
 *
 * Threads: everything here is safe from any thread once store_open returned.
 */
#ifndef COMMAND_STORE_H
#define COMMAND_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <kvs/engine.h>

#include "protocol/request.h"

#define STORE_STRIPES 64u /* a set of them fits a word */

struct hints;

struct store {
    const struct kvs_engine_ops *engine; /* the loader's checked copy; outlives the store */
    struct kvs_db *db;
    /* Written once by who opens it (release), read by any thread that serves (acquire: it sees db). */
    _Atomic bool is_open;
    struct request_limits limits; /* the server's, lowered to the engine's; bytes */
    uint64_t batch_bytes_max;
    uint64_t batch_ops_max;
    pthread_mutex_t writer; /* held around writes of an engine without CONCURRENT_WRITERS */
    bool one_writer;
    /* The earliest moment (Unix milliseconds) at which something expires that was set since the
       sweeper's last pass began (keyspace.h); INT64_MAX: nothing was. Lowered by any writer before the
       value is in the engine, release: whoever then leaves it as it is (acquire) need not ask
       is_plain; taken by the sweeper, release: who then finds INT64_MAX (acquire) also finds
       expiry_seen. */
    _Atomic int64_t expiry_due_ms;
    /* False: the sweeper's last passes saw nothing that expires, or the store is plain. Written by the
       sweeper only, once it runs. */
    _Atomic bool expiry_seen;
    /* Something was never set here that expires: before the first that does, before_expiry says so to the
       next start. Taken back once, under expiry_lock; read by any writer that sets such a value:
       acquire. */
    _Atomic bool is_plain;
    pthread_mutex_t expiry_lock;
    kvs_status (*before_expiry)(void *arg, struct kvs_error *err);
    void *before_expiry_arg;
    /* Called when that was lowered, on any thread; NULL: nobody asks. Set before the store is used. */
    void (*expiry_lowered)(void *arg);
    void *expiry_lowered_arg;
    struct hints *hints; /* owned; where writes wait for the disk, else NULL */
    /* Of an engine without submit: whoever writes a key holds the stripe of its hash, so that nobody
       changes it between the look at a condition and the write. Several are taken in rising order,
       before `writer`. */
    pthread_mutex_t stripes[STORE_STRIPES];
    const char *engine_name; /* for checkpoints; whoever opened it sets it. NULL: there are none */
};

/* Opens the engine's store. limits: what the server allows. KVS_OK, or what the engine said; then
   nothing is left to close. */
KVS_MUST_USE kvs_status store_open(struct store *store, const struct kvs_engine_ops *engine,
                                   const struct kvs_engine_config *config,
                                   const struct request_limits *limits, struct kvs_error *err);

/* The two halves of store_open. Between them the store's limits are known, and everything else waits
   until store_is_open. A prepared store is closed like an open one. */
void store_prepare(struct store *store, const struct kvs_engine_ops *engine,
                   const struct request_limits *limits);
KVS_MUST_USE kvs_status store_open_prepared(struct store *store,
                                            const struct kvs_engine_config *config,
                                            struct kvs_error *err);

static inline bool store_is_open(const struct store *store)
{
    return atomic_load_explicit(&store->is_open, memory_order_acquire);
}

/* Closes it: what was acknowledged is durable when this gives KVS_OK. No call is outstanding. A
   zeroed or closed store is fine. */
kvs_status store_close(struct store *store, struct kvs_error *err);

/* False: nothing in the store expires. */
static inline bool store_is_expiring(const struct store *store)
{
    return atomic_load_explicit(&store->expiry_due_ms, memory_order_acquire) != INT64_MAX ||
           atomic_load_explicit(&store->expiry_seen, memory_order_relaxed);
}

/* For a prepared store in which nothing expires: before_expiry is called once, by whoever first sets
   something that does, and may wait for the disk. */
void store_set_plain(struct store *store,
                     kvs_status (*before_expiry)(void *arg, struct kvs_error *err), void *arg);

/* Lowers expiry_due_ms. As store_note_expiry. */
KVS_MUST_USE kvs_status store_lower_expiry(struct store *store, int64_t expires_at_ms,
                                           struct kvs_error *err);

/* Says that something is about to be set that expires. KVS_OK, or what before_expiry gave: then it must
   not be set. */
KVS_MUST_USE static inline kvs_status store_note_expiry(struct store *store, int64_t expires_at_ms,
                                                        struct kvs_error *err)
{
    if (expires_at_ms < atomic_load_explicit(&store->expiry_due_ms, memory_order_acquire))
        return store_lower_expiry(store, expires_at_ms, err);
    return KVS_OK;
}

/* True when writes may complete later, so that store_submit can give KVS_PENDING. */
static inline bool store_writes_complete_later(const struct store *store)
{
    return store->engine->submit != NULL;
}

/* As kvs_engine_ops.get. */
static inline kvs_status store_get(const struct store *store, struct kvs_tls *tls,
                                   struct kvs_bytes key, kvs_value_fn visit, void *arg,
                                   struct kvs_error *err)
{
    return store->engine->get(store->db, tls, key, visit, arg, err);
}

/* As kvs_engine_ops.get_many; on an engine without it one key after the other, before this returns. */
kvs_status store_get_many(const struct store *store, struct kvs_tls *tls,
                          struct kvs_get_many *request);

/*
 * Applies a batch. As kvs_engine_ops.submit. On an engine without it each operation is done on its
 * own, before this returns, and its condition holds at that moment. There KVS_BATCH_ALL_OR_NONE
 * decides all conditions first, against the store as it is before the batch (so each key is to be
 * named once), and a fault or a crash half-way leaves what was done until then; a fault's status is
 * also the whole's.
 */
kvs_status store_submit(struct store *store, struct kvs_tls *tls, struct kvs_batch *batch);

/*
 * Writes a consistent copy of the store, which a server can open as its data directory, into path: a
 * new or empty directory. Durable when this gives KVS_OK; reads and writes go on meanwhile. It may
 * take long (it syncs, and may copy files), so it is no call for a thread that serves clients.
 * KVS_UNSUPPORTED: the engine cannot; otherwise as copy_dir_begin() and kvs_engine_ops.checkpoint.
 * After a failure, a crash included, what is at path is not opened as a store.
 */
KVS_MUST_USE kvs_status store_checkpoint(struct store *store, const char *path,
                                         struct kvs_error *err);

#endif
