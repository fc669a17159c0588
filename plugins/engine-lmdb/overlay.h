/*
 * What the earlier operations of one batch would have left, by key: a search tree of operations,
 * none of which has been applied. One thread's. A zeroed struct is empty.
 */
#ifndef ENGINE_LMDB_OVERLAY_H
#define ENGINE_LMDB_OVERLAY_H

#include <stdbool.h>

#include <kvs/engine.h>

struct overlay {
    void *root; /* of <search.h>: its nodes are owned, the operations are not */
};

void overlay_deinit(struct overlay *overlay);

/* Adds an operation, in place of one on the same key. False: no memory. */
KVS_MUST_USE bool overlay_add(struct overlay *overlay, struct kvs_op *op);

/* The last operation on op's key that was added, or NULL. */
const struct kvs_op *overlay_find(const struct overlay *overlay, const struct kvs_op *op);

#endif
