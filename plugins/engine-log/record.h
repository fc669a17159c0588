/*
 * Frames and records: how writes stand in a segment. docs/log-format.md describes the bytes for the
 * world; the offsets here are the same. Everything is little-endian and 8-byte aligned.
 *
 * A frame is what was committed at once: a header, then its records, nothing between them.
 *      0  u32  magic "KVF1"              12  u32  records
 *      4  u32  CRC-32C (see below)       16  u64  sequence number of the first record
 *      8  u32  bytes, header included    24  u64  sequence number up to which all is known durable
 * A record:
 *      0  u32  CRC-32C (see below)       12  u32  0
 *      4  u32  key bytes (24 bits), kind 16  u64  sequence number
 *              (upper 8 bits)            24  key, value, zeros up to a multiple of 8
 *      8  u32  value bytes
 * Sequence numbers begin at 1; those of an appended segment's records follow each other without a
 * gap, from frame to frame and from segment to segment. Compacted segments hold copies that keep
 * their numbers, in any order; their frames have the first record's number and durable 0.
 *
 * The CRC of a record covers all that follows it, the zeros too; the CRC of a frame the rest of its
 * header and then the CRC of each record. Both begin with the segment's salt, which is made of the
 * store's secret and the segment's generation, so that what a file still holds of other times or
 * stores is never taken for its content.
 */
#ifndef ENGINE_LOG_RECORD_H
#define ENGINE_LOG_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "bytes.h"
#include "crc32c.h"

#define FRAME_MAGIC         UINT32_C(0x3146564B) /* "KVF1" */
#define FRAME_HEADER_BYTES  32u
#define RECORD_HEADER_BYTES 24u
#define RECORD_ALIGNMENT    8u
#define RECORD_KEY_MAX      65536u
#define RECORD_VALUE_MAX    (UINT64_C(64) << 20)

/* Where a record's fields are. */
#define RECORD_CRC_AT         0u
#define RECORD_CRC_BYTES      4u
#define RECORD_KEY_AT         4u /* its length, and the kind above it */
#define RECORD_VALUE_AT       8u
#define RECORD_SEQUENCE_AT    16u
#define RECORD_KEY_BYTES_MASK UINT32_C(0x00FFFFFF)
#define RECORD_KIND_SHIFT     24

enum record_kind {
    RECORD_SET = 1,
    RECORD_TOMBSTONE = 2, /* the key was removed; no value */
};

/* A record in memory: views of the bytes that it was decoded from or will be written from. */
struct record {
    uint64_t sequence;
    enum record_kind kind;
    struct kvs_bytes key;
    struct kvs_bytes value;
};

/* What a frame's header says besides its size. */
struct frame_header {
    uint32_t bytes; /* whole frame */
    uint32_t records;
    uint64_t sequence;         /* of the first record */
    uint64_t durable_sequence; /* all up to this number was durable when the frame was written */
};

/* Bytes that a record takes, padding included. */
static inline uint64_t record_bytes(uint64_t key_bytes, uint64_t value_bytes)
{
    return (RECORD_HEADER_BYTES + key_bytes + value_bytes + RECORD_ALIGNMENT - 1) &
           ~(uint64_t)(RECORD_ALIGNMENT - 1);
}

/* What every CRC of a segment's content begins with. */
uint32_t record_salt(struct kvs_bytes secret, uint64_t generation);

/* Writes a record to `to`, which has record_bytes() room. Returns its CRC. */
uint32_t record_write(uint8_t *to, uint32_t salt, const struct record *record);

/* Writes a frame's header in front of its records, which are written already. */
void frame_write_header(uint8_t *frame, uint32_t salt, const struct frame_header *header);

/* Reads the record at `from` without checking its CRC: for memory that was checked, or that a place
   in the index leads to. False: its sizes cannot be (limit: bytes that may belong to it). Inline, as
   the next: each get does both. */
static inline bool record_view(const uint8_t *from, uint64_t limit, struct record *ret_record)
{
    if (limit < RECORD_HEADER_BYTES)
        return false;
    uint32_t key_and_kind = load_le32(from + RECORD_KEY_AT);
    uint64_t key_bytes = key_and_kind & RECORD_KEY_BYTES_MASK;
    uint64_t value_bytes = load_le32(from + RECORD_VALUE_AT);
    uint32_t kind = key_and_kind >> RECORD_KIND_SHIFT;
    if (key_bytes == 0 || key_bytes > RECORD_KEY_MAX || value_bytes > RECORD_VALUE_MAX ||
        (kind != RECORD_SET && kind != RECORD_TOMBSTONE) ||
        record_bytes(key_bytes, value_bytes) > limit)
        return false;
    ret_record->sequence = load_le64(from + RECORD_SEQUENCE_AT);
    ret_record->kind = (enum record_kind)kind;
    ret_record->key = (struct kvs_bytes){from + RECORD_HEADER_BYTES, key_bytes};
    ret_record->value = (struct kvs_bytes){from + RECORD_HEADER_BYTES + key_bytes, value_bytes};
    return true;
}

/* Checks the CRC of a record of so many bytes, padding included. */
static inline bool record_crc_fits(const uint8_t *from, uint32_t salt, uint64_t bytes)
{
    return crc32c_padded(salt, from + RECORD_CRC_BYTES, bytes - RECORD_CRC_BYTES) ==
           load_le32(from + RECORD_CRC_AT);
}

/* Checks the CRC of a record that record_view accepted. */
static inline bool record_is_sound(const uint8_t *from, uint32_t salt, const struct record *record)
{
    return record_crc_fits(from, salt, record_bytes(record->key.len, record->value.len));
}

/* The length of the key that the header of a record names, whatever else it says. */
uint32_t record_key_bytes(const uint8_t header[RECORD_HEADER_BYTES]);

/* Reads a frame's header without checking any CRC, as record_view. False: it cannot be one. */
bool frame_view(const uint8_t *from, uint64_t limit, struct frame_header *ret_header);

/* Reads a frame's header and checks everything, its records too. False: there is no sound frame
   at `from`. limit: bytes from there to the segment's end. */
bool frame_check(const uint8_t *from, uint64_t limit, uint32_t salt,
                 struct frame_header *ret_header);

/* The salt with which the CRC of the frame at `from` was made, for salvaging what is left of a store
   that has lost its secret. False: its sizes cannot be. A frame that is not one, or damaged, gives
   some salt or other: with the right one, frame_check() is content. */
bool frame_salt(const uint8_t *from, uint64_t limit, uint32_t *ret_salt);

#endif
