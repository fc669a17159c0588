#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "command/value.h"

static void expect_back(struct kvs_bytes content, int64_t expires_at_ms)
{
    uint8_t *stored = malloc(content.len + VALUE_TRAILER_BYTES);
    assert_non_null(stored);
    assert_false(value_is_plain(content, expires_at_ms));
    value_encode(stored, content, expires_at_ms);
    struct value value = value_decode(bytes_of(stored, content.len + VALUE_TRAILER_BYTES));
    assert_true(bytes_equal(content, value.content));
    assert_int_equal(expires_at_ms, value.expires_at_ms);
    free(stored);
}

static void test_plain_values_are_as_they_are(void **state)
{
    (void)state;
    static const char *const contents[] = {"", "x", "fifteen bytes..", "sixteen bytes...",
                                           "a longer text than the trailer is"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct kvs_bytes content = bytes_of_text(contents[i]);
        assert_true(value_is_plain(content, VALUE_NEVER));
        struct value value = value_decode(content);
        assert_ptr_equal(content.ptr, value.content.ptr);
        assert_int_equal(content.len, value.content.len);
        assert_int_equal(VALUE_NEVER, value.expires_at_ms);
        expect_back(content, 1);
        expect_back(content, INT64_MAX);
        expect_back(content, INT64_C(1760000000123));
    }
}

/* A value that looks like one with a trailer comes back as it was, however often it is stored. */
static void test_what_looks_like_a_trailer(void **state)
{
    (void)state;
    uint8_t bytes[100] = "abc";
    uint64_t len = 3;
    for (int round = 0; round < 5; round++) {
        value_encode(bytes, bytes_of(bytes, len), round % 2 == 0 ? 1234567 : VALUE_NEVER);
        len += VALUE_TRAILER_BYTES;
        assert_true(value_has_trailer(bytes_of(bytes, len)));
        expect_back(bytes_of(bytes, len), VALUE_NEVER);
        expect_back(bytes_of(bytes, len), 99);
    }
    /* The mark anywhere else means nothing. */
    uint8_t other[32] = {0};
    for (uint64_t at = 0; at + VALUE_MARK_BYTES <= sizeof(other); at++) {
        memset(other, 0, sizeof(other));
        memcpy(other + at, VALUE_MARK, VALUE_MARK_BYTES);
        assert_int_equal(at != sizeof(other) - VALUE_TRAILER_BYTES,
                         value_is_plain(bytes_of(other, sizeof(other)), VALUE_NEVER));
    }
    assert_true(value_is_plain(bytes_of(VALUE_MARK, VALUE_MARK_BYTES), VALUE_NEVER));
}

static void test_a_value_lives_through_its_last_millisecond(void **state)
{
    (void)state;
    struct value value = {.expires_at_ms = 1000};
    assert_false(value_is_expired(&value, 999));
    assert_false(value_is_expired(&value, 1000));
    assert_true(value_is_expired(&value, 1001));
    value.expires_at_ms = VALUE_NEVER;
    assert_false(value_is_expired(&value, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_values_are_as_they_are),
        cmocka_unit_test(test_what_looks_like_a_trailer),
        cmocka_unit_test(test_a_value_lives_through_its_last_millisecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
