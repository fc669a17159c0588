/*
 * The index of the log engine: from the hash of a key to the place of its newest record.
 *
 * A place is a 48-bit number that names one record: 20 bits of segment, 28 bits of offset in 8-byte
 * units (place_* below). The index keeps 8 bytes per key, a 16-bit tag of the hash and the place;
 * it does not keep keys. So a lookup gives candidates, places whose records have the same shard and
 * tag as the hash, and the caller compares the key in the record. Of all lookups, about one in
 * 2^(16 + shard bits) / keys meets a candidate that is another key's.
 *
 * Readers (index_find, index_cursor_*, index_scan, index_shard_copy) run inside a read section
 * (epoch_begin), never take a lock, never wait, and write nothing that is shared. Mutators
 * (index_insert, index_replace, index_remove, index_reserve, index_load_shard) may run on any
 * thread, concurrently with each other; they take a lock of the shard for well under a microsecond,
 * plus a few microseconds when they move a table. They need no read section and may be inside one.
 *
 * What a reader is promised, for one key K:
 *   - K was inserted before the section began and is not removed before it ends: K's place then, or
 *     one that replaced it meanwhile, is among the candidates. However the index grows.
 *   - K is absent from before the section's begin to its end: no candidate is K's.
 *   - Otherwise the answer is that of some moment within the section.
 *   - Every candidate is a place that was in the index at some moment of the section.
 * So if a place's record is unmapped or reused only after a grace period that began after the
 * place was replaced or removed, a reader never touches what is gone.
 *
 * The caller's duties: a key is in the index at most once (insert only when it is absent, decided
 * under the caller's own order of writes); a place is never used for another record before such a
 * grace period. Then a place in a slot names one record of one generation, and the comparison in
 * index_replace and index_remove decides every race.
 */
#ifndef ENGINE_LOG_INDEX_H
#define ENGINE_LOG_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvs/types.h>

#include "epoch.h"

/* ---- places ----------------------------------------------------------------------------- */

#define PLACE_NONE         UINT64_C(0) /* never the place of a record: segment 0, offset 0 */
#define PLACE_SEGMENT_BITS 20
#define PLACE_OFFSET_BITS  28
#define PLACE_UNIT         8u /* bytes; offsets are multiples of it */
#define PLACE_BITS         (PLACE_SEGMENT_BITS + PLACE_OFFSET_BITS)
#define PLACE_MASK         ((UINT64_C(1) << PLACE_BITS) - 1)

/* segment < 2^20; offset_bytes a multiple of 8, < 2^31; not both 0. */
static inline uint64_t place_make(uint32_t segment, uint64_t offset_bytes)
{
    return ((uint64_t)segment << PLACE_OFFSET_BITS) | (offset_bytes / PLACE_UNIT);
}

static inline uint32_t place_segment(uint64_t place)
{
    return (uint32_t)(place >> PLACE_OFFSET_BITS);
}

static inline uint64_t place_offset_bytes(uint64_t place)
{
    return (place & ((UINT64_C(1) << PLACE_OFFSET_BITS) - 1)) * PLACE_UNIT;
}

/* ---- making one ------------------------------------------------------------------------- */

#define INDEX_SHARD_BITS_MIN 4u
#define INDEX_SHARD_BITS_MAX 22u
#define INDEX_SECRET_MIN     16u /* bytes */

struct index;

/* What index_new copies from. */
struct index_config {
    uint32_t size;          /* sizeof(struct index_config) */
    uint32_t shard_bits;    /* log2 of the shards, fixed for the index's life; as in the snapshot to
                               be loaded, or 0: index_shard_bits_for(expected_keys) */
    uint64_t expected_keys; /* a guess; 0: unknown. Growth beyond it only costs false candidates */
    struct kvs_bytes secret; /* random bytes of the store, at least INDEX_SECRET_MIN; the same bytes
                                give the same hashes for ever */
    struct epoch *epoch;     /* runs what the index retires; outlives it */
    uint64_t memory_max_bytes; /* growth beyond gives KVS_NO_MEMORY; 0: no limit */
};

/* Makes an empty index. KVS_OK, KVS_INVALID, KVS_NO_MEMORY. An empty one touches a few KiB. */
KVS_MUST_USE kvs_status index_new(const struct index_config *config, struct index **ret_index,
                                  struct kvs_error *err);

/* Frees it. No reader or mutator may be left; waits for what it had retired. Not inside a section.
   NULL is fine. */
void index_free(struct index *index);

/* The shard bits that suit this many keys (at least 14: 16384 shards). */
uint32_t index_shard_bits_for(uint64_t keys);

/* XXH3 (64 bits) of the key with the store's secret. */
uint64_t index_hash(const struct index *index, struct kvs_bytes key);

/* ---- lookups (inside a read section) ---------------------------------------------------- */

/* Stores at ret_place the candidate for which match says that its record has the key. */
bool index_find(const struct index *index, uint64_t hash, bool (*match)(void *arg, uint64_t place),
                void *arg, uint64_t *ret_place);

/*
 * The same without a callback, for the hot path:
 *
 *     struct index_cursor cursor;
 *     uint64_t place;
 *     index_cursor_begin(&cursor, index, hash);
 *     while ((place = index_cursor_next(&cursor)) != PLACE_NONE)
 *         if (record_has_key(place, key)) ...
 *
 * A cursor dies with its section. Its members are the index's own.
 */
struct index_cursor;
static inline void index_cursor_begin(struct index_cursor *cursor, const struct index *index,
                                      uint64_t hash);
static inline uint64_t index_cursor_next(struct index_cursor *cursor);

/* The first candidate, which nearly always is it, or PLACE_NONE: then there is none at all. */
static inline uint64_t index_first(const struct index *index, uint64_t hash);

/* Starts fetching the cache line that a lookup of hash will read first. Also outside a section. */
static inline void index_prefetch(const struct index *index, uint64_t hash);

/* ---- changes ---------------------------------------------------------------------------- */

/*
 * Makes sure that count inserts, one for each of the hashes, will not fail. Each reservation is
 * used up by index_insert_reserved() or given back by index_unreserve(), from any thread.
 * KVS_OK, KVS_NO_MEMORY (none is reserved).
 */
KVS_MUST_USE kvs_status index_reserve(struct index *index, const uint64_t *hashes, size_t count);
void index_unreserve(struct index *index, const uint64_t *hashes, size_t count);

/* Adds a key that is absent. What was written to the record before is visible to who finds it. */
void index_insert_reserved(struct index *index, uint64_t hash, uint64_t place);

/* Adds without a reservation. KVS_OK, KVS_NO_MEMORY (nothing changed). */
KVS_MUST_USE kvs_status index_insert(struct index *index, uint64_t hash, uint64_t place);

/* Puts new_place where old_place is, or gives false when it is not there any more. */
bool index_replace(struct index *index, uint64_t hash, uint64_t old_place, uint64_t new_place);

/* Removes the key, or gives false when old_place is not there any more. */
bool index_remove(struct index *index, uint64_t hash, uint64_t old_place);

/* ---- figures (from any thread, about now) ----------------------------------------------- */

uint64_t index_count(const struct index *index);
/* All memory that the index holds: tables, retired ones, free ones that it keeps, and its heads. */
uint64_t index_memory_bytes(struct index *index);

/* ---- walking (inside a read section) ---------------------------------------------------- */

/*
 * Shows the places of one small group of neighbouring keys (a few; they share a bucket) and moves
 * *cursor behind it. *cursor is 0 at the start and 0 again at the end. False: the end was reached
 * (and *cursor set to 0). A visitor that returns false ends the call with *cursor before the group,
 * so that its keys will be shown again. A cursor is good for other sections and after growth; with
 * the same secret also for a later index, whose shard bits may differ. Each key that is there from
 * the first call to the last is shown at least once. A cursor that never came from here gives
 * false.
 */
bool index_scan(const struct index *index, uint64_t *cursor,
                bool (*visit)(void *arg, uint64_t place), void *arg);

/* False: no index with this secret ever gave that cursor, whatever its shard bits. */
bool index_scan_knows(const struct index *index, uint64_t cursor);

/* ---- the snapshot ----------------------------------------------------------------------- */

/*
 * A slot is what a shard keeps of a key: enough to put it into a table of any size, so that a
 * snapshot is loaded without reading a record. In a file: 8 bytes, little-endian.
 */
static inline uint64_t index_slot(uint64_t hash, uint64_t place);

uint32_t index_shard_bits(const struct index *index);
uint32_t index_shard_count(const struct index *index);
static inline uint32_t index_shard_of(const struct index *index, uint64_t hash);

/* The keys of one shard. */
uint64_t index_shard_size(struct index *index, uint32_t shard);

/* Copies the slots of a shard, at most cap, and gives their number. Exact while nothing changes the
   shard. Inside a read section. */
size_t index_shard_copy(const struct index *index, uint32_t shard, uint64_t *ret_slots, size_t cap);

/*
 * Fills an empty shard, with a table of the right size. Several threads may load different shards.
 * KVS_OK, KVS_NO_MEMORY, KVS_CORRUPT (a slot that cannot be: no tag or no place), KVS_INVALID (the
 * shard is not empty); then the shard is as it was.
 */
KVS_MUST_USE kvs_status index_load_shard(struct index *index, uint32_t shard, const uint64_t *slots,
                                         size_t count);

#include "index_inline.h"

#endif
