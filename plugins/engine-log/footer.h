/*
 * The footer of a sealed segment: an entry for each of its records, sorted, so that an index is
 * built from footers alone, without reading a record.
 *
 * It begins right behind the last frame and ends with the file:
 *      entries, FOOTER_ENTRY_BYTES each (struct footer_entry as it stands, little-endian), sorted by
 *      hash, then check, then the sequence number, newest first;
 *      trailer:
 *       0  u32  magic "KVT1"          24  u64  generation of the segment
 *       4  u32  CRC-32C of 8 to 64    32  u64  smallest sequence number (0: no entries)
 *       8  u32  CRC-32C of entries    40  u64  largest sequence number
 *      12  u32  format, 1             48  u64  offset of the entries, in bytes
 *      16  u64  entries               56  u64  0
 * Both CRCs begin with the segment's salt (record.h).
 *
 * A sealed segment may have none: the disk was full, or it will be emptied soon (space.h). The file then
 * ends behind the last frame, and whoever wants the entries collects them from the frames.
 */
#ifndef ENGINE_LOG_FOOTER_H
#define ENGINE_LOG_FOOTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvs/types.h>

#include "index.h"
#include "segment.h"

#define FOOTER_FORMAT        1u
#define FOOTER_ENTRY_BYTES   32u
#define FOOTER_TRAILER_BYTES 64u
#define FOOTER_UNIT          8u /* bytes; what offsets and sizes are counted in */
#define FOOTER_TOMBSTONE     (UINT32_C(1) << 31)

/* One record. hash and check together stand for its key: 128 bits that depend on the store's secret
   (hash is index_hash, check another hash of the key). */
struct footer_entry {
    uint64_t hash;
    uint64_t check;
    uint64_t sequence;
    uint32_t offset; /* of the record in the file, in units */
    uint32_t size;   /* of the record in units, | FOOTER_TOMBSTONE */
};

_Static_assert(sizeof(struct footer_entry) == FOOTER_ENTRY_BYTES &&
                   offsetof(struct footer_entry, size) == 28,
               "entries are mapped as they stand in the file");

static inline uint64_t footer_entry_bytes(const struct footer_entry *entry)
{
    return (uint64_t)(entry->size & ~FOOTER_TOMBSTONE) * FOOTER_UNIT;
}

static inline bool footer_entry_is_tombstone(const struct footer_entry *entry)
{
    return (entry->size & FOOTER_TOMBSTONE) != 0;
}

/* The entries of one segment, sorted. */
struct footer_entries {
    const struct footer_entry *items; /* owned, or in the segment's mapping: dies with it */
    uint64_t count;
    struct footer_entry *owned; /* malloced, or NULL */
};

void footer_entries_deinit(struct footer_entries *entries);

/* The second hash of a key; seed is footer_seed() of the store's secret. */
uint64_t footer_seed(struct kvs_bytes secret);
uint64_t footer_check_of(uint64_t seed, struct kvs_bytes key);

/* Sorts entries into a new array and frees the old one. NULL: out of memory (the old one is freed
   too). count may be 0 (and then entries NULL). */
struct footer_entry *footer_sort(struct footer_entry *entries, uint64_t count);

/*
 * Makes the entries from the frames that lie below segment->end. check: all CRCs are checked too;
 * else only that the frames follow each other, for frames that were checked or written before.
 * Touches nothing behind segment->end; nobody appends meanwhile. KVS_OK, KVS_CORRUPT (file and
 * offset are said), KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status footer_collect(const struct segment *segment, const struct index *index,
                                       struct kvs_bytes secret, bool check,
                                       struct footer_entries *ret_entries, struct kvs_error *err);

/*
 * Writes the footer behind segment->end, ends the file there and syncs it, with it all that was
 * written to the segment before. Readers may read below end meanwhile; what lies behind it must not
 * be touched through the mapping any more. The segment is to be marked as sealed in the manifest
 * after that: a crash before leaves it unsealed, with a part of the footer behind its last frame.
 * KVS_OK; KVS_NO_SPACE: it has no footer, its file ends at end, and it is synced all the same;
 * KVS_IO: nobody knows what is on the disk (also when the sync is what met a full disk).
 */
KVS_MUST_USE kvs_status footer_write(struct segment *segment, const struct footer_entries *entries,
                                     struct kvs_error *err);

/* Ends the file at segment->end, without a footer, and syncs it, as footer_write. KVS_OK, KVS_IO. */
KVS_MUST_USE kvs_status footer_omit(struct segment *segment, struct kvs_error *err);

/*
 * The footer in the mapping of a segment that was sealed when it was opened, after checking it
 * against its CRCs and against `end`, the offset behind its last frame. KVS_OK; KVS_MISSING: it has
 * none; KVS_CORRUPT: it is damaged (how is said). Then footer_collect helps.
 */
KVS_MUST_USE kvs_status footer_open(const struct segment *segment, uint64_t end,
                                    struct footer_entries *ret_entries, struct kvs_error *err);

/*
 * The entry of the record at `offset` of a sealed segment, to know whose record that is when its own
 * bytes cannot be believed. Reads the whole footer from the file: slow. KVS_OK; KVS_MISSING: there
 * is no footer, or no such record; KVS_CORRUPT, KVS_IO.
 */
KVS_MUST_USE kvs_status footer_find(const struct segment *segment, uint64_t offset,
                                    struct footer_entry *ret_entry, struct kvs_error *err);

/* Where the frames of a segment end, as the trailer at the end of its file says, whatever its
   generation: for salvaging. False: there is no sound trailer. Uses memory, bytes, salt. */
bool footer_find_end(const struct segment *segment, uint64_t *ret_end);

#endif
