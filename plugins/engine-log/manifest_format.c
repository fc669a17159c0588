/*
 * The bytes of the manifest. Whatever is read is checked before it is believed: lengths against
 * what is there, content against its checksum.
 */
#include <assert.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "manifest_format.h"

#define HEADER_MAGIC       "KVSLOGMF"
#define HEADER_FIXED_BYTES 16u   /* magic, format, length: alike in every format */
#define HEADER_BYTES_MAX   4096u /* in every format */

#define FRAME_MAGIC 0x4d46564bu /* "KVFM" */

#define ENTRY_PUT    1u
#define ENTRY_REMOVE 2u

#define FLAG_SEALED   (1u << 0)
#define FLAG_REMOVING (1u << 1)
#define FLAGS_KNOWN   (FLAG_SEALED | FLAG_REMOVING)

#define CHECKSUM_AT 12u /* in a frame and in an entry */

/* Of all bytes but the checksum's own four. */
static uint32_t checksum_around(uint32_t crc, const uint8_t *from, uint64_t bytes)
{
    crc = crc32c(crc, from, CHECKSUM_AT);
    return crc32c(crc, from + CHECKSUM_AT + 4, bytes - CHECKSUM_AT - 4);
}

/* ---- the header --------------------------------------------------------------------------- */

uint32_t manifest_encode_header(uint8_t to[MANIFEST_HEADER_BYTES],
                                const struct manifest_header *header)
{
    memcpy(to, HEADER_MAGIC, 8);
    store_le32(to + 8, MANIFEST_FORMAT);
    store_le32(to + 12, MANIFEST_HEADER_BYTES);
    store_le64(to + 16, header->next_generation);
    store_le64(to + 24, header->rewrites);
    memcpy(to + 32, header->secret, MANIFEST_SECRET_BYTES);
    store_le32(to + 64, 0);
    uint32_t checksum = crc32c(0, to, MANIFEST_HEADER_BYTES - 4);
    store_le32(to + MANIFEST_HEADER_BYTES - 4, checksum);
    return checksum;
}

static kvs_status header_corrupt(struct kvs_error *err, unsigned offset, const char *what)
{
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         MANIFEST_NAME " is damaged at offset %u: %s; salvage the "
                                       "store with --repair, or bring it back from a backup",
                         offset, what);
}

kvs_status manifest_decode_header(const uint8_t *from, uint64_t bytes,
                                  struct manifest_header *ret_header, uint32_t *ret_checksum,
                                  struct kvs_error *err)
{
    if (bytes < HEADER_FIXED_BYTES)
        return header_corrupt(err, (unsigned)bytes, "the file ends in its header");
    if (memcmp(from, HEADER_MAGIC, 8) != 0)
        return header_corrupt(err, 0, "this is no manifest");
    uint32_t format = load_le32(from + 8);
    uint32_t header_bytes = load_le32(from + 12);
    if (header_bytes < HEADER_FIXED_BYTES + 4 || header_bytes > HEADER_BYTES_MAX)
        return header_corrupt(err, 12, "the length of the header is impossible");
    if (bytes < header_bytes)
        return header_corrupt(err, (unsigned)bytes, "the file ends in its header");
    uint32_t checksum = crc32c(0, from, header_bytes - 4);
    if (load_le32(from + header_bytes - 4) != checksum)
        return header_corrupt(err, 0, "the header's checksum is wrong");
    if (format > MANIFEST_FORMAT)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             MANIFEST_NAME " has format %u, this version reads up to %u: use the "
                                           "version that wrote it, or a later one",
                             format, MANIFEST_FORMAT);
    if (format != MANIFEST_FORMAT || header_bytes != MANIFEST_HEADER_BYTES)
        return header_corrupt(err, 8, "there is no such format");
    if (load_le64(from + 16) > MANIFEST_GENERATION_MAX)
        return header_corrupt(err, 16, "no generation is so large");
    ret_header->next_generation = load_le64(from + 16);
    ret_header->rewrites = load_le64(from + 24);
    memcpy(ret_header->secret, from + 32, MANIFEST_SECRET_BYTES);
    *ret_checksum = checksum;
    return KVS_OK;
}

/* ---- entries ------------------------------------------------------------------------------ */

void manifest_encode_put(uint8_t to[MANIFEST_ENTRY_BYTES], const struct manifest_segment *segment)
{
    store_le32(to, ENTRY_PUT);
    store_le32(to + 4, segment->number);
    store_le32(to + 8,
               (segment->sealed ? FLAG_SEALED : 0) | (segment->removing ? FLAG_REMOVING : 0));
    store_le64(to + 16, segment->generation);
    store_le64(to + 24, segment->bytes);
    store_le64(to + 32, segment->end);
    store_le64(to + 40, segment->records);
    store_le64(to + 48, segment->sequence_min);
    store_le64(to + 56, segment->sequence_max);
    store_le32(to + CHECKSUM_AT, checksum_around(0, to, MANIFEST_ENTRY_BYTES));
}

void manifest_encode_remove(uint8_t to[MANIFEST_ENTRY_BYTES], uint32_t number)
{
    memset(to, 0, MANIFEST_ENTRY_BYTES);
    store_le32(to, ENTRY_REMOVE);
    store_le32(to + 4, number);
    store_le32(to + CHECKSUM_AT, checksum_around(0, to, MANIFEST_ENTRY_BYTES));
}

kvs_status manifest_decode_entry(const uint8_t from[MANIFEST_ENTRY_BYTES],
                                 struct manifest_segment *ret_segment, bool *ret_remove)
{
    if (load_le32(from + CHECKSUM_AT) != checksum_around(0, from, MANIFEST_ENTRY_BYTES))
        return KVS_CORRUPT;
    uint32_t kind = load_le32(from);
    uint32_t flags = load_le32(from + 8);
    if ((kind != ENTRY_PUT && kind != ENTRY_REMOVE) || (flags & ~FLAGS_KNOWN) != 0)
        return KVS_INCOMPATIBLE;
    *ret_remove = kind == ENTRY_REMOVE;
    *ret_segment = (struct manifest_segment){
        .number = load_le32(from + 4),
        .sealed = (flags & FLAG_SEALED) != 0,
        .removing = (flags & FLAG_REMOVING) != 0,
        .generation = load_le64(from + 16),
        .bytes = load_le64(from + 24),
        .end = load_le64(from + 32),
        .records = load_le64(from + 40),
        .sequence_min = load_le64(from + 48),
        .sequence_max = load_le64(from + 56),
    };
    return KVS_OK;
}

/* ---- frames ------------------------------------------------------------------------------- */

static uint32_t frame_checksum(const uint8_t *frame, uint64_t bytes, uint32_t header_checksum,
                               uint64_t offset)
{
    uint8_t place[8];
    store_le64(place, offset);
    return checksum_around(crc32c(header_checksum, place, sizeof(place)), frame, bytes);
}

void manifest_encode_frame(uint8_t *frame, const struct manifest_frame *content,
                           uint32_t header_checksum, uint64_t offset)
{
    uint64_t bytes = manifest_frame_bytes(content->entries);
    assert(bytes <= UINT32_MAX && offset % MANIFEST_FRAME_ALIGN == 0);
    store_le32(frame, FRAME_MAGIC);
    store_le32(frame + 4, (uint32_t)bytes);
    store_le32(frame + 8, content->entries);
    store_le64(frame + 16, content->durable);
    store_le64(frame + 24, content->next_generation);
    store_le32(frame + CHECKSUM_AT, frame_checksum(frame, bytes, header_checksum, offset));
}

bool manifest_decode_frame(const uint8_t *from, uint64_t bytes, uint32_t header_checksum,
                           uint64_t offset, struct manifest_frame *ret_frame)
{
    if (bytes < MANIFEST_FRAME_BYTES || load_le32(from) != FRAME_MAGIC)
        return false;
    uint64_t frame_bytes = load_le32(from + 4);
    uint32_t entries = load_le32(from + 8);
    if (frame_bytes > bytes || frame_bytes != manifest_frame_bytes(entries))
        return false;
    if (load_le32(from + CHECKSUM_AT) != frame_checksum(from, frame_bytes, header_checksum, offset))
        return false;
    ret_frame->entries = entries;
    ret_frame->durable = load_le64(from + 16);
    ret_frame->next_generation = load_le64(from + 24);
    return true;
}
