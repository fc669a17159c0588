/*
 * Verifying one segment by itself: its header, its frames and their records, the footer, and what is
 * behind the frames of an unsealed one. See verify.h.
 *
 * The segment is made of a copy of the file in memory (image.h), so that the engine's own functions
 * check it.
 */
#include <inttypes.h>
#include <string.h>

#include "footer.h"
#include "image.h"
#include "verify_internal.h"
#include "walk.h"

#define HEADER_USED 64u /* bytes of the header; zeros follow */

/* One look at a segment. */
struct look {
    struct verify *verify;
    struct verified *verified;
    struct image image;
    struct segment segment; /* in image's memory */
    uint64_t next_sequence; /* of an appended segment's next record; 0: any */
};

static struct findings *findings_of(const struct look *look)
{
    return &look->verify->findings;
}

/* ---- the header --------------------------------------------------------------------------- */

static void verify_header(struct look *look)
{
    const struct manifest_segment *known = &look->verified->known;
    const char *name = look->verified->name;
    struct segment_header header;
    if (!segment_header_read(look->image.memory, &header)) {
        findings_add(findings_of(look), KVS_LOG_ERROR, "%s offset 0: the header is damaged", name);
        return;
    }
    if (header.format > SEGMENT_FORMAT)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s has format %" PRIu32 ", this kvs knows formats up to %u", name,
                     header.format, SEGMENT_FORMAT);
    else if (header.number != known->number || header.generation != known->generation)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s holds segment %" PRIu32 " of generation %" PRIu64
                     ", the manifest expects segment %" PRIu32 " of generation %" PRIu64,
                     name, header.number, header.generation, known->number, known->generation);
    else
        look->verified->readable = true;
    look->verified->kind = header.kind;
    for (uint32_t i = HEADER_USED; i < SEGMENT_HEADER_BYTES; i++) {
        if (look->image.memory[i] != 0) {
            findings_add(findings_of(look), KVS_LOG_ERROR,
                         "%s offset %" PRIu32 ": the header should be zero here", name, i);
            return;
        }
    }
}

/* ---- frames ------------------------------------------------------------------------------- */

static void report_ruin(const struct look *look, const struct ruin *ruin)
{
    char key[FINDINGS_KEY_MAX];
    if (ruin->kind == RUIN_SUSPECT)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the record of key %s with number %" PRIu64
                     " is damaged (CRC mismatch)",
                     look->verified->name, ruin->begin, findings_key(ruin->record.key, key),
                     ruin->record.sequence);
    else
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": %" PRIu64 " bytes are damaged: no record is here",
                     look->verified->name, ruin->begin, ruin->end - ruin->begin);
}

static void report_damage(const struct look *look, const struct walk_piece *piece)
{
    struct ruin_walk walk;
    struct ruin ruin;
    uint64_t sound = 0;
    uint64_t lost = 0;
    ruin_begin(&walk, look->image.memory, look->segment.salt, piece);
    while (ruin_next(&walk, &ruin)) {
        if (ruin.kind == RUIN_RECORD) {
            sound++;
        } else if (ruin.kind != RUIN_HEADER) {
            lost++;
            report_ruin(look, &ruin);
        }
    }
    if (lost == 0)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the frame is damaged, its %" PRIu64
                     " records are sound by themselves",
                     look->verified->name, piece->begin, sound);
}

/* The numbers of a sound frame's records: they follow each other where they were appended. */
static void verify_numbers(struct look *look, const struct walk_piece *piece)
{
    struct verified *verified = look->verified;
    uint64_t at = piece->begin + FRAME_HEADER_BYTES;
    bool appended = verified->kind == SEGMENT_APPENDED;
    bool follows =
        !appended || look->next_sequence == 0 || piece->header.sequence == look->next_sequence;
    for (uint32_t i = 0; i < piece->header.records; i++) {
        struct record record;
        if (!record_view(look->image.memory + at, piece->end - at, &record))
            break; /* cannot be: the frame is sound */
        follows = follows && record.sequence != 0 &&
                  (appended ? record.sequence == piece->header.sequence + i
                            : i > 0 || record.sequence == piece->header.sequence);
        segment_count_record(&look->segment, record.sequence);
        at += record_bytes(record.key.len, record.value.len);
    }
    look->next_sequence = piece->header.sequence + piece->header.records;
    if (!follows)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the frame's sequence numbers are wrong",
                     verified->name, piece->begin);
}

/* True: there is no damage. */
static bool verify_frames(struct look *look, uint64_t end)
{
    struct walk walk;
    struct walk_piece piece;
    uint64_t before = findings_of(look)->damages;
    walk_begin(&walk, look->image.memory, look->segment.salt, end, true);
    while (walk_next(&walk, &piece)) {
        if (piece.sound) {
            verify_numbers(look, &piece);
        } else {
            report_damage(look, &piece);
            look->next_sequence = 0;
        }
    }
    return findings_of(look)->damages == before;
}

/* ---- sealed segments ---------------------------------------------------------------------- */

/* What the manifest says of the records. */
static void verify_counts(const struct look *look)
{
    const struct manifest_segment *known = &look->verified->known;
    const struct segment *segment = &look->segment;
    if (segment->records == known->records && segment->sequence_min == known->sequence_min &&
        segment->sequence_max == known->sequence_max)
        return;
    findings_add(findings_of(look), KVS_LOG_ERROR,
                 "%s has %" PRIu64 " records with numbers %" PRIu64 " to %" PRIu64
                 ", the manifest expects %" PRIu64 " with %" PRIu64 " to %" PRIu64,
                 look->verified->name, segment->records, segment->sequence_min,
                 segment->sequence_max, known->records, known->sequence_min, known->sequence_max);
}

/* The footer's entries against those that the frames give. */
static kvs_status compare_footer(const struct look *look, const struct footer_entries *footer,
                                 struct kvs_error *err)
{
    struct footer_entries frames;
    kvs_status status = footer_collect(&look->segment, look->verify->index, look->verify->secret,
                                       false, &frames, err);
    if (status != KVS_OK)
        return status;
    if (footer->count != frames.count ||
        (frames.count > 0 &&
         memcmp(footer->items, frames.items, frames.count * FOOTER_ENTRY_BYTES) != 0))
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the footer is not that of the segment's records",
                     look->verified->name, look->verified->known.end);
    footer_entries_deinit(&frames);
    return KVS_OK;
}

static kvs_status verify_footer(const struct look *look, bool frames_are_sound,
                                struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct footer_entries footer;
    kvs_status status = footer_open(&look->segment, look->verified->known.end, &footer, &error);
    if (status == KVS_MISSING) {
        findings_add(findings_of(look), KVS_LOG_INFO,
                     "%s has no footer: the disk was full when it was sealed; it is only slower "
                     "to open",
                     look->verified->name);
        return KVS_OK;
    }
    if (status != KVS_OK) {
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s; no record is lost by that, the segment is only slower to open", message);
        return KVS_OK;
    }
    status = frames_are_sound ? compare_footer(look, &footer, err) : KVS_OK;
    footer_entries_deinit(&footer);
    return status;
}

static kvs_status verify_sealed(struct look *look, struct kvs_error *err)
{
    const struct manifest_segment *known = &look->verified->known;
    uint64_t end = known->end;
    if (known->bytes != look->image.bytes)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s has %" PRIu64 " bytes, the manifest expects %" PRIu64,
                     look->verified->name, look->image.bytes, known->bytes);
    if (end > look->image.bytes)
        end = look->image.bytes & ~(uint64_t)(RECORD_ALIGNMENT - 1);
    bool sound = verify_frames(look, end);
    if (sound)
        verify_counts(look);
    atomic_store_explicit(&look->segment.end, end, memory_order_relaxed);
    look->verified->end = end;
    return end == known->end ? verify_footer(look, sound, err) : KVS_OK;
}

/* ---- unsealed segments -------------------------------------------------------------------- */

static void verify_unsealed(struct look *look)
{
    struct verified *verified = look->verified;
    scan_segment(&look->segment, &verified->scan);
    (void)verify_frames(look, verified->scan.end);
    verified->end = verified->scan.end;
    uint64_t end;
    if (footer_find_end(&look->segment, &end) && end == verified->end)
        findings_add(findings_of(look), KVS_LOG_INFO,
                     "%s was being sealed; the next start finishes that", verified->name);
    else if (verified->scan.behind_bytes > 0)
        findings_add(findings_of(look), KVS_LOG_WARN,
                     "%s offset %" PRIu64 ": the last %" PRIu64
                     " bytes are no whole write; the next start cuts them off, unless something "
                     "says that they were acknowledged",
                     verified->name, verified->end, verified->scan.behind_bytes);
    if (verified->kind == SEGMENT_COMPACTED && verified->end < verified->known.end)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": copies of records that were here are damaged",
                     verified->name, verified->end);
}

/* ------------------------------------------------------------------------------------------- */

static void report_holes(const struct look *look)
{
    for (uint32_t i = 0; i < look->image.hole_count; i++)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the disk cannot read %" PRIu64 " bytes here",
                     look->verified->name, look->image.holes[i].begin,
                     look->image.holes[i].end - look->image.holes[i].begin);
}

static kvs_status verify_image(struct look *look, struct kvs_error *err)
{
    struct verified *verified = look->verified;
    report_holes(look);
    verify_header(look);
    look->segment = (struct segment){
        .memory = look->image.memory,
        .bytes = look->image.bytes,
        .number = verified->known.number,
        .generation = verified->known.generation,
        .salt = record_salt(look->verify->secret, verified->known.generation),
        .kind = verified->kind,
    };
    kvs_status status = KVS_OK;
    if (look->image.bytes < SEGMENT_HEADER_BYTES)
        findings_add(findings_of(look), KVS_LOG_ERROR,
                     "%s: only %" PRIu64 " bytes, no segment is so short", verified->name,
                     look->image.bytes);
    else if (verified->known.sealed)
        status = verify_sealed(look, err);
    else
        verify_unsealed(look);
    verified->records = look->segment.records;
    verified->sequence_min = look->segment.sequence_min;
    verified->sequence_max = look->segment.sequence_max;
    return status;
}

kvs_status verify_segment(struct verify *verify, struct verified *segment, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct look look = {.verify = verify, .verified = segment};
    segment->kind = SEGMENT_APPENDED;
    findings_begin_file(&verify->findings, segment->name);
    kvs_status status = image_read(verify->disk, segment->name, &look.image, &error);
    if (status == KVS_OK) {
        status = verify_image(&look, err);
    } else if (status == KVS_NO_MEMORY) {
        (void)kvs_error_set(err, status, 0, "%s", message);
    } else {
        findings_add(&verify->findings, KVS_LOG_ERROR, "%s", message);
        status = KVS_OK;
    }
    findings_end_file(&verify->findings);
    image_deinit(&look.image);
    return status;
}
