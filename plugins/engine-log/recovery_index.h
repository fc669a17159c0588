/*
 * Where the index of an opened store comes from: the snapshot of a clean stop, or the segments; and
 * leaving that snapshot.
 */
#ifndef ENGINE_LOG_RECOVERY_INDEX_H
#define ENGINE_LOG_RECOVERY_INDEX_H

#include "store.h"

/*
 * Makes db->index, and sets the segments' live_bytes and tombstone_bytes, db->sequence and
 * db->durable_sequence. segments: all that the store has, with their ends and counts. next: the
 * number that comes next as far as the segments' own numbers say. threads: at most so many work on
 * it. A snapshot that is damaged, or does not belong to these segments, is logged and not used.
 * KVS_OK, KVS_CORRUPT, KVS_IO, KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status recovery_index_make(struct kvs_db *db, struct segment *const *segments,
                                            uint32_t count, uint64_t next, uint32_t threads,
                                            struct kvs_error *err);

/*
 * Leaves the snapshot for the next start. The store is writable, all that was written is durable and in
 * the index, and no thread touches any of it any more. Without one the next start only takes longer,
 * so a failure is logged.
 */
void recovery_index_save(struct kvs_db *db);

#endif
