/* Copies of the whole store: checkpoint, and compaction, which LMDB only knows as a copy. */
#ifndef ENGINE_LMDB_COPY_H
#define ENGINE_LMDB_COPY_H

#include <kvs/types.h>

#include "db.h"

/* As kvs_engine_ops.checkpoint. */
KVS_MUST_USE kvs_status copy_checkpoint(struct kvs_db *db, const char *path, struct kvs_error *err);

/*
 * As kvs_engine_ops.compact: copies what is live into a new file and puts that in the old one's
 * place. Gets and scans go on until the change-over; writes wait all the while, because what they
 * would add is not in the copy. Needs as much free disk as the live data has. A crash at any moment
 * leaves the old or the new file, which hold the same.
 */
KVS_MUST_USE kvs_status copy_compact(struct kvs_db *db, struct kvs_error *err);

#endif
