/*
 * Room for the next transaction: LMDB's map and the file behind it grow ahead of use, so that a
 * full map is rare and a full disk is met before a commit, not in its middle. Only the leader
 * (writer.h) calls this.
 */
#ifndef ENGINE_LMDB_SPACE_H
#define ENGINE_LMDB_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "reader.h"
#include "store.h"

struct space {
    struct store *store;
    struct reader_pool *readers;
    struct health *health;
    uint64_t roomy_map_bytes; /* what the map is when the disk is not full */
    bool full;                /* the last reservation failed */
    _Atomic uint64_t growths; /* of the map; written by the leader, read by stats, relaxed */
};

void space_init(struct space *space, struct store *store, struct reader_pool *readers,
                struct health *health);

/*
 * Makes room for a transaction that takes at most need_bytes of fresh pages. 0 also when the disk
 * is full: then the map ends where the file does, so that LMDB answers MDB_MAP_FULL instead of
 * failing in a commit; removes_only may use the last reserve too. Else a code (fault.h): nothing
 * can be written now.
 */
KVS_MUST_USE int space_prepare(struct space *space, uint64_t need_bytes, bool removes_only);

/* Sees to it that the map reaches twice need_bytes beyond what is used, without touching the file.
   Does nothing while the disk is full. 0 or a code. */
KVS_MUST_USE int space_grow_map(struct space *space, uint64_t need_bytes);

/* After the environment was replaced. */
void space_reset(struct space *space);

#endif
