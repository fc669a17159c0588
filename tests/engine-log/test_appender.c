/*
 * The order in which batches of one thread take effect, at the moment when it is easiest to get wrong: a
 * batch is queued because somebody held the append lock, who has let go of it and not looked at the queue
 * yet. A test is that somebody: it holds the lock itself, and never looks.
 */
#include <stdlib.h>

#include "store_support.h"

#define KEY         7u
#define VALUE_BYTES 100u

struct fixture {
    char *dir;
    struct test_store store;
};

/* A batch of one operation on KEY. */
struct sent {
    uint8_t key[STORE_KEY_BYTES];
    uint8_t value[VALUE_BYTES];
    struct kvs_op op;
    struct kvs_batch batch;
    kvs_status status; /* completed by the caller's thread: nobody else looks at the queue */
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->dir = temp_dir_new();
    must_open_store(&fixture->store, fixture->dir, KVS_DURABILITY_NONE);
    wait_until(test_store_keeper_is_idle, &fixture->store);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    must_close_store(&fixture->store);
    temp_dir_free(fixture->dir);
    free(fixture);
    return 0;
}

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct sent *sent = arg;
    (void)batch;
    sent->status = status;
}

static void make(struct sent *sent, uint32_t kind, uint32_t condition, uint64_t version)
{
    key_of(KEY, sent->key);
    value_make(KEY, version, sent->value, VALUE_BYTES);
    sent->status = KVS_PENDING;
    sent->op = (struct kvs_op){.kind = kind,
                               .condition = condition,
                               .key = {sent->key, STORE_KEY_BYTES},
                               .value = {sent->value, kind == KVS_OP_SET ? VALUE_BYTES : 0}};
    sent->batch = (struct kvs_batch){.size = sizeof(sent->batch),
                                     .ops = &sent->op,
                                     .op_count = 1,
                                     .complete = on_complete,
                                     .arg = sent};
}

static void submit(struct fixture *fixture, struct sent *sent)
{
    kvs_status status = engine_log_ops.submit(fixture->store.db, NULL, &sent->batch);
    if (status != KVS_PENDING)
        sent->status = status;
}

/* A set of KEY, left in the queue. */
static void leave_queued(struct fixture *fixture, struct sent *sent, uint64_t version)
{
    struct kvs_db *db = fixture->store.db;
    make(sent, KVS_OP_SET, KVS_IF_ALWAYS, version);
    assert_int_equal(0, pthread_mutex_lock(&db->append_lock));
    submit(fixture, sent);
    assert_int_equal(KVS_PENDING, sent->status);
    assert_int_equal(0, pthread_mutex_unlock(&db->append_lock));
}

static void test_batch_after_queued(void **state)
{
    struct fixture *fixture = *state;
    struct sent first;
    struct sent second;
    leave_queued(fixture, &first, 1);
    make(&second, KVS_OP_SET, KVS_IF_ALWAYS, 2);
    submit(fixture, &second);
    assert_int_equal(KVS_OK, first.status);
    assert_int_equal(KVS_OK, second.status);
    assert_int_equal(2, version_of(&fixture->store, KEY));
}

static void test_condition_after_queued(void **state)
{
    struct fixture *fixture = *state;
    struct sent first;
    struct sent second;
    leave_queued(fixture, &first, 1);
    make(&second, KVS_OP_REMOVE, KVS_IF_PRESENT, 0);
    submit(fixture, &second);
    assert_int_equal(KVS_OK, second.status);
    assert_int_equal(KVS_OK, second.op.status);
    assert_int_equal(0, version_of(&fixture->store, KEY));
}

/* Calls that wait for their end. */
static void test_call_after_queued(void **state)
{
    struct fixture *fixture = *state;
    struct sent first;
    leave_queued(fixture, &first, 1);
    assert_int_equal(KVS_OK, put(&fixture->store, KEY, 2, VALUE_BYTES));
    assert_int_equal(KVS_OK, first.status);
    assert_int_equal(2, version_of(&fixture->store, KEY));
    leave_queued(fixture, &first, 3);
    assert_int_equal(KVS_OK, del(&fixture->store, KEY));
    assert_int_equal(0, version_of(&fixture->store, KEY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batch_after_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(test_condition_after_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_after_queued, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
