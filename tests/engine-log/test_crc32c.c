/* CRC-32C: published vectors, a bit-by-bit reference, splits, every alignment; both ways alike. */
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "support/support.h"

#define INPUT_BYTES 4096u /* some rounds of the longest lanes */

struct way {
    uint32_t (*crc)(uint32_t crc, const void *from, size_t bytes);
};

static const struct way ways[] = {{crc32c}, {crc32c_portable}};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* The definition, a bit at a time. */
static uint32_t reference(uint32_t crc, const uint8_t *from, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= from[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fill(uint8_t *to, size_t bytes)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(next_random(&state) >> 32);
}

/* ---- vectors ------------------------------------------------------------------------------ */

/* The first one is the check value of the catalogues; the others are from RFC 3720, B.4. */
static void known_vectors(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t up[32];
    uint8_t down[32];
    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    /* clang-format off */
    static const uint8_t command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    /* clang-format on */
    for (unsigned i = 0; i < WAYS; i++) {
        assert_int_equal(ways[i].crc(0, "123456789", 9), 0xe3069283u);
        assert_int_equal(ways[i].crc(0, zeros, sizeof(zeros)), 0x8a9136aau);
        assert_int_equal(ways[i].crc(0, ones, sizeof(ones)), 0x62a8ab43u);
        assert_int_equal(ways[i].crc(0, up, sizeof(up)), 0x46dd794eu);
        assert_int_equal(ways[i].crc(0, down, sizeof(down)), 0x113fdb5cu);
        assert_int_equal(ways[i].crc(0, command, sizeof(command)), 0xd9963a56u);
    }
}

static void empty_input(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WAYS; i++) {
        assert_int_equal(ways[i].crc(0, NULL, 0), 0);
        assert_int_equal(ways[i].crc(0x12345678u, "", 0), 0x12345678u);
    }
}

/* ---- against the definition --------------------------------------------------------------- */

/* Each length once, in memory of just that size (so that a sanitizer sees a read behind its end),
   from another start value each time. */
static void every_length(void **state)
{
    (void)state;
    uint8_t *input = malloc(INPUT_BYTES);
    fill(input, INPUT_BYTES);
    uint64_t random = 1;
    for (size_t bytes = 1; bytes <= INPUT_BYTES; bytes += bytes < 512 ? 1 : 37) {
        uint8_t *exact = malloc(bytes);
        memcpy(exact, input, bytes);
        uint32_t start = (uint32_t)next_random(&random);
        uint32_t expected = reference(start, exact, bytes);
        for (unsigned i = 0; i < WAYS; i++)
            assert_int_equal(ways[i].crc(start, exact, bytes), expected);
        free(exact);
    }
    free(input);
}

/* The inline one, for lengths that it is for, on both sides of where it hands over. */
static void every_padded_length(void **state)
{
    (void)state;
    uint8_t input[CRC32C_LANES_FROM + 100];
    fill(input, sizeof(input));
    uint64_t random = 3;
    for (size_t bytes = 4; bytes <= sizeof(input); bytes += 8) {
        uint8_t *exact = malloc(bytes);
        memcpy(exact, input, bytes);
        uint32_t start = (uint32_t)next_random(&random);
        assert_int_equal(crc32c_padded(start, exact, bytes), reference(start, exact, bytes));
        free(exact);
    }
}

static void every_alignment(void **state)
{
    (void)state;
    static const size_t sizes[] = {7, 8, 71, 72, 73, 130, 1536, 1600, 3100};
    _Alignas(64) static uint8_t input[INPUT_BYTES];
    fill(input, sizeof(input));
    for (size_t offset = 0; offset < 64; offset++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            uint32_t expected = reference(0, input + offset, sizes[s]);
            for (unsigned i = 0; i < WAYS; i++)
                assert_int_equal(ways[i].crc(0, input + offset, sizes[s]), expected);
        }
    }
}

static void random_splits(void **state)
{
    (void)state;
    static uint8_t input[INPUT_BYTES];
    fill(input, sizeof(input));
    const uint32_t expected = reference(0, input, sizeof(input));
    uint64_t random = 7;
    for (unsigned round = 0; round < 500; round++) {
        uint32_t crc = 0;
        size_t at = 0;
        while (at < sizeof(input)) {
            size_t bytes = next_random(&random) % (1u << (1 + next_random(&random) % 12));
            if (bytes > sizeof(input) - at)
                bytes = sizeof(input) - at;
            crc = ways[next_random(&random) % WAYS].crc(crc, input + at, bytes);
            at += bytes;
        }
        assert_int_equal(crc, expected);
    }
}

/* What the checksum is for: a single flipped bit is always seen. */
static void flipped_bits(void **state)
{
    (void)state;
    uint8_t input[200];
    fill(input, sizeof(input));
    uint32_t whole = crc32c(0, input, sizeof(input));
    for (size_t bit = 0; bit < 8 * sizeof(input); bit++) {
        input[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, input, sizeof(input)), whole);
        input[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),       cmocka_unit_test(empty_input),
        cmocka_unit_test(every_length),        cmocka_unit_test(every_alignment),
        cmocka_unit_test(random_splits),       cmocka_unit_test(flipped_bits),
        cmocka_unit_test(every_padded_length),
    };
    return cmocka_run_group_tests_name("engine-log-crc32c", tests, NULL, NULL);
}
