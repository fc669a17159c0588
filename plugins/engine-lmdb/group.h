/*
 * Group commit: a list of batches in one LMDB transaction. Leader only (writer.h).
 */
#ifndef ENGINE_LMDB_GROUP_H
#define ENGINE_LMDB_GROUP_H

#include <stdatomic.h>
#include <stdint.h>

#include <kvs/engine.h>

#include "durable.h"
#include "health.h"
#include "reader.h"
#include "space.h"
#include "store.h"

/* What a group works on; constant after start but for the counts. */
struct group_context {
    struct store *store;
    const struct store_config *store_config; /* how the store was opened */
    struct reader_pool *readers;
    struct space *space;
    struct durable *durable;
    struct health *health;
    _Atomic uint64_t commits; /* transactions; these two by the leader, read by stats, relaxed */
    _Atomic uint64_t batches; /* in them */
};

/*
 * Takes as many batches from the front of *list as make a good transaction, commits them, and sets
 * the status of each (request.h). Returns the taken ones, a list of at least one; *list is the
 * rest. *list is not NULL.
 */
struct kvs_batch *group_commit(struct group_context *context, struct kvs_batch **list);

#endif
