/*
 * Checkpoints: a consistent copy of an open store in another folder, while writes, compaction and
 * growth go on.
 *
 * Sealed segments, which nothing changes any more, are shared with the copy by hard links where the file
 * system can do that. All else is copied up to where it ended at one moment.
 */
#ifndef ENGINE_LOG_CHECKPOINT_H
#define ENGINE_LOG_CHECKPOINT_H

#include "store.h"

/* As kvs_engine_ops.checkpoint: any thread, several at once. KVS_OK; KVS_MISSING (no such folder),
   KVS_INVALID (it is not empty), KVS_NO_SPACE, KVS_IO, KVS_NO_MEMORY: then what was made in it is
   removed again. A copy that was cut off by a crash has no manifest, so it is not opened. */
kvs_status checkpoint_write(struct kvs_db *db, const char *path, struct kvs_error *err);

/* The same into a folder that is open. */
KVS_MUST_USE kvs_status checkpoint_write_to(struct kvs_db *db, struct disk *to,
                                            struct kvs_error *err);

#endif
