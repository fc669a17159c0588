/*
 * Appending: batches of operations become frames at the end of the active segment.
 *
 * One thread at a time appends, the holder of the append lock; batches that come meanwhile are queued
 * and taken along by it. Conditions are decided here, in append order, against the index and the
 * writes that are not in it yet.
 */
#ifndef ENGINE_LOG_APPENDER_H
#define ENGINE_LOG_APPENDER_H

#include "store.h"

KVS_MUST_USE kvs_status appender_init(struct kvs_db *db, struct kvs_error *err);
void appender_deinit(struct kvs_db *db);

/* Lets go of the append lock and looks after what was queued meanwhile. Whoever took the lock must
   let go of it with this, or with the next one. */
void appender_unlock(struct kvs_db *db);

/* The same, by a thread that is going to wait for the next commit round. True: nobody leads that one,
   it is to do so itself (committer_lead). */
KVS_MUST_USE bool appender_unlock_to_wait(struct kvs_db *db);

/* As kvs_engine_ops.submit. */
kvs_status appender_submit(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch);

/* As kvs_engine_ops.set and remove: waits, and does the waiting's work itself where it can. */
kvs_status appender_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                        struct kvs_bytes value, struct kvs_error *err);
kvs_status appender_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           struct kvs_error *err);

/* Completes the active segment and goes on in a new one, so that all there is can be sealed.
   Durable mode or not: its content is synced by the committer. */
kvs_status appender_roll(struct kvs_db *db, struct kvs_error *err);

/* Completes the active segment for good, when the store closes. Returns one to which nothing was
   appended, or NULL. */
struct segment *appender_finish(struct kvs_db *db);

#endif
