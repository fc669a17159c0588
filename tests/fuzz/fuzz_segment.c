/*
 * Feeds the content of a segment to all that reads frames and records: the scan of a start, the walk of
 * verifying and salvaging, and the collector of entries. The first byte says what the segment is and
 * whether checksums are made right before. Aborts where they disagree, or break a promise of scan.h,
 * walk.h or footer.h.
 */
#include "footer.h"
#include "fuzz.h"
#include "mend.h"
#include "scan.h"
#include "walk.h"

#define MEND      1u
#define COMPACTED 2u
#define SECRET    "the secret of a store to be fuzz"

static const struct kvs_bytes secret = {SECRET, sizeof(SECRET) - 1};

static struct index *index_of_fuzzer(void)
{
    static struct epoch *epoch;
    static struct index *index;
    if (index == NULL) {
        require(epoch_new(&epoch, NULL) == KVS_OK);
        const struct index_config config = {
            .size = sizeof(config), .shard_bits = 4, .secret = secret, .epoch = epoch};
        require(index_new(&config, &index, NULL) == KVS_OK);
    }
    return index;
}

/* ---- frames ------------------------------------------------------------------------------- */

static void check_scan(const struct segment *segment, const struct scan_result *scan)
{
    require(scan->end >= SEGMENT_HEADER_BYTES && scan->end <= segment->bytes);
    require(scan->behind_bytes <= segment->bytes - scan->end);
    require((scan->records == 0) == (scan->end == SEGMENT_HEADER_BYTES));
    require(scan->sequence_min <= scan->sequence_max);
}

/* The pieces in a damaged piece follow each other and fill it. */
static void check_ruin(const struct segment *segment, const struct walk_piece *piece)
{
    struct ruin_walk walk;
    struct ruin ruin;
    uint64_t at = piece->begin;
    ruin_begin(&walk, segment->memory, segment->salt, piece);
    while (ruin_next(&walk, &ruin)) {
        require(ruin.begin == at && ruin.end > at && ruin.end <= piece->end);
        at = ruin.end;
        if (ruin.kind == RUIN_RECORD)
            require(record_is_sound(segment->memory + ruin.begin, segment->salt, &ruin.record));
    }
    require(at == piece->end);
}

static void check_walk(const struct segment *segment, uint64_t scan_end, bool sealed)
{
    struct walk walk;
    struct walk_piece piece;
    uint64_t at = SEGMENT_HEADER_BYTES;
    walk_begin(&walk, segment->memory, segment->salt, segment->bytes, sealed);
    while (walk_next(&walk, &piece)) {
        require(piece.begin == at && piece.end > at && piece.end <= segment->bytes);
        require(piece.sound || at >= scan_end);
        at = piece.end;
        if (piece.sound)
            require(piece.header.bytes == piece.end - piece.begin);
        else
            check_ruin(segment, &piece);
    }
    require(at >= scan_end);
    require(!sealed || at == segment->bytes);
}

/* ---- entries ------------------------------------------------------------------------------ */

static void check_entries(const struct segment *segment, const struct scan_result *scan)
{
    struct footer_entries checked;
    struct footer_entries viewed;
    require(footer_collect(segment, index_of_fuzzer(), secret, true, &checked, NULL) == KVS_OK);
    require(footer_collect(segment, index_of_fuzzer(), secret, false, &viewed, NULL) == KVS_OK);
    require(checked.count == scan->records && viewed.count == checked.count);
    for (uint64_t i = 0; i < checked.count; i++) {
        const struct footer_entry *entry = &checked.items[i];
        uint64_t offset = (uint64_t)entry->offset * FOOTER_UNIT;
        struct record record;
        require(memcmp(entry, &viewed.items[i], sizeof(*entry)) == 0);
        require(offset >= SEGMENT_HEADER_BYTES && offset < scan->end);
        require(record_view(segment->memory + offset, scan->end - offset, &record));
        require(record_is_sound(segment->memory + offset, segment->salt, &record));
        require(index_hash(index_of_fuzzer(), record.key) == entry->hash);
        require(record.sequence == entry->sequence);
        require(footer_entry_is_tombstone(entry) == (record.kind == RECORD_TOMBSTONE));
        require(i == 0 || checked.items[i - 1].hash <= entry->hash);
    }
    footer_entries_deinit(&checked);
    footer_entries_deinit(&viewed);
}

/* Frames that nobody checked: an error, or entries. */
static void collect_unchecked(struct segment *segment, uint64_t end)
{
    struct footer_entries entries;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    atomic_store_explicit(&segment->end, end, memory_order_relaxed);
    kvs_status status = footer_collect(segment, index_of_fuzzer(), secret, false, &entries, &error);
    require(status == KVS_OK || (status == KVS_CORRUPT && message[0] != '\0'));
    if (status == KVS_OK)
        footer_entries_deinit(&entries);
}

static void read_all(struct segment *segment)
{
    struct scan_result scan;
    uint32_t salt;
    scan_segment(segment, &scan);
    check_scan(segment, &scan);
    check_walk(segment, scan.end, false);
    check_walk(segment, scan.end, true);
    atomic_store_explicit(&segment->end, scan.end, memory_order_relaxed);
    check_entries(segment, &scan);
    collect_unchecked(segment, segment->bytes);
    if (walk_find_salt(segment->memory, segment->bytes, &salt))
        require(scan.records == 0 || salt == segment->salt);
    else
        require(scan.records == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    /* Of the size that a file has, no byte longer; sizes of segments are multiples of 8. */
    uint64_t bytes = SEGMENT_HEADER_BYTES + ((size - 1) & ~(size_t)7);
    uint8_t *memory = calloc(1, bytes);
    require(memory != NULL);
    memcpy(memory + SEGMENT_HEADER_BYTES, data + 1, bytes - SEGMENT_HEADER_BYTES);
    struct segment segment = {
        .number = 5,
        .generation = 9,
        .salt = record_salt(secret, 9),
        .kind = (data[0] & COMPACTED) != 0 ? SEGMENT_COMPACTED : SEGMENT_APPENDED,
        .memory = memory,
        .bytes = bytes,
    };
    if ((data[0] & MEND) != 0)
        mend_frames(memory, SEGMENT_HEADER_BYTES, bytes, segment.salt);
    read_all(&segment);
    free(memory);
    return 0;
}
