/*
 * libkvs where things go wrong: late, broken and hostile replies, connections that break, servers
 * that go and come back. I1 and I2 are those of client.c.
 */
#include "support/support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "client/pair.h"
#include "protocol/native.h"

#define SHORT_TIMEOUT_MS 50u

/* ---- broken replies -------------------------------------------------------------------------- */

/* Sends the bytes of arg (a struct kvs_bytes) for the first request, and serves well afterwards. */
static void answer_bytes_once(struct fake_connection *connection, void *arg)
{
    const struct kvs_bytes *bytes = arg;
    struct request request;
    while (fake_read_request(connection, &request)) {
        if (connection->index > 0)
            fake_reply_text(connection, request.id, KVS_OK, "good");
        else if (!fake_write(connection, bytes->ptr, (size_t)bytes->len))
            return;
        else
            fake_wait_closed(connection);
    }
}

/* The first call fails with KVS_PROTOCOL and this message, the next one is served anew (I1). */
static void check_bad_reply(const void *bytes, size_t size, const char *message)
{
    struct kvs_bytes reply = bytes_of(bytes, size);
    struct pair pair;
    struct kvs_bytes value = bytes_of("old", 3);
    pair_init(&pair, answer_bytes_once, &reply);
    assert_status(KVS_PROTOCOL, pair_get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "old", 3);
    if (strstr(pair.error.message, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, pair.error.message);
    assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "good", 4);
    assert_int_equal(fake_server_connections(pair.server), 2);
    pair_deinit(&pair);
}

static void a_reply_of_another_protocol_is_refused(void **state)
{
    (void)state;
    uint8_t header[NATIVE_HEADER_SIZE];
    native_encode_reply(header, 1, KVS_OK, 0);
    header[0] = NATIVE_MAGIC_REQUEST;
    check_bad_reply(header, sizeof(header), "is this a kvs server?");
    native_encode_reply(header, 1, KVS_OK, 0);
    header[1] = NATIVE_VERSION + 1;
    check_bad_reply(header, sizeof(header), "0xC8 0x02");
    check_bad_reply("HTTP/1.1 400 Bad Request\r\n", 26, "0x48 0x54");
}

static void a_reply_to_another_request_is_refused(void **state)
{
    (void)state;
    uint8_t header[NATIVE_HEADER_SIZE];
    native_encode_reply(header, 2, KVS_OK, 0);
    check_bad_reply(header, sizeof(header), "answered request 2 where 1 was asked");
    native_encode_reply(header, 0, KVS_OK, 0);
    check_bad_reply(header, sizeof(header), "answered request 0");
    native_encode_reply(header, 0, KVS_NOT_FOUND, 0);
    check_bad_reply(header, sizeof(header), "answered request 0");
}

static void a_huge_reply_is_refused_by_its_header(void **state)
{
    (void)state;
    uint8_t header[NATIVE_HEADER_SIZE];
    native_encode_reply(header, 1, KVS_OK, NATIVE_VALUE_MAX + 65536u + 1);
    check_bad_reply(header, sizeof(header), "over the limit of 67174400 bytes");
    native_encode_reply(header, 1, KVS_OK, UINT32_MAX);
    check_bad_reply(header, sizeof(header), "4294967295 bytes");
}

static void bytes_behind_a_reply_end_the_connection(void **state)
{
    (void)state;
    struct pair pair;
    struct kvs_bytes value;
    uint8_t bytes[NATIVE_HEADER_SIZE + 3];
    native_encode_reply(bytes, 1, KVS_OK, 2);
    memcpy(bytes + NATIVE_HEADER_SIZE, "vXY", 3);
    struct kvs_bytes reply = bytes_of(bytes, sizeof(bytes));
    pair_init(&pair, answer_bytes_once, &reply);
    assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "vX", 2);
    assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "good", 4);
    assert_int_equal(fake_server_connections(pair.server), 2);
    pair_deinit(&pair);
}

/* ---- connections that break ------------------------------------------------------------------ */

/* Sends the first *arg bytes of a reply of 4 bytes' body to the first request, then closes. */
static void answer_partly_once(struct fake_connection *connection, void *arg)
{
    const size_t *size = arg;
    uint8_t bytes[NATIVE_HEADER_SIZE + 4];
    struct request request;
    while (fake_read_request(connection, &request)) {
        native_encode_reply(bytes, request.id, KVS_OK, 4);
        memcpy(bytes + NATIVE_HEADER_SIZE, "good", 4);
        if (!fake_write(connection, bytes, connection->index > 0 ? sizeof(bytes) : *size) ||
            connection->index == 0)
            return;
    }
}

static void half_a_reply_is_a_network_fault_and_nothing_is_sent_twice(void **state)
{
    (void)state;
    for (size_t size = 0; size < NATIVE_HEADER_SIZE + 4; size++) {
        struct pair pair;
        struct kvs_bytes value = bytes_of("old", 3);
        pair_init(&pair, answer_partly_once, &size);
        assert_status(KVS_NETWORK, pair_get(&pair, "k", &value), &pair.error);
        assert_bytes(value, "old", 3);
        assert_non_null(strstr(pair.error.message, fake_server_address(pair.server)));
        assert_int_equal(fake_server_requests(pair.server), 1);
        assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
        assert_bytes(value, "good", 4);
        assert_int_equal(fake_server_requests(pair.server), 2);
        pair_deinit(&pair);
    }
}

/* Sends a whole reply in pieces of one byte. */
static void answer_in_pieces(struct fake_connection *connection, void *arg)
{
    (void)arg;
    uint8_t bytes[NATIVE_HEADER_SIZE + 4];
    struct request request;
    while (fake_read_request(connection, &request)) {
        native_encode_reply(bytes, request.id, KVS_OK, 4);
        memcpy(bytes + NATIVE_HEADER_SIZE, "slow", 4);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            if (!fake_write(connection, bytes + i, 1))
                return;
        }
    }
}

static void a_reply_in_pieces_is_put_together(void **state)
{
    (void)state;
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, answer_in_pieces, NULL);
    for (int i = 0; i < 10; i++) {
        assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
        assert_bytes(value, "slow", 4);
    }
    assert_int_equal(fake_server_connections(pair.server), 1);
    pair_deinit(&pair);
}

/* Keeps the first request until the client has given up, and answers later ones. */
static void answer_the_second(struct fake_connection *connection, void *arg)
{
    (void)arg;
    struct request request;
    while (fake_read_request(connection, &request)) {
        if (connection->index == 0)
            fake_wait_closed(connection);
        else
            fake_reply_text(connection, request.id, KVS_OK, "in time");
    }
}

/* I1: had the client kept the connection, its next request would never be answered. */
static void after_a_timeout_the_next_call_begins_anew(void **state)
{
    (void)state;
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, answer_the_second, NULL);
    kvs_client_free(pair.client);
    pair.client = pair_client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
    assert_status(KVS_TIMEOUT, pair_get(&pair, "k", &value), &pair.error);
    assert_non_null(strstr(pair.error.message, "within 50 ms"));
    assert_int_equal(fake_server_requests(pair.server), 1);

    /* On a busy machine even a good server may take longer. */
    kvs_status status = KVS_TIMEOUT;
    for (int i = 0; i < 100 && status == KVS_TIMEOUT; i++)
        status = pair_get(&pair, "k", &value);
    assert_status(KVS_OK, status, &pair.error);
    assert_bytes(value, "in time", 7);
    pair_deinit(&pair);
}

/* Promises a large body and sends a byte of it now and then, until the client has had enough. */
static void answer_in_drops(struct fake_connection *connection, void *arg)
{
    (void)arg;
    struct request request;
    uint8_t header[NATIVE_HEADER_SIZE];
    struct pollfd closed = {.fd = connection->fd, .events = POLLIN};
    if (!fake_read_request(connection, &request))
        return;
    native_encode_reply(header, request.id, KVS_OK, NATIVE_VALUE_MAX);
    if (!fake_write(connection, header, sizeof(header)))
        return;
    while (poll(&closed, 1, 1) == 0 && fake_write(connection, "x", 1))
        ;
}

/* The deadline is that of the whole call: each drop does not begin it anew. */
static void a_dripping_reply_ends_at_the_deadline(void **state)
{
    (void)state;
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, answer_in_drops, NULL);
    kvs_client_free(pair.client);
    pair.client = pair_client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
    uint64_t begin_ns = clock_now_ns();
    assert_status(KVS_TIMEOUT, pair_get(&pair, "k", &value), &pair.error);
    assert_true(clock_now_ns() - begin_ns >= SHORT_TIMEOUT_MS * NS_PER_MS);
    pair_deinit(&pair);
}

static void never_read(struct fake_connection *connection, void *arg)
{
    bool *done = arg;
    while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
        struct pollfd closed = {.fd = connection->fd, .events = POLLRDHUP};
        (void)poll(&closed, 1, 1);
    }
}

static void a_server_that_does_not_read_is_a_timeout(void **state)
{
    (void)state;
    struct pair pair;
    bool done = false;
    void *bytes = calloc(1, NATIVE_VALUE_MAX);
    assert_non_null(bytes);
    pair_init(&pair, never_read, &done);
    kvs_client_free(pair.client);
    pair.client = pair_client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
    assert_status(KVS_TIMEOUT,
                  kvs_client_set(pair.client, bytes_of_text("k"), bytes_of(bytes, NATIVE_VALUE_MAX),
                                 &pair.error.error),
                  &pair.error);
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    pair_deinit(&pair);
    free(bytes);
}

/* Refuses by the header alone; then waits for the client, or (arg true) closes at once. */
static void refuse_early(struct fake_connection *connection, void *arg)
{
    const bool *at_once = arg;
    uint64_t id;
    if (!fake_read_header(connection, &id))
        return;
    fake_reply_text(connection, id, KVS_TOO_LARGE, "over the limit of 100 bytes");
    if (!*at_once)
        fake_wait_closed(connection);
}

/* A server with a lower limit refuses while the client is still sending: its message comes through,
   and (closing with unread bytes resets the connection) nothing raises SIGPIPE. */
static void a_refusal_in_the_middle_of_sending_is_read(void **state)
{
    (void)state;
    void *bytes = calloc(1, NATIVE_VALUE_MAX);
    assert_non_null(bytes);
    for (int at_once = 0; at_once < 2; at_once++) {
        struct pair pair;
        bool arg = at_once == 1;
        pair_init(&pair, refuse_early, &arg);
        for (uint32_t i = 1; i <= 2; i++) {
            assert_status(KVS_TOO_LARGE,
                          kvs_client_set(pair.client, bytes_of_text("k"),
                                         bytes_of(bytes, NATIVE_VALUE_MAX), &pair.error.error),
                          &pair.error);
            assert_string_equal(pair.error.message, "over the limit of 100 bytes");
            assert_int_equal(fake_server_connections(pair.server), i);
        }
        pair_deinit(&pair);
    }
    free(bytes);
}

static void agree_early(struct fake_connection *connection, void *arg)
{
    (void)arg;
    uint64_t id;
    if (!fake_read_header(connection, &id))
        return;
    fake_reply(connection, id, KVS_OK, NULL, 0);
    /* Reading on now could let the client finish before it sees the reply. */
    struct pollfd closed = {.fd = connection->fd, .events = POLLRDHUP};
    (void)poll(&closed, 1, -1);
}

static void a_success_in_the_middle_of_sending_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    void *bytes = calloc(1, NATIVE_VALUE_MAX);
    assert_non_null(bytes);
    pair_init(&pair, agree_early, NULL);
    assert_status(KVS_PROTOCOL,
                  kvs_client_set(pair.client, bytes_of_text("k"), bytes_of(bytes, NATIVE_VALUE_MAX),
                                 &pair.error.error),
                  &pair.error);
    assert_non_null(strstr(pair.error.message, "before it was sent whole"));
    pair_deinit(&pair);
    free(bytes);
}

/* I2: an idle connection that the server closed meanwhile is not used. */
static void the_first_call_after_a_restart_works(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, fake_serve_store, &store);
    uint16_t port = fake_server_port(pair.server);
    for (int i = 0; i < 5; i++) {
        assert_status(
            KVS_OK,
            kvs_client_set(pair.client, bytes_of_text("k"), bytes_of_text("v"), &pair.error.error),
            &pair.error);
        fake_server_stop(pair.server);
        pair.server = fake_server_start_at(port, fake_serve_store, &store);
        assert_status(KVS_OK, pair_get(&pair, "k", &value), &pair.error);
        assert_bytes(value, "v", 1);
    }
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

static void no_server_is_a_network_fault_until_there_is_one(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    pair_init(&pair, fake_serve_store, &store);
    uint16_t port = fake_server_port(pair.server);
    fake_server_stop(pair.server);
    assert_status(KVS_NETWORK, pair_ping(&pair), &pair.error);
    assert_int_equal(pair.error.error.os_errno, ECONNREFUSED);
    assert_non_null(strstr(pair.error.message, "is kvs-server running there?"));
    assert_status(KVS_NETWORK, pair_ping(&pair), &pair.error);
    pair.server = fake_server_start_at(port, fake_serve_store, &store);
    assert_status(KVS_OK, pair_ping(&pair), &pair.error);
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_of_another_protocol_is_refused),
        cmocka_unit_test(a_reply_to_another_request_is_refused),
        cmocka_unit_test(a_huge_reply_is_refused_by_its_header),
        cmocka_unit_test(bytes_behind_a_reply_end_the_connection),
        cmocka_unit_test(half_a_reply_is_a_network_fault_and_nothing_is_sent_twice),
        cmocka_unit_test(a_reply_in_pieces_is_put_together),
        cmocka_unit_test(after_a_timeout_the_next_call_begins_anew),
        cmocka_unit_test(a_dripping_reply_ends_at_the_deadline),
        cmocka_unit_test(a_server_that_does_not_read_is_a_timeout),
        cmocka_unit_test(a_refusal_in_the_middle_of_sending_is_read),
        cmocka_unit_test(a_success_in_the_middle_of_sending_is_refused),
        cmocka_unit_test(the_first_call_after_a_restart_works),
        cmocka_unit_test(no_server_is_a_network_fault_until_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
