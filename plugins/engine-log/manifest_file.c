/*
 * Writing the manifest's file: a frame at its end, or the whole file anew. See manifest.c.
 *
 * Space is taken ahead of use where the file system can, and some of it is always left: when the
 * disk is full, segments can still be removed. Where it cannot, a write that finds the disk full
 * is taken back, as is one that finds no memory.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_internal.h"

#define AHEAD_BYTES  UINT64_C(65536) /* taken at once */
#define MARGIN_BYTES UINT64_C(32768) /* left before more is taken: some 300 commits */

#define LONG_BYTES  UINT64_C(65536) /* a shorter file is never written anew */
#define LONG_FACTOR 4u              /* of what the live segments need */

#define SEAL_BYTES MANIFEST_FRAME_BYTES

/* A failure after which nobody knows what the file holds. KVS_NO_SPACE and KVS_NO_MEMORY would say that
   nothing changed. */
static kvs_status manifest_file_broke(struct manifest *manifest, kvs_status status,
                                      struct kvs_error *err)
{
    manifest->broken = true;
    if (!disk_is_short(status))
        return status;
    if (err != NULL)
        err->status = KVS_IO;
    return KVS_IO;
}

/* Takes space. A file system that cannot is no failure: *ret_reserved is 0 then. */
static kvs_status manifest_file_reserve(struct disk_file *file, uint64_t bytes,
                                        uint64_t *ret_reserved, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error reserve_err = KVS_ERROR_INIT(message);
    kvs_status status = disk_file_reserve(file, bytes, &reserve_err);
    if (status == KVS_OK || status == KVS_UNSUPPORTED) {
        *ret_reserved = status == KVS_OK ? bytes : 0;
        return KVS_OK;
    }
    return kvs_error_set(err, status, reserve_err.os_errno, "%s", message);
}

kvs_status manifest_file_claim(struct manifest *manifest, uint64_t bytes, struct kvs_error *err)
{
    kvs_status status = manifest_file_reserve(manifest->file, bytes, &manifest->reserved, err);
    manifest->can_reserve = status != KVS_OK || manifest->reserved > 0;
    return status == KVS_NO_SPACE ? KVS_OK : status; /* it may be copied without its empty part */
}

/* Makes sure, if it can, that the next bytes and a seal find space. KVS_NO_SPACE, KVS_NO_MEMORY: nothing
   changed. */
static kvs_status manifest_file_make_room(struct manifest *manifest, uint64_t bytes,
                                          struct kvs_error *err)
{
    uint64_t needed = manifest->end + bytes + SEAL_BYTES;
    if (!manifest->can_reserve || needed + MARGIN_BYTES <= manifest->reserved)
        return KVS_OK;
    bool left = needed <= manifest->reserved;
    uint64_t reserved = 0;
    kvs_status status =
        manifest_file_reserve(manifest->file, needed + AHEAD_BYTES, &reserved, left ? NULL : err);
    if (status == KVS_OK) {
        manifest->can_reserve = reserved > 0;
        manifest->reserved = reserved;
        return KVS_OK;
    }
    if (left)
        return KVS_OK;
    return disk_is_short(status) ? status : manifest_file_broke(manifest, status, err);
}

/* ---- one frame ---------------------------------------------------------------------------- */

/* Says in the file that all before its end is durable. It helps to tell damage from a torn end, and
   need not be durable itself; so a full disk is no reason to fail. */
static void manifest_file_seal(struct manifest *manifest)
{
    assert(manifest->durable == manifest->end);
    uint8_t seal[SEAL_BYTES];
    const struct manifest_frame content = {
        .durable = manifest->durable,
        .next_generation = manifest->next_generation,
    };
    manifest_encode_frame(seal, &content, manifest->header_checksum, manifest->end);
    kvs_status status = disk_file_write(manifest->file, manifest->end, seal, sizeof(seal), NULL);
    if (status == KVS_OK)
        manifest->end += sizeof(seal);
    else if (!disk_is_short(status))
        manifest->broken = true;
}

/* After a write that found something short: brings the file back to what it was. */
static kvs_status manifest_file_take_back(struct manifest *manifest)
{
    manifest->reserved = 0;
    kvs_status status = disk_file_truncate(manifest->file, manifest->end, NULL);
    return status == KVS_OK ? disk_file_sync(manifest->file, NULL) : status;
}

kvs_status manifest_file_append(struct manifest *manifest, struct kvs_error *err)
{
    assert(!manifest->broken && !manifest->read_only);
    const struct manifest_frame content = {
        .entries = manifest->entries,
        .durable = manifest->durable,
        .next_generation = manifest->next_generation,
    };
    uint64_t bytes = manifest_frame_bytes(content.entries);
    kvs_status status = manifest_file_make_room(manifest, bytes, err);
    if (status != KVS_OK)
        return status;
    manifest_encode_frame(manifest->frame, &content, manifest->header_checksum, manifest->end);
    status = disk_file_write(manifest->file, manifest->end, manifest->frame, bytes, err);
    if (disk_is_short(status) && manifest_file_take_back(manifest) == KVS_OK)
        return status;
    if (status == KVS_OK)
        status = disk_file_sync(manifest->file, err);
    if (status != KVS_OK)
        return manifest_file_broke(manifest, status, err);
    manifest->end += bytes;
    manifest->durable = manifest->end;
    manifest_file_seal(manifest);
    return KVS_OK;
}

kvs_status manifest_file_settle(struct manifest *manifest, const uint8_t *content,
                                uint64_t tail_end, struct kvs_error *err)
{
    assert(manifest->durable <= manifest->end && manifest->end <= tail_end);
    uint64_t good = manifest->end - manifest->durable;
    uint64_t bytes = tail_end - manifest->durable;
    uint8_t *tail = calloc(1, bytes > 0 ? bytes : 1);
    if (tail == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to open " MANIFEST_NAME);
    memcpy(tail, content + manifest->durable, good);
    kvs_status status = disk_file_write(manifest->file, manifest->durable, tail, bytes, err);
    free(tail);
    if (status == KVS_OK)
        status = disk_file_sync(manifest->file, err);
    if (status != KVS_OK)
        return status;
    manifest->durable = manifest->end;
    manifest_file_seal(manifest);
    return KVS_OK;
}

/* ---- the whole file ----------------------------------------------------------------------- */

static uint64_t manifest_file_needs(uint32_t segments)
{
    return MANIFEST_HEADER_BYTES + manifest_frame_bytes(segments) + SEAL_BYTES;
}

bool manifest_file_is_long(const struct manifest *manifest)
{
    return manifest->end > LONG_BYTES &&
           manifest->end > LONG_FACTOR * manifest_file_needs(manifest->live.count);
}

/* All that a new file holds: header, the live segments in one frame, seal. Gives its checksum. */
static uint32_t manifest_file_fill(const struct manifest *manifest,
                                   const struct manifest_header *header, uint8_t *image)
{
    uint32_t checksum = manifest_encode_header(image, header);
    uint64_t at = MANIFEST_HEADER_BYTES;
    struct manifest_frame content = {
        .entries = manifest->live.count,
        .durable = at,
        .next_generation = manifest->next_generation,
    };
    for (uint32_t i = 0; i < content.entries; i++)
        manifest_encode_put(image + at + manifest_frame_bytes(i), &manifest->live.segments[i]);
    manifest_encode_frame(image + at, &content, checksum, at);
    at += manifest_frame_bytes(content.entries);
    content.entries = 0;
    content.durable = at; /* true as soon as the file has its name */
    manifest_encode_frame(image + at, &content, checksum, at);
    return checksum;
}

/* Makes the new file, durable but for its name. */
static kvs_status manifest_file_write_new(struct disk *disk, const uint8_t *image, uint64_t bytes,
                                          struct disk_file **ret_file, uint64_t *ret_reserved,
                                          struct kvs_error *err)
{
    struct disk_file *file;
    kvs_status status = disk_file_open(disk, MANIFEST_NEW_NAME, DISK_CREATE, &file, err);
    if (status != KVS_OK)
        return status;
    status = manifest_file_reserve(file, bytes + AHEAD_BYTES, ret_reserved, err);
    if (status == KVS_OK)
        status = disk_file_write(file, 0, image, bytes, err);
    if (status == KVS_OK)
        status = disk_file_sync(file, err);
    if (status == KVS_OK) {
        *ret_file = file;
    } else {
        disk_file_close(file);
        (void)!disk_remove(disk, MANIFEST_NEW_NAME, NULL);
    }
    return status;
}

/* Gives the new file the manifest's name, durably. */
static kvs_status manifest_file_replace(struct manifest *manifest, struct kvs_error *err)
{
    kvs_status status = disk_rename(manifest->disk, MANIFEST_NEW_NAME, MANIFEST_NAME, err);
    if (disk_is_short(status)) {
        (void)!disk_remove(manifest->disk, MANIFEST_NEW_NAME, NULL);
        return status;
    }
    if (status == KVS_OK)
        status = disk_sync_folder(manifest->disk, err);
    return status == KVS_OK ? KVS_OK : manifest_file_broke(manifest, status, err);
}

kvs_status manifest_file_rewrite(struct manifest *manifest, struct kvs_error *err)
{
    uint64_t bytes = manifest_file_needs(manifest->live.count);
    uint8_t *image = malloc(bytes);
    if (image == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to write " MANIFEST_NAME);
    struct manifest_header header = manifest->header;
    header.next_generation = manifest->next_generation;
    header.rewrites++;
    uint32_t checksum = manifest_file_fill(manifest, &header, image);
    struct disk_file *file;
    uint64_t reserved;
    kvs_status status =
        manifest_file_write_new(manifest->disk, image, bytes, &file, &reserved, err);
    free(image);
    if (status != KVS_OK) {
        manifest->broken |= !disk_is_short(status);
        return status;
    }
    status = manifest_file_replace(manifest, err);
    if (status != KVS_OK) {
        disk_file_close(file);
        return status;
    }
    disk_file_close(manifest->file);
    manifest->file = file;
    manifest->header = header;
    manifest->header_checksum = checksum;
    manifest->end = bytes;
    manifest->durable = bytes;
    manifest->reserved = reserved;
    manifest->can_reserve = reserved > 0;
    return KVS_OK;
}
