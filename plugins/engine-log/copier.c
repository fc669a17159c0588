/*
 * See copier.h. A frame is put together in the output's memory; its header, and the end of the segment
 * behind it, are written when it is full, and only then the slots are moved: what a slot leads to is whole.
 *
 * The output's space is taken in steps, as it is filled: it is rarely as large as a segment may be, and
 * what is taken and not used would count as much as what is dead. A step that meets a full disk ends the
 * output; the next one is made in the spare's space, all of it at once.
 */
#include "copier.h"

#include <inttypes.h>
#include <stdlib.h>

#include "keeper.h"
#include "maker.h"

#define FRAME_BYTES_MAX ((uint64_t)256 << 10) /* copied before the slots are moved */
#define PREFETCH_AHEAD  16u                   /* slots that are fetched while others are moved */
#define STEPS           16u                   /* in which the space of a whole output is taken */

void copier_init(struct copier *copier, struct kvs_db *db)
{
    copier->db = db;
    copier->buffer = NULL;
    copier->buffer_cap = 0;
    copier_begin(copier, NULL);
}

void copier_deinit(struct copier *copier)
{
    free(copier->buffer);
}

void copier_begin(struct copier *copier, struct segment *victim)
{
    copier->victim = victim;
    copier->count = 0;
    copier->bytes = 0;
}

kvs_status copier_flush(struct copier *copier, struct kvs_error *err)
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
        if (i + PREFETCH_AHEAD < copier->count) /* the slots are all over the index */
            index_prefetch(db->index, copier->copies[i + PREFETCH_AHEAD].hash);
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

kvs_status copier_sync(struct kvs_db *db, struct kvs_error *err)
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

kvs_status copier_seal(struct kvs_db *db, struct kvs_error *err)
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

/* Bytes of the disk that are taken for the output at once. */
static uint64_t step_of(const struct kvs_db *db)
{
    return (db->segment_bytes / STEPS + 4095) / 4096 * 4096;
}

/* Makes a new output, for a record of this size. step: its space is taken as it is filled. */
static kvs_status output_make(struct kvs_db *db, uint64_t record_size, bool step,
                              struct kvs_error *err)
{
    uint64_t least = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + record_size;
    uint64_t bytes = db->segment_bytes;
    if (bytes < least)
        bytes = (least + 4095) / 4096 * 4096;
    return keeper_make_segment(db, bytes, SEGMENT_COMPACTED, step ? step_of(db) : 0, false,
                               &db->compact_output, err);
}

/* Makes sure that the output has room for a frame of one more record. */
static kvs_status output_room(struct copier *copier, uint64_t record_size, struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    uint64_t needed = copier->bytes + record_size + (copier->count == 0 ? FRAME_HEADER_BYTES : 0);
    kvs_status status = KVS_NO_SPACE;
    if (db->compact_output != NULL && segment_room(db->compact_output) >= needed)
        status = segment_reserve(db->compact_output, needed, step_of(db), err);
    if (status != KVS_NO_SPACE)
        return status;
    status = copier_flush(copier, err);
    if (status == KVS_OK)
        status = copier_seal(db, err);
    if (status != KVS_OK)
        return status;
    status = output_make(db, record_size, true, err);
    if (status == KVS_OK)
        status =
            segment_reserve(db->compact_output, FRAME_HEADER_BYTES + record_size, step_of(db), err);
    if (status != KVS_NO_SPACE || !maker_lend_spare(db))
        return status;
    /* The spare's space is kept for this. */
    if (db->compact_output == NULL)
        status = output_make(db, record_size, false, err);
    else
        status = segment_reserve(db->compact_output, FRAME_HEADER_BYTES + record_size,
                                 db->compact_output->bytes, err);
    maker_return_spare(db);
    return status;
}

kvs_status copier_say_damaged(const struct segment *victim, uint64_t offset, struct kvs_error *err)
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

kvs_status copier_add(struct copier *copier, const struct record *record, uint64_t hash,
                      uint64_t old_place, struct kvs_error *err)
{
    uint64_t bytes = record_bytes(record->key.len, record->value.len);
    kvs_status status = KVS_OK;
    if (copier->count == COPIER_RECORDS_MAX || copier->bytes + bytes > FRAME_BYTES_MAX)
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
        return copier_say_damaged(victim, old_offset, err);
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
