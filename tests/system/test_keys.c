/* Conditions, expiry, counters and several keys at once: libkvs and kvs-client against kvs-server. */
#include "system/matrix.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "system/expect.h"
#include "system/run_client.h"

#define KEYS 300u

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static struct kvs_client *client_of(const struct server_process *server)
{
    char address[64];
    struct kvs_client *client = NULL;
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", server->port);
    struct kvs_client_config config = {.size = sizeof(config), .address = address};
    return kvs_client_new(&config, &client, NULL) == KVS_OK ? client : NULL;
}

/* value NULL: it is missing. */
static void must_hold(struct kvs_client *client, const char *key, const char *value)
{
    struct kvs_bytes got;
    kvs_status status = kvs_client_get(client, text(key), &got, NULL);
    assert_int_equal(value == NULL ? KVS_NOT_FOUND : KVS_OK, status);
    if (value != NULL)
        assert_true(bytes_equal(text(value), got));
}

static struct kvs_client_op op(uint32_t kind, uint32_t condition, const char *key,
                               const char *value)
{
    return (struct kvs_client_op){.kind = kind,
                                  .condition = condition,
                                  .status = INT32_MIN,
                                  .key = text(key),
                                  .value = text(value)};
}

static void test_batches(struct kvs_client *client)
{
    struct kvs_client_op ops[] = {
        op(KVS_CLIENT_SET, KVS_CLIENT_IF_ABSENT, "a", "1"),
        op(KVS_CLIENT_SET, KVS_CLIENT_IF_PRESENT, "b", "2"),
        op(KVS_CLIENT_REMOVE, KVS_CLIENT_IF_ALWAYS, "c", ""),
        op(KVS_CLIENT_SET, KVS_CLIENT_IF_EQUAL, "a", "3"),
        op(KVS_CLIENT_CHECK, KVS_CLIENT_IF_PRESENT, "a", ""),
    };
    ops[3].expected = text("1");
    assert_int_equal(KVS_CONDITION_FAILED,
                     kvs_client_batch(client, ops, 5, KVS_CLIENT_ALL_OR_NONE, NULL));
    assert_int_equal(KVS_CONDITION_FAILED, ops[1].status);
    assert_int_equal(KVS_OK, ops[3].status);
    must_hold(client, "a", NULL);
    assert_int_equal(KVS_OK, kvs_client_batch(client, ops, 5, 0, NULL));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[1].status);
    assert_int_equal(KVS_NOT_FOUND, ops[2].status);
    assert_int_equal(KVS_OK, ops[3].status);
    assert_int_equal(KVS_OK, ops[4].status);
    must_hold(client, "a", "3");
    must_hold(client, "b", NULL);
    ops[0].kind = 9;
    assert_int_equal(KVS_PROTOCOL, kvs_client_batch(client, ops, 1, 0, NULL));
    ops[0] = op(KVS_CLIENT_SET, KVS_CLIENT_IF_ALWAYS, "", "1");
    assert_int_equal(KVS_INVALID, kvs_client_batch(client, ops, 1, 0, NULL));
    assert_int_equal(KVS_UNSUPPORTED, kvs_client_batch(client, ops, 1, 8, NULL));
    assert_int_equal(KVS_PROTOCOL, kvs_client_batch(client, ops, 0, 0, NULL));
    must_hold(client, "a", "3");
}

struct gone {
    struct kvs_client *client;
    const char *key;
};

static bool is_gone(void *arg)
{
    const struct gone *gone = arg;
    struct kvs_bytes value;
    return kvs_client_get(gone->client, text(gone->key), &value, NULL) == KVS_NOT_FOUND;
}

static void test_expiry(struct kvs_client *client)
{
    struct kvs_client_info info;
    struct kvs_client_op set = op(KVS_CLIENT_SET, KVS_CLIENT_IF_ALWAYS, "e", "value");
    set.expires = KVS_CLIENT_EXPIRES_IN;
    set.time_ms = 100000;
    assert_int_equal(KVS_OK, kvs_client_batch(client, &set, 1, 0, NULL));
    assert_int_equal(KVS_OK, kvs_client_look(client, text("e"), &info, NULL));
    assert_int_equal(5, info.value_size);
    assert_true(info.left_ms > 50000 && info.left_ms <= 100000);
    set.expires = KVS_CLIENT_EXPIRES_KEEP;
    set.value = text("other value");
    assert_int_equal(KVS_OK, kvs_client_batch(client, &set, 1, 0, NULL));
    assert_int_equal(KVS_OK, kvs_client_look(client, text("e"), &info, NULL));
    assert_int_equal(11, info.value_size);
    assert_true(info.left_ms > 50000);
    must_hold(client, "e", "other value");
    assert_int_equal(KVS_OK, kvs_client_expire(client, text("e"), KVS_CLIENT_EXPIRES_AT,
                                               INT64_C(4102444800000), NULL));
    assert_int_equal(KVS_OK, kvs_client_look(client, text("e"), &info, NULL));
    assert_int_equal(INT64_C(4102444800000), info.expires_at_ms);
    assert_int_equal(KVS_OK,
                     kvs_client_expire(client, text("e"), KVS_CLIENT_EXPIRES_NEVER, 0, NULL));
    assert_int_equal(KVS_OK, kvs_client_look(client, text("e"), &info, NULL));
    assert_int_equal(0, info.expires_at_ms);
    assert_int_equal(-1, info.left_ms);
    assert_int_equal(KVS_INVALID,
                     kvs_client_expire(client, text("e"), KVS_CLIENT_EXPIRES_IN, 0, NULL));
    assert_int_equal(KVS_OK, kvs_client_expire(client, text("e"), KVS_CLIENT_EXPIRES_IN, 20, NULL));
    struct gone gone = {client, "e"};
    wait_until(is_gone, &gone);
    assert_int_equal(KVS_NOT_FOUND, kvs_client_remove(client, text("e"), NULL));
    assert_int_equal(KVS_NOT_FOUND, kvs_client_look(client, text("e"), &info, NULL));
    assert_int_equal(KVS_NOT_FOUND,
                     kvs_client_expire(client, text("e"), KVS_CLIENT_EXPIRES_NEVER, 0, NULL));
}

/* A value that looks like one with an expiry behind it is a value like any other. */
static void test_deceptive_value(struct kvs_client *client)
{
    struct kvs_bytes got;
    static const uint8_t bytes[] = {'x',  0xE5, 0x9B, 'k', 'v', 's', 0xA7, 0x1F, 0xC3,
                                    0x01, 0,    0,    0,   0,   0,   0,    0};
    struct kvs_bytes value = bytes_of(bytes, sizeof(bytes));
    assert_int_equal(KVS_OK, kvs_client_set(client, text("d"), value, NULL));
    assert_int_equal(KVS_OK, kvs_client_get(client, text("d"), &got, NULL));
    assert_true(bytes_equal(value, got));
}

static int32_t take_key(void *arg, struct kvs_bytes key)
{
    unsigned *seen = arg;
    char digits[16] = "";
    assert_true(key.len > 2 && key.len < sizeof(digits));
    memcpy(digits, (const char *)key.ptr + 2, key.len - 2);
    seen[atoi(digits)]++;
    return 0;
}

static void test_many(struct kvs_client *client)
{
    static char names[KEYS][16];
    struct kvs_client_op ops[KEYS];
    struct kvs_client_lookup lookups[KEYS];
    unsigned seen[KEYS] = {0};
    uint64_t cursor = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "m:%u", i);
        ops[i] = op(KVS_CLIENT_SET, KVS_CLIENT_IF_ALWAYS, names[i], names[i]);
        lookups[i] = (struct kvs_client_lookup){.key = text(i % 3 != 0 ? names[i] : "none")};
    }
    assert_int_equal(KVS_OK, kvs_client_batch(client, ops, KEYS, 0, NULL));
    assert_int_equal(KVS_OK, kvs_client_mget(client, lookups, KEYS, NULL));
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(i % 3 != 0 ? KVS_OK : KVS_NOT_FOUND, lookups[i].status);
        assert_true(bytes_equal(text(i % 3 != 0 ? names[i] : ""), lookups[i].value));
    }
    do
        assert_int_equal(KVS_OK,
                         kvs_client_scan(client, &cursor, 20, text("m:*"), take_key, seen, NULL));
    while (cursor != 0);
    for (unsigned i = 0; i < KEYS; i++)
        assert_true(seen[i] > 0);
    /* One that never came from there ends the walk, if it is not refused. */
    cursor = UINT64_MAX;
    kvs_status status = kvs_client_scan(client, &cursor, 20, text(""), take_key, seen, NULL);
    assert_true(status == KVS_INVALID || (status == KVS_OK && cursor == 0));
}

/* ---- counters ------------------------------------------------------------------------------- */

enum {
    THREADS = 4,
    ROUNDS = 25
};

static void *count_up(void *arg)
{
    struct kvs_client *client = client_of(arg);
    int64_t sum;
    void *fault = client == NULL ? arg : NULL;
    for (int i = 0; i < ROUNDS && fault == NULL; i++) {
        if (kvs_client_increment(client, text("n"), 2, &sum, NULL) != KVS_OK)
            fault = arg;
    }
    kvs_client_free(client);
    return fault;
}

static void test_counters(struct server_process *server, struct kvs_client *client)
{
    pthread_t threads[THREADS];
    int64_t sum = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, count_up, server));
    for (int i = 0; i < THREADS; i++) {
        void *fault;
        assert_int_equal(0, pthread_join(threads[i], &fault));
        assert_null(fault);
    }
    assert_int_equal(KVS_OK, kvs_client_increment(client, text("n"), -1, &sum, NULL));
    assert_int_equal(2 * THREADS * ROUNDS - 1, sum);
    assert_int_equal(KVS_INVALID, kvs_client_increment(client, text("n"), INT64_MAX, &sum, NULL));
    assert_int_equal(KVS_OK, kvs_client_set(client, text("word"), text("x"), NULL));
    assert_int_equal(KVS_INVALID, kvs_client_increment(client, text("word"), 1, &sum, NULL));
}

static void the_library_has_it_all(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    struct kvs_client *client = client_of(&server);
    assert_non_null(client);
    test_batches(client);
    test_expiry(client);
    test_deceptive_value(client);
    test_many(client);
    test_counters(&server, client);
    kvs_client_free(client);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- the program ---------------------------------------------------------------------------- */

static void the_program_has_it_all(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    expect_client(&server, WORDS("set", "--if-absent", "k", "1"), 0, "", "");
    expect_client(&server, WORDS("set", "--if-absent", "k", "2"), 1, "",
                  "kvs-client: condition failed\n");
    expect_client(&server, WORDS("set", "--if-present", "none", "2"), 1, "",
                  "kvs-client: condition failed\n");
    expect_client(&server, WORDS("set", "--if-equal", "1", "k", "2", "--expire", "1000s"), 0, "",
                  "");
    expect_client(&server, WORDS("get", "k"), 0, "2\n", "");
    expect_client(&server, WORDS("set", "--keep-ttl", "k", "3"), 0, "", "");
    expect_client(&server, WORDS("expire", "k", "never"), 0, "", "");
    expect_client(&server, WORDS("ttl", "k"), 0, "never\n", "");
    expect_client(&server, WORDS("expire", "none", "10s"), 1, "", "Key not found\n");
    expect_client(
        &server, WORDS("expire", "k", "tomorrow"), 1, "",
        "kvs-client: 'tomorrow' is no time to expire: use 500ms, 10s, 5m, 2h, or never\n");
    expect_client(&server, WORDS("ttl", "none"), 1, "", "Key not found\n");
    expect_client(&server, WORDS("incr", "n"), 0, "1\n", "");
    expect_client(&server, WORDS("incr", "n", "41"), 0, "42\n", "");
    expect_client(&server, WORDS("incr", "n", "--", "-2"), 0, "40\n", "");
    expect_client(&server, WORDS("mget", "n", "none", "k"), 0, "40\nKey not found\n3\n", "");
    expect_client(&server, WORDS("scan", "[k]"), 0, "k\n", "");
    expect_client(&server, WORDS("rm", "k"), 0, "", "");
    expect_client(&server, WORDS("scan"), 0, "n\n", "");
    expect_client(&server, WORDS("set", "--expire", "1ms", "soon", "x"), 0, "", "");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* What expires does so also when the server was down meanwhile. */
static void expiry_outlives_a_restart(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    expect_client(&server, WORDS("set", "--expire", "1ms", "soon", "x"), 0, "", "");
    expect_client(&server, WORDS("set", "--expire", "1000s", "late", "x"), 0, "", "");
    server_process_stop(&server);
    pair_start(&server, pair, data_dir, NULL);
    expect_client(&server, WORDS("get", "soon"), 0, "Key not found\n", "");
    expect_client(&server, WORDS("get", "late"), 0, "x\n", "");
    struct program_result left = run_client(&server, WORDS("ttl", "late"), bytes_of(NULL, 0));
    double seconds = strtod(left.out, NULL);
    assert_true(seconds > 500 && seconds <= 1000);
    program_result_deinit(&left);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(the_library_has_it_all, MATRIX_PAIRS),
        MATRIX_TEST(the_program_has_it_all, MATRIX_ENGINES),
        MATRIX_TEST(expiry_outlives_a_restart, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
