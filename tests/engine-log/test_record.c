/* Records and frames: what is written is read again, damage of any byte is seen, and sizes that
   cannot be are refused. */
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "support/support.h"

#define SALT    UINT32_C(0xC0FFEE11)
#define ROOM    4096u
#define RECORDS 3u

static struct kvs_bytes text(const char *from)
{
    return (struct kvs_bytes){from, strlen(from)};
}

/* Writes a frame of three records, one of them a tombstone. Gives its size. */
static uint64_t make_frame(uint8_t *to)
{
    const struct record records[RECORDS] = {
        {.sequence = 7, .kind = RECORD_SET, .key = text("k"), .value = text("value")},
        {.sequence = 8, .kind = RECORD_TOMBSTONE, .key = text("gone-for-good")},
        {.sequence = 9, .kind = RECORD_SET, .key = text("12345678"), .value = {NULL, 0}},
    };
    uint64_t at = FRAME_HEADER_BYTES;
    for (unsigned i = 0; i < RECORDS; i++) {
        (void)record_write(to + at, SALT, &records[i]);
        at += record_bytes(records[i].key.len, records[i].value.len);
    }
    struct frame_header header = {
        .bytes = (uint32_t)at, .records = RECORDS, .sequence = 7, .durable_sequence = 5};
    frame_write_header(to, SALT, &header);
    return at;
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t frame[ROOM];
    struct frame_header header;
    struct record record;
    memset(frame, 0xFF, sizeof(frame)); /* what was there before must not matter */
    uint64_t bytes = make_frame(frame);
    assert_int_equal(0, bytes % RECORD_ALIGNMENT);
    assert_true(frame_check(frame, bytes, SALT, &header));
    assert_int_equal(bytes, header.bytes);
    assert_int_equal(RECORDS, header.records);
    assert_int_equal(7, header.sequence);
    assert_int_equal(5, header.durable_sequence);
    const uint8_t *at = frame + FRAME_HEADER_BYTES;
    assert_true(record_view(at, ROOM, &record) && record_is_sound(at, SALT, &record));
    assert_int_equal(RECORD_SET, record.kind);
    assert_int_equal(7, record.sequence);
    assert_int_equal(1, record.key.len);
    assert_int_equal(5, record.value.len);
    assert_memory_equal("value", record.value.ptr, 5);
    at += record_bytes(1, 5);
    assert_true(record_view(at, ROOM, &record) && record_is_sound(at, SALT, &record));
    assert_int_equal(RECORD_TOMBSTONE, record.kind);
    assert_int_equal(0, record.value.len);
    assert_memory_equal("gone-for-good", record.key.ptr, record.key.len);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    uint8_t frame[ROOM];
    struct frame_header header;
    uint64_t bytes = make_frame(frame);
    for (uint64_t bit = 0; bit < bytes * 8; bit++) {
        uint8_t *damaged = malloc(bytes); /* exactly as long, for AddressSanitizer */
        assert_non_null(damaged);
        memcpy(damaged, frame, bytes);
        damaged[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (frame_check(damaged, bytes, SALT, &header))
            fail_msg("bit %llu may be flipped", (unsigned long long)bit);
        free(damaged);
    }
    assert_false(frame_check(frame, bytes, SALT + 1, &header));
}

static void test_shorter_is_no_frame(void **state)
{
    (void)state;
    uint8_t frame[ROOM];
    struct frame_header header;
    uint64_t bytes = make_frame(frame);
    for (uint64_t limit = 0; limit < bytes; limit++) {
        uint8_t *part = malloc(limit + 1);
        assert_non_null(part);
        memcpy(part, frame, limit);
        assert_false(frame_check(part, limit, SALT, &header));
        free(part);
    }
    assert_true(frame_check(frame, bytes + 8, SALT, &header));
}

static void put32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

static void test_limits(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_BYTES + RECORD_KEY_MAX] = {0}; /* where the value is said to be */
    struct record record;
    struct frame_header header;
    put32(bytes + 4, 8u | RECORD_SET << 24);
    put32(bytes + 8, 8);
    assert_true(record_view(bytes, 40, &record));
    assert_false(record_view(bytes, 39, &record));
    assert_false(record_view(bytes, RECORD_HEADER_BYTES - 1, &record));
    put32(bytes + 4, 0u | RECORD_SET << 24); /* no key */
    assert_false(record_view(bytes, UINT64_MAX, &record));
    put32(bytes + 4, 8u | 3u << 24); /* no such kind */
    assert_false(record_view(bytes, UINT64_MAX, &record));
    put32(bytes + 4, RECORD_KEY_MAX | RECORD_SET << 24);
    assert_true(record_view(bytes, UINT64_MAX, &record));
    put32(bytes + 4, (RECORD_KEY_MAX + 1) | RECORD_SET << 24);
    assert_false(record_view(bytes, UINT64_MAX, &record));
    put32(bytes + 4, 8u | RECORD_SET << 24);
    put32(bytes + 8, (uint32_t)RECORD_VALUE_MAX);
    assert_true(record_view(bytes, UINT64_MAX, &record));
    put32(bytes + 8, (uint32_t)RECORD_VALUE_MAX + 1);
    assert_false(record_view(bytes, UINT64_MAX, &record));
    put32(bytes, FRAME_MAGIC);
    put32(bytes + 8, 56);
    put32(bytes + 12, 1);
    assert_true(frame_view(bytes, 56, &header));
    put32(bytes + 12, 0); /* no records */
    assert_false(frame_view(bytes, 56, &header));
    put32(bytes + 12, 1);
    put32(bytes + 8, 60); /* not aligned */
    assert_false(frame_view(bytes, 64, &header));
    put32(bytes + 8, 48); /* no room for a record */
    assert_false(frame_view(bytes, 64, &header));
}

/* A frame whose record count or sizes were made up, with right checksums, still does not lead out of
   it. */
static void test_lies_with_right_checksums(void **state)
{
    (void)state;
    uint8_t frame[ROOM] = {0};
    struct frame_header header;
    uint64_t bytes = make_frame(frame);
    for (uint32_t records = 1; records < RECORDS; records++) {
        struct frame_header lie = {.bytes = (uint32_t)bytes, .records = records, .sequence = 7};
        frame_write_header(frame, SALT, &lie);
        assert_false(frame_check(frame, bytes, SALT, &header));
    }
    struct frame_header lie = {.bytes = (uint32_t)bytes + 8, .records = RECORDS, .sequence = 7};
    frame_write_header(frame, SALT, &lie);
    assert_false(frame_check(frame, bytes + 8, SALT, &header));
}

static void test_salt_is_of_store_and_generation(void **state)
{
    (void)state;
    uint8_t one[32] = {1};
    uint8_t two[32] = {2};
    uint32_t salt = record_salt((struct kvs_bytes){one, sizeof(one)}, 5);
    assert_int_equal(salt, record_salt((struct kvs_bytes){one, sizeof(one)}, 5));
    assert_int_not_equal(salt, record_salt((struct kvs_bytes){one, sizeof(one)}, 6));
    assert_int_not_equal(salt, record_salt((struct kvs_bytes){two, sizeof(two)}, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_shorter_is_no_frame),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lies_with_right_checksums),
        cmocka_unit_test(test_salt_is_of_store_and_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
