/*
 * Read transactions: a fixed set of slots, each with one that is begun once and then renewed and
 * reset for each read section, because that costs no lock and no memory. An attached thread owns a
 * slot; whoever has none borrows one for the length of a section.
 */
#ifndef ENGINE_LMDB_READER_H
#define ENGINE_LMDB_READER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lmdb.h>

#include <kvs/engine.h>

#include "store.h"

#define READER_LINE 64 /* bytes of a cache line: slots are written by different threads */

struct reader {
    _Alignas(READER_LINE) atomic_uint state; /* see reader.c */
    MDB_txn *txn; /* NULL, reset, or active; whoever made state active, else the drainer */
};

/* What thread_attach gives out. */
struct kvs_tls {
    struct reader *reader; /* NULL: all were taken, so this thread borrows */
};

struct reader_pool {
    /* Constant after init. */
    const struct store *store;
    struct reader *slots; /* owned */
    uint32_t count;
    uint32_t lent_count;  /* the first ones, which no thread may own */
    uint32_t usual_count; /* of these, the ones to try first */

    /* Read in each section, seldom written. */
    atomic_bool draining;            /* sections may not begin; the drainer writes it */
    atomic_uint watchers;            /* threads that want to hear when a slot is left */
    _Atomic uint64_t committing_txn; /* the write transaction that commits or did last; the
                                        leader writes it */

    pthread_mutex_t mutex;  /* for changed only */
    pthread_cond_t changed; /* a slot was left with watchers about, or the draining ended */
    pthread_rwlock_t pins;  /* read: whoever reads for long; write: the drainer */
};

/* max_readers slots; the store outlives the pool. KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status reader_pool_init(struct reader_pool *pool, const struct store *store,
                                         uint32_t max_readers, struct kvs_error *err);
/* Ends the transactions. No section is open, no thread attached. Also of a zeroed pool. */
void reader_pool_deinit(struct reader_pool *pool);

/* Gives tls a slot of its own if one can be spared. */
void reader_attach(struct reader_pool *pool, struct kvs_tls *tls);
void reader_detach(struct reader_pool *pool, struct kvs_tls *tls);

/*
 * Begins a section: ret_reader->txn sees the last commit. Never blocks for long: waits while the
 * map is being moved, and for a slot when more threads read than there are slots. tls may be NULL.
 * Ends with reader_end. Statuses as get.
 */
KVS_MUST_USE kvs_status reader_begin(struct reader_pool *pool, struct kvs_tls *tls,
                                     struct reader **ret_reader, struct kvs_error *err);
void reader_end(struct reader_pool *pool, struct kvs_tls *tls, struct reader *reader);

/* Around what may read for long (a scan, a copy): whoever wants to move the map waits for it before
   he keeps others from beginning. reader_begin comes after reader_pin. */
void reader_pin(struct reader_pool *pool);
void reader_unpin(struct reader_pool *pool);

/* Waits until no section and no pin is left and keeps new ones waiting; ends with
   reader_pool_resume. For the leader only. */
void reader_pool_drain(struct reader_pool *pool);
void reader_pool_resume(struct reader_pool *pool);

/* While drained: ends all transactions, so that the environment can be closed. */
void reader_pool_end_transactions(struct reader_pool *pool);

/* The leader says which write transaction it is about to commit. */
void reader_pool_commit_begins(struct reader_pool *pool, uint64_t txn_id);

#endif
