/*
 * Recovery: from the files of a store to an open one. docs/log-format.md says what may be found there.
 */
#ifndef ENGINE_LOG_RECOVERY_H
#define ENGINE_LOG_RECOVERY_H

#include "store.h"

/*
 * Opens or makes the store in db->disk: manifest, segments, index, the next sequence number, and
 * (unless db->read_only) a fresh active segment. create: may make one where there is none.
 *
 * What was cut off as a torn tail is logged with its size. KVS_OK, KVS_MISSING (no store),
 * KVS_CORRUPT (what was acknowledged is damaged: names file and offset), KVS_INCOMPATIBLE, KVS_IO,
 * KVS_NO_SPACE, KVS_NO_MEMORY. After a failure what was opened is in db, for store_deinit.
 */
KVS_MUST_USE kvs_status recovery_open(struct kvs_db *db, bool create, uint32_t threads,
                                      struct kvs_error *err);

#endif
