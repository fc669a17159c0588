/*
 * See footer.h. Collecting reads each record's key once; the rest is sorting.
 *
 * The order of 1.4 million entries by their hash: hashes are even, so a table of counters with about
 * one counter for each few entries says where each of them goes but for a handful of neighbours, and
 * those are put in order by insertion. That is one pass of scattered copies instead of twenty of
 * comparisons. Where hashes are not even (one key written a million times), a bucket is checked for
 * being in order already, which it then mostly is as it is filled newest first, and else left to
 * qsort().
 *
 * Threads: collecting and opening on any; writing on the one that seals.
 */
#include "footer.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bytes.h"
#include "crc32c.h"

#define MAGIC           UINT32_C(0x3154564B) /* "KVT1" */
#define CHECKED_BEGIN   8u                   /* the trailer's CRC covers from here to its end */
#define SEED_SEED       UINT64_C(0x6B76732D636865)
#define ENTRIES_MIN     1024u
#define BUCKET_BITS_MAX 18u  /* of the sort: 1 MiB of counters */
#define BUCKET_ENTRIES  4u   /* on average */
#define INSERTION_MAX   32u  /* entries that are sorted by insertion */
#define FIND_ENTRIES    256u /* that are read at once */
#define CHECK_ENTRIES   1024u /* whose CRC is computed at once, so that they are still in the cache */

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "footers are mapped as they stand in the file");

void footer_entries_deinit(struct footer_entries *entries)
{
    free(entries->owned);
    *entries = (struct footer_entries){NULL, 0, NULL};
}

uint64_t footer_seed(struct kvs_bytes secret)
{
    return XXH3_64bits_withSeed(secret.ptr, secret.len, SEED_SEED);
}

uint64_t footer_check_of(uint64_t seed, struct kvs_bytes key)
{
    return XXH3_64bits_withSeed(key.ptr, key.len, seed);
}

/* ---- sorting ------------------------------------------------------------------------------ */

/* True when a must not stand behind b. */
static inline bool in_order(const struct footer_entry *a, const struct footer_entry *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash;
    if (a->check != b->check)
        return a->check < b->check;
    return a->sequence >= b->sequence;
}

static int compare(const void *a, const void *b)
{
    if (!in_order(a, b))
        return 1;
    return in_order(b, a) ? 0 : -1;
}

static void sort_by_insertion(struct footer_entry *entries, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++) {
        if (in_order(&entries[i - 1], &entries[i]))
            continue;
        struct footer_entry entry = entries[i];
        uint64_t to = i;
        do {
            entries[to] = entries[to - 1];
            to--;
        } while (to > 0 && !in_order(&entries[to - 1], &entry));
        entries[to] = entry;
    }
}

static bool is_sorted(const struct footer_entry *entries, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++)
        if (!in_order(&entries[i - 1], &entries[i]))
            return false;
    return true;
}

static void sort_bucket(struct footer_entry *entries, uint64_t count)
{
    if (count <= INSERTION_MAX)
        sort_by_insertion(entries, count);
    else if (!is_sorted(entries, count))
        qsort(entries, count, sizeof(entries[0]), compare);
}

/* Copies the entries to `to`, in order of the upper bits of their hashes. ends has a counter for
   each value of those; afterwards it says where each one's entries begin. */
static void distribute(const struct footer_entry *from, uint64_t count, unsigned shift,
                       uint32_t *ends, uint64_t buckets, struct footer_entry *to)
{
    for (uint64_t i = 0; i < count; i++)
        ends[from[i].hash >> shift]++;
    for (uint64_t i = 1; i < buckets; i++)
        ends[i] += ends[i - 1];
    /* From the first, the oldest, to the back of its bucket. */
    for (uint64_t i = 0; i < count; i++)
        to[--ends[from[i].hash >> shift]] = from[i];
}

struct footer_entry *footer_sort(struct footer_entry *entries, uint64_t count)
{
    unsigned bits = 1;
    while (bits < BUCKET_BITS_MAX && count >> bits > BUCKET_ENTRIES)
        bits++;
    uint64_t buckets = UINT64_C(1) << bits;
    uint32_t *begins = calloc(buckets, sizeof(begins[0]));
    struct footer_entry *sorted = malloc((count + 1) * sizeof(sorted[0]));
    if (begins != NULL && sorted != NULL) {
        distribute(entries, count, 64 - bits, begins, buckets, sorted);
        for (uint64_t i = 0; i < buckets; i++) {
            uint64_t end = i + 1 < buckets ? begins[i + 1] : count;
            sort_bucket(sorted + begins[i], end - begins[i]);
        }
    } else {
        free(sorted);
        sorted = NULL;
    }
    free(begins);
    free(entries);
    return sorted;
}

/* ---- collecting --------------------------------------------------------------------------- */

struct collector {
    const struct segment *segment;
    const struct index *index;
    uint64_t seed;
    struct footer_entry *entries;
    uint64_t count;
    uint64_t cap;
};

static bool collector_reserve(struct collector *collector, uint64_t more)
{
    if (collector->cap - collector->count >= more)
        return true;
    uint64_t cap = collector->cap == 0 ? ENTRIES_MIN : 2 * collector->cap;
    while (cap - collector->count < more)
        cap *= 2;
    struct footer_entry *entries = realloc(collector->entries, cap * sizeof(entries[0]));
    if (entries == NULL)
        return false;
    collector->entries = entries;
    collector->cap = cap;
    return true;
}

static kvs_status corrupt(const struct segment *segment, uint64_t offset, const char *what,
                          struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(segment->number, name);
    return kvs_error_set(err, KVS_CORRUPT, 0, "%s offset %" PRIu64 ": %s", name, offset, what);
}

/* Adds the records of the frame at `offset`, whose header is at hand. */
static kvs_status collect_frame(struct collector *collector, uint64_t offset,
                                const struct frame_header *header, struct kvs_error *err)
{
    if (header->records > header->bytes / RECORD_HEADER_BYTES)
        return corrupt(collector->segment, offset, "the frame is damaged", err);
    if (!collector_reserve(collector, header->records))
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the entries of a segment");
    uint64_t end = offset + header->bytes;
    uint64_t at = offset + FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        if (!record_view(collector->segment->memory + at, end - at, &record))
            return corrupt(collector->segment, at, "the record is damaged", err);
        uint64_t bytes = record_bytes(record.key.len, record.value.len);
        uint32_t tombstone = record.kind == RECORD_TOMBSTONE ? FOOTER_TOMBSTONE : 0;
        collector->entries[collector->count++] = (struct footer_entry){
            .hash = index_hash(collector->index, record.key),
            .check = footer_check_of(collector->seed, record.key),
            .sequence = record.sequence,
            .offset = (uint32_t)(at / FOOTER_UNIT),
            .size = (uint32_t)(bytes / FOOTER_UNIT) | tombstone,
        };
        at += bytes;
    }
    return at == end ? KVS_OK : corrupt(collector->segment, offset, "the frame is damaged", err);
}

static kvs_status collect_frames(struct collector *collector, bool check, struct kvs_error *err)
{
    const struct segment *segment = collector->segment;
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_acquire);
    uint64_t at = SEGMENT_HEADER_BYTES;
    while (at < end) {
        const uint8_t *from = segment->memory + at;
        struct frame_header header;
        bool sound = check ? frame_check(from, end - at, segment->salt, &header)
                           : frame_view(from, end - at, &header);
        if (!sound)
            return corrupt(segment, at, "the frame is damaged", err);
        kvs_status status = collect_frame(collector, at, &header, err);
        if (status != KVS_OK)
            return status;
        at += header.bytes;
    }
    return KVS_OK;
}

kvs_status footer_collect(const struct segment *segment, const struct index *index,
                          struct kvs_bytes secret, bool check, struct footer_entries *ret_entries,
                          struct kvs_error *err)
{
    struct collector collector = {
        .segment = segment,
        .index = index,
        .seed = footer_seed(secret),
    };
    kvs_status status = collect_frames(&collector, check, err);
    if (status != KVS_OK) {
        free(collector.entries);
        return status;
    }
    struct footer_entry *sorted = footer_sort(collector.entries, collector.count);
    if (sorted == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the entries of a segment");
    *ret_entries = (struct footer_entries){sorted, collector.count, sorted};
    return KVS_OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void trailer_make(const struct segment *segment, uint64_t end,
                         const struct footer_entries *entries,
                         uint8_t trailer[FOOTER_TRAILER_BYTES])
{
    uint64_t sequence_min = entries->count > 0 ? UINT64_MAX : 0;
    uint64_t sequence_max = 0;
    for (uint64_t i = 0; i < entries->count; i++) {
        uint64_t sequence = entries->items[i].sequence;
        sequence_min = sequence < sequence_min ? sequence : sequence_min;
        sequence_max = sequence > sequence_max ? sequence : sequence_max;
    }
    memset(trailer, 0, FOOTER_TRAILER_BYTES);
    store_le32(trailer, MAGIC);
    store_le32(trailer + 8,
               crc32c(segment->salt, entries->items, entries->count * FOOTER_ENTRY_BYTES));
    store_le32(trailer + 12, FOOTER_FORMAT);
    store_le64(trailer + 16, entries->count);
    store_le64(trailer + 24, segment->generation);
    store_le64(trailer + 32, sequence_min);
    store_le64(trailer + 40, sequence_max);
    store_le64(trailer + 48, end);
    store_le32(trailer + 4, crc32c(segment->salt, trailer + CHECKED_BEGIN,
                                   FOOTER_TRAILER_BYTES - CHECKED_BEGIN));
}

static kvs_status make_room(struct segment *segment, uint64_t bytes, struct kvs_error *err)
{
    uint64_t now;
    kvs_status status = disk_file_size(segment->file, &now, err);
    if (status != KVS_OK || now >= bytes)
        return status;
    status = disk_file_reserve(segment->file, bytes, NULL);
    if (status == KVS_OK || status == KVS_UNSUPPORTED) /* then writing meets a full disk */
        return KVS_OK;
    return kvs_error_set(err, status, 0, "cannot make room for the footer of segment %" PRIu32,
                         segment->number);
}

static kvs_status write_behind(struct segment *segment, uint64_t end,
                               const struct footer_entries *entries, struct kvs_error *err)
{
    uint8_t trailer[FOOTER_TRAILER_BYTES];
    uint64_t entry_bytes = entries->count * FOOTER_ENTRY_BYTES;
    uint64_t bytes = end + entry_bytes + sizeof(trailer);
    kvs_status status = make_room(segment, bytes, err);
    if (status == KVS_OK && entry_bytes > 0)
        status = disk_file_write(segment->file, end, entries->items, entry_bytes, err);
    if (status == KVS_OK) {
        trailer_make(segment, end, entries, trailer);
        status = disk_file_write(segment->file, end + entry_bytes, trailer, sizeof(trailer), err);
    }
    if (status == KVS_OK)
        status = disk_file_truncate(segment->file, bytes, err);
    return status;
}

kvs_status footer_omit(struct segment *segment, struct kvs_error *err)
{
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_acquire);
    kvs_status status = disk_file_truncate(segment->file, end, err);
    if (status == KVS_OK)
        status = disk_file_sync(segment->file, err);
    if (status != KVS_OK && err != NULL) /* a failed sync is never tried again and believed */
        err->status = KVS_IO;
    return status == KVS_OK ? KVS_OK : KVS_IO;
}

kvs_status footer_write(struct segment *segment, const struct footer_entries *entries,
                        struct kvs_error *err)
{
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_acquire);
    kvs_status status = write_behind(segment, end, entries, err);
    if (status != KVS_OK && !disk_is_short(status))
        return status;
    if (status != KVS_OK) /* no part of a footer */
        return footer_omit(segment, err) == KVS_OK ? status : KVS_IO;
    status = disk_file_sync(segment->file, err);
    if (status != KVS_OK && err != NULL)
        err->status = KVS_IO;
    return status == KVS_OK ? KVS_OK : KVS_IO;
}

/* ---- opening ------------------------------------------------------------------------------ */

struct trailer {
    uint32_t crc; /* of the entries */
    uint64_t count;
    uint64_t generation;
    uint64_t sequence_min;
    uint64_t sequence_max;
    uint64_t end;
};

/* True when the trailer is sound and a file of so many bytes has room for what it says. */
static bool trailer_parse(const uint8_t *from, uint32_t salt, uint64_t file_bytes,
                          struct trailer *ret_trailer)
{
    if (load_le32(from) != MAGIC ||
        load_le32(from + 4) !=
            crc32c(salt, from + CHECKED_BEGIN, FOOTER_TRAILER_BYTES - CHECKED_BEGIN) ||
        load_le32(from + 12) != FOOTER_FORMAT)
        return false;
    struct trailer trailer = {
        .crc = load_le32(from + 8),
        .count = load_le64(from + 16),
        .generation = load_le64(from + 24),
        .sequence_min = load_le64(from + 32),
        .sequence_max = load_le64(from + 40),
        .end = load_le64(from + 48),
    };
    if (trailer.end < SEGMENT_HEADER_BYTES || trailer.end % FOOTER_UNIT != 0 ||
        trailer.end > file_bytes - FOOTER_TRAILER_BYTES ||
        (file_bytes - FOOTER_TRAILER_BYTES - trailer.end) % FOOTER_ENTRY_BYTES != 0 ||
        trailer.count != (file_bytes - FOOTER_TRAILER_BYTES - trailer.end) / FOOTER_ENTRY_BYTES)
        return false;
    *ret_trailer = trailer;
    return true;
}

static bool trailer_read(const struct segment *segment, struct trailer *ret_trailer)
{
    return trailer_parse(segment->memory + segment->bytes - FOOTER_TRAILER_BYTES, segment->salt,
                         segment->bytes, ret_trailer);
}

bool footer_find_end(const struct segment *segment, uint64_t *ret_end)
{
    struct trailer trailer;
    if (segment->bytes < SEGMENT_HEADER_BYTES + FOOTER_TRAILER_BYTES ||
        !trailer_read(segment, &trailer))
        return false;
    *ret_end = trailer.end;
    return true;
}

static bool is_plausible(const struct footer_entry *entry, uint64_t end,
                         const struct trailer *trailer)
{
    uint64_t offset = (uint64_t)entry->offset * FOOTER_UNIT;
    uint64_t bytes = footer_entry_bytes(entry);
    return offset >= SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES && bytes > RECORD_HEADER_BYTES &&
           offset <= end && bytes <= end - offset && entry->sequence >= trailer->sequence_min &&
           entry->sequence <= trailer->sequence_max;
}

/* True when the entries match their CRC and can be those of records below end. */
static bool entries_are_sound(const struct footer_entry *items, uint64_t end, uint32_t salt,
                              const struct trailer *trailer)
{
    uint32_t crc = salt;
    bool sound = true;
    for (uint64_t i = 0; i < trailer->count && sound;) {
        uint64_t until = trailer->count - i < CHECK_ENTRIES ? trailer->count : i + CHECK_ENTRIES;
        crc = crc32c(crc, items + i, (until - i) * FOOTER_ENTRY_BYTES);
        for (; i < until; i++)
            sound &= is_plausible(&items[i], end, trailer) &&
                     (i == 0 || in_order(&items[i - 1], &items[i]));
    }
    return sound && crc == trailer->crc;
}

kvs_status footer_open(const struct segment *segment, uint64_t end,
                       struct footer_entries *ret_entries, struct kvs_error *err)
{
    struct trailer trailer;
    if (segment->bytes == end)
        return kvs_error_set(err, KVS_MISSING, 0, "segment %" PRIu32 " has no footer",
                             segment->number);
    if (end < SEGMENT_HEADER_BYTES || end % FOOTER_UNIT != 0 || segment->bytes < end ||
        segment->bytes - end < FOOTER_TRAILER_BYTES)
        return corrupt(segment, end, "there is no room for the footer that belongs here", err);
    if (!trailer_read(segment, &trailer) || trailer.end != end ||
        trailer.generation != segment->generation)
        return corrupt(segment, segment->bytes - FOOTER_TRAILER_BYTES,
                       "the trailer of the footer is damaged", err);
    const struct footer_entry *items = (const void *)(segment->memory + end);
    if (!entries_are_sound(items, end, segment->salt, &trailer))
        return corrupt(segment, end, "the footer is damaged (CRC mismatch)", err);
    *ret_entries = (struct footer_entries){items, trailer.count, NULL};
    return KVS_OK;
}

/* ---- finding one record ------------------------------------------------------------------- */

/* The trailer of a segment that may have been sealed since it was mapped. */
static kvs_status trailer_load(const struct segment *segment, struct trailer *ret_trailer,
                               struct kvs_error *err)
{
    uint8_t trailer[FOOTER_TRAILER_BYTES];
    uint64_t bytes;
    uint64_t got;
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_acquire);
    kvs_status status = disk_file_size(segment->file, &bytes, err);
    if (status == KVS_OK && bytes < end + FOOTER_TRAILER_BYTES)
        return KVS_MISSING;
    if (status == KVS_OK)
        status = disk_file_read(segment->file, bytes - FOOTER_TRAILER_BYTES, trailer,
                                sizeof(trailer), &got, err);
    if (status != KVS_OK)
        return status;
    if (got != sizeof(trailer) || !trailer_parse(trailer, segment->salt, bytes, ret_trailer) ||
        ret_trailer->end != end || ret_trailer->generation != segment->generation)
        return corrupt(segment, bytes - FOOTER_TRAILER_BYTES,
                       "the trailer of the footer is damaged", err);
    return KVS_OK;
}

kvs_status footer_find(const struct segment *segment, uint64_t offset,
                       struct footer_entry *ret_entry, struct kvs_error *err)
{
    struct footer_entry entries[FIND_ENTRIES];
    struct footer_entry found = {.offset = 0};
    struct trailer trailer = {.count = 0};
    kvs_status status = trailer_load(segment, &trailer, err);
    if (status != KVS_OK)
        return status;
    uint32_t crc = segment->salt;
    for (uint64_t i = 0; i < trailer.count;) {
        uint64_t count = trailer.count - i < FIND_ENTRIES ? trailer.count - i : FIND_ENTRIES;
        uint64_t got;
        status = disk_file_read(segment->file, trailer.end + i * FOOTER_ENTRY_BYTES, entries,
                                count * FOOTER_ENTRY_BYTES, &got, err);
        if (status != KVS_OK)
            return status;
        if (got != count * FOOTER_ENTRY_BYTES)
            break;
        crc = crc32c(crc, entries, got);
        for (uint64_t each = 0; each < count; each++)
            if ((uint64_t)entries[each].offset * FOOTER_UNIT == offset)
                found = entries[each];
        i += count;
    }
    if (crc != trailer.crc)
        return corrupt(segment, trailer.end, "the footer is damaged (CRC mismatch)", err);
    if (found.offset == 0)
        return KVS_MISSING;
    *ret_entry = found;
    return KVS_OK;
}
