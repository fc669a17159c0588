/*
 * What is stored under a key: the value, and when it expires.
 *
 * A value that never expires is stored as it is. One that expires has a trailer of 16 bytes behind
 * it: 8 bytes that mark it, and the moment in Unix milliseconds, little-endian. A value that by
 * itself looks as if it had a trailer gets one that says "never"; so what is stored is never
 * mistaken, and only its last 16 bytes have to be looked at.
 *
 * A value lives through the millisecond at which it expires and is gone with the next one, whether
 * it was removed already or not.
 */
#ifndef COMMAND_VALUE_H
#define COMMAND_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <kvs/types.h>

#include "base/bytes.h"

#define VALUE_NEVER         INT64_C(0) /* as a moment: does not expire */
#define VALUE_TRAILER_BYTES 16u
#define VALUE_MARK          "\xE5\x9Bkvs\xA7\x1F\xC3" /* 8 bytes: no UTF-8, and no number anyone counts to */
#define VALUE_MARK_BYTES    8u

struct value {
    struct kvs_bytes content;
    int64_t expires_at_ms; /* Unix time, at least 1; or VALUE_NEVER */
};

/* True when the last bytes of these are a trailer, or look like one. */
static inline bool value_has_trailer(struct kvs_bytes bytes)
{
    return bytes.len >= VALUE_TRAILER_BYTES &&
           memcmp((const uint8_t *)bytes.ptr + bytes.len - VALUE_TRAILER_BYTES, VALUE_MARK,
                  VALUE_MARK_BYTES) == 0;
}

/* Takes apart what is stored; the content is a view of it. */
static inline struct value value_decode(struct kvs_bytes stored)
{
    if (!value_has_trailer(stored))
        return (struct value){stored, VALUE_NEVER};
    uint64_t len = stored.len - VALUE_TRAILER_BYTES;
    const uint8_t *trailer = (const uint8_t *)stored.ptr + len;
    return (struct value){bytes_of(stored.ptr, len),
                          (int64_t)load_le64(trailer + VALUE_MARK_BYTES)};
}

static inline bool value_is_expired(const struct value *value, int64_t now_ms)
{
    return value->expires_at_ms != VALUE_NEVER && now_ms > value->expires_at_ms;
}

/* True when content that expires at this moment is stored just as it is. */
static inline bool value_is_plain(struct kvs_bytes content, int64_t expires_at_ms)
{
    return expires_at_ms == VALUE_NEVER && !value_has_trailer(content);
}

/* Writes the content and the trailer to out, which has content.len + VALUE_TRAILER_BYTES bytes. Not
   for plain ones. content may be at out already. */
void value_encode(uint8_t *out, struct kvs_bytes content, int64_t expires_at_ms);

#endif
