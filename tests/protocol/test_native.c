/*
 * The native codec. Each input is decoded from a copy of exactly its size on the heap, so that
 * AddressSanitizer sees a read of one byte too many.
 */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/native.h"

#define KEY_MAX   100u /* the limits of most tests */
#define VALUE_MAX 1000u
#define BODY_MAX  (4u + KEY_MAX + VALUE_MAX)
#define FRAME_MAX 4096u

static const struct request_limits small_limits = {KEY_MAX, VALUE_MAX};

/* What one decoding gave. The request's views point into copy. */
struct decoded {
    enum decode_result result;
    struct request request;
    uint64_t size;
    struct test_error error;
    uint8_t *copy; /* owned */
};

static void decode(const uint8_t *bytes, size_t size, const struct request_limits *limits,
                   struct decoded *ret)
{
    test_error_init(&ret->error);
    ret->copy = malloc(size);
    assert_true(size == 0 || ret->copy != NULL);
    if (size > 0)
        memcpy(ret->copy, bytes, size);
    ret->result = native_decode_request(bytes_of(ret->copy, size), limits, &ret->request,
                                        &ret->size, &ret->error.error);
}

static void decoded_deinit(struct decoded *decoded)
{
    free(decoded->copy);
}

/* Puts the request's frame into out; returns its size. */
static size_t encode(uint8_t out[FRAME_MAX], const struct request *request)
{
    size_t size = native_encode_request(out, request);
    assert_true(size + request->key.len + request->value.len <= FRAME_MAX);
    if (request->key.len > 0)
        memcpy(out + size, request->key.ptr, request->key.len);
    size += request->key.len;
    if (request->value.len > 0)
        memcpy(out + size, request->value.ptr, request->value.len);
    return size + request->value.len;
}

static void assert_bytes_equal(struct kvs_bytes a, struct kvs_bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

/* ---- good requests --------------------------------------------------------------------------- */

static const uint8_t filler[VALUE_MAX] = {[0] = 'a', [KEY_MAX - 1] = 'k', [VALUE_MAX - 1] = 'z'};

static const struct request good_requests[] = {
    {.id = 0, .command = REQUEST_PING},
    {.id = 1, .command = REQUEST_PING, .value = {"echo\0me", 7}},
    {.id = 2, .command = REQUEST_PING, .value = {filler, KEY_MAX}},
    {.id = UINT64_MAX, .command = REQUEST_HELLO},
    {.id = 9, .command = REQUEST_AUTH, .value = {"open sesame", 11}},
    {.id = UINT64_C(0x8877665544332211), .command = REQUEST_STATS},
    {.id = 10, .command = REQUEST_BATCH, .value = {filler, VALUE_MAX}},
    {.id = 11, .command = REQUEST_INCREMENT, .value = {"12345678key", 11}},
    {.id = 12, .command = REQUEST_MGET},
    {.id = 13, .command = REQUEST_SCAN, .value = {filler, 40}},
    {.id = 14, .command = REQUEST_EXPIRE, .value = {filler, 17}},
    {.id = 15, .command = REQUEST_LOOK, .key = {"key", 3}},
    {.id = 3, .command = REQUEST_GET, .key = {"\0", 1}},
    {.id = 4, .command = REQUEST_GET, .key = {filler, KEY_MAX}},
    {.id = 5, .command = REQUEST_REMOVE, .key = {"key", 3}},
    {.id = 6, .command = REQUEST_SET, .key = {"key", 3}, .value = {"value", 5}},
    {.id = 7, .command = REQUEST_SET, .key = {"key", 3}},
    {.id = 8, .command = REQUEST_SET, .key = {filler, KEY_MAX}, .value = {filler, VALUE_MAX}},
};
#define GOOD_COUNT (sizeof(good_requests) / sizeof(good_requests[0]))

static void requests_come_back_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        const struct request *request = &good_requests[i];
        uint8_t frame[FRAME_MAX];
        size_t size = encode(frame, request);
        struct decoded decoded;
        decode(frame, size, &small_limits, &decoded);
        assert_int_equal(decoded.result, DECODE_REQUEST);
        assert_int_equal(decoded.size, size);
        assert_true(decoded.request.id == request->id);
        assert_int_equal(decoded.request.command, request->command);
        assert_bytes_equal(decoded.request.key, request->key);
        assert_bytes_equal(decoded.request.value, request->value);
        decoded_deinit(&decoded);
    }
}

/* Feeding a frame as far as each answer asks for gets to the request, and never asks for too much:
   neither for what is there already nor for bytes of the next frame. */
static void each_prefix_says_how_much_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        uint8_t frame[FRAME_MAX];
        size_t size = encode(frame, &good_requests[i]);
        for (size_t have = 0; have < size; have++) {
            struct decoded decoded;
            decode(frame, have, &small_limits, &decoded);
            assert_int_equal(decoded.result, DECODE_MORE);
            assert_true(decoded.size > have);
            assert_true(decoded.size <= size);
            if (have >= NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX)
                assert_int_equal(decoded.size, size);
            decoded_deinit(&decoded);
        }
    }
}

static void what_follows_a_request_is_left_alone(void **state)
{
    (void)state;
    uint8_t frames[FRAME_MAX];
    size_t total = 0;
    for (size_t i = 0; i < GOOD_COUNT - 1; i++)
        total += encode(frames + total, &good_requests[i]);
    size_t at = 0;
    for (size_t i = 0; i < GOOD_COUNT - 1; i++) {
        struct decoded decoded;
        decode(frames + at, total - at, &small_limits, &decoded);
        assert_int_equal(decoded.result, DECODE_REQUEST);
        assert_true(decoded.request.id == good_requests[i].id);
        at += decoded.size;
        decoded_deinit(&decoded);
    }
    assert_int_equal(at, total);
}

static void the_largest_limits_do_not_overflow(void **state)
{
    (void)state;
    const struct request_limits limits = {NATIVE_KEY_MAX, NATIVE_VALUE_MAX};
    const struct request_limits huge = {UINT32_MAX, UINT32_MAX};
    uint8_t frame[FRAME_MAX];
    struct decoded decoded;
    const struct request largest = {
        .command = REQUEST_SET, .key = {NULL, NATIVE_KEY_MAX}, .value = {NULL, NATIVE_VALUE_MAX}};
    assert_int_equal(native_encode_request(frame, &largest), 20);
    decode(frame, 20, &limits, &decoded);
    assert_int_equal(decoded.result, DECODE_MORE);
    assert_int_equal(decoded.size, 20u + NATIVE_KEY_MAX + NATIVE_VALUE_MAX);
    decoded_deinit(&decoded);

    assert_true(native_body_max(&huge) == 4 + 2 * (uint64_t)UINT32_MAX);
    store_le32(frame + 4, UINT32_MAX);
    decode(frame, 20, &huge, &decoded);
    assert_int_equal(decoded.result, DECODE_MORE);
    assert_true(decoded.size == 16 + (uint64_t)UINT32_MAX);
    decoded_deinit(&decoded);
}

/* ---- refused requests ------------------------------------------------------------------------ */

/* A header, field by field. */
struct header {
    uint8_t magic;
    uint8_t version;
    uint8_t command;
    uint8_t flags;
    uint32_t body_size;
};
#define FRAME_ID UINT64_C(0x1122334455667788)

static void write_header(uint8_t frame[FRAME_MAX], const struct header *header)
{
    memset(frame, 'b', FRAME_MAX);
    frame[0] = header->magic;
    frame[1] = header->version;
    frame[2] = header->command;
    frame[3] = header->flags;
    store_le32(frame + 4, header->body_size);
    store_le64(frame + 8, FRAME_ID);
}

static void assert_refused(const struct decoded *decoded, enum decode_result result, uint64_t id,
                           kvs_status status, const char *message)
{
    assert_int_equal(decoded->result, result);
    assert_true(decoded->request.id == id);
    assert_status(status, decoded->error.error.status, &decoded->error);
    if (strstr(decoded->error.message, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, decoded->error.message);
}

struct refusal {
    struct header header;
    kvs_status status;
    const char *message;
};

/* Refused by the header alone, with and without the body, and the next frame can be found. */
static void a_request_that_cannot_be_served_can_be_skipped(void **state)
{
    (void)state;
    const struct refusal refusals[] = {
        {{0xC7, 1, 0, 0, 5}, KVS_UNSUPPORTED, "command 0 is not known"},
        {{0xC7, 1, REQUEST_LOOK + 1, 0, 0}, KVS_UNSUPPORTED, "command 14 is not known"},
        {{0xC7, 1, REQUEST_AUTH, 0, NATIVE_PASSWORD_MAX + 1}, KVS_TOO_LARGE, "limit of 512"},
        {{0xC7, 1, 255, 0, 1104}, KVS_UNSUPPORTED, "command 255 is not known"},
        {{0xC7, 1, REQUEST_GET, 1, 3}, KVS_UNSUPPORTED, "flags 0x01"},
        {{0xC7, 1, REQUEST_SET, 0x80, 30}, KVS_UNSUPPORTED, "flags 0x80"},
        {{0xC7, 1, REQUEST_GET, 0, 0}, KVS_INVALID, "at least 1 byte"},
        {{0xC7, 1, REQUEST_REMOVE, 0, 0}, KVS_INVALID, "at least 1 byte"},
        {{0xC7, 1, REQUEST_GET, 0, KEY_MAX + 1}, KVS_TOO_LARGE, "limit of 100 bytes"},
        {{0xC7, 1, REQUEST_REMOVE, 0, KEY_MAX + 1}, KVS_TOO_LARGE, "limit of 100 bytes"},
        {{0xC7, 1, REQUEST_PING, 0, KEY_MAX + 1}, KVS_TOO_LARGE, "limit of 100 bytes"},
        {{0xC7, 1, REQUEST_HELLO, 0, 1}, KVS_INVALID, "takes no body"},
        {{0xC7, 1, REQUEST_STATS, 0, 1}, KVS_INVALID, "takes no body"},
        {{0xC7, 1, REQUEST_SET, 0, 0}, KVS_PROTOCOL, "no room for its key's length"},
        {{0xC7, 1, REQUEST_SET, 0, 3}, KVS_PROTOCOL, "no room for its key's length"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *refusal = &refusals[i];
        uint64_t size = NATIVE_HEADER_SIZE + (uint64_t)refusal->header.body_size;
        uint8_t frame[FRAME_MAX];
        write_header(frame, &refusal->header);
        for (size_t have = NATIVE_HEADER_SIZE; have <= size; have++) {
            struct decoded decoded;
            decode(frame, have, &small_limits, &decoded);
            assert_refused(&decoded, DECODE_REJECT, FRAME_ID, refusal->status, refusal->message);
            assert_int_equal(decoded.size, size);
            decoded_deinit(&decoded);
        }
    }
}

/* A set is refused as soon as its key's length is there, before its body need be. */
static void check_set(uint32_t key_size, uint32_t body_size, kvs_status status, const char *message)
{
    const struct header header = {0xC7, 1, REQUEST_SET, 0, body_size};
    uint8_t frame[FRAME_MAX];
    write_header(frame, &header);
    store_le32(frame + NATIVE_HEADER_SIZE, key_size);
    for (size_t have = NATIVE_HEADER_SIZE; have < NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX; have++) {
        struct decoded decoded;
        decode(frame, have, &small_limits, &decoded);
        assert_int_equal(decoded.result, DECODE_MORE);
        assert_int_equal(decoded.size, NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX);
        decoded_deinit(&decoded);
    }
    struct decoded decoded;
    decode(frame, NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX, &small_limits, &decoded);
    assert_refused(&decoded, DECODE_REJECT, FRAME_ID, status, message);
    assert_int_equal(decoded.size, NATIVE_HEADER_SIZE + body_size);
    decoded_deinit(&decoded);
}

static void a_set_is_judged_by_its_lengths(void **state)
{
    (void)state;
    check_set(0, 4, KVS_INVALID, "at least 1 byte");
    check_set(0, 14, KVS_INVALID, "at least 1 byte");
    check_set(KEY_MAX + 1, 4 + KEY_MAX + 1, KVS_TOO_LARGE, "a key of 101 bytes");
    check_set(1, 4 + 1 + VALUE_MAX + 1, KVS_TOO_LARGE, "a value of 1001 bytes");
    check_set(1, 4, KVS_PROTOCOL, "does not fit");
    check_set(11, 4 + 10, KVS_PROTOCOL, "does not fit");
    check_set(UINT32_MAX, 4 + 10, KVS_PROTOCOL, "does not fit");
    check_set(UINT32_MAX - 3, 4 + KEY_MAX + VALUE_MAX, KVS_PROTOCOL, "does not fit");
}

/* ---- broken streams -------------------------------------------------------------------------- */

static void what_is_no_frame_breaks_the_stream(void **state)
{
    (void)state;
    const struct refusal refusals[] = {
        {{0xC7, 2, REQUEST_GET, 0, 3}, KVS_UNSUPPORTED, "version 2 is not spoken here"},
        {{0xC7, 0, REQUEST_GET, 0, 3}, KVS_UNSUPPORTED, "version 0"},
        {{0xC7, 1, REQUEST_GET, 0, 4 + KEY_MAX + VALUE_MAX + 1}, KVS_TOO_LARGE, "of 1104 bytes"},
        {{0xC7, 1, 99, 0, UINT32_MAX}, KVS_TOO_LARGE, "4294967295 bytes"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        uint8_t frame[FRAME_MAX];
        struct decoded decoded;
        write_header(frame, &refusals[i].header);
        for (size_t have = 0; have < NATIVE_HEADER_SIZE; have++) {
            decode(frame, have, &small_limits, &decoded);
            assert_int_equal(decoded.result, DECODE_MORE);
            assert_int_equal(decoded.size, NATIVE_HEADER_SIZE);
            decoded_deinit(&decoded);
        }
        decode(frame, NATIVE_HEADER_SIZE, &small_limits, &decoded);
        assert_refused(&decoded, DECODE_BROKEN, FRAME_ID, refusals[i].status, refusals[i].message);
        decoded_deinit(&decoded);
    }
}

/* Another protocol is told by its first byte, and there is no id to answer to. */
static void each_other_first_byte_breaks_the_stream(void **state)
{
    (void)state;
    uint8_t frame[FRAME_MAX];
    const struct header header = {0, 1, REQUEST_GET, 0, 3};
    write_header(frame, &header);
    for (unsigned first = 0; first <= UINT8_MAX; first++) {
        if (first == NATIVE_MAGIC_REQUEST)
            continue;
        frame[0] = (uint8_t)first;
        for (size_t have = 1; have <= NATIVE_HEADER_SIZE + 3; have++) {
            struct decoded decoded;
            decode(frame, have, &small_limits, &decoded);
            assert_refused(&decoded, DECODE_BROKEN, 0, KVS_PROTOCOL, "begins with byte 0xC7");
            decoded_deinit(&decoded);
        }
    }
}

/* ---- anything at all ------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Whatever comes, each result keeps its promise. */
static void check_promises(const uint8_t *bytes, size_t size)
{
    struct decoded decoded;
    decode(bytes, size, &small_limits, &decoded);
    const struct request *request = &decoded.request;
    switch (decoded.result) {
    case DECODE_REQUEST:
        assert_true(decoded.size <= size);
        assert_true(request->command >= REQUEST_PING && request->command <= REQUEST_LOOK);
        assert_true(request->key.len <= KEY_MAX);
        assert_true(request->value.len <=
                    (request->command >= REQUEST_BATCH ? BODY_MAX : VALUE_MAX));
        /* The views lie inside the frame: reading them is no overrun. */
        for (uint64_t i = 0; i < request->key.len; i++)
            assert_int_equal(((const uint8_t *)request->key.ptr)[i],
                             bytes[(const uint8_t *)request->key.ptr - decoded.copy + (int64_t)i]);
        assert_true(request->value.len == 0 ||
                    ((const uint8_t *)request->value.ptr >= decoded.copy &&
                     (const uint8_t *)request->value.ptr + request->value.len <=
                         decoded.copy + decoded.size));
        break;
    case DECODE_MORE:
        assert_true(decoded.size > size);
        assert_true(decoded.size <= NATIVE_HEADER_SIZE + native_body_max(&small_limits));
        break;
    case DECODE_REJECT:
        assert_true(decoded.size >= NATIVE_HEADER_SIZE);
        assert_true(decoded.size <= NATIVE_HEADER_SIZE + native_body_max(&small_limits));
        assert_true(decoded.error.error.status < 0 && decoded.error.message[0] != '\0');
        break;
    case DECODE_BROKEN:
        assert_true(decoded.error.error.status < 0 && decoded.error.message[0] != '\0');
        break;
    default:
        fail();
    }
    decoded_deinit(&decoded);
}

static void random_bytes_keep_every_promise(void **state)
{
    (void)state;
    uint64_t seed = UINT64_C(88172645463325252);
    for (uint32_t round = 0; round < 200000; round++) {
        uint8_t bytes[64];
        size_t size = random_next(&seed) % (sizeof(bytes) + 1);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)random_next(&seed);
        /* Mostly a header that is nearly right, so that what is behind it matters. */
        if (round % 8 != 0) {
            bytes[0] = NATIVE_MAGIC_REQUEST;
            bytes[1] = round % 32 == 1 ? bytes[1] : NATIVE_VERSION;
            bytes[2] = bytes[2] % 9;
            bytes[3] = round % 32 == 2 ? bytes[3] : 0;
            store_le32(bytes + 4, (uint32_t)(random_next(&seed) % 60));
            bytes[17] = bytes[18] = bytes[19] = 0;
            bytes[16] %= 60;
        }
        check_promises(bytes, size);
    }
}

/* ---- replies --------------------------------------------------------------------------------- */

static void replies_come_back_as_they_were(void **state)
{
    (void)state;
    const kvs_status statuses[] = {KVS_OK,       KVS_NOT_FOUND, KVS_BUSY, KVS_INVALID,
                                   KVS_INTERNAL, INT16_MIN,     INT16_MAX};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        uint8_t header[NATIVE_HEADER_SIZE];
        struct native_reply reply;
        native_encode_reply(header, FRAME_ID + i, statuses[i], UINT32_MAX - (uint32_t)i);
        assert_int_equal(native_decode_reply(header, &reply, NULL), KVS_OK);
        assert_true(reply.id == FRAME_ID + i);
        assert_int_equal(reply.status, statuses[i]);
        assert_int_equal(reply.body_size, UINT32_MAX - (uint32_t)i);
    }
}

static void a_status_that_does_not_fit_is_an_internal_fault(void **state)
{
    (void)state;
    const kvs_status statuses[] = {INT16_MAX + 1, INT16_MIN - 1, INT32_MAX, INT32_MIN, 65536};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        uint8_t header[NATIVE_HEADER_SIZE];
        struct native_reply reply;
        native_encode_reply(header, 1, statuses[i], 0);
        assert_int_equal(native_decode_reply(header, &reply, NULL), KVS_OK);
        assert_int_equal(reply.status, KVS_INTERNAL);
    }
}

static void a_reply_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct test_error error;
    test_error_init(&error);
    uint8_t header[NATIVE_HEADER_SIZE];
    struct native_reply reply = {.id = 5};
    native_encode_reply(header, 1, KVS_OK, 0);
    header[0] = NATIVE_MAGIC_REQUEST;
    assert_status(KVS_PROTOCOL, native_decode_reply(header, &reply, &error.error), &error);
    header[0] = NATIVE_MAGIC_REPLY;
    header[1] = 2;
    assert_status(KVS_PROTOCOL, native_decode_reply(header, &reply, &error.error), &error);
    assert_non_null(strstr(error.message, "0xC8 0x02"));
    assert_true(reply.id == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back_as_they_were),
        cmocka_unit_test(each_prefix_says_how_much_more),
        cmocka_unit_test(what_follows_a_request_is_left_alone),
        cmocka_unit_test(the_largest_limits_do_not_overflow),
        cmocka_unit_test(a_request_that_cannot_be_served_can_be_skipped),
        cmocka_unit_test(a_set_is_judged_by_its_lengths),
        cmocka_unit_test(what_is_no_frame_breaks_the_stream),
        cmocka_unit_test(each_other_first_byte_breaks_the_stream),
        cmocka_unit_test(random_bytes_keep_every_promise),
        cmocka_unit_test(replies_come_back_as_they_were),
        cmocka_unit_test(a_status_that_does_not_fit_is_an_internal_fault),
        cmocka_unit_test(a_reply_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
