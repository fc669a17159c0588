/*
 * Writes that were appended and are not in the index yet, by key: what conditions are decided
 * against besides the index. Also, while one batch is being decided, its own earlier operations.
 *
 * Guarded by the append lock throughout. Records come from a list of spares, so that nothing is
 * allocated in the usual case.
 */
#ifndef ENGINE_LOG_PENDING_H
#define ENGINE_LOG_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>

/* What a key's slot in the index led to. */
struct past {
    uint64_t place; /* PLACE_NONE: the key had no slot */
    uint64_t bytes; /* of the record there, if it holds a value: what dies with it */
};

/* An operation that was decided and has its place in a segment, on its way into the index. */
struct placed {
    const struct kvs_op *op; /* key, value and kind; alive until its batch is complete */
    uint64_t hash;
    uint64_t place;
    uint64_t sequence;
    uint32_t bytes; /* of the record */
    bool reserved;  /* room in the index is reserved for it */
    /* As seen when this was decided, for who publishes in the same read section; PLACE_NONE where it
       was not looked at, or may be another batch's to change meanwhile. */
    struct past found;
};

struct pending_record {
    struct pending_record *chain; /* others in the bucket, newer first */
    struct pending_record *next;  /* the next one of the same write, in order; or the next spare */
    struct placed placed;
};

struct pending_table {
    struct pending_record **buckets;
    uint64_t bucket_count; /* a power of two, or 0 */
    uint64_t count;
    struct pending_record *spares;
};

void pending_deinit(struct pending_table *table);

/* Adds a record for op, newer than all there are. NULL: out of memory. */
struct pending_record *pending_add(struct pending_table *table, uint64_t hash,
                                   const struct kvs_op *op);

/* The newest record of the key, or NULL. */
const struct pending_record *pending_find(const struct pending_table *table, uint64_t hash,
                                          struct kvs_bytes key);

/* Takes a record out and keeps its memory as a spare. */
void pending_remove(struct pending_table *table, struct pending_record *record);

#endif
