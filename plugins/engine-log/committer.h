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
/* Ends the thread, after the round at hand. One that was not started is fine. */
void committer_stop(struct kvs_db *db);

/* True when there is something for a round to do. The append lock is held. */
bool committer_is_wanted(const struct kvs_db *db);

/* Runs one round. By a thread that was made the leader and waits for its own write (LEADER_CALLER). */
void committer_lead(struct kvs_db *db);

/* Tells the committer's thread that it was made the leader (LEADER_COMMITTER). */
void committer_call(struct kvs_db *db);

/* Returns when all that was appended before the call is durable. */
kvs_status committer_sync(struct kvs_db *db, struct kvs_error *err);

#endif
