/* What the engine takes, and the checks of it. */
#ifndef ENGINE_LMDB_LIMITS_H
#define ENGINE_LMDB_LIMITS_H

#include <kvs/engine.h>

#include "store.h"

#define LIMITS_KEY_MAX   STORE_KEY_MAX
#define LIMITS_VALUE_MAX (UINT64_C(64) << 20)
/* Both keep a batch's pages well below what LMDB holds of one transaction in memory (131,071). */
#define LIMITS_BATCH_BYTES_MAX (UINT64_C(128) << 20)
#define LIMITS_BATCH_OPS_MAX   UINT64_C(32768)

/* KVS_OK, KVS_INVALID (empty), KVS_TOO_LARGE. */
KVS_MUST_USE kvs_status limits_check_key(struct kvs_bytes key, struct kvs_error *err);

/* One operation by itself. */
KVS_MUST_USE kvs_status limits_check_op(const struct kvs_op *op, struct kvs_error *err);

/* The number of operations and of bytes; not the operations. */
KVS_MUST_USE kvs_status limits_check_batch(const struct kvs_batch *batch, struct kvs_error *err);

#endif
