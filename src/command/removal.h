/*
 * Removing keys that a walk found: collected while the engine shows them, then removed as one batch,
 * each if it still holds what it held. One thread's, which waits for the batch.
 */
#ifndef COMMAND_REMOVAL_H
#define COMMAND_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "command/store.h"

#define REMOVAL_MAX       512u              /* keys of one batch */
#define REMOVAL_BYTES_MAX ((size_t)1 << 20) /* of what is collected; one key always fits */

struct removal {
    struct arena arena;
    uint64_t count;
    struct kvs_op ops[REMOVAL_MAX];
};

void removal_deinit(struct removal *removal);

/* True when no more keys go in. */
static inline bool removal_is_full(const struct removal *removal)
{
    return removal->count == REMOVAL_MAX || removal->arena.total > REMOVAL_BYTES_MAX;
}

/* Adds a key, copied; not when it is full. stored: what it must hold to be removed, or NULL: anything. */
KVS_MUST_USE kvs_status removal_add(struct removal *removal, struct kvs_bytes key,
                                    const struct kvs_bytes *stored);

/* Removes what was collected and waits until that is done; it is then empty. KVS_OK with the number of
   keys that were removed, or the fault of the whole or of the first key that has one. */
KVS_MUST_USE kvs_status removal_run(struct removal *removal, struct store *store,
                                    struct kvs_tls *tls, uint64_t *ret_removed,
                                    struct kvs_error *err);

#endif
