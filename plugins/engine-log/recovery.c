/*
 * See recovery.h. The order of things:
 *
 * 1. The manifest says which segments there are. Files that it does not name are leftovers of a crash
 *    and hold nothing (keeper.c, I1); those that it is removing are removed.
 * 2. Sealed segments are taken as the manifest describes them. The others are scanned.
 * 3. The manifest says how far the sealed segments reached, also those that are gone (keeper.c, I5).
 *    From there the numbers in the unsealed appended segments go on without gaps. Where the
 *    sequence breaks off, with S as the number that should come next: if anything says that S was
 *    durable, what was acknowledged is damaged, and the store is not opened. Else it is a torn
 *    tail: cut off there, and whatever comes later goes (sequence.h).
 * 4. What was accepted of unsealed segments is written anew and synced before anything is told to
 *    anybody: after a failed sync the page cache may hold what the disk lacks.
 * 5. The index is loaded from the snapshot of a clean stop, or built from the newest record of each
 *    key (recovery_index.c).
 * 6. Appending goes on in a fresh segment, so nothing that was cut off can come back to life.
 */
#include "recovery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "keeper.h"
#include "manifest_format.h"
#include "progress.h"
#include "recovery_index.h"
#include "scan.h"
#include "sequence.h"

#define COPY_BYTES ((uint64_t)1 << 20)
#define FIRST_BYTES                                                                                \
    ((uint64_t)16 << 20) /* of a start's first segment, if it is filled with zeros */

_Static_assert(MANIFEST_NUMBER_MAX == SEGMENT_NUMBER_COUNT - 1, "what the manifest lets through");

/* One segment while it is being recovered. */
struct found {
    struct manifest_segment known; /* a copy: the manifest changes */
    struct segment *segment;       /* owned by the table once it is there */
    struct scan_result scan;       /* unsealed */
};

struct recovery {
    struct kvs_db *db;
    struct found *found;
    uint32_t count;
    struct kvs_bytes secret;
    uint64_t next; /* the number that comes next */
};

/* ---- 1: files ----------------------------------------------------------------------------- */

struct listing {
    struct kvs_db *db;
    bool has_segments;
    bool remove;
};

static void visit_file(void *arg, const char *name)
{
    struct listing *listing = arg;
    uint32_t number;
    if (!segment_name_parse(name, &number))
        return;
    listing->has_segments = true;
    if (!listing->remove || manifest_find(listing->db->manifest, number) != NULL)
        return;
    /* One that cannot be removed now only takes space, and is met again at the next start. */
    if (disk_remove(listing->db->disk, name, NULL) == KVS_OK)
        store_log(listing->db, KVS_LOG_INFO, "removed %s, left over by a crash", name);
}

static kvs_status open_manifest(struct kvs_db *db, bool create, struct kvs_error *err)
{
    struct listing listing = {.db = db};
    kvs_status status = manifest_open(db->disk, db->read_only, &db->manifest, err);
    if (status != KVS_MISSING)
        return status;
    kvs_status listed = disk_list(db->disk, visit_file, &listing, err);
    if (listed != KVS_OK)
        return listed;
    if (listing.has_segments)
        return kvs_error_set(
            err, KVS_CORRUPT, 0,
            "there are segments but no " MANIFEST_NAME
            ", which says what they are; salvage the store with --repair, or bring the file "
            "back from a backup");
    if (!create || db->read_only)
        return kvs_error_set(err, KVS_MISSING, 0, "there is no store of engine log here");
    return manifest_create(db->disk, &db->manifest, err);
}

/* Finishes removing a segment, or one that holds nothing. */
static kvs_status remove_found(struct recovery *recovery, struct found *found,
                               struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    struct kvs_db *db = recovery->db;
    segment_free(found->segment);
    found->segment = NULL;
    if (db->read_only)
        return KVS_OK;
    segment_name(found->known.number, name);
    kvs_status status = keeper_mark_removing(db, found->known.number, err);
    if (status == KVS_OK)
        status = disk_remove(db->disk, name, err);
    if (status != KVS_OK && status != KVS_MISSING)
        return status;
    status = disk_sync_folder(db->disk, err);
    if (status != KVS_OK)
        return status;
    return keeper_forget(db, found->known.number, err);
}

/* ---- 2: segments -------------------------------------------------------------------------- */

static void take_sealed(struct found *found)
{
    struct segment *segment = found->segment;
    segment->records = found->known.records;
    segment->sequence_min = found->known.sequence_min;
    segment->sequence_max = found->known.sequence_max;
    atomic_store_explicit(&segment->end, found->known.end, memory_order_relaxed);
    atomic_store_explicit(&segment->durable_end, found->known.end, memory_order_relaxed);
    atomic_store_explicit(&segment->sealed, 1, memory_order_relaxed);
}

static kvs_status check_sealed(const struct found *found, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    if (found->known.end >= SEGMENT_HEADER_BYTES && found->known.end <= found->segment->bytes)
        return KVS_OK;
    segment_name(found->known.number, name);
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "%s has %" PRIu64 " bytes, but its content ends at offset %" PRIu64, name,
                         found->segment->bytes, found->known.end);
}

static kvs_status open_found(struct recovery *recovery, struct found *found, struct kvs_error *err)
{
    struct kvs_db *db = recovery->db;
    kvs_status status = segment_open(db->disk, found->known.number, found->known.generation,
                                     recovery->secret, db->read_only, &found->segment, err);
    if (status != KVS_OK)
        return status == KVS_MISSING
                   ? kvs_error_set(err, KVS_CORRUPT, 0,
                                   "segment %08" PRIu32
                                   ".seg is missing; bring it back from a backup, or "
                                   "salvage the rest with --repair",
                                   found->known.number)
                   : status;
    found->segment->db = db;
    if (found->known.sealed) {
        status = check_sealed(found, err);
        if (status == KVS_OK)
            take_sealed(found);
        return status;
    }
    scan_segment(found->segment, &found->scan);
    /* What cannot be read is no torn tail. */
    return segment_failed(found->segment) ? segment_say_failed(found->segment, err) : KVS_OK;
}

/* ---- 3: the sequence ---------------------------------------------------------------------- */

/* Unsealed, and appended to. */
static bool has_tail(const struct found *found)
{
    return found->segment != NULL && !found->known.sealed &&
           found->segment->kind == SEGMENT_APPENDED;
}

static uint64_t find_sealed_max(const struct recovery *recovery)
{
    uint64_t max = 0;
    for (uint32_t i = 0; i < recovery->count; i++) {
        const struct manifest_segment *known = &recovery->found[i].known;
        if (known->sealed && known->sequence_max > max)
            max = known->sequence_max;
    }
    return max;
}

static kvs_status damaged(const struct found *found, uint64_t sequence, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(found->known.number, name);
    return kvs_error_set(
        err, KVS_CORRUPT, 0,
        "%s is damaged at offset %" PRIu64 ": the write with number %" PRIu64
        " was on the disk once and is not there any more; see what is wrong with "
        "--verify; salvage the store with --repair, or bring it back from a backup",
        name, found->scan.end, sequence);
}

/* Forgets the frames of a segment that came after the place where the sequence broke off. */
static void discard(struct recovery *recovery, struct found *found)
{
    if (found->scan.records > 0 || found->scan.behind_bytes > 0)
        store_log(recovery->db, KVS_LOG_WARN,
                  "%08" PRIu32 ".seg: dropped %" PRIu64
                  " bytes that were not acknowledged and follow a torn write",
                  found->known.number,
                  found->scan.end - SEGMENT_HEADER_BYTES + found->scan.behind_bytes);
    found->scan.end = SEGMENT_HEADER_BYTES;
    found->scan.behind_bytes = 0;
    found->scan.records = 0;
    found->scan.sequence_min = found->scan.sequence_max = 0;
}

/* Says what is cut off behind a segment's frames. */
static void log_cut(const struct recovery *recovery, const struct found *found)
{
    bool is_tail = found->scan.next_sequence == 0 || found->scan.next_sequence >= recovery->next;
    if (is_tail && found->segment->kind == SEGMENT_APPENDED)
        store_log(recovery->db, KVS_LOG_WARN,
                  "%08" PRIu32 ".seg: cut off a torn tail of %" PRIu64 " bytes at offset %" PRIu64
                  "; it was not acknowledged",
                  found->known.number, found->scan.behind_bytes, found->scan.end);
    else /* writes go on elsewhere without a gap, or the originals of the copies are there */
        store_log(recovery->db, KVS_LOG_INFO,
                  "%08" PRIu32 ".seg: dropped %" PRIu64
                  " bytes of a footer or of copies that were being written",
                  found->known.number, found->scan.behind_bytes);
}

/* Follows the numbers through the unsealed segments. */
static kvs_status follow_sequence(struct recovery *recovery, struct kvs_error *err)
{
    uint32_t count = 0;
    struct sequence_segment *tails = calloc((size_t)recovery->count + 1, sizeof(tails[0]));
    if (tails == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    for (uint32_t i = 0; i < recovery->count; i++)
        if (has_tail(&recovery->found[i]))
            tails[count++] = (struct sequence_segment){.scan = recovery->found[i].scan, .user = i};
    struct sequence_verdict verdict = sequence_judge(find_sealed_max(recovery), tails, count);
    recovery->next = verdict.next;
    for (uint32_t i = 0; i < count && !verdict.damaged; i++)
        if (tails[i].dropped && tails[i].scan.first_sequence != 0)
            discard(recovery, &recovery->found[tails[i].user]);
    free(tails);
    if (verdict.damaged)
        return damaged(&recovery->found[verdict.where], verdict.missing, err);
    for (uint32_t i = 0; i < recovery->count; i++) {
        const struct found *found = &recovery->found[i];
        if (found->segment != NULL && !found->known.sealed && found->scan.behind_bytes > 0)
            log_cut(recovery, found);
    }
    return KVS_OK;
}

/* Copies that the compactor had not finished: up to what the manifest says they must be sound. */
static kvs_status check_compacted(struct recovery *recovery, struct kvs_error *err)
{
    for (uint32_t i = 0; i < recovery->count; i++) {
        const struct found *found = &recovery->found[i];
        if (found->segment != NULL && !found->known.sealed && found->scan.end < found->known.end)
            return damaged(found, found->scan.next_sequence, err);
    }
    return KVS_OK;
}

/* ---- 4: tails ----------------------------------------------------------------------------- */

static kvs_status write_anew(const struct segment *segment, uint64_t end, struct kvs_error *err)
{
    uint8_t *copy = malloc(COPY_BYTES);
    if (copy == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    kvs_status status = KVS_OK;
    for (uint64_t at = 0; at < end && status == KVS_OK; at += COPY_BYTES) {
        uint64_t bytes = end - at < COPY_BYTES ? end - at : COPY_BYTES;
        memcpy(copy, segment->memory + at, bytes);
        status = disk_file_write(segment->file, at, copy, bytes, err);
    }
    free(copy);
    if (status == KVS_OK && segment_failed(segment))
        status = segment_say_failed(segment, err);
    if (status == KVS_OK)
        status = disk_file_truncate(segment->file, end, err);
    if (status == KVS_OK)
        status = disk_file_sync(segment->file, err);
    return status;
}

static void take_scanned(struct found *found)
{
    struct segment *segment = found->segment;
    segment->records = found->scan.records;
    segment->sequence_min = found->scan.sequence_min;
    segment->sequence_max = found->scan.sequence_max;
    atomic_store_explicit(&segment->end, found->scan.end, memory_order_relaxed);
    atomic_store_explicit(&segment->durable_end, found->scan.end, memory_order_relaxed);
}

static kvs_status settle_tail(struct recovery *recovery, struct found *found, struct kvs_error *err)
{
    struct kvs_db *db = recovery->db;
    if (found->scan.records == 0)
        return remove_found(recovery, found, err);
    if (!db->read_only) {
        kvs_status status = write_anew(found->segment, found->scan.end, err);
        if (status != KVS_OK)
            return status;
        /* Mapped again at its new size: nothing behind the end may be touched. */
        segment_free(found->segment);
        found->segment = NULL;
        status = segment_open(db->disk, found->known.number, found->known.generation,
                              recovery->secret, false, &found->segment, err);
        if (status != KVS_OK)
            return status;
        found->segment->db = db;
    }
    take_scanned(found);
    return KVS_OK;
}

/* ---- 5: the index ------------------------------------------------------------------------- */

static kvs_status make_index(const struct recovery *recovery, uint32_t threads,
                             struct kvs_error *err)
{
    uint32_t count = 0;
    struct segment **segments = calloc((size_t)recovery->count + 1, sizeof(struct segment *));
    if (segments == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    for (uint32_t i = 0; i < recovery->count; i++)
        if (recovery->found[i].segment != NULL)
            segments[count++] = recovery->found[i].segment;
    kvs_status status =
        recovery_index_make(recovery->db, segments, count, recovery->next, threads, err);
    free(segments);
    return status;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static kvs_status find_segments(struct recovery *recovery, struct kvs_error *err)
{
    struct kvs_db *db = recovery->db;
    uint32_t count = manifest_segment_count(db->manifest);
    recovery->found = calloc((size_t)count + 1, sizeof(*recovery->found));
    if (recovery->found == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    recovery->count = count;
    for (uint32_t i = 0; i < count; i++)
        recovery->found[i].known = *manifest_segment_at(db->manifest, i);
    struct progress progress;
    progress_begin(&progress, db, "opening segments", count, PROGRESS_NONE);
    for (uint32_t i = 0; i < count; i++) {
        struct found *found = &recovery->found[i];
        kvs_status status = found->known.removing ? remove_found(recovery, found, err)
                                                  : open_found(recovery, found, err);
        if (status != KVS_OK)
            return status;
        progress_step(&progress);
    }
    return KVS_OK;
}

static kvs_status recover(struct recovery *recovery, uint32_t threads, struct kvs_error *err)
{
    kvs_status status = find_segments(recovery, err);
    if (status != KVS_OK)
        return status;
    status = follow_sequence(recovery, err);
    if (status == KVS_OK)
        status = check_compacted(recovery, err);
    for (uint32_t i = 0; i < recovery->count && status == KVS_OK; i++) {
        struct found *found = &recovery->found[i];
        if (found->segment != NULL && !found->known.sealed)
            status = settle_tail(recovery, found, err);
    }
    return status == KVS_OK ? make_index(recovery, threads, err) : status;
}

/* Hands the segments over: to the table, and unsealed ones to the keeper. */
static void hand_over(struct recovery *recovery)
{
    struct kvs_db *db = recovery->db;
    for (uint32_t i = 0; i < recovery->count; i++) {
        struct found *found = &recovery->found[i];
        struct segment *segment = found->segment;
        if (segment == NULL)
            continue;
        segment_table_set(&db->table, segment->number, segment);
        if (segment->number >= db->next_number)
            db->next_number = (segment->number + 1) % SEGMENT_NUMBER_COUNT;
        if (!found->known.sealed && !db->read_only)
            keeper_enqueue(db, segment);
    }
    free(recovery->found);
}

kvs_status recovery_open(struct kvs_db *db, bool create, uint32_t threads, struct kvs_error *err)
{
    kvs_status status = open_manifest(db, create, err);
    if (status != KVS_OK)
        return status;
    struct recovery recovery = {
        .db = db,
        .secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES},
    };
    struct listing listing = {.db = db, .remove = !db->read_only};
    status = disk_list(db->disk, visit_file, &listing, err);
    if (status == KVS_OK)
        status = recover(&recovery, threads, err);
    hand_over(&recovery);
    if (status != KVS_OK || db->read_only)
        return status;
    if (db->zero_ahead) {
        /* As the maker makes them, but no larger than can be filled with zeros at once. The spare, for
           which that takes long, is the maker's. */
        uint64_t bytes = db->segment_bytes < FIRST_BYTES ? db->segment_bytes : FIRST_BYTES;
        return keeper_make_segment(db, bytes, SEGMENT_APPENDED, 0, true, &db->active, err);
    }
    status =
        keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, 0, false, &db->active, err);
    if (status != KVS_OK)
        return status;
    /* The spare too, so that it is there before the disk can fill up; on a full one, or without
       descriptors, there is none. */
    status =
        keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, 0, false, &db->spare, err);
    return disk_is_short(status) ? KVS_OK : status; /* the keeper tries again */
}
