/*
 * Collecting the entries of one segment's file. It is read into memory (image.h), so that a place which
 * the disk cannot read is a hole of zeros.
 *
 * The salt of its CRCs is found by trying: those of the secret with the generations that the header and
 * the manifest name, and the one that the first frame seems to have. With the salt, frames are told
 * from all else (walk.h). A sound footer then says which records should be there; without one, damage
 * is known only by what can be read of it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "footer.h"
#include "image.h"
#include "repair_internal.h"
#include "walk.h"

#define ENTRIES_MIN    1024u
#define CANDIDATES_MAX 2u

struct candidate {
    uint64_t generation;
    uint32_t salt;
};

/* One look at a file. */
struct look {
    struct repair *repair;
    struct repair_file *file;
    uint32_t index; /* of the file */
    struct image image;
    struct segment segment; /* in image's memory */
    bool is_readable;       /* there is a salt */
    enum segment_kind kind; /* 0: not known; in appended ones numbers follow each other */
    bool ends;              /* segment.end is where its frames end; else they may end before it */
    struct footer_entries footer;
    bool has_footer;
    uint64_t first_entry;   /* of the file, in repair->entries */
    uint64_t next_sequence; /* 0: not known */
};

static kvs_status no_memory(const struct look *look, struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "not enough memory to salvage %s",
                         look->file->name);
}

static uint64_t end_of(const struct look *look)
{
    return atomic_load_explicit(&look->segment.end, memory_order_relaxed);
}

/* ---- entries ------------------------------------------------------------------------------ */

/* False: no memory. */
static bool add_entry(struct repair *repair, const struct repair_entry *entry)
{
    if (repair->entry_count == repair->entry_cap) {
        uint64_t cap = repair->entry_cap == 0 ? ENTRIES_MIN : 2 * repair->entry_cap;
        struct repair_entry *entries = realloc(repair->entries, cap * sizeof(entries[0]));
        if (entries == NULL)
            return false;
        repair->entries = entries;
        repair->entry_cap = cap;
    }
    repair->entries[repair->entry_count++] = *entry;
    return true;
}

static bool add_record(const struct look *look, uint64_t offset, const struct record *record,
                       uint64_t sequence, uint32_t flags)
{
    struct repair *repair = look->repair;
    const struct repair_entry entry = {
        .hash = index_hash(repair->index, record->key),
        .check = footer_check_of(repair->check_seed, record->key),
        .sequence = sequence,
        .file = look->index,
        .offset = (uint32_t)(offset / RECORD_ALIGNMENT),
        .size = (uint32_t)(record_bytes(record->key.len, record->value.len) / RECORD_ALIGNMENT),
        .flags = flags | (record->kind == RECORD_TOMBSTONE ? REPAIR_TOMBSTONE : 0),
    };
    return add_entry(repair, &entry);
}

/* ---- the salt ----------------------------------------------------------------------------- */

static bool has_frame(const struct look *look, uint32_t salt)
{
    const uint8_t *memory = look->image.memory;
    struct frame_header header;
    for (uint64_t at = SEGMENT_HEADER_BYTES; at + FRAME_HEADER_BYTES <= look->image.bytes;
         at += RECORD_ALIGNMENT)
        if (load_le32(memory + at) == FRAME_MAGIC &&
            frame_check(memory + at, look->image.bytes - at, salt, &header))
            return true;
    return false;
}

static bool has_record(const struct look *look, uint32_t salt)
{
    const uint8_t *memory = look->image.memory;
    struct record record;
    for (uint64_t at = SEGMENT_HEADER_BYTES; at + RECORD_HEADER_BYTES <= look->image.bytes;
         at += RECORD_ALIGNMENT)
        if (record_view(memory + at, look->image.bytes - at, &record) &&
            record_is_sound(memory + at, salt, &record))
            return true;
    return false;
}

static bool has_trailer(const struct look *look, uint32_t salt)
{
    struct segment segment = {
        .memory = look->image.memory, .bytes = look->image.bytes, .salt = salt};
    uint64_t end;
    return footer_find_end(&segment, &end);
}

static void take_salt(struct look *look, const struct candidate *candidate)
{
    look->segment.generation = candidate->generation;
    look->segment.salt = candidate->salt;
    look->file->salt = candidate->salt;
    look->is_readable = true;
}

static void find_salt(struct look *look, const struct segment_header *header)
{
    if (look->file->is_judged) { /* it was read with this one already */
        struct kvs_bytes known = {look->repair->manifest.secret, MANIFEST_SECRET_BYTES};
        struct candidate judged = {.generation = look->file->known->generation};
        judged.salt = record_salt(known, judged.generation);
        take_salt(look, &judged);
        return;
    }
    static bool (*const ways[])(const struct look *look, uint32_t salt) = {has_frame, has_trailer,
                                                                           has_record};
    const struct repair_manifest *manifest = &look->repair->manifest;
    struct kvs_bytes secret = {manifest->secret, MANIFEST_SECRET_BYTES};
    struct candidate candidates[CANDIDATES_MAX];
    uint32_t count = 0;
    if (manifest->has_secret && header != NULL)
        candidates[count++].generation = header->generation;
    if (manifest->has_secret && look->file->known != NULL)
        candidates[count++].generation = look->file->known->generation;
    for (uint32_t i = 0; i < count; i++)
        candidates[i].salt = record_salt(secret, candidates[i].generation);
    for (unsigned way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        for (uint32_t i = 0; i < count && !look->is_readable; i++)
            if (ways[way](look, candidates[i].salt))
                take_salt(look, &candidates[i]);
        struct candidate found = {.generation = 0};
        if (way == 0 && !look->is_readable &&
            walk_find_salt(look->image.memory, look->image.bytes, &found.salt))
            take_salt(look, &found);
    }
}

/* ---- where the frames end ----------------------------------------------------------------- */

/* The footer counts only when its hashes are those of our secret. */
static void find_footer(struct look *look)
{
    const struct repair_manifest *manifest = &look->repair->manifest;
    struct kvs_bytes secret = {manifest->secret, MANIFEST_SECRET_BYTES};
    uint64_t end;
    if (!look->ends || !manifest->has_secret || !footer_find_end(&look->segment, &end) ||
        end != end_of(look) || look->segment.salt != record_salt(secret, look->segment.generation))
        return;
    look->has_footer = footer_open(&look->segment, end, &look->footer, NULL) == KVS_OK;
}

static void find_end(struct look *look)
{
    const struct manifest_segment *known = look->file->known;
    uint64_t end = look->image.bytes & ~(uint64_t)(RECORD_ALIGNMENT - 1);
    uint64_t footer_end;
    look->ends = look->file->is_judged;
    if (look->file->is_judged) {
        end = look->file->end;
    } else if (footer_find_end(&look->segment, &footer_end)) {
        look->ends = true;
        end = footer_end;
    } else if (known != NULL && known->sealed && known->end >= SEGMENT_HEADER_BYTES) {
        look->ends = true;
        if (known->end > end) {
            findings_add(&look->repair->findings, KVS_LOG_ERROR,
                         "%s offset %" PRIu64 ": the file ends here, and %" PRIu64
                         " bytes are missing; what was written there is not known",
                         look->file->name, look->image.bytes, known->end - look->image.bytes);
            look->repair->unknown++;
        } else {
            end = known->end;
        }
    }
    atomic_store_explicit(&look->segment.end, end, memory_order_relaxed);
    if (!look->file->is_judged)
        find_footer(look);
}

/* ---- frames ------------------------------------------------------------------------------- */

static bool collect_frame(struct look *look, const struct walk_piece *piece)
{
    struct repair *repair = look->repair;
    uint64_t at = piece->begin + FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < piece->header.records; i++) {
        struct record record;
        if (!record_view(look->image.memory + at, piece->end - at, &record))
            break; /* cannot be: the frame is sound */
        if (!add_record(look, at, &record, record.sequence, 0))
            return false;
        if (record.sequence > repair->sequence_max)
            repair->sequence_max = record.sequence;
        at += record_bytes(record.key.len, record.value.len);
    }
    if (piece->header.durable_sequence > repair->claimed)
        repair->claimed = piece->header.durable_sequence;
    look->next_sequence =
        look->kind == SEGMENT_APPENDED ? piece->header.sequence + piece->header.records : 0;
    return true;
}

/* A damaged record: what it says is a guess, but its number is known where numbers follow each other. */
static bool collect_suspect(struct look *look, const struct ruin *ruin)
{
    uint64_t sequence = ruin->record.sequence;
    if (look->next_sequence > sequence)
        sequence = look->next_sequence;
    if (look->next_sequence != 0)
        look->next_sequence++;
    if (look->has_footer)
        return true;
    look->repair->unknown++;
    return add_record(look, ruin->begin, &ruin->record, sequence, REPAIR_LOST | REPAIR_GUESS);
}

static void collect_bytes(struct look *look, const struct ruin *ruin)
{
    look->next_sequence = 0;
    if (look->has_footer)
        return;
    look->repair->unknown++;
    findings_add(&look->repair->findings, KVS_LOG_ERROR,
                 "%s offset %" PRIu64 ": %" PRIu64
                 " bytes are damaged; what was written there is not known",
                 look->file->name, ruin->begin, ruin->end - ruin->begin);
}

/* What is in a frame that is damaged. */
static bool collect_ruin(struct look *look, const struct walk_piece *piece)
{
    struct ruin_walk walk;
    struct ruin ruin;
    uint64_t sound = 0;
    bool enough = true;
    ruin_begin(&walk, look->image.memory, look->segment.salt, piece);
    while (enough && ruin_next(&walk, &ruin)) {
        if (ruin.kind == RUIN_RECORD) {
            sound++;
            enough = add_record(look, ruin.begin, &ruin.record, ruin.record.sequence, 0);
            look->next_sequence = look->kind == SEGMENT_APPENDED ? ruin.record.sequence + 1 : 0;
        } else if (ruin.kind == RUIN_SUSPECT) {
            enough = collect_suspect(look, &ruin);
        } else if (ruin.kind == RUIN_BYTES) {
            collect_bytes(look, &ruin);
        }
    }
    findings_add(&look->repair->findings, KVS_LOG_WARN,
                 "%s offset %" PRIu64 ": a write of %" PRIu64 " bytes is damaged; %" PRIu64
                 " records in it are sound and are brought back",
                 look->file->name, piece->begin, piece->end - piece->begin, sound);
    return enough;
}

/* ---- tails -------------------------------------------------------------------------------- */

/* Leaves what is behind the last sound frame of an unsealed segment for later. */
static void leave_tail(struct look *look, const struct walk_piece *piece)
{
    look->repair->tails[look->repair->tail_count++] = (struct repair_tail){
        .file = look->index,
        .kind = look->kind,
        .begin = piece->begin,
        .end = piece->end,
        .next_sequence = look->next_sequence,
    };
}

/* Where a tail's last record ends, as its records tell: the zeros that it may end with do not show. */
static uint64_t tail_end(const struct look *look, const struct repair_tail *tail)
{
    uint64_t at = tail->begin + FRAME_HEADER_BYTES;
    struct record record;
    if (at > look->image.bytes) /* the file was cut within a header */
        return tail->end;
    while (at < tail->end && record_view(look->image.memory + at, look->image.bytes - at, &record))
        at += record_bytes(record.key.len, record.value.len);
    return at > tail->end ? at : tail->end;
}

/* True when all records are there that the frame had, as far as its damaged header tells: a write that
   was finished. */
static bool is_whole(const struct look *look, const struct walk_piece *piece)
{
    const uint8_t *header = look->image.memory + piece->begin;
    uint64_t at = piece->begin + FRAME_HEADER_BYTES;
    uint32_t records = 0;
    struct record record;
    while (at < piece->end &&
           record_view(look->image.memory + at, look->image.bytes - at, &record) &&
           record_is_sound(look->image.memory + at, look->segment.salt, &record)) {
        records++;
        at += record_bytes(record.key.len, record.value.len);
    }
    return records > 0 && at == piece->end &&
           (load_le32(header + 8) == at - piece->begin || load_le32(header + 12) == records);
}

static bool is_damage(const struct look *look, const struct repair_tail *tail,
                      const struct walk_piece *piece)
{
    const struct manifest_segment *known = look->file->known;
    uint64_t next = tail->next_sequence != 0 ? tail->next_sequence : look->repair->sequence_max + 1;
    if (tail->next_sequence != 0 && tail->next_sequence < look->repair->next)
        return false; /* the numbers go on elsewhere: a footer that was being written */
    if (tail->kind == SEGMENT_COMPACTED)
        return known != NULL && piece->begin < known->end;
    return tail->kind != SEGMENT_APPENDED || look->repair->claimed >= next || is_whole(look, piece);
}

static bool collect_tail(struct look *look, const struct repair_tail *tail)
{
    const struct walk_piece piece = {.begin = tail->begin, .end = tail_end(look, tail)};
    look->next_sequence = tail->next_sequence;
    if (is_damage(look, tail, &piece))
        return collect_ruin(look, &piece);
    findings_add(&look->repair->findings, KVS_LOG_INFO,
                 "%s offset %" PRIu64 ": the last %" PRIu64
                 " bytes are no finished write or footer, and were not acknowledged: they are left "
                 "out, as a start would",
                 look->file->name, tail->begin, tail->end - tail->begin);
    return true;
}

/* ---- what a start would leave out --------------------------------------------------------- */

/* One whole write of which only the frame's header is damaged is brought back all the same. */
static bool is_next_write(const struct look *look, const struct walk_piece *piece)
{
    uint64_t at = piece->begin + FRAME_HEADER_BYTES;
    struct record record;
    return look->kind == SEGMENT_APPENDED && !look->file->is_dropped && at < piece->end &&
           record_view(look->image.memory + at, piece->end - at, &record) &&
           record.sequence == look->repair->next && is_whole(look, piece);
}

/* What is behind the frames that a start would take. False: no memory. */
static bool leave_out(struct look *look)
{
    struct walk walk;
    struct walk_piece piece;
    uint64_t end = look->image.bytes & ~(uint64_t)(RECORD_ALIGNMENT - 1);
    walk_begin(&walk, look->image.memory, look->segment.salt, end, false);
    walk.at = end_of(look);
    if (look->kind == SEGMENT_COMPACTED || walk.at >= walk.content_end)
        return true;
    uint64_t bytes = walk.content_end - walk.at;
    if (walk_next(&walk, &piece) && !piece.sound) {
        const struct repair_tail tail = {.begin = piece.begin, .end = piece.end};
        if (walk.at >= walk.content_end)
            piece.end = tail_end(look, &tail);
        if (is_next_write(look, &piece))
            return collect_ruin(look, &piece);
    }
    findings_add(&look->repair->findings, KVS_LOG_INFO,
                 "%s offset %" PRIu64 ": the last %" PRIu64
                 " bytes are no finished write or footer%s, and were not acknowledged: they are "
                 "left out, as a start would",
                 look->file->name, end_of(look), bytes,
                 look->file->is_dropped ? ", or follow a write that was not finished" : "");
    return true;
}

/* ---- what the footer tells ---------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    uint32_t one = ((const struct footer_entry *)a)->offset;
    uint32_t two = ((const struct footer_entry *)b)->offset;
    return (one > two) - (one < two);
}

static struct repair_entry lost_entry(const struct look *look, const struct footer_entry *item)
{
    return (struct repair_entry){
        .hash = item->hash,
        .check = item->check,
        .sequence = item->sequence,
        .file = look->index,
        .offset = item->offset,
        .size = item->size & ~FOOTER_TOMBSTONE,
        .flags = REPAIR_LOST | (footer_entry_is_tombstone(item) ? REPAIR_TOMBSTONE : 0),
    };
}

/* Adds an entry for each record of the footer that was not found. */
static kvs_status add_lost(struct look *look, struct kvs_error *err)
{
    struct repair *repair = look->repair;
    uint64_t found_end = repair->entry_count;
    uint64_t count = look->footer.count;
    if (!look->has_footer || found_end - look->first_entry == count)
        return KVS_OK;
    struct footer_entry *items = malloc((count + 1) * sizeof(items[0]));
    bool enough = items != NULL;
    if (enough && count > 0) {
        memcpy(items, look->footer.items, count * sizeof(items[0]));
        qsort(items, count, sizeof(items[0]), by_offset);
    }
    uint64_t at = look->first_entry; /* the entries of a file are in the order of their offsets */
    for (uint64_t i = 0; i < count && enough; i++) {
        while (at < found_end && repair->entries[at].offset < items[i].offset)
            at++;
        if (at < found_end && repair->entries[at].offset == items[i].offset)
            continue;
        const struct repair_entry entry = lost_entry(look, &items[i]);
        enough = add_entry(repair, &entry);
    }
    free(items);
    return enough ? KVS_OK : no_memory(look, err);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void report_unreadable(struct look *look)
{
    uint64_t end = look->image.bytes;
    while (end > SEGMENT_HEADER_BYTES && look->image.memory[end - 1] == 0)
        end--;
    if (end <= SEGMENT_HEADER_BYTES && (look->file->known == NULL || !look->file->known->sealed ||
                                        look->file->known->records == 0))
        return; /* an empty one */
    findings_add(&look->repair->findings, KVS_LOG_ERROR,
                 "%s offset %u: nothing in this file can be read; what was written there is not "
                 "known",
                 look->file->name, SEGMENT_HEADER_BYTES);
    look->repair->unknown++;
}

static void report_holes(const struct look *look)
{
    for (uint32_t i = 0; i < look->image.hole_count; i++)
        findings_add(&look->repair->findings, KVS_LOG_WARN,
                     "%s offset %" PRIu64 ": the disk cannot read %" PRIu64 " bytes here",
                     look->file->name, look->image.holes[i].begin,
                     look->image.holes[i].end - look->image.holes[i].begin);
}

static kvs_status prepare(struct look *look, struct kvs_error *err)
{
    struct segment_header header;
    bool has_header = segment_header_read(look->image.memory, &header);
    if (has_header && header.format > SEGMENT_FORMAT)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "%s has format %" PRIu32 ", this kvs knows formats up to %u",
                             look->file->name, header.format, SEGMENT_FORMAT);
    look->segment.memory = look->image.memory;
    look->segment.bytes = look->image.bytes;
    look->segment.number = look->file->number;
    look->kind = has_header ? header.kind : 0;
    find_salt(look, has_header ? &header : NULL);
    if (!look->is_readable)
        return KVS_OK;
    if (!has_header)
        findings_add(&look->repair->findings, KVS_LOG_WARN,
                     "%s offset 0: the header is damaged; nothing is lost by that",
                     look->file->name);
    find_end(look);
    return KVS_OK;
}

static kvs_status collect_pieces(struct look *look, struct kvs_error *err)
{
    struct walk walk;
    struct walk_piece piece;
    bool enough = true;
    walk_begin(&walk, look->image.memory, look->segment.salt, end_of(look), look->ends);
    while (enough && walk_next(&walk, &piece)) {
        if (piece.sound)
            enough = collect_frame(look, &piece);
        else if (!look->ends && walk.at >= walk.content_end)
            leave_tail(look, &piece);
        else
            enough = collect_ruin(look, &piece);
    }
    if (enough && look->file->is_judged)
        enough = leave_out(look);
    return enough ? add_lost(look, err) : no_memory(look, err);
}

/* Reads the file. KVS_MISSING, KVS_IO: it was reported. */
static kvs_status open_image(struct look *look, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = image_read(look->repair->disk, look->file->name, &look->image, &error);
    if (status == KVS_NO_MEMORY)
        return kvs_error_set(err, status, 0, "%s", message);
    if (status == KVS_OK)
        return status;
    look->repair->unknown++;
    findings_add(&look->repair->findings, KVS_LOG_ERROR,
                 "%s: all that was in it is lost, and what that was is not known", message);
    return status == KVS_MISSING ? KVS_MISSING : KVS_IO;
}

kvs_status repair_collect(struct repair *repair, uint32_t file, struct kvs_error *err)
{
    struct look look = {
        .repair = repair,
        .file = &repair->files[file],
        .index = file,
        .first_entry = repair->entry_count,
    };
    kvs_status status = open_image(&look, err);
    if (status != KVS_OK)
        return status == KVS_NO_MEMORY ? status : KVS_OK;
    findings_begin_file(&repair->findings, look.file->name);
    report_holes(&look);
    status = prepare(&look, err);
    if (status == KVS_OK && look.is_readable)
        status = collect_pieces(&look, err);
    else if (status == KVS_OK)
        report_unreadable(&look);
    findings_end_file(&repair->findings);
    footer_entries_deinit(&look.footer);
    image_deinit(&look.image);
    return status;
}

kvs_status repair_collect_tail(struct repair *repair, const struct repair_tail *tail,
                               struct kvs_error *err)
{
    struct look look = {
        .repair = repair,
        .file = &repair->files[tail->file],
        .index = tail->file,
        .kind = tail->kind,
        .segment = {.salt = repair->files[tail->file].salt},
    };
    kvs_status status = open_image(&look, err);
    if (status != KVS_OK)
        return status == KVS_NO_MEMORY ? status : KVS_OK;
    if (tail->end <= look.image.bytes && !collect_tail(&look, tail))
        status = no_memory(&look, err);
    image_deinit(&look.image);
    return status;
}
