/*
 * The bodies of the native protocol's larger requests and replies, for both sides: reading one field
 * after another, and what the fields can say. docs/protocol.md describes the layouts.
 */
#ifndef PROTOCOL_NATIVE_BODY_H
#define PROTOCOL_NATIVE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

#define NATIVE_BATCH_OP_SIZE 24u /* bytes in front of an operation's key */

/* clang-format off */
enum { /* of a batch's operation and of expire: what its time means */
    NATIVE_EXPIRES_NEVER = 0,
    NATIVE_EXPIRES_KEEP  = 1, /* as the key does now; only in a batch */
    NATIVE_EXPIRES_IN    = 2, /* milliseconds from now */
    NATIVE_EXPIRES_AT    = 3  /* Unix milliseconds */
};
/* clang-format on */

#define NATIVE_BATCH_ALL_OR_NONE 1u /* flags of a batch */

/* What is left of a body that is being read. */
struct native_reader {
    const uint8_t *at;
    uint64_t left;
    bool broken; /* something was asked for that is not there */
};

static inline struct native_reader native_reader_of(struct kvs_bytes body)
{
    return (struct native_reader){body.ptr, body.len, false};
}

/* The next size bytes; empty when they are not there. */
static inline struct kvs_bytes native_read_bytes(struct native_reader *reader, uint64_t size)
{
    if (size > reader->left) {
        reader->broken = true;
        return bytes_of(NULL, 0);
    }
    struct kvs_bytes bytes = bytes_of(reader->at, size);
    if (size > 0)
        reader->at += size;
    reader->left -= size;
    return bytes;
}

static inline uint64_t native_read_u64(struct native_reader *reader)
{
    struct kvs_bytes bytes = native_read_bytes(reader, sizeof(uint64_t));
    return bytes.len > 0 ? load_le64(bytes.ptr) : 0;
}

static inline uint32_t native_read_u32(struct native_reader *reader)
{
    struct kvs_bytes bytes = native_read_bytes(reader, sizeof(uint32_t));
    return bytes.len > 0 ? load_le32(bytes.ptr) : 0;
}

static inline uint16_t native_read_u16(struct native_reader *reader)
{
    struct kvs_bytes bytes = native_read_bytes(reader, sizeof(uint16_t));
    return bytes.len > 0 ? load_le16(bytes.ptr) : 0;
}

static inline uint8_t native_read_u8(struct native_reader *reader)
{
    struct kvs_bytes bytes = native_read_bytes(reader, 1);
    return bytes.len > 0 ? *(const uint8_t *)bytes.ptr : 0;
}

/* Each appends a field. KVS_OK or KVS_NO_MEMORY. */
static inline kvs_status native_put_u64(struct buffer *out, uint64_t value)
{
    uint8_t bytes[sizeof(value)];
    store_le64(bytes, value);
    return buffer_append(out, bytes, sizeof(bytes));
}

static inline kvs_status native_put_u32(struct buffer *out, uint32_t value)
{
    uint8_t bytes[sizeof(value)];
    store_le32(bytes, value);
    return buffer_append(out, bytes, sizeof(bytes));
}

static inline kvs_status native_put_u16(struct buffer *out, uint16_t value)
{
    uint8_t bytes[sizeof(value)];
    store_le16(bytes, value);
    return buffer_append(out, bytes, sizeof(bytes));
}

#endif
