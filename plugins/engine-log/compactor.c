/*
 * See compactor.h. One victim at a time is read from begin to end. A record is live if the index leads
 * to it; live ones are written to the output segment with their numbers, and each slot is moved only
 * if it still leads to the old place.
 *
 * I1  The victim is dropped only after the output is synced and the manifest says how far: whatever
 *     happens, one of the two copies is there. If both are, they are equal, and either may win. What is
 *     not copied because something newer took its place goes only after that is durable too.
 * I2  Every record's CRC is checked before anything it says is believed. A victim with a damaged record is
 *     left alone for good: its damage is reported by whoever reads that record, and nothing is lost by
 *     compacting.
 * I3  A tombstone is kept as long as another segment may hold an older record of its key: one that was
 *     made (its birth) before the tombstone was written. Segments made later hold only records
 *     that were alive then. It is not needed when the key has been set again. The birth of an output
 *     is a number up to which all was durable and in the index before its first record was looked at.
 * I4  No slot leads into the victim after the pass: it was complete and published before it was
 *     sealed, and slots that a writer changes meanwhile lead to newer records.
 */
#include "compactor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "committer.h"
#include "keeper.h"
#include "maker.h"
#include "space.h"

#define FRAME_BYTES_MAX ((uint64_t)256 << 10) /* copied before the slots are moved */
#define COPIES_MAX      2048u                 /* records in such a frame */

#define PACE_STEP_BYTES                                                                            \
    ((uint64_t)8 << 20) /* of a victim, after which the writers' pace is set anew */

/* A record that was copied, and its slot. */
struct copy {
    uint64_t hash;
    uint64_t old_place;
    uint64_t new_place;
    uint64_t sequence;
    uint32_t bytes;
    bool tombstone;
};

/* A frame that is being filled in the output. */
struct copier {
    struct kvs_db *db;
    struct segment *victim;
    uint64_t frame_offset; /* in the output */
    uint8_t *frame;        /* there; or a buffer, where the output is not mapped for writing */
    uint8_t *buffer;
    uint64_t buffer_cap;
    uint64_t bytes; /* of the frame so far */
    uint64_t first_sequence;
    uint32_t count;
    struct copy copies[COPIES_MAX];
};

/* ---- the output --------------------------------------------------------------------------- */

/* Writes the frame's header, then moves the slots of its records. */
static kvs_status copier_flush(struct copier *copier, struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    struct segment *output = db->compact_output;
    if (copier->count == 0)
        return KVS_OK;
    struct frame_header header = {
        .bytes = (uint32_t)copier->bytes,
        .records = copier->count,
        .sequence = copier->first_sequence,
    };
    frame_write_header(copier->frame, output->salt, &header);
    if (!output->writable) {
        kvs_status status =
            disk_file_write(output->file, copier->frame_offset, copier->frame, copier->bytes, err);
        if (status != KVS_OK)
            return status;
    }
    atomic_store_explicit(&output->end, copier->frame_offset + copier->bytes, memory_order_release);
    for (uint32_t i = 0; i < copier->count; i++) {
        const struct copy *copy = &copier->copies[i];
        segment_count_record(output, copy->sequence);
        if (copy->tombstone) {
            (void)atomic_fetch_add_explicit(&output->tombstone_bytes, copy->bytes,
                                            memory_order_relaxed);
        } else if (index_replace(db->index, copy->hash, copy->old_place, copy->new_place)) {
            (void)atomic_fetch_add_explicit(&output->live_bytes, copy->bytes, memory_order_relaxed);
            (void)atomic_fetch_sub_explicit(&copier->victim->live_bytes, copy->bytes,
                                            memory_order_relaxed);
        }
    }
    (void)atomic_fetch_add_explicit(&db->compacted_bytes, copier->bytes, memory_order_relaxed);
    copier->count = 0;
    copier->bytes = 0;
    return KVS_OK;
}

/* Begins a frame at the end of the output, for at least one record. */
static kvs_status copier_begin_frame(struct copier *copier, const struct record *record,
                                     uint64_t record_size, struct kvs_error *err)
{
    struct segment *output = copier->db->compact_output;
    uint64_t bytes = FRAME_HEADER_BYTES + record_size;
    copier->frame_offset = atomic_load_explicit(&output->end, memory_order_relaxed);
    copier->bytes = FRAME_HEADER_BYTES;
    copier->first_sequence = record->sequence;
    if (output->writable) {
        copier->frame = output->memory + copier->frame_offset;
        return KVS_OK;
    }
    bytes = bytes < FRAME_BYTES_MAX ? FRAME_BYTES_MAX : bytes;
    if (bytes > copier->buffer_cap) {
        uint8_t *larger = realloc(copier->buffer, bytes);
        if (larger == NULL)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
        copier->buffer = larger;
        copier->buffer_cap = bytes;
    }
    copier->frame = copier->buffer;
    return KVS_OK;
}

/* A failed sync is never tried again and believed, whatever it failed for. */
static kvs_status sync_output_file(struct kvs_db *db, struct segment *output, struct kvs_error *err)
{
    (void)atomic_fetch_add_explicit(&db->syncs, 1, memory_order_relaxed);
    kvs_status status = disk_file_sync(output->file, err);
    if (status == KVS_OK && segment_failed(output)) /* what was written may be nowhere */
        return segment_say_failed(output, err);
    if (status != KVS_OK && err != NULL)
        err->status = KVS_IO;
    return status == KVS_OK ? KVS_OK : KVS_IO;
}

/* Syncs the output and says in the manifest how far it is durable. */
static kvs_status output_sync(struct kvs_db *db, struct kvs_error *err)
{
    struct segment *output = db->compact_output;
    if (output == NULL)
        return KVS_OK;
    uint64_t end = atomic_load_explicit(&output->end, memory_order_relaxed);
    if (atomic_load_explicit(&output->durable_end, memory_order_relaxed) == end)
        return KVS_OK;
    kvs_status status = sync_output_file(db, output, err);
    if (status == KVS_OK)
        status = keeper_note_durable(db, output, err);
    if (status == KVS_OK)
        atomic_store_explicit(&output->durable_end, end, memory_order_release);
    return status;
}

static kvs_status output_seal(struct kvs_db *db, struct kvs_error *err)
{
    struct segment *output = db->compact_output;
    if (output == NULL)
        return KVS_OK;
    db->compact_output = NULL;
    if (atomic_load_explicit(&output->end, memory_order_relaxed) == SEGMENT_HEADER_BYTES)
        return keeper_drop(db, output, err);
    kvs_status status = sync_output_file(db, output, err);
    if (status != KVS_OK)
        return status;
    atomic_store_explicit(&output->durable_end,
                          atomic_load_explicit(&output->end, memory_order_relaxed),
                          memory_order_release);
    return keeper_seal(db, output, err);
}

/* Makes sure that the output has room for a frame of one more record. */
static kvs_status output_room(struct copier *copier, uint64_t record_size, struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    uint64_t needed = copier->bytes + record_size + (copier->count == 0 ? FRAME_HEADER_BYTES : 0);
    if (db->compact_output != NULL && segment_room(db->compact_output) >= needed)
        return KVS_OK;
    kvs_status status = copier_flush(copier, err);
    if (status == KVS_OK)
        status = output_seal(db, err);
    if (status != KVS_OK)
        return status;
    uint64_t least = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + record_size;
    uint64_t bytes = db->segment_bytes;
    if (bytes < least)
        bytes = (least + 4095) / 4096 * 4096;
    status = keeper_make_segment(db, bytes, SEGMENT_COMPACTED, false, &db->compact_output, err);
    if (status != KVS_NO_SPACE || !maker_lend_spare(db))
        return status;
    /* The spare's space is kept for this. */
    status = keeper_make_segment(db, bytes, SEGMENT_COMPACTED, false, &db->compact_output, err);
    maker_return_spare(db);
    return status;
}

static kvs_status damaged(const struct segment *victim, uint64_t offset, struct kvs_error *err)
{
    if (segment_failed(victim))
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "%08" PRIu32 ".seg cannot be read at offset %" PRIu64
                             ": it is not compacted",
                             victim->number, sigbus_failed_at(victim->range));
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "%08" PRIu32 ".seg is damaged at offset %" PRIu64
                         ": it is not compacted; see --verify",
                         victim->number, offset);
}

/* Copies one sound record to the output. */
static kvs_status copier_add(struct copier *copier, const struct record *record, uint64_t hash,
                             uint64_t old_place, struct kvs_error *err)
{
    uint64_t bytes = record_bytes(record->key.len, record->value.len);
    kvs_status status = KVS_OK;
    if (copier->count == COPIES_MAX || copier->bytes + bytes > FRAME_BYTES_MAX)
        status = copier_flush(copier, err);
    if (status == KVS_OK)
        status = output_room(copier, bytes, err);
    if (status == KVS_OK && copier->count == 0)
        status = copier_begin_frame(copier, record, bytes, err);
    if (status != KVS_OK)
        return status;
    struct segment *output = copier->db->compact_output;
    const struct segment *victim = copier->victim;
    uint64_t offset = copier->frame_offset + copier->bytes;
    uint64_t old_offset = place_offset_bytes(old_place);
    (void)record_write(copier->frame + copier->bytes, output->salt, record);
    /* I2, also when a page of it went between the check and the copy: zeros stay, so they show now. */
    if (segment_failed(victim) &&
        !record_is_sound(victim->memory + old_offset, victim->salt, record))
        return damaged(victim, old_offset, err);
    copier->copies[copier->count++] = (struct copy){
        .hash = hash,
        .old_place = old_place,
        .new_place = place_make(output->number, offset),
        .sequence = record->sequence,
        .bytes = (uint32_t)bytes,
        .tombstone = record->kind == RECORD_TOMBSTONE,
    };
    copier->bytes += bytes;
    return KVS_OK;
}

/* ---- the victim --------------------------------------------------------------------------- */

static bool is_live(const struct kvs_db *db, uint64_t hash, uint64_t place)
{
    struct index_cursor cursor;
    uint64_t candidate;
    bool found = false;
    epoch_begin();
    index_cursor_begin(&cursor, db->index, hash);
    while (!found && (candidate = index_cursor_next(&cursor)) != PLACE_NONE)
        found = candidate == place;
    epoch_end();
    return found;
}

/* I3. oldest_birth: of all segments but the victim. */
static bool is_needed(const struct kvs_db *db, const struct record *tombstone, uint64_t hash,
                      uint64_t oldest_birth)
{
    struct record record;
    if (oldest_birth > tombstone->sequence)
        return false;
    epoch_begin();
    bool is_set_again = store_find(db, hash, tombstone->key, &record) != PLACE_NONE;
    epoch_end();
    return !is_set_again;
}

/* Copies what is needed of one record. */
static kvs_status pass_record(struct copier *copier, uint64_t offset, const struct record *record,
                              uint64_t oldest_birth, struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    uint64_t place = place_make(copier->victim->number, offset);
    if (!record_is_sound(copier->victim->memory + offset, copier->victim->salt, record)) /* I2 */
        return damaged(copier->victim, offset, err);
    uint64_t hash = index_hash(db->index, record->key);
    db->compact_birth =
        atomic_load_explicit(&db->durable_sequence, memory_order_acquire) + 1; /* I3 */
    bool needed = record->kind == RECORD_TOMBSTONE ? is_needed(db, record, hash, oldest_birth)
                                                   : is_live(db, hash, place);
    if (!needed)
        return KVS_OK;
    return copier_add(copier, record, hash, place, err);
}

static bool stopping(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    bool stop = db->compactor_stop;
    (void)pthread_mutex_unlock(&db->compact_lock);
    return stop;
}

/* Goes through the victim's frames. KVS_CLOSED: the store is closing. */
static kvs_status pass_victim(struct copier *copier, uint64_t oldest_birth, struct kvs_error *err)
{
    const struct segment *victim = copier->victim;
    uint64_t end = atomic_load_explicit(&victim->end, memory_order_acquire);
    uint64_t at = SEGMENT_HEADER_BYTES;
    uint64_t paced_at = at;
    kvs_status status = KVS_OK;
    while (at < end && status == KVS_OK) {
        struct frame_header header;
        if (!frame_view(victim->memory + at, end - at, &header))
            return damaged(victim, at, err);
        uint64_t frame_end = at + header.bytes;
        at += FRAME_HEADER_BYTES;
        while (at < frame_end && status == KVS_OK) {
            struct record record;
            if (!record_view(victim->memory + at, frame_end - at, &record))
                return damaged(victim, at, err);
            status = pass_record(copier, at, &record, oldest_birth, err);
            at += record_bytes(record.key.len, record.value.len);
        }
        if (at - paced_at >= PACE_STEP_BYTES) {
            space_set_pace(copier->db);
            paced_at = at;
        }
        if (stopping(copier->db))
            return KVS_CLOSED;
    }
    if (status == KVS_OK)
        status = copier_flush(copier, err);
    return status;
}

/* Empties and drops one segment. */
static kvs_status compact_one(struct copier *copier, struct segment *victim, uint64_t oldest_birth,
                              struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    copier->victim = victim;
    copier->count = 0;
    copier->bytes = 0;
    atomic_store_explicit(&db->compact_victim, victim->number + 1, memory_order_relaxed);
    kvs_status status = pass_victim(copier, oldest_birth, err);
    if (status == KVS_CLOSED || status == KVS_CORRUPT)
        (void)!copier_flush(copier, NULL); /* what was copied is as good as the original */
    if (status == KVS_OK)
        status = output_sync(db, err); /* I1 */
    if (status == KVS_OK && db->durability != KVS_DURABILITY_ALWAYS)
        status = committer_sync(db, err); /* I1; with ALWAYS only what is durable is in the index */
    if (status == KVS_OK)
        status = keeper_drop(db, victim, err);
    if (status == KVS_OK)
        (void)atomic_fetch_add_explicit(&db->compacted_segments, 1, memory_order_relaxed);
    if (status == KVS_CORRUPT)
        victim->damaged = true;
    atomic_store_explicit(&db->compact_victim, 0, memory_order_relaxed);
    return status;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Compacts one segment if one is worth it. KVS_NOT_FOUND: none is. */
static kvs_status compact_next(struct copier *copier, bool everything)
{
    struct kvs_db *db = copier->db;
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct space_choice choice;
    if (store_check_writable(db, NULL) != KVS_OK)
        return KVS_READ_ONLY;
    if (!space_choose(db, everything, &choice))
        return KVS_NOT_FOUND;
    kvs_status status = compact_one(copier, choice.victim, choice.oldest_birth, &error);
    if (status == KVS_CORRUPT)
        store_log(db, KVS_LOG_ERROR, "%s", message);
    else if (status == KVS_IO)
        store_fail(db, &error);
    return status == KVS_CORRUPT ? KVS_OK : status;
}

/* Seals the output when nobody else would tell what went wrong. */
static kvs_status finish_output(struct kvs_db *db)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = store_check_writable(db, NULL);
    if (status == KVS_OK)
        status = output_seal(db, &error);
    if (status == KVS_IO)
        store_fail(db, &error);
    return status;
}

/* Serves a request to compact all that is sealed now. Output made meanwhile is not compacted again. */
static kvs_status compact_everything(struct copier *copier)
{
    struct kvs_db *db = copier->db;
    kvs_status status;
    kvs_status sealed = finish_output(db);
    space_mark_all(db);
    do
        status = compact_next(copier, true);
    while (status == KVS_OK);
    if (status == KVS_NOT_FOUND)
        status = sealed == KVS_OK ? finish_output(db) : sealed;
    return status;
}

static void sleep_until_wanted(struct kvs_db *db, bool retry)
{
    struct timespec until;
    if (!retry) {
        (void)pthread_cond_wait(&db->compact_wanted, &db->compact_lock);
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    (void)pthread_cond_timedwait(&db->compact_wanted, &db->compact_lock, &until);
}

/* Serves requests and looks until it is to stop. compact_lock is held. */
static void compactor_loop(struct copier *copier)
{
    struct kvs_db *db = copier->db;
    bool retry = false; /* a full disk: try again by and by */
    while (!db->compactor_stop) {
        if (db->compact_finished != db->compact_requested) {
            uint64_t request = db->compact_requested;
            (void)pthread_mutex_unlock(&db->compact_lock);
            kvs_status status = compact_everything(copier);
            (void)pthread_mutex_lock(&db->compact_lock);
            db->compact_status = status;
            db->compact_finished = request;
            (void)pthread_cond_broadcast(&db->compact_done);
            continue;
        }
        if (!db->compact_look && !retry) {
            sleep_until_wanted(db, false);
            continue;
        }
        db->compact_look = false;
        (void)pthread_mutex_unlock(&db->compact_lock);
        kvs_status status = compact_next(copier, false);
        space_set_pace(db);
        (void)pthread_mutex_lock(&db->compact_lock);
        retry = status == KVS_NO_SPACE || status == KVS_NO_MEMORY;
        db->compact_look = db->compact_look || status == KVS_OK;
        if (retry && !db->compactor_stop)
            sleep_until_wanted(db, true);
    }
    if (db->compact_finished != db->compact_requested)
        db->compact_status = KVS_CLOSED;
    db->compact_finished = db->compact_requested;
    (void)pthread_cond_broadcast(&db->compact_done);
}

static void *compactor_main(void *arg)
{
    struct copier *copier = arg;
    struct kvs_db *db = copier->db;
    (void)pthread_mutex_lock(&db->compact_lock);
    compactor_loop(copier);
    (void)pthread_mutex_unlock(&db->compact_lock);
    (void)!finish_output(db);
    free(copier->buffer);
    free(copier);
    return NULL;
}

kvs_status compactor_start(struct kvs_db *db, struct kvs_error *err)
{
    struct copier *copier = malloc(sizeof(*copier));
    if (copier == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    copier->db = db;
    copier->buffer = NULL;
    copier->buffer_cap = 0;
    (void)pthread_mutex_lock(&db->compact_lock); /* the keeper runs already */
    db->compact_look = true;
    (void)pthread_mutex_unlock(&db->compact_lock);
    int error = pthread_create(&db->compactor, NULL, compactor_main, copier);
    if (error != 0) {
        free(copier);
        return kvs_error_set(err, KVS_NO_MEMORY, error, "cannot start the compactor's thread: %s",
                             strerror(error));
    }
    db->compactor_runs = true;
    return KVS_OK;
}

void compactor_stop(struct kvs_db *db)
{
    if (!db->compactor_runs)
        return;
    (void)pthread_mutex_lock(&db->compact_lock);
    db->compactor_stop = true;
    (void)pthread_cond_signal(&db->compact_wanted);
    (void)pthread_mutex_unlock(&db->compact_lock);
    (void)pthread_join(db->compactor, NULL);
    db->compactor_runs = false;
}

void compactor_look(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    db->compact_look = true;
    (void)pthread_cond_signal(&db->compact_wanted);
    (void)pthread_mutex_unlock(&db->compact_lock);
}

kvs_status compactor_run_all(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    uint64_t request = ++db->compact_requested;
    (void)pthread_cond_signal(&db->compact_wanted);
    while (db->compact_finished < request)
        (void)pthread_cond_wait(&db->compact_done, &db->compact_lock);
    kvs_status status = db->compact_status;
    (void)pthread_mutex_unlock(&db->compact_lock);
    if (status == KVS_OK)
        return KVS_OK;
    return kvs_error_set(err, status < 0 ? status : KVS_INTERNAL, 0,
                         "compacting ended early: %s; the log says more", kvs_status_text(status));
}
