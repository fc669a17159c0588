/* The native protocol behind the codec interface. */
#include "support/support.h"

#include "base/bytes.h"
#include "protocol/codec.h"
#include "protocol/native.h"

static void replies_are_appended_whole(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_int_equal(native_codec.reply(&out, 7, KVS_OK, bytes_of("value", 5)), KVS_OK);
    assert_int_equal(native_codec.reply(&out, 8, KVS_NOT_FOUND, bytes_of(NULL, 0)), KVS_OK);
    assert_int_equal(buffer_size(&out), 2 * NATIVE_HEADER_SIZE + 5);
    struct native_reply reply;
    assert_int_equal(native_decode_reply(buffer_content(&out), &reply, NULL), KVS_OK);
    assert_int_equal(reply.id, 7);
    assert_int_equal(reply.status, KVS_OK);
    assert_int_equal(reply.body_size, 5);
    assert_memory_equal(buffer_content(&out) + NATIVE_HEADER_SIZE, "value", 5);
    buffer_consume(&out, NATIVE_HEADER_SIZE + 5);
    assert_int_equal(native_decode_reply(buffer_content(&out), &reply, NULL), KVS_OK);
    assert_int_equal(reply.id, 8);
    assert_int_equal(reply.status, KVS_NOT_FOUND);
    assert_int_equal(reply.body_size, 0);
    buffer_deinit(&out);
}

static void a_reply_without_memory_leaves_the_output(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_int_equal(native_codec.reply(&out, 1, KVS_OK, bytes_of("a", 1)), KVS_OK);
    size_t size = buffer_size(&out);
    assert_int_equal(native_codec.reply(&out, 2, KVS_OK, bytes_of("", SIZE_MAX / 2)),
                     KVS_NO_MEMORY);
    assert_int_equal(buffer_size(&out), size);
    buffer_deinit(&out);
}

static void it_decodes_native_requests(void **state)
{
    (void)state;
    const struct request_limits limits = {100, 100};
    const struct request request = {.id = 9, .command = REQUEST_HELLO};
    struct request decoded;
    uint8_t frame[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    uint64_t size = native_encode_request(frame, &request);
    assert_string_equal(native_codec.name, "native");
    assert_int_equal(native_codec.decode(bytes_of(frame, size), &limits, &decoded, &size, NULL),
                     DECODE_REQUEST);
    assert_int_equal(decoded.id, 9);
    assert_int_equal(decoded.command, REQUEST_HELLO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_appended_whole),
        cmocka_unit_test(a_reply_without_memory_leaves_the_output),
        cmocka_unit_test(it_decodes_native_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
