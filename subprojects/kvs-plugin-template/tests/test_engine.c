/* The memory engine against the contract in kvs/engine.h. */
#include "host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS  5000

struct fixture {
    const struct kvs_engine_ops *ops;
    struct test_host host;
    struct kvs_db *db;
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error;
};

static kvs_status fixture_open(struct fixture *fixture, uint32_t flags)
{
    struct kvs_engine_config config = {
        .size = sizeof(config),
        .flags = flags,
        .durability = KVS_DURABILITY_NONE,
        .data_dir = "/nonexistent", /* it stores nothing there */
        .host = &fixture->host.services,
    };
    return fixture->ops->open(&config, &fixture->db, &fixture->error);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const struct kvs_plugin *plugin = load_plugin("kvs-engine-memory.so");
    assert_int_equal(plugin->kind, KVS_PLUGIN_ENGINE);
    assert_string_equal(plugin->name, "memory");
    fixture->ops = plugin->ops;
    fixture->error = (struct kvs_error)KVS_ERROR_INIT(fixture->message);
    test_host_init(&fixture->host);
    assert_int_equal(fixture_open(fixture, KVS_OPEN_CREATE), KVS_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->ops->close(fixture->db, &fixture->error), KVS_OK);
    free(fixture);
    return 0;
}

static struct kvs_bytes bytes(const char *text)
{
    return (struct kvs_bytes){text, strlen(text)};
}

static kvs_status set(struct fixture *fixture, const char *key, const char *value)
{
    return fixture->ops->set(fixture->db, NULL, bytes(key), bytes(value), &fixture->error);
}

static kvs_status del(struct fixture *fixture, const char *key)
{
    return fixture->ops->remove(fixture->db, NULL, bytes(key), &fixture->error);
}

struct seen {
    char value[256];
    uint64_t size;
    int32_t answer; /* what the visitor returns */
    unsigned calls;
};

static int32_t see(void *arg, struct kvs_bytes value)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->size = value.len;
    assert_true(value.len < sizeof(seen->value));
    if (value.len > 0)
        memcpy(seen->value, value.ptr, value.len);
    seen->value[value.len] = '\0';
    return seen->answer;
}

static kvs_status get(struct fixture *fixture, struct kvs_bytes key, struct seen *seen)
{
    return fixture->ops->get(fixture->db, NULL, key, see, seen, &fixture->error);
}

static void values_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.calls = 0};
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_NOT_FOUND);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(set(fixture, "a", "one"), KVS_OK);
    assert_int_equal(set(fixture, "b", "two"), KVS_OK);
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_OK);
    assert_string_equal(seen.value, "one");
    assert_int_equal(set(fixture, "a", "three"), KVS_OK);
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_OK);
    assert_string_equal(seen.value, "three");
    assert_int_equal(get(fixture, bytes("b"), &seen), KVS_OK);
    assert_string_equal(seen.value, "two");
    assert_int_equal(fixture->host.metric, 2);
    assert_int_equal(del(fixture, "a"), KVS_OK);
    assert_int_equal(del(fixture, "a"), KVS_NOT_FOUND);
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_NOT_FOUND);
    assert_int_equal(seen.calls, 3);
    assert_int_equal(fixture->host.metric, 1);
}

static void keys_and_values_are_any_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.calls = 0};
    static const char key[] = {'k', '\0', '\xff', '\n'};
    struct kvs_bytes whole = {key, 4}, shorter = {key, 2}, empty = {NULL, 0};
    assert_int_equal(fixture->ops->set(fixture->db, NULL, whole, empty, NULL), KVS_OK);
    assert_int_equal(get(fixture, shorter, &seen), KVS_NOT_FOUND);
    assert_int_equal(get(fixture, whole, &seen), KVS_OK);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.size, 0);
    assert_int_equal(fixture->ops->set(fixture->db, NULL, whole, whole, NULL), KVS_OK);
    assert_int_equal(get(fixture, whole, &seen), KVS_OK);
    assert_memory_equal(seen.value, key, 4);
}

/* What was handed in may change or go as soon as the call returns. */
static void keys_and_values_are_copied(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.calls = 0};
    char key[] = "key", value[] = "value";
    assert_int_equal(set(fixture, key, value), KVS_OK);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_int_equal(get(fixture, bytes("key"), &seen), KVS_OK);
    assert_string_equal(seen.value, "value");
}

static void visitor_can_stop(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.answer = 1};
    assert_int_equal(set(fixture, "a", "one"), KVS_OK);
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_STOPPED);
    assert_int_equal(set(fixture, "a", "two"), KVS_OK); /* the lock was given back */
}

static void flags_of_open_are_respected(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_db *first = fixture->db;
    assert_int_equal(fixture_open(fixture, 0), KVS_MISSING);
    assert_ptr_equal(fixture->db, first);
    assert_non_null(strstr(fixture->message, "KVS_OPEN_CREATE"));
    assert_int_equal(fixture_open(fixture, KVS_OPEN_CREATE | KVS_OPEN_READ_ONLY), KVS_OK);
    assert_int_equal(set(fixture, "a", "one"), KVS_READ_ONLY);
    assert_int_equal(del(fixture, "a"), KVS_READ_ONLY);
    assert_int_equal(fixture->ops->close(fixture->db, NULL), KVS_OK);
    assert_int_equal(fixture->ops->close(NULL, NULL), KVS_OK);
    fixture->db = first;
}

/* Two stores in one process share nothing. */
static void stores_are_apart(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_db *first = fixture->db;
    struct seen seen = {.calls = 0};
    assert_int_equal(set(fixture, "a", "one"), KVS_OK);
    assert_int_equal(fixture_open(fixture, KVS_OPEN_CREATE), KVS_OK);
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_NOT_FOUND);
    assert_int_equal(fixture->ops->close(fixture->db, NULL), KVS_OK);
    fixture->db = first;
    assert_int_equal(get(fixture, bytes("a"), &seen), KVS_OK);
}

static void memory_max_is_kept(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"memory-max"};
    struct kvs_option_value values[] = {
        {.size = sizeof(values[0]), .type = KVS_OPTION_BYTES, .u64 = 400}};
    struct kvs_db *first = fixture->db;
    struct seen seen = {.calls = 0};
    fixture->host.names = names;
    fixture->host.values = values;
    fixture->host.value_count = 1;
    assert_int_equal(fixture_open(fixture, KVS_OPEN_CREATE), KVS_OK);
    unsigned held = 0;
    char key[16];
    for (kvs_status status = KVS_OK; status == KVS_OK; held++) {
        (void)snprintf(key, sizeof(key), "%u", held);
        status = set(fixture, key, "value");
        if (status != KVS_OK)
            assert_int_equal(status, KVS_NO_SPACE);
        assert_true(held < 100);
    }
    assert_true(held > 2);
    assert_non_null(strstr(fixture->message, "memory-max"));
    assert_int_equal(get(fixture, bytes(key), &seen), KVS_NOT_FOUND);
    assert_int_equal(set(fixture, "0", "VALUE"), KVS_OK); /* takes the place of the old one */
    assert_int_equal(del(fixture, "0"), KVS_OK);
    assert_int_equal(set(fixture, key, "value"), KVS_OK); /* there is room again */
    assert_int_equal(fixture->ops->close(fixture->db, NULL), KVS_OK);
    fixture->db = first;
}

static void limits_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.calls = 0};
    uint64_t value_max = fixture->ops->value_max, key_max = fixture->ops->key_max;
    char *memory = calloc(1, value_max + 1);
    assert_non_null(memory);
    struct kvs_bytes key = {memory, key_max}, value = {memory, value_max};
    assert_int_equal(fixture->ops->set(fixture->db, NULL, key, bytes("v"), NULL), KVS_OK);
    assert_int_equal(get(fixture, key, &seen), KVS_OK);
    assert_int_equal(fixture->ops->set(fixture->db, NULL, bytes("k"), value, NULL), KVS_OK);
    key.len++;
    value.len++;
    kvs_status status = fixture->ops->set(fixture->db, NULL, key, bytes("v"), &fixture->error);
    assert_int_equal(status, KVS_TOO_LARGE);
    status = fixture->ops->set(fixture->db, NULL, bytes("k"), value, &fixture->error);
    assert_int_equal(status, KVS_TOO_LARGE);
    assert_int_equal(fixture->error.status, KVS_TOO_LARGE);
    assert_int_equal(fixture->ops->remove(fixture->db, NULL, key, NULL), KVS_TOO_LARGE);
    assert_int_equal(fixture->host.metric, 2);
    free(memory);
}

/* A value holds its key's number many times: a torn one would show. */
static int32_t see_whole(void *arg, struct kvs_bytes value)
{
    (void)arg;
    const char *at = value.ptr;
    for (uint64_t i = 1; i < value.len; i++) {
        if (at[i] != at[0])
            abort();
    }
    return 0;
}

static void *work(void *arg)
{
    struct fixture *fixture = arg;
    char value[64];
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[2] = {(char)('a' + i % 8), '\0'};
        memset(value, 'A' + (int)(i % 26), sizeof(value));
        struct kvs_bytes view = {value, 1 + i % sizeof(value)};
        kvs_status status = fixture->ops->set(fixture->db, NULL, bytes(key), view, NULL);
        assert_int_equal(status, KVS_OK);
        key[0] = (char)('a' + i % 5);
        status = fixture->ops->get(fixture->db, NULL, bytes(key), see_whole, NULL, NULL);
        assert_true(status == KVS_OK || status == KVS_NOT_FOUND);
        if (i % 3 == 0) {
            status = fixture->ops->remove(fixture->db, NULL, bytes(key), NULL);
            assert_true(status == KVS_OK || status == KVS_NOT_FOUND);
        }
    }
    return NULL;
}

static void many_threads_share_a_store(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, fixture), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    int64_t left = 0;
    for (char c = 'a'; c <= 'h'; c++) {
        char key[2] = {c, '\0'};
        left += del(fixture, key) == KVS_OK ? 1 : 0;
    }
    assert_true(left > 0);
    assert_int_equal(fixture->host.metric, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_values_are_any_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_values_are_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(visitor_can_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(flags_of_open_are_respected, setup, teardown),
        cmocka_unit_test_setup_teardown(stores_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_max_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads_share_a_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
