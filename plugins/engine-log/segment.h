/*
 * One segment: a file of frames, mapped for its whole life. Its number names the file, and is the
 * upper part of every place in it; its generation salts every CRC in it.
 *
 * The file begins with a header of SEGMENT_HEADER_BYTES:
 *      0  u32  magic "KVS1"        16  u64  generation
 *      4  u32  CRC-32C of 8 to 64  24  u64  bytes of the file when it was made
 *      8  u32  format, 1           32  u32  kind: 1 appended, 2 compacted
 *     12  u32  number              40  u64  birth, compacted ones only: see struct segment
 *                                  36, 48  zeros
 * Frames follow without gaps, then zeros up to the file's end, or once sealed the footer (footer.h).
 *
 * A segment's life: made (zeros), active (one thread appends), complete (nobody appends), sealed
 * (footer written, all durable), dropped (nothing needs it), freed after a grace period.
 */
#ifndef ENGINE_LOG_SEGMENT_H
#define ENGINE_LOG_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "disk.h"
#include "epoch.h"
#include "index.h"
#include "record.h"
#include "sigbus.h"

#define SEGMENT_HEADER_BYTES 4096u
#define SEGMENT_FORMAT       1u
#define SEGMENT_NUMBER_COUNT (UINT32_C(1) << PLACE_SEGMENT_BITS)
#define SEGMENT_BYTES_MIN    (UINT64_C(1) << 20)
#define SEGMENT_BYTES_MAX    (UINT64_C(1) << 30)
#define SEGMENT_NAME_MAX     16u /* "00000001.seg", terminator included */

enum segment_kind {
    SEGMENT_APPENDED = 1,  /* by the appender, in the order of sequence numbers */
    SEGMENT_COMPACTED = 2, /* copies of live records, any order */
};

struct segment {
    /*
     * Constant once it is in the table. Each get reads these, so they have a cache line of their own:
     * beside fields that a writer changes with each record, a get would wait for the writer's core
     * to hand the line over.
     */
    _Alignas(64) uint8_t *memory; /* the whole file, mapped */
    /* Of memory: says whether the disk failed to deliver a part of it. NULL: it is not a mapping. */
    struct sigbus_range *range;
    uint64_t bytes; /* of the mapping */
    uint64_t generation;
    uint64_t birth; /* records of keys that were removed before this number are not in it */
    struct disk_file *file;
    uint32_t number;
    uint32_t salt; /* of every CRC in it */
    enum segment_kind kind;
    bool writable; /* mapped for writing; false: written with disk_file_write (see appender.c) */

    /* Written by whoever appends (under the append lock, or the compactor), release; read by others,
       acquire: what lies below is whole. */
    _Alignas(64) _Atomic uint64_t end; /* offset behind the last frame */
    /* Written by the thread that syncs, release; read by all, acquire. */
    _Atomic uint64_t durable_end;
    /* Bytes of records that the index leads to. Changed by whoever changes the index, relaxed: the
       compactor's choice need not be exact. */
    _Atomic int64_t live_bytes;
    _Atomic uint64_t tombstone_bytes; /* as above; of all tombstones in it */
    _Atomic uint32_t sealed; /* set by the keeper, release; read by the compactor, acquire */

    /* The appender's while it is active, constant afterwards. */
    uint64_t records;
    _Atomic uint64_t sequence_min; /* 0: none yet; read by the compactor meanwhile, relaxed */
    uint64_t sequence_max;

    /* Bytes of the file that have their space; behind it nothing is written. Written by whoever appends,
       read by all, relaxed: only a figure. */
    _Atomic uint64_t reserved;

    uint64_t
        warmed; /* the keeper's, under its lock: from here on it is to be brought into memory */

    /* The keeper's and the compactor's (under the keeper's lock). */
    struct segment *next; /* in one of its lists */
    bool marked;          /* to be compacted on request */
    bool damaged;         /* holds a damaged record: left alone */

    /* While it is being dropped. */
    struct epoch_retired retired;
    struct kvs_db *db;
};

/* Where readers find segments: by number. */
struct segment_table {
    /* Written by whoever adds or drops a segment, release; read by all readers inside a read
       section, acquire: the segment behind is complete and mapped until a grace period after. */
    _Atomic(struct segment *)
        *slots; /* SEGMENT_NUMBER_COUNT of them, untouched pages cost nothing */
};

KVS_MUST_USE kvs_status segment_table_init(struct segment_table *table, struct kvs_error *err);
void segment_table_deinit(struct segment_table *table);

static inline struct segment *segment_at(const struct segment_table *table, uint32_t number)
{
    return atomic_load_explicit(&table->slots[number], memory_order_acquire);
}

static inline void segment_table_set(struct segment_table *table, uint32_t number,
                                     struct segment *segment)
{
    atomic_store_explicit(&table->slots[number], segment, memory_order_release);
}

void segment_name(uint32_t number, char name[SEGMENT_NAME_MAX]);
/* The number in a file's name, or false when it is no segment's. */
bool segment_name_parse(const char *name, uint32_t *ret_number);

struct segment_config {
    uint32_t number;
    enum segment_kind kind;
    uint64_t generation;
    uint64_t bytes; /* of the file; at least SEGMENT_HEADER_BYTES */
    uint64_t birth;
    uint64_t reserve; /* so much of it takes space from the start; 0: all (see segment_reserve) */
    bool zero;        /* write zeros now, so that syncing appends is cheaper later */
    bool huge_pages;  /* see segment_create */
    struct kvs_bytes secret;        /* the store's */
    const _Atomic uint32_t *cancel; /* not 0 while zeros are written: gives up with KVS_CLOSED */
    const _Atomic uint32_t
        *hurry; /* or NULL; not 0 while zeros are written: the rest stays as reserved */
};

/* What a segment's header says. */
struct segment_header {
    uint32_t format;
    uint32_t number;
    uint64_t generation;
    uint64_t bytes; /* of the file when it was made */
    uint64_t birth;
    enum segment_kind kind;
};

/* Reads the header at the begin of a segment's file, of which SEGMENT_HEADER_BYTES are there. False: it
   is damaged. */
bool segment_header_read(const uint8_t *from, struct segment_header *ret_header);

/*
 * Makes a segment's file with its header, reserves its space, syncs it (not the folder). On failure
 * the file is gone again. KVS_OK, KVS_NO_SPACE, KVS_IO, KVS_NO_MEMORY.
 *
 * huge_pages: the kernel is asked to keep the file in memory in huge pages and to map them as such, which
 * saves a get most of its TLB misses and an append most of its page faults. Not for a segment that is
 * synced every few records: the kernel writes the whole of a huge page of which a byte has changed.
 */
KVS_MUST_USE kvs_status segment_create(struct disk *disk, const struct segment_config *config,
                                       struct segment **ret_segment, struct kvs_error *err);

/* Opens one that is there and checks its header against the manifest's number and generation.
   KVS_OK, KVS_CORRUPT (what differs is said), KVS_MISSING, KVS_IO, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status segment_open(struct disk *disk, uint32_t number, uint64_t generation,
                                     struct kvs_bytes secret, bool read_only,
                                     struct segment **ret_segment, struct kvs_error *err);

/*
 * Takes space for `more` bytes behind the end, in whole steps, in a segment that was made with a part of
 * its space (config.reserve). There is room for them (segment_room). Whoever appends. KVS_OK; KVS_NO_SPACE,
 * KVS_NO_MEMORY, KVS_IO: what was there is as before.
 */
KVS_MUST_USE kvs_status segment_reserve(struct segment *segment, uint64_t more, uint64_t step,
                                        struct kvs_error *err);

/* Brings a part of a new segment's file into memory, so that nobody waits for it later. offset: a multiple
   of the page size. Behind the end nothing is done. It is no fault if it cannot be done. */
void segment_warm(const struct segment *segment, uint64_t offset, uint64_t bytes);

/* Nothing is written through its memory any more: what of it leaves memory comes back in small pages, as
   what is read at random should. It is no fault if it cannot be done. */
void segment_settle(const struct segment *segment);

/* Unmaps, closes and frees; the file stays. NULL is fine. */
void segment_free(struct segment *segment);

/* True: what was read from its memory so far may have been zeros that the file does not have, and what
   was written may be nowhere (sigbus.h). */
static inline bool segment_failed(const struct segment *segment)
{
    return __builtin_expect(segment->range != NULL && sigbus_failed(segment->range), 0);
}

/* KVS_IO, with a message that says where it failed. Only for one that failed. */
kvs_status segment_say_failed(const struct segment *segment, struct kvs_error *err);

/* The room behind the last frame, in bytes. */
static inline uint64_t segment_room(const struct segment *segment)
{
    return segment->bytes - atomic_load_explicit(&segment->end, memory_order_relaxed);
}

/* Counts a record that was added. The appender's. */
static inline void segment_count_record(struct segment *segment, uint64_t sequence)
{
    uint64_t least = atomic_load_explicit(&segment->sequence_min, memory_order_relaxed);
    segment->records++;
    if (least == 0 || sequence < least)
        atomic_store_explicit(&segment->sequence_min, sequence, memory_order_relaxed);
    if (sequence > segment->sequence_max)
        segment->sequence_max = sequence;
}

#endif
