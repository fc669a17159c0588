/*
 * See snapshot.h: writing a snapshot. It is written under another name, synced, and renamed, so that
 * there is a whole one or none. Reading is in snapshot_read.c.
 *
 * Threads: one, when nothing else touches the store any more.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bytes.h"
#include "crc32c.h"
#include "snapshot_internal.h"

#define IDENTITY_BYTES 24u   /* of a segment, in what is bound */
#define OUTGROWN_KEYS  4096u /* of a shard: four times what a new index has at most */

/* ---- the binding -------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t one = (*(struct segment *const *)a)->number;
    uint32_t two = (*(struct segment *const *)b)->number;
    return (one > two) - (one < two);
}

struct segment **snapshot_sort_segments(struct segment *const *segments, uint32_t count)
{
    struct segment **sorted = calloc((size_t)count + 1, sizeof(sorted[0]));
    if (sorted == NULL)
        return NULL;
    if (count > 0) {
        memcpy(sorted, segments, count * sizeof(sorted[0]));
        qsort(sorted, count, sizeof(sorted[0]), by_number);
    }
    return sorted;
}

kvs_status snapshot_binding(struct kvs_bytes secret, struct segment *const *segments,
                            uint32_t count, uint64_t *ret_binding, struct kvs_error *err)
{
    struct segment **sorted = snapshot_sort_segments(segments, count);
    uint8_t *bytes = malloc(secret.len + (uint64_t)count * IDENTITY_BYTES);
    if (sorted == NULL || bytes == NULL) {
        free(sorted);
        free(bytes);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
    }
    uint8_t *at = bytes;
    memcpy(at, secret.ptr, secret.len);
    at += secret.len;
    for (uint32_t i = 0; i < count; i++, at += IDENTITY_BYTES) {
        store_le64(at, sorted[i]->number);
        store_le64(at + 8, sorted[i]->generation);
        store_le64(at + 16, atomic_load_explicit(&sorted[i]->end, memory_order_acquire));
    }
    *ret_binding = XXH3_64bits_withSeed(bytes, (size_t)(at - bytes), SNAPSHOT_FORMAT);
    free(sorted);
    free(bytes);
    return KVS_OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

struct writer {
    struct disk_file *file;
    struct index *index;
    uint32_t chunk_count;
    uint32_t chunk_shards;
    uint64_t at; /* bytes written */
    uint64_t slots;
    uint8_t *buffer; /* a chunk */
    uint64_t cap;
    uint8_t *tables;
    uint64_t tables_bytes;
};

static kvs_status no_memory(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the snapshot");
}

static kvs_status writer_put(struct writer *writer, const void *from, uint64_t bytes,
                             struct kvs_error *err)
{
    kvs_status status = disk_file_write(writer->file, writer->at, from, bytes, err);
    if (status == KVS_OK)
        writer->at += bytes;
    return status;
}

static kvs_status write_chunk(struct writer *writer, uint32_t chunk, uint8_t *entry,
                              struct kvs_error *err)
{
    uint32_t first = chunk * writer->chunk_shards;
    uint64_t slots = 0;
    for (uint32_t i = 0; i < writer->chunk_shards; i++)
        slots += index_shard_size(writer->index, first + i);
    uint64_t counts_bytes = writer->chunk_shards * sizeof(uint32_t);
    uint64_t bytes = counts_bytes + slots * sizeof(uint64_t);
    if (!snapshot_grow(&writer->buffer, &writer->cap, bytes))
        return no_memory(err);
    uint64_t *to = (void *)(writer->buffer + counts_bytes);
    uint64_t done = 0;
    epoch_begin();
    for (uint32_t i = 0; i < writer->chunk_shards; i++) {
        size_t count = index_shard_copy(writer->index, first + i, to + done, slots - done);
        store_le32(writer->buffer + i * sizeof(uint32_t), (uint32_t)count);
        done += count;
    }
    epoch_end();
    if (done != slots)
        return kvs_error_set(err, KVS_INTERNAL, 0, "the index changed while it was written");
    for (uint64_t i = 0; i < slots; i++)
        store_le64(&to[i], to[i]);
    store_le32(entry, (uint32_t)slots);
    store_le32(entry + 4, crc32c(0, writer->buffer, bytes));
    writer->slots += slots;
    return writer_put(writer, writer->buffer, bytes, err);
}

static kvs_status write_chunks(struct writer *writer, struct segment *const *segments,
                               uint32_t count, struct kvs_error *err)
{
    uint64_t segment_bytes = (uint64_t)count * SNAPSHOT_SEGMENT_BYTES;
    writer->tables_bytes = segment_bytes + (uint64_t)writer->chunk_count * SNAPSHOT_CHUNK_BYTES;
    writer->tables = malloc(writer->tables_bytes);
    struct segment **sorted = snapshot_sort_segments(segments, count);
    if (writer->tables == NULL || sorted == NULL) {
        free(sorted);
        return no_memory(err);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *to = writer->tables + (uint64_t)i * SNAPSHOT_SEGMENT_BYTES;
        int64_t live = atomic_load_explicit(&sorted[i]->live_bytes, memory_order_relaxed);
        store_le64(to, sorted[i]->number);
        store_le64(to + 8, live > 0 ? (uint64_t)live : 0);
        store_le64(to + 16,
                   atomic_load_explicit(&sorted[i]->tombstone_bytes, memory_order_relaxed));
    }
    free(sorted);
    kvs_status status = KVS_OK;
    uint8_t *entry = writer->tables + segment_bytes;
    for (uint32_t i = 0; i < writer->chunk_count && status == KVS_OK; i++)
        status = write_chunk(writer, i, entry + (uint64_t)i * SNAPSHOT_CHUNK_BYTES, err);
    return status;
}

static kvs_status write_header(struct writer *writer, uint64_t binding, uint32_t segments,
                               uint64_t sequence_max, struct kvs_error *err)
{
    uint8_t header[SNAPSHOT_HEADER_BYTES] = {0};
    store_le32(header, SNAPSHOT_MAGIC);
    store_le32(header + 8, SNAPSHOT_FORMAT);
    store_le32(header + 12, index_shard_bits(writer->index));
    store_le64(header + 16, binding);
    store_le64(header + 24, sequence_max);
    store_le64(header + 32, writer->slots);
    store_le32(header + 40, segments);
    store_le32(header + 44, crc32c(0, writer->tables, writer->tables_bytes));
    store_le64(header + 48, writer->at);
    store_le32(header + 4, crc32c(0, header + SNAPSHOT_CHECKED_BEGIN,
                                  SNAPSHOT_HEADER_BYTES - SNAPSHOT_CHECKED_BEGIN));
    return disk_file_write(writer->file, 0, header, sizeof(header), err);
}

static kvs_status write_all(struct writer *writer, struct kvs_bytes secret,
                            struct segment *const *segments, uint32_t count, uint64_t sequence_max,
                            struct kvs_error *err)
{
    uint64_t binding = 0;
    kvs_status status = snapshot_binding(secret, segments, count, &binding, err);
    if (status == KVS_OK)
        status = write_chunks(writer, segments, count, err);
    if (status == KVS_OK)
        status = writer_put(writer, writer->tables, writer->tables_bytes, err);
    if (status == KVS_OK)
        status = write_header(writer, binding, count, sequence_max, err);
    if (status == KVS_OK)
        status = disk_file_sync(writer->file, err);
    return status;
}

kvs_status snapshot_write(struct disk *disk, struct index *index, struct kvs_bytes secret,
                          struct segment *const *segments, uint32_t count, uint64_t sequence_max,
                          struct kvs_error *err)
{
    struct writer writer = {
        .index = index,
        .chunk_shards = snapshot_chunk_shards(index_shard_bits(index)),
        .at = SNAPSHOT_HEADER_BYTES,
    };
    if (index_count(index) >> index_shard_bits(index) > OUTGROWN_KEYS) {
        snapshot_remove(disk);
        return KVS_OK;
    }
    writer.chunk_count = index_shard_count(index) / writer.chunk_shards;
    kvs_status status = disk_file_open(disk, SNAPSHOT_NEW_NAME, DISK_CREATE, &writer.file, err);
    if (status != KVS_OK)
        return status;
    status = write_all(&writer, secret, segments, count, sequence_max, err);
    disk_file_close(writer.file);
    free(writer.buffer);
    free(writer.tables);
    if (status == KVS_OK)
        status = disk_rename(disk, SNAPSHOT_NEW_NAME, SNAPSHOT_NAME, err);
    if (status == KVS_OK)
        return disk_sync_folder(disk, err);
    (void)!disk_remove(disk, SNAPSHOT_NEW_NAME, NULL);
    return status;
}

void snapshot_remove(struct disk *disk)
{
    kvs_status status = disk_remove(disk, SNAPSHOT_NAME, NULL);
    kvs_status new_status = disk_remove(disk, SNAPSHOT_NEW_NAME, NULL);
    if (status == KVS_OK || new_status == KVS_OK)
        (void)!disk_sync_folder(disk, NULL);
}
