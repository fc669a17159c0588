/* A batch's operations, inside a write transaction. */
#ifndef ENGINE_LMDB_APPLY_H
#define ENGINE_LMDB_APPLY_H

#include <lmdb.h>

#include <kvs/engine.h>

/*
 * Decides the conditions, applies what holds, and sets the status of each operation and of the
 * batch (request.h). May be repeated in another transaction. 0, or a code: then the transaction is
 * spoilt, the statuses mean nothing, and it has to be aborted. Leader only.
 */
KVS_MUST_USE int apply_batch(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch);

#endif
