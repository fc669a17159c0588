/*
 * Verifying the snapshot of the index: its own checksums, and, where it belongs to the segments as
 * they are, that it says what they say. For that an index is built from the segments, so it takes as
 * much memory as the running store. See verify.h.
 *
 * A slot may differ from the built index where a record and the compactor's copy of it are both
 * there: it then leads to the same version of the same key.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebuild.h"
#include "snapshot.h"
#include "verify_internal.h"

#define REBUILD_THREADS 2u

/* The segments, mapped, and the index built from them. */
struct comparison {
    struct verify *verify;
    struct snapshot snapshot;
    struct kvs_db *db;         /* with host, epoch, index and the table: nothing else */
    struct segment **segments; /* owned */
    uint32_t count;
    uint64_t sequence_max;
};

static kvs_status no_memory(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "not enough memory to compare the snapshot");
}

/* Opens all segments that have records. */
static kvs_status open_segments(struct comparison *comparison, struct kvs_error *err)
{
    const struct verify *verify = comparison->verify;
    comparison->segments = calloc((size_t)verify->count + 1, sizeof(comparison->segments[0]));
    if (comparison->segments == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < verify->count; i++) {
        const struct verified *verified = &verify->segments[i];
        struct segment *segment;
        if (verified->records == 0)
            continue;
        kvs_status status =
            segment_open(verify->disk, verified->known.number, verified->known.generation,
                         verify->secret, true, &segment, err);
        if (status != KVS_OK)
            return status;
        atomic_store_explicit(&segment->end, verified->end, memory_order_relaxed);
        atomic_store_explicit(&segment->sealed, verified->known.sealed, memory_order_relaxed);
        comparison->segments[comparison->count++] = segment;
        segment_table_set(&comparison->db->table, segment->number, segment);
    }
    return KVS_OK;
}

static kvs_status build_index(struct comparison *comparison, struct kvs_error *err)
{
    const struct verify *verify = comparison->verify;
    struct kvs_db *db = comparison->db;
    struct index_config config = {
        .size = (uint32_t)sizeof(config),
        .shard_bits = comparison->snapshot.shard_bits,
        .secret = verify->secret,
        .epoch = verify->epoch,
    };
    struct footer_entries *entries = calloc((size_t)comparison->count + 1, sizeof(entries[0]));
    if (entries == NULL)
        return no_memory(err);
    kvs_status status = index_new(&config, &db->index, err);
    if (status == KVS_OK)
        status = rebuild_entries(db, comparison->segments, comparison->count, REBUILD_THREADS,
                                 verify->secret, entries, err);
    if (status == KVS_OK)
        status = rebuild_index(db, comparison->segments, entries, comparison->count,
                               REBUILD_THREADS, &comparison->sequence_max, err);
    for (uint32_t i = 0; i < comparison->count; i++)
        footer_entries_deinit(&entries[i]);
    free(entries);
    return status;
}

/* ---- slots -------------------------------------------------------------------------------- */

/* A hash with the shard and tag of a slot. */
static uint64_t hash_of_slot(const struct index *index, uint32_t shard, uint64_t slot)
{
    return (uint64_t)shard << (64 - index_shard_bits(index)) | slot >> PLACE_BITS;
}

/* The record that a slot of the file leads to, if that is one. */
static bool record_of_slot(const struct kvs_db *db, uint64_t slot, struct record *ret_record)
{
    uint64_t offset = place_offset_bytes(slot & PLACE_MASK);
    const struct segment *segment = segment_at(&db->table, place_segment(slot & PLACE_MASK));
    if (segment == NULL)
        return false;
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_relaxed);
    return offset >= SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES && offset < end &&
           record_view(segment->memory + offset, end - offset, ret_record) &&
           record_is_sound(segment->memory + offset, segment->salt, ret_record);
}

static bool slot_is_right(const struct comparison *comparison, uint32_t shard, uint64_t slot)
{
    const struct kvs_db *db = comparison->db;
    uint64_t hash = hash_of_slot(db->index, shard, slot);
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, db->index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE)
        if (place == (slot & PLACE_MASK))
            return true;
    struct record record;
    struct record newest;
    if (!record_of_slot(db, slot, &record) || record.kind != RECORD_SET)
        return false;
    hash = index_hash(db->index, record.key);
    return index_shard_of(db->index, hash) == shard &&
           index_slot(hash, slot & PLACE_MASK) == slot &&
           store_find(db, hash, record.key, &newest) != PLACE_NONE &&
           newest.sequence == record.sequence;
}

static void compare_chunk(const struct comparison *comparison, uint32_t chunk,
                          const struct snapshot_buffer *buffer)
{
    const struct snapshot *snapshot = &comparison->snapshot;
    const uint64_t *slots = buffer->slots;
    for (uint32_t i = 0; i < snapshot->chunk_shards; i++) {
        uint32_t shard = chunk * snapshot->chunk_shards + i;
        bool same = index_shard_size(comparison->db->index, shard) == buffer->counts[i];
        epoch_begin();
        for (uint32_t j = 0; j < buffer->counts[i] && same; j++)
            same = slot_is_right(comparison, shard, slots[j]);
        epoch_end();
        if (!same)
            findings_add(&comparison->verify->findings, KVS_LOG_ERROR,
                         SNAPSHOT_NAME " offset %" PRIu64 ": the slots of shard %" PRIu32
                                       " are not those of the segments' records",
                         snapshot->chunks[chunk].offset, shard);
        slots += buffer->counts[i];
    }
}

/* Reads all chunks; with an index they are compared. */
static kvs_status read_chunks(const struct comparison *comparison, bool compare,
                              struct kvs_error *err)
{
    struct snapshot_buffer buffer = {.memory = NULL};
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < comparison->snapshot.chunk_count && status == KVS_OK; i++) {
        char message[KVS_ERROR_MESSAGE_MAX];
        struct kvs_error error = KVS_ERROR_INIT(message);
        status = snapshot_read_chunk(&comparison->snapshot, i, &buffer, &error);
        if (status == KVS_OK && compare)
            compare_chunk(comparison, i, &buffer);
        if (status == KVS_CORRUPT || status == KVS_IO) {
            findings_add(&comparison->verify->findings, KVS_LOG_ERROR,
                         "%s; the next start builds the index anew", message);
            status = KVS_OK;
        } else if (status != KVS_OK) {
            (void)kvs_error_set(err, status, 0, "%s", message);
        }
    }
    snapshot_buffer_deinit(&buffer);
    return status;
}

/* ------------------------------------------------------------------------------------------- */

static kvs_status compare(struct comparison *comparison, struct kvs_error *err)
{
    uint64_t binding = 0;
    struct verify *verify = comparison->verify;
    kvs_status status = open_segments(comparison, err);
    if (status == KVS_OK)
        status = snapshot_binding(verify->secret, comparison->segments, comparison->count, &binding,
                                  err);
    if (status != KVS_OK)
        return status;
    if (binding != comparison->snapshot.binding) {
        findings_add(&verify->findings, KVS_LOG_INFO,
                     SNAPSHOT_NAME " is of another time than the segments; the next start builds "
                                   "the index anew");
        return read_chunks(comparison, false, err);
    }
    status = build_index(comparison, err);
    if (status == KVS_OK && comparison->snapshot.sequence_max < comparison->sequence_max)
        findings_add(&verify->findings, KVS_LOG_ERROR,
                     SNAPSHOT_NAME " knows numbers up to %" PRIu64 ", there are records up to "
                                   "%" PRIu64,
                     comparison->snapshot.sequence_max, comparison->sequence_max);
    return status == KVS_OK ? read_chunks(comparison, true, err) : status;
}

static void comparison_deinit(struct comparison *comparison)
{
    for (uint32_t i = 0; i < comparison->count; i++)
        segment_free(comparison->segments[i]);
    free(comparison->segments);
    if (comparison->db != NULL) {
        index_free(comparison->db->index);
        segment_table_deinit(&comparison->db->table);
    }
    free(comparison->db);
    snapshot_close(&comparison->snapshot);
}

static kvs_status comparison_init(struct comparison *comparison, struct kvs_error *err)
{
    struct kvs_db *db = aligned_alloc(_Alignof(struct kvs_db), sizeof(*db));
    if (db == NULL)
        return no_memory(err);
    memset(db, 0, sizeof(*db));
    db->host = comparison->verify->host;
    db->epoch = comparison->verify->epoch;
    comparison->db = db;
    return segment_table_init(&db->table, err);
}

kvs_status verify_snapshot(struct verify *verify, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct comparison comparison = {.verify = verify};
    kvs_status status = snapshot_open(verify->disk, &comparison.snapshot, &error);
    if (status == KVS_MISSING)
        return KVS_OK;
    if (status == KVS_NO_MEMORY)
        return kvs_error_set(err, status, 0, "%s", message);
    if (status != KVS_OK) {
        findings_add(&verify->findings, KVS_LOG_ERROR, "%s; the next start builds the index anew",
                     message);
        return KVS_OK;
    }
    findings_begin_file(&verify->findings, SNAPSHOT_NAME);
    if (verify->findings.damages > 0) {
        status = read_chunks(&comparison, false, err);
    } else {
        status = comparison_init(&comparison, err);
        if (status == KVS_OK)
            status = compare(&comparison, err);
    }
    findings_end_file(&verify->findings);
    comparison_deinit(&comparison);
    return status;
}
