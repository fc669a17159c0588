/*
 * Keys and values without memory for them: everything follows from an index and the seed.
 *
 * Key i is the text of a number that mixes i and the seed one to one: 16 hexadecimal digits, so
 * keys 0, 1, 2 ... are in random order and all different. Keys from `keys` on are never stored: the
 * misses.
 *
 * A value is random bytes that begin with a stamp: which key it belongs to, and a version that
 * makes it differ from the one before.
 */
#ifndef BENCH_ENGINE_DATA_H
#define BENCH_ENGINE_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "harness/random.h"

#define DATA_KEY_SIZE   16u
#define DATA_STAMP_SIZE 16u /* the smallest value */

struct data {
    uint64_t seed;
    uint64_t keys;       /* how many are stored */
    uint32_t value_size; /* bytes, at least DATA_STAMP_SIZE */
};

static inline uint64_t data_identity(const struct data *data, uint64_t index)
{
    return random_mix(index ^ random_mix(data->seed));
}

/* Spreads the eight hexadecimal digits of a number over eight bytes, as text, the lowest first. */
static inline uint64_t data_hex(uint32_t number)
{
    uint64_t digits = number;
    digits = (digits << 16 | digits) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits << 8 | digits) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits << 4 | digits) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    /* 6 is what takes a digit above 9 over 16 */
    uint64_t above_9 =
        ((digits + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
    return digits + UINT64_C(0x3030303030303030) + above_9 * ('a' - '0' - 10);
}

/* The key with an identity. */
static inline void data_identity_key(uint64_t identity, uint8_t key[DATA_KEY_SIZE])
{
    store_le64(key, data_hex((uint32_t)(identity >> 32)));
    store_le64(key + 8, data_hex((uint32_t)identity));
}

static inline void data_key(const struct data *data, uint64_t index, uint8_t key[DATA_KEY_SIZE])
{
    data_identity_key(data_identity(data, index), key);
}

/* Fills a buffer with random bytes, once; it is then stamped for each value. */
void data_value_init(const struct data *data, uint8_t *value);

/* Makes a value one of the key with an identity. */
static inline void data_identity_stamp(uint64_t identity, uint64_t version, uint8_t *value)
{
    store_le64(value, ~identity);
    store_le64(value + 8, version);
}

static inline void data_value_stamp(const struct data *data, uint64_t index, uint64_t version,
                                    uint8_t *value)
{
    data_identity_stamp(data_identity(data, index), version, value);
}

/* Is this a value of the key with an identity? (Of any version; at least DATA_STAMP_SIZE bytes.) */
static inline bool data_identity_fits(uint64_t identity, const uint8_t *value)
{
    return load_le64(value) == ~identity;
}

/* Is this a value of key index? (Of any version.) */
static inline bool data_value_is_of(const struct data *data, uint64_t index, const uint8_t *value,
                                    uint64_t len)
{
    return len == data->value_size && data_identity_fits(data_identity(data, index), value);
}

#endif
