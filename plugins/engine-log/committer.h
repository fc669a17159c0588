/*
 * Committing: making what was appended durable, many writes with one flush (group commit).
 *
 * A commit round syncs every segment that was appended to since the last one, then (with
 * KVS_DURABILITY_ALWAYS) publishes the records, and completes the batches that waited. One round at
 * a time, run by its leader: a caller that waits anyway, or the committer's thread.
 */
#ifndef ENGINE_LOG_COMMITTER_H
#define ENGINE_LOG_COMMITTER_H

#include "store.h"

/* Starts the thread. KVS_OK, KVS_NO_MEMORY (no thread to be had). */
KVS_MUST_USE kvs_status committer_start(struct kvs_db *db, struct kvs_error *err);
/* Runs a last round and ends the thread. One that was not started is fine. */
void committer_stop(struct kvs_db *db);

/* Says that writes wait for a round which nobody leads by waiting. */
void committer_want_round(struct kvs_db *db);
/* Says that complete segments wait to be synced and sealed. Under the append lock. */
void committer_want_rolled(struct kvs_db *db);

/* Waits until *status (guarded by commit_lock) is no longer KVS_PENDING, leading rounds meanwhile. */
void committer_wait(struct kvs_db *db, const kvs_status *status);

/* Returns when all that was appended before the call is durable. */
kvs_status committer_sync(struct kvs_db *db, struct kvs_error *err);

#endif
