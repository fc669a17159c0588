/*
 * See snapshot.h: reading a snapshot. Nothing of it is believed before its CRC was checked, and no
 * place that is outside of its segment's records. It is read, not mapped: a disk that fails gives a
 * status.
 *
 * Threads: opening on one; chunks on any.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "parallel.h"
#include "progress.h"
#include "snapshot.h"
#include "snapshot_internal.h"

bool snapshot_grow(uint8_t **memory, uint64_t *cap, uint64_t bytes)
{
    if (bytes <= *cap)
        return true;
    uint64_t new_cap = bytes + bytes / 4;
    uint8_t *new_memory = malloc(new_cap);
    if (new_memory == NULL)
        return false;
    free(*memory);
    *memory = new_memory;
    *cap = new_cap;
    return true;
}

static kvs_status damaged(uint64_t offset, const char *what, struct kvs_error *err)
{
    return kvs_error_set(err, KVS_CORRUPT, 0, SNAPSHOT_NAME " offset %" PRIu64 ": %s", offset,
                         what);
}

/* ---- header and tables -------------------------------------------------------------------- */

struct header {
    uint32_t tables_crc;
    uint64_t file_bytes;
};

static kvs_status read_header(struct snapshot *snapshot, struct header *ret, struct kvs_error *err)
{
    uint8_t header[SNAPSHOT_HEADER_BYTES];
    uint64_t got;
    uint64_t file_bytes;
    kvs_status status = disk_file_read(snapshot->file, 0, header, sizeof(header), &got, err);
    if (status == KVS_OK)
        status = disk_file_size(snapshot->file, &file_bytes, err);
    if (status != KVS_OK)
        return status;
    if (got < sizeof(header) || load_le32(header) != SNAPSHOT_MAGIC ||
        load_le32(header + 4) != crc32c(0, header + SNAPSHOT_CHECKED_BEGIN,
                                        SNAPSHOT_HEADER_BYTES - SNAPSHOT_CHECKED_BEGIN))
        return damaged(0, "the header is damaged", err);
    if (load_le32(header + 8) != SNAPSHOT_FORMAT)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             SNAPSHOT_NAME " has format %" PRIu32 ", this kvs knows format %u",
                             load_le32(header + 8), SNAPSHOT_FORMAT);
    snapshot->shard_bits = load_le32(header + 12);
    snapshot->binding = load_le64(header + 16);
    snapshot->sequence_max = load_le64(header + 24);
    snapshot->slots = load_le64(header + 32);
    snapshot->segment_count = load_le32(header + 40);
    ret->tables_crc = load_le32(header + 44);
    ret->file_bytes = load_le64(header + 48);
    if (ret->file_bytes != file_bytes || snapshot->shard_bits < INDEX_SHARD_BITS_MIN ||
        snapshot->shard_bits > INDEX_SHARD_BITS_MAX ||
        snapshot->segment_count > SEGMENT_NUMBER_COUNT)
        return damaged(0, "the header does not fit the file", err);
    snapshot->chunk_shards = snapshot_chunk_shards(snapshot->shard_bits);
    snapshot->chunk_count = (UINT32_C(1) << snapshot->shard_bits) / snapshot->chunk_shards;
    return KVS_OK;
}

static uint64_t chunk_bytes(const struct snapshot *snapshot, uint32_t slots)
{
    return snapshot->chunk_shards * sizeof(uint32_t) + slots * sizeof(uint64_t);
}

/* False: the chunks do not fill the file up to the tables. */
static bool take_tables(struct snapshot *snapshot, const uint8_t *tables, uint64_t tables_at)
{
    uint64_t offset = SNAPSHOT_HEADER_BYTES;
    uint64_t slots = 0;
    for (uint32_t i = 0; i < snapshot->segment_count; i++, tables += SNAPSHOT_SEGMENT_BYTES)
        snapshot->segments[i] = (struct snapshot_segment){
            .number = load_le64(tables),
            .live_bytes = load_le64(tables + 8),
            .tombstone_bytes = load_le64(tables + 16),
        };
    for (uint32_t i = 0; i < snapshot->chunk_count; i++, tables += SNAPSHOT_CHUNK_BYTES) {
        struct snapshot_chunk *chunk = &snapshot->chunks[i];
        *chunk = (struct snapshot_chunk){offset, load_le32(tables), load_le32(tables + 4)};
        slots += chunk->slots;
        offset += chunk_bytes(snapshot, chunk->slots);
    }
    return offset == tables_at && slots == snapshot->slots;
}

static kvs_status read_tables(struct snapshot *snapshot, const struct header *header,
                              struct kvs_error *err)
{
    uint64_t bytes = (uint64_t)snapshot->segment_count * SNAPSHOT_SEGMENT_BYTES +
                     (uint64_t)snapshot->chunk_count * SNAPSHOT_CHUNK_BYTES;
    uint64_t got;
    if (header->file_bytes < SNAPSHOT_HEADER_BYTES + bytes)
        return damaged(0, "the header does not fit the file", err);
    uint64_t at = header->file_bytes - bytes;
    uint8_t *tables = malloc(bytes);
    snapshot->segments = calloc((size_t)snapshot->segment_count + 1, sizeof(snapshot->segments[0]));
    snapshot->chunks = calloc(snapshot->chunk_count, sizeof(snapshot->chunks[0]));
    kvs_status status = KVS_OK;
    if (tables == NULL || snapshot->segments == NULL || snapshot->chunks == NULL)
        status = kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
    if (status == KVS_OK)
        status = disk_file_read(snapshot->file, at, tables, bytes, &got, err);
    if (status == KVS_OK && (got != bytes || crc32c(0, tables, bytes) != header->tables_crc ||
                             !take_tables(snapshot, tables, at)))
        status = damaged(at, "the tables are damaged (CRC mismatch)", err);
    free(tables);
    return status;
}

kvs_status snapshot_open(struct disk *disk, struct snapshot *ret_snapshot, struct kvs_error *err)
{
    struct snapshot snapshot = {.file = NULL};
    struct header header = {0};
    kvs_status status = disk_file_open(disk, SNAPSHOT_NAME, DISK_READ_ONLY, &snapshot.file, err);
    if (status == KVS_OK)
        status = read_header(&snapshot, &header, err);
    if (status == KVS_OK)
        status = read_tables(&snapshot, &header, err);
    if (status == KVS_OK)
        *ret_snapshot = snapshot;
    else
        snapshot_close(&snapshot);
    return status;
}

void snapshot_close(struct snapshot *snapshot)
{
    disk_file_close(snapshot->file);
    free(snapshot->segments);
    free(snapshot->chunks);
    *snapshot = (struct snapshot){.file = NULL};
}

/* ---- chunks ------------------------------------------------------------------------------- */

kvs_status snapshot_read_chunk(const struct snapshot *snapshot, uint32_t chunk,
                               struct snapshot_buffer *buffer, struct kvs_error *err)
{
    const struct snapshot_chunk *known = &snapshot->chunks[chunk];
    uint64_t bytes = chunk_bytes(snapshot, known->slots);
    uint64_t got;
    if (!snapshot_grow(&buffer->memory, &buffer->cap, bytes))
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
    kvs_status status =
        disk_file_read(snapshot->file, known->offset, buffer->memory, bytes, &got, err);
    if (status != KVS_OK)
        return status;
    if (got != bytes || crc32c(0, buffer->memory, bytes) != known->crc)
        return damaged(known->offset, "the slots are damaged (CRC mismatch)", err);
    uint32_t *counts = (void *)buffer->memory;
    uint64_t *slots = (void *)(buffer->memory + snapshot->chunk_shards * sizeof(uint32_t));
    uint64_t sum = 0;
    for (uint32_t i = 0; i < snapshot->chunk_shards; i++) {
        counts[i] = le32toh(counts[i]);
        sum += counts[i];
    }
    for (uint64_t i = 0; i < known->slots; i++)
        slots[i] = le64toh(slots[i]);
    if (sum != known->slots)
        return damaged(known->offset, "the slots do not add up", err);
    buffer->counts = counts;
    buffer->slots = slots;
    return KVS_OK;
}

void snapshot_buffer_deinit(struct snapshot_buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct snapshot_buffer){.memory = NULL};
}

/* ---- loading ------------------------------------------------------------------------------ */

struct loading {
    /* Constant. */
    const struct snapshot *snapshot;
    struct index *index;
    uint64_t *ends; /* by segment number: where its records end; 0: there is no such segment */
    uint32_t end_count;

    struct snapshot_buffer *buffers; /* by worker */
    struct parallel_failure failure;
    struct progress progress;
};

static bool places_are_sound(const struct loading *loading, const uint64_t *slots, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = place_segment(slots[i] & PLACE_MASK);
        uint64_t offset = place_offset_bytes(slots[i] & PLACE_MASK);
        if (number >= loading->end_count || offset < SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES ||
            offset + RECORD_HEADER_BYTES >= loading->ends[number])
            return false;
    }
    return true;
}

static kvs_status load_chunk(const struct loading *loading, uint32_t chunk,
                             struct snapshot_buffer *buffer, struct kvs_error *err)
{
    const struct snapshot *snapshot = loading->snapshot;
    kvs_status status = snapshot_read_chunk(snapshot, chunk, buffer, err);
    if (status != KVS_OK)
        return status;
    if (!places_are_sound(loading, buffer->slots, snapshot->chunks[chunk].slots))
        return damaged(snapshot->chunks[chunk].offset, "a place is in no segment", err);
    const uint64_t *slots = buffer->slots;
    for (uint32_t i = 0; i < snapshot->chunk_shards && status == KVS_OK; i++) {
        status = index_load_shard(loading->index, chunk * snapshot->chunk_shards + i, slots,
                                  buffer->counts[i]);
        slots += buffer->counts[i];
    }
    if (status == KVS_NO_MEMORY)
        return kvs_error_set(err, status, 0, "out of memory for the index");
    if (status != KVS_OK)
        return damaged(snapshot->chunks[chunk].offset, "a slot cannot be", err);
    return KVS_OK;
}

static void load_task(void *arg, uint32_t worker, uint32_t chunk)
{
    struct loading *loading = arg;
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = load_chunk(loading, chunk, &loading->buffers[worker], &error);
    if (status != KVS_OK)
        parallel_failure_note(&loading->failure, chunk, status, &error);
    progress_step(&loading->progress);
}

static kvs_status load_chunks(const struct kvs_db *db, const struct snapshot *snapshot,
                              struct index *index, struct segment *const *segments, uint32_t count,
                              uint32_t threads, struct kvs_error *err)
{
    struct snapshot_buffer buffers[PARALLEL_THREADS_MAX] = {{NULL, 0, NULL, NULL}};
    struct loading loading = {.snapshot = snapshot, .index = index, .buffers = buffers};
    for (uint32_t i = 0; i < count; i++)
        if (segments[i]->number >= loading.end_count)
            loading.end_count = segments[i]->number + 1;
    loading.ends = calloc((size_t)loading.end_count + 1, sizeof(loading.ends[0]));
    if (loading.ends == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
    for (uint32_t i = 0; i < count; i++)
        loading.ends[segments[i]->number] =
            atomic_load_explicit(&segments[i]->end, memory_order_acquire);
    parallel_failure_init(&loading.failure, err);
    progress_begin(&loading.progress, db, "loading the index, parts", snapshot->chunk_count,
                   PROGRESS_WHOLE);
    parallel_run(threads, snapshot->chunk_count, load_task, &loading);
    for (uint32_t i = 0; i < PARALLEL_THREADS_MAX; i++)
        snapshot_buffer_deinit(&buffers[i]);
    parallel_failure_deinit(&loading.failure);
    free(loading.ends);
    return loading.failure.status;
}

/* Sets the segments' figures; false: the snapshot has other segments. */
static bool set_figures(const struct snapshot *snapshot, struct segment *const *sorted,
                        uint32_t count)
{
    if (snapshot->segment_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (snapshot->segments[i].number != sorted[i]->number)
            return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct snapshot_segment *figures = &snapshot->segments[i];
        atomic_store_explicit(&sorted[i]->live_bytes, (int64_t)figures->live_bytes,
                              memory_order_relaxed);
        atomic_store_explicit(&sorted[i]->tombstone_bytes, figures->tombstone_bytes,
                              memory_order_relaxed);
    }
    return true;
}

static kvs_status load(const struct kvs_db *db, const struct snapshot *snapshot,
                       const struct index_config *config, struct segment *const *segments,
                       uint32_t count, uint32_t threads, struct index **ret_index,
                       struct kvs_error *err)
{
    struct index_config shards = *config;
    struct index *index = NULL;
    uint64_t binding;
    shards.shard_bits = snapshot->shard_bits;
    kvs_status status = snapshot_binding(config->secret, segments, count, &binding, err);
    if (status != KVS_OK)
        return status;
    if (binding != snapshot->binding)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             SNAPSHOT_NAME " does not belong to the segments as they are");
    status = index_new(&shards, &index, err);
    if (status == KVS_OK)
        status = load_chunks(db, snapshot, index, segments, count, threads, err);
    struct segment **sorted = NULL;
    if (status == KVS_OK) {
        sorted = snapshot_sort_segments(segments, count);
        if (sorted == NULL)
            status = kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
        else if (!set_figures(snapshot, sorted, count))
            status = damaged(0, "the segments are not those that it is bound to", err);
    }
    free(sorted);
    if (status == KVS_OK)
        *ret_index = index;
    else
        index_free(index);
    return status;
}

kvs_status snapshot_load(const struct kvs_db *db, struct disk *disk,
                         const struct index_config *config, struct segment *const *segments,
                         uint32_t count, uint32_t threads, struct index **ret_index,
                         uint64_t *ret_sequence_max, struct kvs_error *err)
{
    struct snapshot snapshot;
    kvs_status status = snapshot_open(disk, &snapshot, err);
    if (status != KVS_OK)
        return status;
    status = load(db, &snapshot, config, segments, count, threads, ret_index, err);
    if (status == KVS_OK)
        *ret_sequence_max = snapshot.sequence_max;
    snapshot_close(&snapshot);
    return status;
}
