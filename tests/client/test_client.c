/*
 * libkvs through its public header and its shared object, against a fake server: what it sends and
 * what it makes of good replies and of a server's refusals. I3 is client.c's. What goes wrong on
 * the way is in test_client_faults.c.
 */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "client/pair.h"
#include "protocol/native.h"

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

    config =
        (struct kvs_client_config){.size = offsetof(struct kvs_client_config, request_timeout_ms)};
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    assert_non_null(strstr(error.message, "sizeof"));

    config = (struct kvs_client_config){.size = sizeof(config), .reserved = 1};
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    config = (struct kvs_client_config){.size = sizeof(config), .password = ""};
    assert_status(KVS_INVALID, kvs_client_new(&config, &client, &error.error), &error);
    assert_non_null(strstr(error.message, "a password has 1 to 512 bytes"));
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

    assert_status(KVS_OK, pair_ping(&pair), &pair.error);
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
    assert_status(KVS_NOT_FOUND, pair_get(&pair, "k", &value), &pair.error);
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
    assert_status(KVS_OK, pair_get(&pair, "a", &value), &pair.error);
    assert_status(KVS_OK, kvs_client_set(pair.client, bytes_of_text("b"), value, NULL), NULL);
    assert_status(KVS_OK, pair_get(&pair, "b", &value), &pair.error);
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
    assert_status(KVS_NO_SPACE, pair_get(&pair, "k", &value), &pair.error);
    assert_string_equal(pair.error.message, reply.text);
    assert_int_equal(pair.error.error.status, KVS_NO_SPACE);
    assert_status(KVS_NO_SPACE, pair_ping(&pair), &pair.error);
    assert_int_equal(fake_server_connections(pair.server), 1);
    pair_deinit(&pair);
}

static void a_message_is_one_printable_line(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_IO, "disk\n\x1B[31mgone\x7F", false};
    struct pair pair;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_IO, pair_ping(&pair), &pair.error);
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
    assert_status(KVS_BUSY - 100, pair_ping(&pair), &pair.error);
    assert_int_equal(strlen(pair.error.message), KVS_ERROR_MESSAGE_MAX - 1);
    pair_deinit(&pair);

    reply = (struct canned_reply){KVS_READ_ONLY, "", false};
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_READ_ONLY, pair_ping(&pair), &pair.error);
    assert_string_equal(pair.error.message, "read-only");
    pair_deinit(&pair);
}

static void a_fault_without_id_is_believed_and_the_connection_not_kept(void **state)
{
    (void)state;
    struct canned_reply reply = {KVS_PROTOCOL, "what was that?", true};
    struct pair pair;
    pair_init(&pair, answer_canned, &reply);
    assert_status(KVS_PROTOCOL, pair_ping(&pair), &pair.error);
    assert_string_equal(pair.error.message, "what was that?");
    assert_status(KVS_PROTOCOL, pair_ping(&pair), &pair.error);
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
    assert_status(KVS_BUSY, pair_get(&pair, "k", &value), &pair.error);
    assert_bytes(value, "old", 3);
    pair_deinit(&pair);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
