/* See mend.h. Lengths that lead nowhere end the mending, not the process. */
#include "mend.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "footer.h"
#include "manifest_format.h"
#include "record.h"
#include "segment.h"
#include "snapshot_internal.h"

#define MANIFEST_FRAME_MAGIC UINT32_C(0x4d46564b)
#define FOOTER_MAGIC         UINT32_C(0x3154564B)

/* ---- the manifest ------------------------------------------------------------------------- */

void mend_manifest(uint8_t *content, uint64_t bytes)
{
    if (bytes < MANIFEST_HEADER_BYTES)
        return;
    uint32_t header_checksum = crc32c(0, content, MANIFEST_HEADER_BYTES - 4);
    store_le32(content + MANIFEST_HEADER_BYTES - 4, header_checksum);
    for (uint64_t at = MANIFEST_HEADER_BYTES; at + MANIFEST_FRAME_BYTES <= bytes;) {
        uint8_t *frame = content + at;
        uint64_t frame_bytes = load_le32(frame + 4);
        uint32_t entries = load_le32(frame + 8);
        if (load_le32(frame) != MANIFEST_FRAME_MAGIC || frame_bytes > bytes - at ||
            frame_bytes != manifest_frame_bytes(entries)) {
            at += MANIFEST_FRAME_ALIGN;
            continue;
        }
        for (uint32_t i = 0; i < entries; i++) {
            uint8_t *entry = frame + manifest_frame_bytes(i);
            uint32_t crc = crc32c(0, entry, 12);
            store_le32(entry + 12, crc32c(crc, entry + 16, MANIFEST_ENTRY_BYTES - 16));
        }
        const struct manifest_frame what = {entries, load_le64(frame + 16), load_le64(frame + 24)};
        manifest_encode_frame(frame, &what, header_checksum, at);
        at += frame_bytes;
    }
}

/* ---- segments ----------------------------------------------------------------------------- */

void mend_segment_header(uint8_t *content, uint64_t bytes)
{
    if (bytes >= SEGMENT_HEADER_BYTES)
        store_le32(content + 4, crc32c(0, content + 8, 64 - 8));
}

/* Mends the records of a frame. True: they are what its header says. */
static bool mend_records(uint8_t *frame, const struct frame_header *header, uint32_t salt)
{
    uint64_t at = FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        if (!record_view(frame + at, header->bytes - at, &record))
            return false;
        uint64_t bytes = record_bytes(record.key.len, record.value.len);
        store_le32(frame + at, crc32c(salt, frame + at + 4, bytes - 4));
        at += bytes;
    }
    return at == header->bytes;
}

void mend_frames(uint8_t *content, uint64_t begin, uint64_t end, uint32_t salt)
{
    for (uint64_t at = begin; at + FRAME_HEADER_BYTES <= end;) {
        struct frame_header header;
        if (frame_view(content + at, end - at, &header) &&
            mend_records(content + at, &header, salt)) {
            frame_write_header(content + at, salt, &header);
            at += header.bytes;
        } else {
            at += RECORD_ALIGNMENT;
        }
    }
}

void mend_footer(uint8_t *content, uint64_t bytes, uint32_t salt)
{
    if (bytes < SEGMENT_HEADER_BYTES + FOOTER_TRAILER_BYTES)
        return;
    uint64_t trailer_at = bytes - FOOTER_TRAILER_BYTES;
    uint8_t *trailer = content + trailer_at;
    uint64_t end = load_le64(trailer + 48);
    if (load_le32(trailer) != FOOTER_MAGIC)
        return;
    if (end <= trailer_at)
        store_le32(trailer + 8, crc32c(salt, content + end, trailer_at - end));
    store_le32(trailer + 4, crc32c(salt, trailer + 8, FOOTER_TRAILER_BYTES - 8));
}

void mend_segment(uint8_t *content, uint64_t bytes, struct kvs_bytes secret)
{
    if (bytes < SEGMENT_HEADER_BYTES)
        return;
    uint32_t salt = record_salt(secret, load_le64(content + 16));
    mend_segment_header(content, bytes);
    mend_frames(content, SEGMENT_HEADER_BYTES, bytes, salt);
    mend_footer(content, bytes, salt);
}

/* ---- the snapshot ------------------------------------------------------------------------- */

void mend_snapshot(uint8_t *content, uint64_t bytes)
{
    if (bytes < SNAPSHOT_HEADER_BYTES)
        return;
    uint32_t shard_bits = load_le32(content + 12);
    uint64_t segments = load_le32(content + 40);
    store_le32(content, SNAPSHOT_MAGIC);
    store_le64(content + 48, bytes);
    if (shard_bits >= INDEX_SHARD_BITS_MIN && shard_bits <= INDEX_SHARD_BITS_MAX) {
        uint64_t shards = snapshot_chunk_shards(shard_bits);
        uint64_t chunks = (UINT64_C(1) << shard_bits) / shards;
        uint64_t table_bytes = segments * SNAPSHOT_SEGMENT_BYTES + chunks * SNAPSHOT_CHUNK_BYTES;
        uint64_t at = SNAPSHOT_HEADER_BYTES;
        if (table_bytes <= bytes - at) {
            uint8_t *tables = content + bytes - table_bytes;
            uint8_t *chunk = tables + segments * SNAPSHOT_SEGMENT_BYTES;
            for (uint64_t i = 0; i < chunks; i++, chunk += SNAPSHOT_CHUNK_BYTES) {
                uint64_t size = shards * 4 + (uint64_t)load_le32(chunk) * 8;
                if (size > (uint64_t)(tables - content) - at)
                    break;
                store_le32(chunk + 4, crc32c(0, content + at, size));
                at += size;
            }
            store_le32(content + 44, crc32c(0, tables, table_bytes));
        }
    }
    store_le32(content + 4, crc32c(0, content + SNAPSHOT_CHECKED_BEGIN,
                                   SNAPSHOT_HEADER_BYTES - SNAPSHOT_CHECKED_BEGIN));
}
