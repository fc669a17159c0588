/* The load generator's protocols: exact request bytes; replies of every kind, in pieces or whole. */
#include "support/support.h"

#include <string.h>

#include "load/wire.h"

#define VALUE_SIZE 20u

static const uint8_t key[] = "0123456789abcdef";
static const uint8_t value[] = "twenty bytes of text";

/* Writes a request and compares it with what it should be. */
static void expect_request(const struct wire *wire, enum wire_command command, const void *expected,
                           size_t size)
{
    struct wire_template template;
    uint8_t bytes[256];
    wire->describe(command, VALUE_SIZE, &template);
    assert_int_equal(template.size, size);
    wire_put(&template, 0x0807060504030201, key, value, VALUE_SIZE, bytes);
    assert_memory_equal(bytes, expected, size);
}

static void requests_are_what_the_protocols_say(void **state)
{
    (void)state;
    static const char kvs_get[] = "\xC7\x01\x03\x00\x10\x00\x00\x00"
                                  "\x01\x02\x03\x04\x05\x06\x07\x08"
                                  "0123456789abcdef";
    static const char kvs_set[] = "\xC7\x01\x04\x00\x28\x00\x00\x00"
                                  "\x01\x02\x03\x04\x05\x06\x07\x08\x10\x00\x00\x00"
                                  "0123456789abcdeftwenty bytes of text";
    static const char resp_get[] = "*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n";
    static const char resp_set[] =
        "*3\r\n$3\r\nSET\r\n$16\r\n0123456789abcdef\r\n$20\r\ntwenty bytes of text\r\n";
    static const char memcached_get[] = "get 0123456789abcdef\r\n";
    static const char memcached_set[] = "set 0123456789abcdef 0 0 20\r\ntwenty bytes of text\r\n";
    expect_request(&wire_kvs, WIRE_GET, kvs_get, sizeof(kvs_get) - 1);
    expect_request(&wire_kvs, WIRE_SET, kvs_set, sizeof(kvs_set) - 1);
    expect_request(&wire_resp, WIRE_GET, resp_get, sizeof(resp_get) - 1);
    expect_request(&wire_resp, WIRE_SET, resp_set, sizeof(resp_set) - 1);
    expect_request(&wire_memcached, WIRE_GET, memcached_get, sizeof(memcached_get) - 1);
    expect_request(&wire_memcached, WIRE_SET, memcached_set, sizeof(memcached_set) - 1);
}

/* A reply, and what it is. */
struct sample_reply {
    const struct wire *wire;
    enum wire_command command;
    enum wire_outcome outcome;
    const char *reply;
    size_t size;
    const char *bytes; /* NULL: do not care */
};

#define TEXT(text) text, sizeof(text) - 1
#define KVS(status, size, body)                                                                    \
    TEXT("\xC8\x01" status size "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00" body)

static const struct sample_reply replies[] = {
    {&wire_kvs, WIRE_GET, WIRE_VALUE, KVS("\x00\x00", "\x04", "Oslo"), "Oslo"},
    {&wire_kvs, WIRE_GET, WIRE_MISS, KVS("\x01\x00", "\x00", ""), NULL},
    {&wire_kvs, WIRE_SET, WIRE_DONE, KVS("\x00\x00", "\x00", ""), NULL},
    {&wire_kvs, WIRE_SET, WIRE_ERROR, KVS("\xFD\xFF", "\x04", "full"), "full"},
    {&wire_resp, WIRE_GET, WIRE_VALUE, TEXT("$4\r\nOslo\r\n"), "Oslo"},
    {&wire_resp, WIRE_GET, WIRE_VALUE, TEXT("$0\r\n\r\n"), ""},
    {&wire_resp, WIRE_GET, WIRE_MISS, TEXT("$-1\r\n"), NULL},
    {&wire_resp, WIRE_GET, WIRE_MISS, TEXT("_\r\n"), NULL},
    {&wire_resp, WIRE_SET, WIRE_DONE, TEXT("+OK\r\n"), NULL},
    {&wire_resp, WIRE_SET, WIRE_ERROR, TEXT("-ERR no\r\n"), "ERR no"},
    {&wire_resp, WIRE_GET, WIRE_ERROR, TEXT("-LOADING\r\n"), "LOADING"},
    {&wire_memcached, WIRE_GET, WIRE_VALUE, TEXT("VALUE 0123456789abcdef 0 4\r\nOslo\r\nEND\r\n"),
     "Oslo"},
    {&wire_memcached, WIRE_GET, WIRE_MISS, TEXT("END\r\n"), NULL},
    {&wire_memcached, WIRE_SET, WIRE_DONE, TEXT("STORED\r\n"), NULL},
    {&wire_memcached, WIRE_SET, WIRE_ERROR, TEXT("SERVER_ERROR full\r\n"), "SERVER_ERROR full"},
};

static enum wire_outcome parse(const struct sample_reply *sample, uint64_t id, const void *from,
                               size_t size, struct wire_reply *ret)
{
    return sample->wire->parse(sample->command, key, id, from, size, ret);
}

static void replies_are_told_apart_whole_and_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        const struct sample_reply *sample = &replies[i];
        struct wire_reply reply;
        for (size_t size = 0; size < sample->size; size++)
            assert_int_equal(parse(sample, 7, sample->reply, size, &reply), WIRE_MORE);
        char followed[128];
        memcpy(followed, sample->reply, sample->size);
        memcpy(followed + sample->size, "more", 4);
        assert_int_equal(parse(sample, 7, followed, sample->size + 4, &reply), sample->outcome);
        assert_int_equal(reply.size, sample->size);
        if (sample->bytes == NULL)
            continue;
        assert_int_equal(reply.bytes.len, strlen(sample->bytes));
        assert_memory_equal(reply.bytes.ptr, sample->bytes, reply.bytes.len);
    }
}

static void what_is_no_reply_to_the_request_is_found_out(void **state)
{
    (void)state;
    static const struct sample_reply wrong[] = {
        {&wire_kvs, WIRE_GET, WIRE_BROKEN, TEXT("+OK\r\n0123456789abcdef"), NULL},
        {&wire_kvs, WIRE_SET, WIRE_BROKEN, KVS("\x01\x00", "\x00", ""), NULL},
        {&wire_resp, WIRE_GET, WIRE_BROKEN, TEXT("+OK\r\n"), NULL},
        {&wire_resp, WIRE_SET, WIRE_BROKEN, TEXT("$4\r\nOslo\r\n"), NULL},
        {&wire_resp, WIRE_GET, WIRE_BROKEN, TEXT("$4x\r\nOslo\r\n"), NULL},
        {&wire_resp, WIRE_GET, WIRE_BROKEN, TEXT("$3\r\nOslo\r\n"), NULL},
        {&wire_resp, WIRE_GET, WIRE_BROKEN, TEXT("$99999999999999999999\r\n"), NULL},
        {&wire_resp, WIRE_SET, WIRE_BROKEN, TEXT("+OK\n"), NULL},
        {&wire_memcached, WIRE_GET, WIRE_BROKEN,
         TEXT("VALUE 0123456789abcdeF 0 4\r\nOslo\r\nEND\r\n"), NULL},
        {&wire_memcached, WIRE_GET, WIRE_BROKEN,
         TEXT("VALUE 0123456789abcdef 0 3\r\nOslo\r\nEND\r\n"), NULL},
        {&wire_memcached, WIRE_SET, WIRE_BROKEN, TEXT("NOT_STORED\r\n"), NULL},
    };
    struct wire_reply reply;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(parse(&wrong[i], 7, wrong[i].reply, wrong[i].size, &reply), WIRE_BROKEN);
    /* The native protocol has ids: a reply to another request is none. */
    assert_int_equal(parse(&replies[0], 8, replies[0].reply, replies[0].size, &reply), WIRE_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_what_the_protocols_say),
        cmocka_unit_test(replies_are_told_apart_whole_and_in_pieces),
        cmocka_unit_test(what_is_no_reply_to_the_request_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
