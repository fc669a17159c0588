/*
 * Reading the manifest's file: its frames are applied one after the other, up to the first place
 * where there is no good one. See manifest.c for what may be there.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "manifest_internal.h"

/* A file that is being read. */
struct manifest_reader {
    const uint8_t *content;
    uint64_t bytes;
    uint64_t at;          /* behind the last good frame */
    uint64_t entries_end; /* behind the last good frame that has entries */
};

static kvs_status manifest_damaged(uint64_t offset, const char *what, struct kvs_error *err)
{
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         MANIFEST_NAME " is damaged at offset %" PRIu64 ": %s; salvage the "
                                       "store with --repair, or bring it back from a backup",
                         offset, what);
}

/* ---- frames ------------------------------------------------------------------------------- */

static kvs_status manifest_apply(struct manifest *manifest, const uint8_t *entry, uint64_t offset,
                                 struct kvs_error *err)
{
    struct manifest_segment segment;
    bool removes;
    kvs_status status = manifest_decode_entry(entry, &segment, &removes);
    if (status == KVS_INCOMPATIBLE)
        return kvs_error_set(err, status, 0,
                             MANIFEST_NAME " has an entry at offset %" PRIu64
                                           " that this version does not know: use the version "
                                           "that wrote it, or a later one",
                             offset);
    if (status != KVS_OK)
        return manifest_damaged(offset, "an entry's checksum is wrong", err);
    if (segment.number > MANIFEST_NUMBER_MAX)
        return manifest_damaged(offset, "no segment has such a number", err);
    if (removes) {
        manifest_table_remove(&manifest->live, segment.number);
        return KVS_OK;
    }
    if (segment.generation > MANIFEST_GENERATION_MAX)
        return manifest_damaged(offset, "no generation is so large", err);
    if (segment.generation >= manifest->next_generation)
        manifest->next_generation = segment.generation + 1;
    if (!manifest_table_put(&manifest->live, &segment))
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the segments of " MANIFEST_NAME);
    return KVS_OK;
}

/* Applies all good frames; manifest->durable: before here the file is known to be durable. */
static kvs_status manifest_replay(struct manifest *manifest, struct manifest_reader *reader,
                                  struct kvs_error *err)
{
    struct manifest_frame frame;
    while (manifest_decode_frame(reader->content + reader->at, reader->bytes - reader->at,
                                 manifest->header_checksum, reader->at, &frame)) {
        for (uint32_t i = 0; i < frame.entries; i++) {
            uint64_t at = reader->at + manifest_frame_bytes(i);
            kvs_status status = manifest_apply(manifest, reader->content + at, at, err);
            if (status != KVS_OK)
                return status;
        }
        if (frame.next_generation > MANIFEST_GENERATION_MAX)
            return manifest_damaged(reader->at, "no generation is so large", err);
        if (frame.next_generation > manifest->next_generation)
            manifest->next_generation = frame.next_generation;
        if (frame.durable > manifest->durable)
            manifest->durable = frame.durable;
        reader->at += manifest_frame_bytes(frame.entries);
        if (frame.entries > 0)
            reader->entries_end = reader->at;
    }
    return KVS_OK;
}

/* ---- behind the frames -------------------------------------------------------------------- */

/* True: a good frame somewhere behind says that what is at reader->at had been durable. */
static bool manifest_was_durable(const struct manifest *manifest,
                                 const struct manifest_reader *reader)
{
    struct manifest_frame frame;
    for (uint64_t at = reader->at; at < reader->bytes; at += MANIFEST_FRAME_ALIGN) {
        if (manifest_decode_frame(reader->content + at, reader->bytes - at,
                                  manifest->header_checksum, at, &frame) &&
            frame.durable > reader->at)
            return true;
    }
    return false;
}

/* Where the zeros begin. */
static uint64_t manifest_content_end(const struct manifest_reader *reader)
{
    uint64_t end = reader->bytes;
    while (end >= reader->at + sizeof(uint64_t) &&
           load_le64(reader->content + end - sizeof(uint64_t)) == 0)
        end -= sizeof(uint64_t);
    while (end > reader->at && reader->content[end - 1] == 0)
        end--;
    return end;
}

static kvs_status manifest_read_content(struct manifest *manifest, const uint8_t *content,
                                        uint64_t bytes, struct kvs_error *err)
{
    kvs_status status =
        manifest_decode_header(content, bytes, &manifest->header, &manifest->header_checksum, err);
    if (status != KVS_OK)
        return status;
    struct manifest_reader reader = {content, bytes, MANIFEST_HEADER_BYTES, MANIFEST_HEADER_BYTES};
    manifest->next_generation = manifest->header.next_generation;
    manifest->durable = reader.at;
    status = manifest_replay(manifest, &reader, err);
    if (status != KVS_OK)
        return status;
    manifest->end = reader.at;
    if (manifest->durable > reader.at || manifest_was_durable(manifest, &reader))
        return manifest_damaged(reader.at, "no good entry here, but there had been one", err);
    uint64_t tail_end = manifest_content_end(&reader);
    manifest->torn_bytes = tail_end - reader.at;
    bool settled = manifest->torn_bytes == 0 && manifest->durable >= reader.entries_end;
    if (manifest->read_only || settled)
        return KVS_OK;
    return manifest_file_settle(manifest, content, tail_end, err);
}

kvs_status manifest_read(struct manifest *manifest, struct kvs_error *err)
{
    uint64_t bytes;
    kvs_status status = disk_file_size(manifest->file, &bytes, err);
    if (status != KVS_OK)
        return status;
    uint8_t *content = malloc(bytes > 0 ? bytes : 1);
    if (content == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0,
                             "no memory to read the %" PRIu64 " bytes of " MANIFEST_NAME, bytes);
    status = disk_file_read(manifest->file, 0, content, bytes, &bytes, err);
    if (status == KVS_OK)
        status = manifest_read_content(manifest, content, bytes, err);
    if (status == KVS_OK && !manifest->read_only)
        status = manifest_file_claim(manifest, bytes, err);
    free(content);
    return status;
}
