/* Little-endian integers in unaligned memory: how the engine's files hold numbers; and comparing short
   runs of bytes. */
#ifndef ENGINE_LOG_BYTES_H
#define ENGINE_LOG_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <kvs/types.h>

static inline uint32_t load_le32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static inline uint64_t load_le64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

static inline void store_le32(void *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static inline void store_le64(void *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

/* Inline, as most keys are short: a call of memcmp costs more than the comparison. */
static inline bool bytes_equal(struct kvs_bytes a, struct kvs_bytes b)
{
    const uint8_t *x = a.ptr;
    const uint8_t *y = b.ptr;
    if (a.len != b.len)
        return false;
    if (a.len < sizeof(uint64_t) || a.len > 8 * sizeof(uint64_t))
        return a.len == 0 || memcmp(x, y, a.len) == 0;
    const uint64_t last = a.len - sizeof(uint64_t); /* the last word may overlap the one before */
    for (uint64_t at = 0; at < last; at += sizeof(uint64_t)) {
        if (load_le64(x + at) != load_le64(y + at))
            return false;
    }
    return load_le64(x + last) == load_le64(y + last);
}

#endif
