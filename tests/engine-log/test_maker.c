/* Segments made for the appender, on a disk that takes its time: nobody else waits for them. */
#include "disk_watched.h"
#include "store_support.h"

#include <stdatomic.h>
#include <stdlib.h>

#define VALUE_BYTES 20000u
#define LARGE_BYTES (2 * STORE_TEST_SEGMENT)
#define WRITES_MAX  200u
#define IN_LINE     5u

struct fixture {
    char *dir;
    struct watched *watched;
    struct test_store store;
};

/* A batch of one set, submitted and not waited for. */
struct sent {
    uint8_t key[STORE_KEY_BYTES];
    uint8_t *value; /* owned */
    struct kvs_op op;
    struct kvs_batch batch;
    _Atomic kvs_status status;
    _Atomic uint32_t place; /* it was the so-many-th to be completed */
};

static _Atomic uint32_t completed;

static void begin(struct fixture *fixture)
{
    struct test_error error;
    fixture->dir = temp_dir_new();
    fixture->watched = watched_new(fixture->dir);
    assert_status(KVS_OK,
                  test_store_open(&fixture->store, NULL, watched_disk(fixture->watched),
                                  KVS_DURABILITY_NONE, KVS_OPEN_CREATE, &error),
                  &error);
    wait_until(test_store_keeper_is_idle, &fixture->store);
    atomic_store(&completed, 0);
}

static void end(struct fixture *fixture)
{
    must_close_store(&fixture->store);
    watched_free(fixture->watched);
    temp_dir_free(fixture->dir);
}

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct sent *sent = arg;
    (void)batch;
    atomic_store(&sent->place, atomic_fetch_add(&completed, 1) + 1);
    atomic_store(&sent->status, status);
}

static kvs_status submit(struct fixture *fixture, struct sent *sent, uint64_t key, uint64_t bytes)
{
    key_of(key, sent->key);
    sent->value = malloc(bytes);
    assert_non_null(sent->value);
    value_make(key, 1, sent->value, bytes);
    sent->op = (struct kvs_op){
        .kind = KVS_OP_SET, .key = {sent->key, STORE_KEY_BYTES}, .value = {sent->value, bytes}};
    sent->batch = (struct kvs_batch){.size = sizeof(sent->batch),
                                     .ops = &sent->op,
                                     .op_count = 1,
                                     .complete = on_complete,
                                     .arg = sent};
    atomic_store(&sent->status, KVS_PENDING);
    return engine_log_ops.submit(fixture->store.db, NULL, &sent->batch);
}

static bool is_held(void *watched)
{
    return watched_held(watched) > 0;
}

static bool is_over(void *arg)
{
    return atomic_load(&((struct sent *)arg)->status) != KVS_PENDING;
}

/* Writes are in line while the disk makes a segment: nobody waits for them but who sent them. */
static void expect_others_go_on(struct fixture *fixture, uint64_t key_in_line)
{
    struct kvs_db *db = fixture->store.db;
    uint64_t version;
    wait_until(is_held, fixture->watched);
    assert_int_equal(0, atomic_load(&completed));
    (void)pthread_mutex_lock(&db->append_lock); /* maker.c, I1: this would wait for ever */
    (void)pthread_mutex_unlock(&db->append_lock);
    assert_true(test_store_stat(&fixture->store, "keys") >= 1);
    assert_int_equal(1, version_of(&fixture->store, 0));
    assert_int_equal(KVS_NOT_FOUND, look(&fixture->store, key_in_line, &version));
}

/* The disk goes on: all is done, in the order in which it came. */
static void expect_order(struct fixture *fixture, struct sent *line, uint64_t first_key)
{
    watched_release_syncs(fixture->watched, KVS_OK);
    for (uint32_t i = 0; i < IN_LINE; i++) {
        wait_until(is_over, &line[i]);
        assert_int_equal(KVS_OK, atomic_load(&line[i].status));
        assert_int_equal(i + 1, atomic_load(&line[i].place));
        assert_int_equal(1, version_of(&fixture->store, first_key + i));
    }
}

/* A writer that fills segments faster than they are made. */
static void test_no_spare(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct sent sent[WRITES_MAX];
    uint32_t count = 0;
    kvs_status status = KVS_OK;
    begin(&fixture);
    watched_hold_syncs(fixture.watched, ".seg");
    while (status == KVS_OK && count < WRITES_MAX - IN_LINE) {
        status = submit(&fixture, &sent[count], count, VALUE_BYTES);
        count++;
    }
    assert_int_equal(KVS_PENDING, status);
    assert_in_range(count, 2 * (STORE_TEST_SEGMENT / VALUE_BYTES) - 4, WRITES_MAX);
    uint32_t first = count - 1;
    for (; count < first + IN_LINE; count++)
        assert_int_equal(KVS_PENDING, submit(&fixture, &sent[count], count, VALUE_BYTES));
    expect_others_go_on(&fixture, first);
    expect_order(&fixture, sent + first, first);
    for (uint32_t key = 0; key < count; key++) {
        assert_int_equal(1, version_of(&fixture.store, key));
        free(sent[key].value);
    }
    end(&fixture);
}

/* A value that needs a segment of its own, and what comes after it. */
static void test_large_value(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct sent sent[IN_LINE];
    begin(&fixture);
    assert_int_equal(KVS_OK, put(&fixture.store, 0, 1, VALUE_BYTES));
    watched_hold_syncs(fixture.watched, ".seg");
    for (uint32_t i = 0; i < IN_LINE; i++)
        assert_int_equal(KVS_PENDING,
                         submit(&fixture, &sent[i], 1 + i, i == 0 ? LARGE_BYTES : 100));
    expect_others_go_on(&fixture, 1);
    expect_order(&fixture, sent, 1);
    for (uint32_t i = 0; i < IN_LINE; i++)
        free(sent[i].value);
    end(&fixture);
}

static void *put_large(void *arg)
{
    return put(arg, 1, 1, LARGE_BYTES) == KVS_OK ? arg : NULL;
}

/* A caller that waits for its write; and the disk fails: it is told. */
static void test_caller_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    pthread_t thread;
    void *done;
    begin(&fixture);
    assert_int_equal(KVS_OK, put(&fixture.store, 0, 1, VALUE_BYTES));
    for (unsigned round = 0; round < 2; round++) {
        watched_hold_syncs(fixture.watched, ".seg");
        assert_int_equal(0, pthread_create(&thread, NULL, put_large, &fixture.store));
        wait_until(is_held, fixture.watched);
        watched_release_syncs(fixture.watched, round == 0 ? KVS_OK : KVS_IO);
        assert_int_equal(0, pthread_join(thread, &done));
        assert_ptr_equal(round == 0 ? &fixture.store : NULL, done);
    }
    assert_true(test_store_logged(&fixture.store, "read-only from now on"));
    assert_int_equal(1, version_of(&fixture.store, 1));
    (void)test_store_close(&fixture.store);
    watched_free(fixture.watched);
    temp_dir_free(fixture.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_spare),
        cmocka_unit_test(test_large_value),
        cmocka_unit_test(test_caller_waits),
    };
    return cmocka_run_group_tests_name("engine-log/maker", tests, NULL, NULL);
}
