/*
 * Reading a manifest that may be damaged: every frame that is sound by itself counts, in its order,
 * also behind a place where there is none. What an entry says of a segment is all that is known of
 * it, so only the last one matters, and a lost one leaves what was known before.
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "image.h"
#include "repair_internal.h"

#define SECRET_AT   32u
#define CHECKSUM_AT (MANIFEST_HEADER_BYTES - 4)

static kvs_status no_memory(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "not enough memory to read " MANIFEST_NAME);
}

/* Applies the entries of a sound frame. False: no memory. */
static bool apply(struct repair_manifest *manifest, const uint8_t *frame, uint32_t entries)
{
    for (uint32_t i = 0; i < entries; i++) {
        struct manifest_segment segment;
        bool removes;
        if (manifest_decode_entry(frame + manifest_frame_bytes(i), &segment, &removes) != KVS_OK)
            continue;
        if (removes)
            manifest_table_remove(&manifest->table, segment.number);
        else if (!manifest_table_put(&manifest->table, &segment))
            return false;
    }
    return true;
}

/* The frames' checksums begin with the header's: as it is written there, and as it should be. */
static bool frame_at(const struct image *image, uint64_t at, struct manifest_frame *ret_frame)
{
    uint32_t written = load_le32(image->memory + CHECKSUM_AT);
    uint32_t computed = crc32c(0, image->memory, CHECKSUM_AT);
    return manifest_decode_frame(image->memory + at, image->bytes - at, written, at, ret_frame) ||
           manifest_decode_frame(image->memory + at, image->bytes - at, computed, at, ret_frame);
}

static kvs_status read_damaged(struct repair *repair, struct kvs_error *err)
{
    struct repair_manifest *manifest = &repair->manifest;
    struct image image;
    kvs_status status = image_read(repair->disk, MANIFEST_NAME, &image, NULL);
    if (status == KVS_NO_MEMORY)
        return no_memory(err);
    if (status != KVS_OK)
        return KVS_OK; /* nothing is known; it was reported */
    manifest->has_secret = image.bytes >= SECRET_AT + MANIFEST_SECRET_BYTES;
    if (manifest->has_secret)
        memcpy(manifest->secret, image.memory + SECRET_AT, MANIFEST_SECRET_BYTES);
    bool enough = true;
    for (uint64_t at = MANIFEST_HEADER_BYTES; at < image.bytes && enough;) {
        struct manifest_frame frame;
        if (frame_at(&image, at, &frame)) {
            enough = apply(manifest, image.memory + at, frame.entries);
            at += manifest_frame_bytes(frame.entries);
        } else {
            at += MANIFEST_FRAME_ALIGN;
        }
    }
    image_deinit(&image);
    return enough ? KVS_OK : no_memory(err);
}

static kvs_status take_sound(struct repair *repair, const struct manifest *manifest,
                             struct kvs_error *err)
{
    repair->manifest.sound = true;
    repair->manifest.has_secret = true;
    memcpy(repair->manifest.secret, manifest_secret(manifest), MANIFEST_SECRET_BYTES);
    for (uint32_t i = 0; i < manifest_segment_count(manifest); i++)
        if (!manifest_table_put(&repair->manifest.table, manifest_segment_at(manifest, i)))
            return no_memory(err);
    return KVS_OK;
}

kvs_status repair_manifest_read(struct repair *repair, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct manifest *manifest = NULL;
    kvs_status status = manifest_open(repair->disk, true, &manifest, &error);
    repair->manifest.found = status != KVS_MISSING;
    if (status == KVS_INCOMPATIBLE || status == KVS_NO_MEMORY)
        return kvs_error_set(err, status, error.os_errno, "%s", message);
    if (status == KVS_OK) {
        status = take_sound(repair, manifest, err);
        manifest_free(manifest);
        return status;
    }
    if (status == KVS_MISSING)
        return KVS_OK;
    findings_add(&repair->findings, KVS_LOG_WARN, "%s", message);
    return read_damaged(repair, err);
}
