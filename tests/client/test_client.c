/*
 * libkvs through its public header and its shared object, against a fake server: what it sends,
 * what it makes of good, late, broken and hostile replies. I1 to I3 are those of client.c.
 */
#include "support/support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/client.h>
#include <kvs/version.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "client/fake_server.h"
#include "protocol/native.h"

#define SHORT_TIMEOUT_MS 50u

/* A client and the fake that it talks to. */
struct pair {
    struct fake_server *server;
    struct kvs_client *client;
    struct test_error error;
};

static struct kvs_client *client_to(const char *address, uint64_t request_timeout_ms)
{
    struct kvs_client_config config = {
        .size = sizeof(config), .address = address, .request_timeout_ms = request_timeout_ms};
    struct kvs_client *client = NULL;
    assert_int_equal(kvs_client_new(&config, &client, NULL), KVS_OK);
    return client;
}

static void pair_init(struct pair *pair, fake_script_fn script, void *arg)
{
    test_error_init(&pair->error);
    pair->server = fake_server_start(script, arg);
    pair->client = client_to(fake_server_address(pair->server), 0);
}

static void pair_deinit(struct pair *pair)
{
    kvs_client_free(pair->client);
    fake_server_stop(pair->server);
}

static kvs_status get(struct pair *pair, const char *key, struct kvs_bytes *ret_value)
{
    return kvs_client_get(pair->client, bytes_of_text(key), ret_value, &pair->error.error);
}

static kvs_status ping(struct pair *pair)
{
    return kvs_client_ping(pair->client, &pair->error.error);
}

static void assert_bytes(struct kvs_bytes actual, const void *expected, size_t size)
{
    assert_int_equal(actual.len, size);
    if (size > 0)
        assert_memory_equal(actual.ptr, expected, size);
}

/* ---- making a client ------------------------------------------------------------------------- */

static void new_takes_defaults_and_does_not_connect(void **state)
{
    (void)state;
    struct kvs_client_config config = {.size = sizeof(config)};
    struct kvs_client *client = NULL;
    assert_int_equal(kvs_client_new(&config, &client, NULL), KVS_OK);
    assert_non_null(client);
    kvs_client_free(client);
    kvs_client_free(NULL);
    assert_string_equal(kvs_client_version(), KVS_VERSION);
}

static void new_refuses_what_is_wrong(void **state)
{
    (void)state;
    struct test_error error;
    struct kvs_client *const untouched = (struct kvs_client *)&error;
    struct kvs_client *client = untouched;
    struct kvs_client_config config = {.size = sizeof(config), .address = "localhost"};
    test_error_init(&error);
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    assert_non_null(strstr(error.message, "'localhost' is no address"));

    config = (struct kvs_client_config){.size = sizeof(config) - 1};
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    assert_non_null(strstr(error.message, "sizeof"));

    config = (struct kvs_client_config){.size = sizeof(config), .reserved = 1};
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    assert_ptr_equal(client, untouched);
}

/* A program that was compiled against a later header hands in a larger struct. */
static void new_takes_a_later_config(void **state)
{
    (void)state;
    struct {
        struct kvs_client_config config;
        uint64_t later;
    } larger = {.config = {.size = sizeof(larger)}, .later = 1};
    struct kvs_client *client = NULL;
    assert_int_equal(kvs_client_new(&larger.config, &client, NULL), KVS_OK);
    kvs_client_free(client);
}

/* ---- what works ------------------------------------------------------------------------------ */

static void calls_do_what_they_say_over_one_connection(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, fake_serve_store, &store);
    const struct kvs_bytes key = bytes_of("k\0\xFF\n", 4);

    assert_status(KVS_OK, ping(&pair), &pair.error);
    assert_status(KVS_NOT_FOUND, kvs_client_get(pair.client, key, &value, NULL), NULL);
    assert_status(KVS_NOT_FOUND, kvs_client_remove(pair.client, key, NULL), NULL);
    assert_status(KVS_OK, kvs_client_set(pair.client, key, bytes_of("\0v", 2), NULL), NULL);
    assert_status(KVS_OK, kvs_client_get(pair.client, key, &value, NULL), NULL);
    assert_bytes(value, "\0v", 2);
    assert_status(KVS_OK, kvs_client_set(pair.client, key, bytes_of(NULL, 0), NULL), NULL);
    assert_status(KVS_OK, kvs_client_get(pair.client, key, &value, NULL), NULL);
    assert_bytes(value, NULL, 0);
    assert_status(KVS_OK, kvs_client_remove(pair.client, key, NULL), NULL);
    assert_status(KVS_NOT_FOUND, kvs_client_get(pair.client, key, &value, NULL), NULL);
    assert_status(KVS_OK, kvs_client_stats(pair.client, &value, NULL), NULL);
    assert_bytes(value, "keys 1\nuptime_s 2\n", 18);

    assert_int_equal(fake_server_connections(pair.server), 1);
    assert_int_equal(fake_server_requests(pair.server), 10);
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

static void a_missing_key_leaves_the_output_untouched(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes value = bytes_of("old", 3);
    pair_init(&pair, fake_serve_store, &store);
    assert_status(KVS_NOT_FOUND, get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "old", 3);
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

static void the_largest_key_and_value_go_through(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes got;
    uint8_t *bytes = malloc(NATIVE_VALUE_MAX);
    assert_non_null(bytes);
    memset(bytes, 'x', NATIVE_VALUE_MAX);
    bytes[0] = 'a';
    bytes[NATIVE_VALUE_MAX - 1] = 'z';
    const struct kvs_bytes key = bytes_of(bytes, NATIVE_KEY_MAX);
    const struct kvs_bytes value = bytes_of(bytes, NATIVE_VALUE_MAX);
    pair_init(&pair, fake_serve_store, &store);

    assert_status(KVS_OK, kvs_client_set(pair.client, key, value, &pair.error.error), &pair.error);
    assert_status(KVS_OK, kvs_client_get(pair.client, key, &got, &pair.error.error), &pair.error);
    assert_true(bytes_equal(got, value));
    assert_int_equal(fake_server_connections(pair.server), 1);
    pair_deinit(&pair);
    fake_store_deinit(&store);
    free(bytes);
}

/* I3: the view of the last reply is good until the next request is sent. */
static void a_value_that_was_got_can_be_set(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes value;
    const size_t size = (size_t)2 << 20;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    bytes[size - 1] = 'z';
    pair_init(&pair, fake_serve_store, &store);
    assert_status(
        KVS_OK, kvs_client_set(pair.client, bytes_of_text("a"), bytes_of(bytes, size), NULL), NULL);
    assert_status(KVS_OK, get(&pair, "a", &value), &pair.error);
    assert_status(KVS_OK, kvs_client_set(pair.client, bytes_of_text("b"), value, NULL), NULL);
    assert_status(KVS_OK, get(&pair, "b", &value), &pair.error);
    assert_bytes(value, bytes, size);
    pair_deinit(&pair);
    fake_store_deinit(&store);
    free(bytes);
}

static void sizes_over_a_limit_are_not_sent(void **state)
{
    (void)state;
    struct fake_store store = {0};
    struct pair pair;
    struct kvs_bytes value;
    const struct kvs_bytes key = bytes_of_text("k");
    pair_init(&pair, fake_serve_store, &store);
    struct kvs_error *error = &pair.error.error;

    /* One byte over: refused by its length, so the bytes need not be there. */
    assert_status(KVS_TOO_LARGE,
                  kvs_client_get(pair.client, bytes_of("", NATIVE_KEY_MAX + 1), &value, error),
                  &pair.error);
    assert_non_null(strstr(pair.error.message, "limit of 65536 bytes"));
    assert_status(KVS_TOO_LARGE,
                  kvs_client_set(pair.client, key, bytes_of("", NATIVE_VALUE_MAX + 1), error),
                  &pair.error);
    assert_non_null(strstr(pair.error.message, "limit of 67108864 bytes"));
    assert_status(KVS_TOO_LARGE, kvs_client_set(pair.client, key, bytes_of("", UINT64_MAX), error),
                  &pair.error);
    assert_status(KVS_INVALID, kvs_client_remove(pair.client, bytes_of("", 0), error), &pair.error);
    assert_non_null(strstr(pair.error.message, "at least 1 byte"));
    assert_int_equal(fake_server_connections(pair.server), 0);
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

/* ---- what servers say ------------------------------------------------------------------------ */

struct canned_reply {
    kvs_status status;
    const char *text;
    bool without_id;
};

static void answer_canned(struct fake_connection *connection, void *arg)
{
    const struct canned_reply *reply = arg;
    struct request request;
    while (fake_read_request(connection, &request))
        fake_reply_text(connection, reply->without_id ? 0 : request.id, reply->status, reply->text);
}

static void a_servers_fault_comes_with_its_message(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_NO_SPACE, "no space left in /data: free some", false};
    struct pair pair;
    struct kvs_bytes value;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_NO_SPACE, get(&pair, "k", &value), &pair.error);
    assert_string_equal(pair.error.message, reply.text);
    assert_int_equal(pair.error.error.status, KVS_NO_SPACE);
    assert_status(KVS_NO_SPACE, ping(&pair), &pair.error);
    assert_int_equal(fake_server_connections(pair.server), 1);
    pair_deinit(&pair);
}

static void a_message_is_one_printable_line(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_IO, "disk\n\x1B[31mgone\x7F", false};
    struct pair pair;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_IO, ping(&pair), &pair.error);
    assert_string_equal(pair.error.message, "disk??[31mgone?");
    pair_deinit(&pair);
}

static void a_long_message_is_cut_and_an_empty_one_replaced(void **state)
{
    (void)state;
    char text[3 * KVS_ERROR_MESSAGE_MAX];
    memset(text, 'm', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct canned_reply reply = {KVS_BUSY - 100, text, false};
    struct pair pair;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_BUSY - 100, ping(&pair), &pair.error);
    assert_int_equal(strlen(pair.error.message), KVS_ERROR_MESSAGE_MAX - 1);
    pair_deinit(&pair);

    reply = (struct canned_reply){KVS_READ_ONLY, "", false};
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_READ_ONLY, ping(&pair), &pair.error);
    assert_string_equal(pair.error.message, "read-only");
    pair_deinit(&pair);
}

static void a_fault_without_id_is_believed_and_the_connection_not_kept(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_PROTOCOL, "what was that?", true};
    struct pair pair;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_PROTOCOL, ping(&pair), &pair.error);
    assert_string_equal(pair.error.message, "what was that?");
    assert_status(KVS_PROTOCOL, ping(&pair), &pair.error);
    assert_int_equal(fake_server_connections(pair.server), 2);
    pair_deinit(&pair);
}

static void a_positive_outcome_passes_through(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_BUSY, "", false};
    struct pair pair;
    struct kvs_bytes value = bytes_of("old", 3);
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_BUSY, get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "old", 3);
    pair_deinit(&pair);
}

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
    assert_status(KVS_PROTOCOL, get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "old", 3);
    if (strstr(pair.error.message, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, pair.error.message);
    assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
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
    assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "vX", 2);
    assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
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
        assert_status(KVS_NETWORK, get(&pair, "k", &value), &pair.error);
        assert_bytes(value, "old", 3);
        assert_non_null(strstr(pair.error.message, fake_server_address(pair.server)));
        assert_int_equal(fake_server_requests(pair.server), 1);
        assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
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
        assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
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
    pair.client = client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
    assert_status(KVS_TIMEOUT, get(&pair, "k", &value), &pair.error);
    assert_non_null(strstr(pair.error.message, "within 50 ms"));
    assert_int_equal(fake_server_requests(pair.server), 1);

    /* On a busy machine even a good server may take longer. */
    kvs_status status = KVS_TIMEOUT;
    for (int i = 0; i < 100 && status == KVS_TIMEOUT; i++)
        status = get(&pair, "k", &value);
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
    pair.client = client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
    uint64_t begin_ns = clock_now_ns();
    assert_status(KVS_TIMEOUT, get(&pair, "k", &value), &pair.error);
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
    pair.client = client_to(fake_server_address(pair.server), SHORT_TIMEOUT_MS);
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
        assert_status(KVS_OK, get(&pair, "k", &value), &pair.error);
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
    assert_status(KVS_NETWORK, ping(&pair), &pair.error);
    assert_int_equal(pair.error.error.os_errno, ECONNREFUSED);
    assert_non_null(strstr(pair.error.message, "is kvs-server running there?"));
    assert_status(KVS_NETWORK, ping(&pair), &pair.error);
    pair.server = fake_server_start_at(port, fake_serve_store, &store);
    assert_status(KVS_OK, ping(&pair), &pair.error);
    pair_deinit(&pair);
    fake_store_deinit(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_takes_defaults_and_does_not_connect),
        cmocka_unit_test(new_refuses_what_is_wrong),
        cmocka_unit_test(new_takes_a_later_config),
        cmocka_unit_test(calls_do_what_they_say_over_one_connection),
        cmocka_unit_test(a_missing_key_leaves_the_output_untouched),
        cmocka_unit_test(the_largest_key_and_value_go_through),
        cmocka_unit_test(a_value_that_was_got_can_be_set),
        cmocka_unit_test(sizes_over_a_limit_are_not_sent),
        cmocka_unit_test(a_servers_fault_comes_with_its_message),
        cmocka_unit_test(a_message_is_one_printable_line),
        cmocka_unit_test(a_long_message_is_cut_and_an_empty_one_replaced),
        cmocka_unit_test(a_fault_without_id_is_believed_and_the_connection_not_kept),
        cmocka_unit_test(a_positive_outcome_passes_through),
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
