/* What the snapshot's files share. See snapshot.h. */
#ifndef ENGINE_LOG_SNAPSHOT_INTERNAL_H
#define ENGINE_LOG_SNAPSHOT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

#define SNAPSHOT_MAGIC         UINT32_C(0x3158564B) /* "KVX1" */
#define SNAPSHOT_CHECKED_BEGIN 8u /* the header's CRC covers from here to its end */

static inline uint32_t snapshot_chunk_shards(uint32_t shard_bits)
{
    uint32_t shards = UINT32_C(1) << shard_bits;
    return shards < SNAPSHOT_CHUNK_SHARDS ? shards : SNAPSHOT_CHUNK_SHARDS;
}

/* Makes room for bytes; what the memory held may be lost. False: out of memory (nothing changed). */
bool snapshot_grow(uint8_t **memory, uint64_t *cap, uint64_t bytes);

/* A copy of the pointers, by number; malloced, or NULL: out of memory. */
struct segment **snapshot_sort_segments(struct segment *const *segments, uint32_t count);

#endif
