/*
 * The snapshot of the index, which a clean stop leaves so that the next start reads no footer.
 *
 * The file "log.snapshot" (little-endian):
 *      header, 64 bytes:
 *       0  u32  magic "KVX1"          32  u64  slots of all chunks
 *       4  u32  CRC-32C of 8 to 64    40  u32  segments
 *       8  u32  format, 1             44  u32  CRC-32C of the tables
 *      12  u32  shard bits            48  u64  bytes of the file
 *      16  u64  binding               56  u64  0
 *      24  u64  largest sequence number
 *      chunks, each for SNAPSHOT_CHUNK_SHARDS shards (or all, if there are less): for each shard
 *      u32 slots, then the slots of all of them, u64 each (index.h);
 *      tables: for each segment, by number: u64 number, u64 live bytes, u64 bytes of tombstones;
 *      for each chunk: u32 slots, u32 CRC-32C of the chunk.
 *
 * Why no stale one is ever taken: the index is a function of the records below each segment's end,
 * and these are named for ever by number, generation and end, as nothing is changed or appended in a
 * segment of an earlier session. The binding is a hash of exactly that, and of the store's secret:
 * where it matches, the index is the same, whatever happened in between.
 */
#ifndef ENGINE_LOG_SNAPSHOT_H
#define ENGINE_LOG_SNAPSHOT_H

#include <stdint.h>

#include <kvs/types.h>

#include "disk.h"
#include "index.h"
#include "segment.h"

struct kvs_db;

#define SNAPSHOT_NAME          "log.snapshot"
#define SNAPSHOT_NEW_NAME      "log.snapshot.new"
#define SNAPSHOT_FORMAT        1u
#define SNAPSHOT_CHUNK_SHARDS  64u
#define SNAPSHOT_HEADER_BYTES  64u
#define SNAPSHOT_SEGMENT_BYTES 24u
#define SNAPSHOT_CHUNK_BYTES   8u

/* What binds a snapshot to the segments (in any order) that have records. Stores it at ret_binding.
   KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status snapshot_binding(struct kvs_bytes secret, struct segment *const *segments,
                                         uint32_t count, uint64_t *ret_binding,
                                         struct kvs_error *err);

/*
 * Writes the snapshot, durably. Nothing changes the index, the segments or their figures meanwhile.
 * segments: all that have records, in any order. An index that has outgrown its number of shards is
 * not written, as the next start makes it anew with a better one (KVS_OK; no file is left). KVS_OK,
 * KVS_NO_SPACE, KVS_NO_MEMORY, KVS_IO: there is no new snapshot; an old one may be left, and is not
 * taken.
 */
KVS_MUST_USE kvs_status snapshot_write(struct disk *disk, struct index *index,
                                       struct kvs_bytes secret, struct segment *const *segments,
                                       uint32_t count, uint64_t sequence_max,
                                       struct kvs_error *err);

/*
 * Makes an index of the snapshot, as config says but for the shards' number, and sets the segments'
 * live_bytes and tombstone_bytes. segments: all that have records, in any order, with their ends.
 * threads: at most so many work on it, and are gone afterwards. db: whose start it is, which says how far
 * it is; or NULL. KVS_OK; KVS_MISSING: there is none;
 * KVS_INCOMPATIBLE: it is another state's, or of another format; KVS_CORRUPT, KVS_IO, KVS_NO_MEMORY.
 * After any of these the index is built from the footers instead.
 */
KVS_MUST_USE kvs_status snapshot_load(const struct kvs_db *db, struct disk *disk,
                                      const struct index_config *config,
                                      struct segment *const *segments, uint32_t count,
                                      uint32_t threads, struct index **ret_index,
                                      uint64_t *ret_sequence_max, struct kvs_error *err);

/* Removes the snapshot, and one that was being written, if they are there, durably if that can be.
   Once the store is open for writing they are of no use. */
void snapshot_remove(struct disk *disk);

/* ---- reading the file --------------------------------------------------------------------- */

struct snapshot_segment {
    uint64_t number;
    uint64_t live_bytes;
    uint64_t tombstone_bytes;
};

struct snapshot_chunk {
    uint64_t offset;
    uint32_t slots;
    uint32_t crc;
};

/* What header and tables say. Both were checked against their CRCs, and each other. */
struct snapshot {
    struct disk_file *file; /* owned */
    uint32_t shard_bits;
    uint32_t segment_count;
    uint32_t chunk_count;
    uint32_t chunk_shards; /* shards of each chunk */
    uint64_t binding;
    uint64_t sequence_max;
    uint64_t slots;
    struct snapshot_segment *segments; /* owned */
    struct snapshot_chunk *chunks;     /* owned */
};

/* Memory for one chunk; reused from chunk to chunk. Zeroed to begin with. */
struct snapshot_buffer {
    uint8_t *memory; /* owned */
    uint64_t cap;
    const uint32_t *counts; /* of the chunk at hand: slots of each shard */
    const uint64_t *slots;  /* of all its shards, one behind the other */
};

/* KVS_OK, KVS_MISSING, KVS_CORRUPT (with the offset), KVS_INCOMPATIBLE, KVS_IO, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status snapshot_open(struct disk *disk, struct snapshot *ret_snapshot,
                                      struct kvs_error *err);
void snapshot_close(struct snapshot *snapshot);

/* Reads and checks a chunk; from any thread, each with its own buffer. */
KVS_MUST_USE kvs_status snapshot_read_chunk(const struct snapshot *snapshot, uint32_t chunk,
                                            struct snapshot_buffer *buffer, struct kvs_error *err);
void snapshot_buffer_deinit(struct snapshot_buffer *buffer);

#endif
