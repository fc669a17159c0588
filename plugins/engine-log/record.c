/* See record.h. */
#include "record.h"

#include <string.h>

#define FRAME_CRC_AT  4u
#define FRAME_CRC_END 8u /* the frame's CRC covers its header from here on */

#define CRC32C_POLYNOMIAL UINT32_C(0x82F63B78) /* with its bits reversed */

uint32_t record_salt(struct kvs_bytes secret, uint64_t generation)
{
    uint8_t bytes[8];
    store_le64(bytes, generation);
    return crc32c(crc32c(0, secret.ptr, secret.len), bytes, sizeof(bytes));
}

uint32_t record_write(uint8_t *to, uint32_t salt, const struct record *record)
{
    uint64_t content = RECORD_HEADER_BYTES + record->key.len + record->value.len;
    uint64_t padded = record_bytes(record->key.len, record->value.len);
    store_le32(to + RECORD_KEY_AT,
               (uint32_t)record->key.len | (uint32_t)record->kind << RECORD_KIND_SHIFT);
    store_le32(to + RECORD_VALUE_AT, (uint32_t)record->value.len);
    store_le32(to + 12, 0);
    store_le64(to + RECORD_SEQUENCE_AT, record->sequence);
    memcpy(to + RECORD_HEADER_BYTES, record->key.ptr, record->key.len);
    if (record->value.len > 0)
        memcpy(to + RECORD_HEADER_BYTES + record->key.len, record->value.ptr, record->value.len);
    memset(to + content, 0, padded - content);
    uint32_t crc = crc32c(salt, to + RECORD_CRC_BYTES, padded - RECORD_CRC_BYTES);
    store_le32(to + RECORD_CRC_AT, crc);
    return crc;
}

/* The frame's CRC: the rest of the header, then each record's own CRC. */
static uint32_t frame_crc(const uint8_t *frame, uint32_t salt, uint32_t records)
{
    uint32_t crc = crc32c(salt, frame + FRAME_CRC_END, FRAME_HEADER_BYTES - FRAME_CRC_END);
    const uint8_t *at = frame + FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < records; i++) {
        crc = crc32c(crc, at + RECORD_CRC_AT, sizeof(uint32_t));
        at += record_bytes(load_le32(at + RECORD_KEY_AT) & RECORD_KEY_BYTES_MASK,
                           load_le32(at + RECORD_VALUE_AT));
    }
    return crc;
}

void frame_write_header(uint8_t *frame, uint32_t salt, const struct frame_header *header)
{
    store_le32(frame, FRAME_MAGIC);
    store_le32(frame + 8, header->bytes);
    store_le32(frame + 12, header->records);
    store_le64(frame + 16, header->sequence);
    store_le64(frame + 24, header->durable_sequence);
    store_le32(frame + FRAME_CRC_AT, frame_crc(frame, salt, header->records));
}

uint32_t record_key_bytes(const uint8_t header[RECORD_HEADER_BYTES])
{
    return load_le32(header + RECORD_KEY_AT) & RECORD_KEY_BYTES_MASK;
}

static bool records_are_sound(const uint8_t *frame, uint32_t salt,
                              const struct frame_header *header)
{
    const uint8_t *at = frame + FRAME_HEADER_BYTES;
    const uint8_t *end = frame + header->bytes;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        if (!record_view(at, (uint64_t)(end - at), &record) || !record_is_sound(at, salt, &record))
            return false;
        at += record_bytes(record.key.len, record.value.len);
    }
    return at == end;
}

bool frame_view(const uint8_t *from, uint64_t limit, struct frame_header *ret_header)
{
    if (limit < FRAME_HEADER_BYTES || load_le32(from) != FRAME_MAGIC)
        return false;
    struct frame_header header = {
        .bytes = load_le32(from + 8),
        .records = load_le32(from + 12),
        .sequence = load_le64(from + 16),
        .durable_sequence = load_le64(from + 24),
    };
    if (header.bytes < FRAME_HEADER_BYTES + RECORD_HEADER_BYTES || header.bytes > limit ||
        header.bytes % RECORD_ALIGNMENT != 0 || header.records == 0)
        return false;
    *ret_header = header;
    return true;
}

bool frame_check(const uint8_t *from, uint64_t limit, uint32_t salt,
                 struct frame_header *ret_header)
{
    struct frame_header header;
    if (!frame_view(from, limit, &header) || !records_are_sound(from, salt, &header) ||
        frame_crc(from, salt, header.records) != load_le32(from + FRAME_CRC_AT))
        return false;
    *ret_header = header;
    return true;
}

/* ---- without the salt ----------------------------------------------------------------------- */

/*
 * A CRC is linear in what it begins with: crc(salt, data) is crc(0, data) ^ f(salt), where f takes a
 * step for each bit of data, a shift and perhaps the polynomial. The polynomial has the bit that the
 * shift leaves empty, so that bit says whether it was added, and each step can be undone.
 */
static uint32_t crc_undo(uint32_t difference, uint64_t bytes)
{
    for (uint64_t bit = 0; bit < 8 * bytes; bit++) {
        bool added = difference >> 31 != 0;
        difference = (added ? difference ^ CRC32C_POLYNOMIAL : difference) << 1 | added;
    }
    return difference;
}

bool frame_salt(const uint8_t *from, uint64_t limit, uint32_t *ret_salt)
{
    struct frame_header header;
    if (!frame_view(from, limit, &header))
        return false;
    const uint8_t *at = from + FRAME_HEADER_BYTES;
    const uint8_t *end = from + header.bytes;
    for (uint32_t i = 0; i < header.records; i++) {
        struct record record;
        if (!record_view(at, (uint64_t)(end - at), &record))
            return false;
        at += record_bytes(record.key.len, record.value.len);
    }
    if (at != end)
        return false;
    uint64_t covered = FRAME_HEADER_BYTES - FRAME_CRC_END + header.records * sizeof(uint32_t);
    *ret_salt =
        crc_undo(frame_crc(from, 0, header.records) ^ load_le32(from + FRAME_CRC_AT), covered);
    return true;
}
