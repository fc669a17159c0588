/* Commands and the store, on an engine that is a few functions of this file. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "command/command.h"
#include "protocol/native.h"

/* An engine that remembers one value, and notices when two writers meet. */
struct kvs_db {
    char value[64];
    uint64_t size;
    bool present;
    int writers;
    kvs_status open_status;
};
static struct kvs_db the_db;

static kvs_status fake_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                            struct kvs_error *err)
{
    (void)config;
    (void)err;
    *ret_db = &the_db;
    return the_db.open_status;
}

static kvs_status fake_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)db;
    (void)err;
    return KVS_OK;
}

static kvs_status fake_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    (void)tls;
    if (bytes_equal(key, bytes_of_text("broken")))
        return kvs_error_set(err, KVS_IO, 5, "the disk is on fire");
    if (bytes_equal(key, bytes_of_text("liar")))
        return KVS_OK;
    if (!db->present)
        return KVS_NOT_FOUND;
    if (bytes_equal(key, bytes_of_text("failing"))) {
        (void)visit(arg, bytes_of(db->value, db->size));
        return kvs_error_set(err, KVS_IO, 5, "it went while it was shown");
    }
    return visit(arg, bytes_of(db->value, db->size)) != 0 ? KVS_STOPPED : KVS_OK;
}

static kvs_status fake_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    (void)key;
    if (value.len > sizeof(db->value))
        return kvs_error_set(err, KVS_TOO_LARGE, 0, "at most 64 bytes");
    db->writers++;
    assert_int_equal(db->writers, 1);
    memcpy(db->value, value.ptr, value.len);
    db->size = value.len;
    db->present = true;
    db->writers--;
    return KVS_OK;
}

static kvs_status fake_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                              struct kvs_error *err)
{
    (void)tls;
    (void)key;
    (void)err;
    bool was = db->present;
    db->present = false;
    return was ? KVS_OK : KVS_NOT_FOUND;
}

static const struct kvs_engine_ops simple_engine = {
    .size = sizeof(simple_engine),
    .key_max = 511,
    .value_max = UINT64_C(1) << 40,
    .batch_bytes_max = 1,
    .batch_ops_max = 1,
    .open = fake_open,
    .close = fake_close,
    .get = fake_get,
    .set = fake_set,
    .remove = fake_remove,
};

static void open_store(struct store *store)
{
    static const struct request_limits limits = {.key_max = 65536, .value_max = 1 << 20};
    struct kvs_engine_config config = {.size = sizeof(config)};
    memset(&the_db, 0, sizeof(the_db));
    assert_int_equal(store_open(store, &simple_engine, &config, &limits, NULL), KVS_OK);
}

static void limits_are_the_lower_of_both(void **state)
{
    (void)state;
    struct store store;
    open_store(&store);
    assert_int_equal(store.limits.key_max, 511);
    assert_int_equal(store.limits.value_max, 1 << 20);
    assert_false(store_writes_complete_later(&store));
    assert_int_equal(store_close(&store, NULL), KVS_OK);
    assert_int_equal(store_close(&store, NULL), KVS_OK);
}

static void an_outcome_from_open_is_a_fault(void **state)
{
    (void)state;
    struct store store;
    struct test_error error;
    static const struct request_limits limits = {.key_max = 1, .value_max = 1};
    struct kvs_engine_config config = {.size = sizeof(config)};
    test_error_init(&error);
    memset(&the_db, 0, sizeof(the_db));
    the_db.open_status = KVS_PENDING;
    assert_status(KVS_INTERNAL, store_open(&store, &simple_engine, &config, &limits, &error.error),
                  &error);
}

/* Without submit each operation is done by itself, and a fault fails just that one. */
static void a_simple_engine_gets_its_batches_one_by_one(void **state)
{
    (void)state;
    struct store store;
    struct test_error error;
    static const char large[65];
    struct kvs_op ops[] = {
        {.kind = KVS_OP_REMOVE, .key = bytes_of_text("k")},
        {.kind = KVS_OP_SET, .key = bytes_of_text("k"), .value = bytes_of_text("v")},
        {.kind = KVS_OP_SET, .key = bytes_of_text("k"), .value = bytes_of(large, sizeof(large))},
        {.kind = KVS_OP_REMOVE, .key = bytes_of_text("k")},
    };
    test_error_init(&error);
    struct kvs_batch batch = {
        .size = sizeof(batch), .ops = ops, .op_count = 4, .err = &error.error};
    open_store(&store);
    assert_int_equal(store_submit(&store, NULL, &batch), KVS_OK);
    assert_int_equal(ops[0].status, KVS_NOT_FOUND);
    assert_int_equal(ops[1].status, KVS_OK);
    assert_int_equal(ops[2].status, KVS_TOO_LARGE);
    assert_int_equal(ops[3].status, KVS_OK);
    assert_string_equal(error.message, "at most 64 bytes");
    (void)store_close(&store, NULL);
}

static void no_stats(void *arg, kvs_stat_fn visit, void *visit_arg)
{
    (void)arg;
    visit(visit_arg, "answer", 42);
}

/* Runs a read and checks its one reply. */
static void expect(struct store *store, uint32_t id, const char *key, kvs_status status,
                   const char *body)
{
    struct buffer out = {0};
    struct command_context context = {
        .store = store, .engine_name = "fake", .visit_stats = no_stats};
    struct command_reply reply = {&native_codec, &out};
    struct request request = {.id = 7, .command = id, .key = bytes_of_text(key)};
    struct native_reply head;
    assert_int_equal(command_find(id)->read(&context, NULL, &request, &reply), KVS_OK);
    assert_int_equal(native_decode_reply(buffer_content(&out), &head, NULL), KVS_OK);
    assert_int_equal(head.id, 7);
    assert_int_equal(head.status, status);
    assert_int_equal(buffer_size(&out), NATIVE_HEADER_SIZE + head.body_size);
    buffer_consume(&out, NATIVE_HEADER_SIZE);
    assert_int_equal(buffer_append(&out, "", 1), KVS_OK);
    assert_string_equal((const char *)buffer_content(&out), body);
    buffer_deinit(&out);
}

static void reads_answer_with_what_the_engine_says(void **state)
{
    (void)state;
    struct store store;
    open_store(&store);
    expect(&store, REQUEST_GET, "k", KVS_NOT_FOUND, "");
    the_db.present = true;
    memcpy(the_db.value, "value", 5);
    the_db.size = 5;
    expect(&store, REQUEST_GET, "k", KVS_OK, "value");
    expect(&store, REQUEST_GET, "broken", KVS_IO, "the disk is on fire");
    expect(&store, REQUEST_GET, "failing", KVS_IO, "it went while it was shown");
    expect(&store, REQUEST_GET, "liar", KVS_INTERNAL,
           "the engine found the key but showed no value: a bug of the engine");
    (void)store_close(&store, NULL);
}

static void text_commands_name_what_there_is(void **state)
{
    (void)state;
    struct store store;
    open_store(&store);
    expect(&store, REQUEST_HELLO, "", KVS_OK,
           "server kvs " KVS_VERSION "\nprotocol 1\nengine fake\nkey_max 511\nvalue_max 1048576\n"
           "atomic_batches 0\n");
    expect(&store, REQUEST_STATS, "", KVS_OK,
           "server kvs " KVS_VERSION "\nengine fake\nanswer 42\n");
    (void)store_close(&store, NULL);
}

static void each_number_finds_its_command(void **state)
{
    (void)state;
    for (uint32_t id = REQUEST_PING; id <= REQUEST_LOOK; id++) {
        const struct command *command = command_find(id);
        assert_non_null(command);
        assert_int_equal(command->id, id);
        /* Each is a read, a write, or run; auth is neither, it changes the session. */
        assert_true((command->read != NULL) + (command->prepare != NULL || command->run != NULL) +
                        (id == REQUEST_AUTH) ==
                    1);
    }
    assert_null(command_find(0));
    assert_null(command_find(REQUEST_LOOK + 1));
    assert_null(command_find(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_lower_of_both),
        cmocka_unit_test(an_outcome_from_open_is_a_fault),
        cmocka_unit_test(a_simple_engine_gets_its_batches_one_by_one),
        cmocka_unit_test(reads_answer_with_what_the_engine_says),
        cmocka_unit_test(text_commands_name_what_there_is),
        cmocka_unit_test(each_number_finds_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
