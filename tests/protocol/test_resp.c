/*
 * The RESP parser. Each input is decoded from a copy of exactly its size on the heap, so that
 * AddressSanitizer sees a read of one byte too many. Inline commands are in test_resp_inline.c.
 */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/resp.h"

static const struct resp_limits usual = {.request_max = 1u << 20,
                                         .bulk_max = 100000,
                                         .arguments_max = RESP_ARGUMENTS_MAX,
                                         .inline_max = RESP_INLINE_MAX};

/* A connection's parser, with what the last decoding gave. */
struct decoder {
    const struct resp_limits *limits;
    struct resp_parser parser;
    struct resp_arguments arguments;
    enum decode_result result;
    uint64_t size;
    struct test_error error;
    uint8_t *copy;
};

static void decode(struct decoder *decoder, const void *bytes, size_t size)
{
    free(decoder->copy);
    decoder->copy = malloc(size > 0 ? size : 1);
    assert_non_null(decoder->copy);
    if (size > 0)
        memcpy(decoder->copy, bytes, size);
    decoder->size = UINT64_MAX;
    test_error_init(&decoder->error);
    decoder->result = resp_decode(&decoder->parser, bytes_of(decoder->copy, size), decoder->limits,
                                  &decoder->arguments, &decoder->size, &decoder->error.error);
}

static void decoder_deinit(struct decoder *decoder)
{
    resp_arguments_deinit(&decoder->arguments);
    free(decoder->copy);
}

static void assert_argument(const struct decoder *decoder, uint32_t index, const char *expected)
{
    assert_true(index < decoder->arguments.count);
    struct kvs_bytes item = decoder->arguments.items[index];
    assert_int_equal(item.len, strlen(expected));
    assert_memory_equal(item.ptr, expected, item.len);
}

static void a_request_is_its_arguments(void **state)
{
    (void)state;
    static const char text[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n";
    struct decoder decoder = {.limits = &usual};
    decode(&decoder, text, sizeof(text) - 1);
    assert_int_equal(decoder.result, DECODE_REQUEST);
    assert_int_equal(decoder.size, sizeof(text) - 1);
    assert_int_equal(decoder.arguments.count, 3);
    assert_argument(&decoder, 0, "SET");
    assert_argument(&decoder, 1, "k");
    assert_argument(&decoder, 2, "hello\r\nworld");
    /* Nothing was copied. */
    assert_ptr_equal(decoder.arguments.items[0].ptr, decoder.copy + 8);
    assert_int_equal(buffer_size(&decoder.arguments.unquoted), 0);
    decoder_deinit(&decoder);
}

static void arguments_may_be_empty_and_hold_any_byte(void **state)
{
    (void)state;
    static const char text[] = "*2\r\n$0\r\n\r\n$5\r\n\0\r\n$*\r\n";
    struct decoder decoder = {.limits = &usual};
    decode(&decoder, text, sizeof(text) - 1);
    assert_int_equal(decoder.result, DECODE_REQUEST);
    assert_int_equal(decoder.arguments.items[0].len, 0);
    assert_int_equal(decoder.arguments.items[1].len, 5);
    assert_memory_equal(decoder.arguments.items[1].ptr, "\0\r\n$*", 5);
    decoder_deinit(&decoder);
}

/* Appends "$LENGTH\r\nxxx...\r\n". */
static void add_bulk(struct buffer *to, size_t length)
{
    char header[32];
    int size = snprintf(header, sizeof(header), "$%zu\r\n", length);
    assert_int_equal(buffer_append(to, header, (size_t)size), KVS_OK);
    assert_int_equal(buffer_reserve(to, length + 2), KVS_OK);
    memset(to->data + to->end, 'x', length);
    memcpy(to->data + to->end + length, "\r\n", 2);
    buffer_commit(to, length + 2);
}

static void lengths_and_counts_of_every_size_are_read(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 9, 10, 11, 99, 100, 999, 1000, 12345, 100000};
    const size_t length_count = sizeof(lengths) / sizeof(lengths[0]);
    static const uint32_t counts[] = {1, 2, 9, 10, 11, 99, 100, 2000};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct buffer text = {0};
        struct decoder decoder = {.limits = &usual};
        char header[32];
        int size = snprintf(header, sizeof(header), "*%u\r\n", counts[c]);
        assert_int_equal(buffer_append(&text, header, (size_t)size), KVS_OK);
        uint32_t every = counts[c] < 100 ? 1 : 1000; /* short ones in between */
        for (uint32_t i = 0; i < counts[c]; i++)
            add_bulk(&text, i % every == 0 ? lengths[i / every % length_count] : i % 13);
        decode(&decoder, buffer_content(&text), buffer_size(&text));
        if (buffer_size(&text) > usual.request_max) {
            assert_int_equal(decoder.result, DECODE_BROKEN);
        } else {
            assert_int_equal(decoder.result, DECODE_REQUEST);
            assert_int_equal(decoder.size, buffer_size(&text));
            assert_int_equal(decoder.arguments.count, counts[c]);
            for (uint32_t i = 0; i < counts[c]; i++)
                assert_int_equal(decoder.arguments.items[i].len,
                                 i % every == 0 ? lengths[i / every % length_count] : i % 13);
        }
        decoder_deinit(&decoder);
        buffer_deinit(&text);
    }
}

static void what_follows_a_request_is_left_alone(void **state)
{
    (void)state;
    static const char text[] = "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*";
    struct decoder decoder = {.limits = &usual};
    decode(&decoder, text, sizeof(text) - 1);
    assert_int_equal(decoder.result, DECODE_REQUEST);
    assert_int_equal(decoder.size, 14);
    decode(&decoder, text + 14, sizeof(text) - 1 - 14);
    assert_int_equal(decoder.result, DECODE_REQUEST);
    assert_int_equal(decoder.size, 20);
    assert_argument(&decoder, 1, "k");
    decode(&decoder, text + 34, 1);
    assert_int_equal(decoder.result, DECODE_MORE);
    decoder_deinit(&decoder);
}

/* I1, I2: whatever the cut, the request comes out, and each prefix asks for more than there is and
   for no byte of the next request. */
static void a_trickled_request_comes_out_the_same(void **state)
{
    (void)state;
    static const char text[] =
        "*13\r\n$4\r\nMSET\r\n$1\r\na\r\n$0\r\n\r\n$2\r\nbb\r\n$1\r\n2\r\n$11\r\n"
        "ccccccccccc\r\n$1\r\n3\r\n$1\r\nd\r\n$1\r\n4\r\n$1\r\ne\r\n$1\r\n5\r\n"
        "$1\r\nf\r\n$2\r\n\r\n\r\n";
    const size_t size = sizeof(text) - 1;
    for (size_t step = 1; step < size; step++) {
        struct decoder decoder = {.limits = &usual};
        size_t have = 0;
        uint64_t scanned = 0;
        for (; have < size; have += step) {
            decode(&decoder, text, have);
            assert_int_equal(decoder.result, DECODE_MORE);
            assert_true(decoder.size > have && decoder.size <= size);
            assert_true(decoder.parser.scanned >= scanned); /* no argument is looked at again */
            scanned = decoder.parser.scanned;
        }
        decode(&decoder, text, size);
        assert_int_equal(decoder.result, DECODE_REQUEST);
        assert_int_equal(decoder.size, size);
        assert_int_equal(decoder.arguments.count, 13);
        assert_argument(&decoder, 0, "MSET");
        assert_argument(&decoder, 5, "ccccccccccc");
        assert_argument(&decoder, 12, "\r\n");
        assert_int_equal(decoder.parser.scanned, 0);
        decoder_deinit(&decoder);
    }
}

/* A request of a thousand arguments in one-byte pieces: the parser never stands further back than
   the argument that is not whole. */
static void trickling_costs_no_second_look(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct decoder decoder = {.limits = &usual};
    assert_int_equal(buffer_append(&text, "*1000\r\n", 7), KVS_OK);
    for (int i = 0; i < 1000; i++)
        add_bulk(&text, 3);
    for (size_t have = 1; have < buffer_size(&text); have++) {
        enum decode_result result =
            resp_decode(&decoder.parser, bytes_of(buffer_content(&text), have), &usual,
                        &decoder.arguments, &decoder.size, NULL);
        assert_int_equal(result, DECODE_MORE);
        assert_true(have < 7 || have - decoder.parser.scanned < 9);
        assert_true(decoder.arguments.count == 0 || have <= 8); /* collected at the end only */
    }
    decode(&decoder, buffer_content(&text), buffer_size(&text));
    assert_int_equal(decoder.result, DECODE_REQUEST);
    assert_int_equal(decoder.arguments.count, 1000);
    decoder_deinit(&decoder);
    buffer_deinit(&text);
}

static void a_missing_value_says_how_much_is_missing(void **state)
{
    (void)state;
    static const char text[] = "*2\r\n$3\r\nGET\r\n$1000\r\nabc";
    struct decoder decoder = {.limits = &usual};
    decode(&decoder, text, sizeof(text) - 1);
    assert_int_equal(decoder.result, DECODE_MORE);
    assert_int_equal(decoder.size, sizeof(text) - 1 - 3 + 1000 + 2);
    decoder_deinit(&decoder);
}

static void empty_arrays_are_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = {"*0\r\n", "*-1\r\n", "*-9223372036854775807\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct decoder decoder = {.limits = &usual};
        decode(&decoder, texts[i], strlen(texts[i]));
        assert_int_equal(decoder.result, DECODE_REQUEST);
        assert_int_equal(decoder.arguments.count, 0);
        assert_int_equal(decoder.size, strlen(texts[i]));
        decoder_deinit(&decoder);
    }
}

struct bad {
    const char *text;
    kvs_status status;
    const char *message; /* its beginning, behind "Protocol error: " */
};

static void assert_broken(const struct bad *bad, const struct resp_limits *limits)
{
    struct decoder decoder = {.limits = limits};
    char expected[128];
    (void)snprintf(expected, sizeof(expected), "Protocol error: %s", bad->message);
    decode(&decoder, bad->text, strlen(bad->text));
    assert_int_equal(decoder.result, DECODE_BROKEN);
    assert_int_equal(decoder.error.error.status, bad->status);
    decoder.error.message[strlen(expected)] = '\0';
    assert_string_equal(decoder.error.message, expected);
    decoder_deinit(&decoder);
}

static void errors_speak_as_redis_does(void **state)
{
    (void)state;
    static const struct bad bads[] = {
        {"*x\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*01\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1\n$4\r\nPING\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1\r$4\r\nPING\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1048577\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*9223372036854775808\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1111111111111111111111111", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1\r\n:4\r\nPING\r\n", KVS_PROTOCOL, "expected '$', got ':'"},
        {"*1\r\n\r\n", KVS_PROTOCOL, "expected '$', got '?'"},
        {"*1\r\n$-1\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$\r\n\r\n\r\n\r\n\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$04\r\nPING\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$4x\r\nPING\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$04\r\nPING\r\n*1\r\n$4\r\nPING\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$4\nPING\r\n123456", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$99999999999999999999\r\n", KVS_PROTOCOL, "invalid bulk length"},
        {"*1\r\n$100001\r\n", KVS_TOO_LARGE, "invalid bulk length: 100001 bytes"},
        {"*1\r\n$4\r\nPING\n\n", KVS_PROTOCOL, "expected a line end behind an argument"},
        {"*1\r\n$4\r\nPING\n\n*1\r\n$4\r\n", KVS_PROTOCOL, "expected a line end behind"},
        {"*1\r\n$3\r\nPING\r\n", KVS_PROTOCOL, "expected a line end behind an argument"},
    };
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
        assert_broken(&bads[i], &usual);
}

static void the_limits_hold(void **state)
{
    (void)state;
    const struct resp_limits small = {
        .request_max = 40, .bulk_max = 20, .arguments_max = 3, .inline_max = 10};
    static const struct bad bads[] = {
        {"*4\r\n", KVS_PROTOCOL, "invalid multibulk length"},
        {"*1\r\n$21\r\n", KVS_TOO_LARGE, "invalid bulk length: 21 bytes are more than the 20"},
        {"*2\r\n$20\r\n01234567890123456789\r\n$9\r\n", KVS_TOO_LARGE, "too big request"},
        {"*2\r\n$20\r\n01234567890123456789\r\n$9\r\n012345678\r\n", KVS_TOO_LARGE, "too big"},
    };
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
        assert_broken(&bads[i], &small);

    struct decoder decoder = {.limits = &small};
    static const char most[] = "*2\r\n$20\r\n01234567890123456789\r\n$2\r\nab\r\n";
    decode(&decoder, most, sizeof(most) - 1);
    assert_int_equal(decoder.result, DECODE_REQUEST);
    decoder_deinit(&decoder);

    struct resp_limits stranger = small;
    stranger.stranger = true;
    static const struct bad unknown[] = {
        {"*4\r\n", KVS_PROTOCOL, "unauthenticated multibulk length"},
        {"*1\r\n$21\r\n", KVS_PROTOCOL, "unauthenticated bulk length"},
    };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_broken(&unknown[i], &stranger);
}

/* A count says nothing about memory: that grows with the arguments that came. */
static void a_large_count_alone_costs_nothing(void **state)
{
    (void)state;
    struct decoder decoder = {.limits = &usual};
    decode(&decoder, "*1048576\r\n$1\r\na\r\n", 17);
    assert_int_equal(decoder.result, DECODE_MORE);
    assert_true(decoder.size < 64);
    assert_true(decoder.arguments.capacity < 64);
    decoder_deinit(&decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_its_arguments),
        cmocka_unit_test(arguments_may_be_empty_and_hold_any_byte),
        cmocka_unit_test(lengths_and_counts_of_every_size_are_read),
        cmocka_unit_test(what_follows_a_request_is_left_alone),
        cmocka_unit_test(a_trickled_request_comes_out_the_same),
        cmocka_unit_test(trickling_costs_no_second_look),
        cmocka_unit_test(a_missing_value_says_how_much_is_missing),
        cmocka_unit_test(empty_arrays_are_skipped),
        cmocka_unit_test(errors_speak_as_redis_does),
        cmocka_unit_test(the_limits_hold),
        cmocka_unit_test(a_large_count_alone_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
