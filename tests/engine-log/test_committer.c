/*
 * Commit rounds on a disk that waits, fails or is full: nothing is visible before it is durable, one
 * failed sync makes the store read-only, a full disk does not.
 */
#include "disk_watched.h"
#include "store_support.h"

#include <stdlib.h>

#define SMALL  STORE_VALUE_LEAST
#define OTHERS 12u

struct fixture {
    char *dir;
    struct watched *watched;
    struct test_store store;
};

static bool has_spare(void *arg)
{
    return test_store_stat(arg, "segments") == 2;
}

static void begin(struct fixture *fixture, uint32_t durability)
{
    struct test_error error;
    fixture->dir = temp_dir_new();
    fixture->watched = watched_new(fixture->dir);
    assert_status(KVS_OK,
                  test_store_open(&fixture->store, NULL, watched_disk(fixture->watched), durability,
                                  KVS_OPEN_CREATE, &error),
                  &error);
    /* What the tests do to the disk is not for the keeper, which is still making the spare. */
    wait_until(has_spare, &fixture->store);
}

static void end(struct fixture *fixture)
{
    watched_free(fixture->watched);
    temp_dir_free(fixture->dir);
}

struct writer {
    struct test_store *store;
    uint64_t key;
    uint64_t version;
    kvs_status status;
    pthread_t thread;
};

static void *write_main(void *arg)
{
    struct writer *writer = arg;
    writer->status = put(writer->store, writer->key, writer->version, SMALL);
    return NULL;
}

static void start(struct writer *writer)
{
    assert_int_equal(0, pthread_create(&writer->thread, NULL, write_main, writer));
}

static bool is_held(void *arg)
{
    return watched_held(arg) > 0;
}

static bool both_pending(void *arg)
{
    return test_store_stat(arg, "pending_records") == 2;
}

/* One write is in the round whose sync waits, the other one waits for the next round. */
static void hold_two(struct fixture *fixture, struct writer writers[2])
{
    watched_hold_syncs(fixture->watched, ".seg");
    for (uint64_t i = 0; i < 2; i++)
        writers[i] = (struct writer){.store = &fixture->store, .key = 1 + i, .version = 2};
    start(&writers[0]);
    wait_until(is_held, fixture->watched);
    start(&writers[1]);
    wait_until(both_pending, &fixture->store);
}

static void test_invisible_until_durable(void **state)
{
    (void)state;
    struct fixture fixture;
    struct writer writers[2];
    begin(&fixture, KVS_DURABILITY_ALWAYS);
    for (uint64_t key = 1; key <= 2; key++)
        assert_int_equal(KVS_OK, put(&fixture.store, key, 1, SMALL));
    hold_two(&fixture, writers);
    assert_int_equal(1, version_of(&fixture.store, 1));
    assert_int_equal(1, version_of(&fixture.store, 2));
    watched_release_syncs(fixture.watched, KVS_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(0, pthread_join(writers[i].thread, NULL));
        assert_int_equal(KVS_OK, writers[i].status);
        assert_int_equal(2, version_of(&fixture.store, 1 + i));
    }
    must_close_store(&fixture.store);
    end(&fixture);
}

static void test_failed_sync(void **state)
{
    (void)state;
    struct fixture fixture;
    struct writer writers[2];
    struct test_store again;
    begin(&fixture, KVS_DURABILITY_ALWAYS);
    for (uint64_t key = 1; key <= 2; key++)
        assert_int_equal(KVS_OK, put(&fixture.store, key, 1, SMALL));
    hold_two(&fixture, writers);
    unsigned asked = watched_syncs(fixture.watched);
    watched_release_syncs(fixture.watched, KVS_IO);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(0, pthread_join(writers[i].thread, NULL));
    assert_int_equal(KVS_IO, writers[0].status);
    assert_true(writers[1].status == KVS_IO || writers[1].status == KVS_READ_ONLY);
    assert_int_equal(KVS_READ_ONLY, put(&fixture.store, 3, 1, SMALL));
    assert_int_equal(KVS_READ_ONLY, del(&fixture.store, 1));
    for (uint64_t key = 1; key <= 2; key++)
        assert_int_equal(1, version_of(&fixture.store, key));
    assert_int_equal(1, test_store_stat(&fixture.store, "read_only"));
    assert_true(test_store_logged(&fixture.store, "read-only from now on"));
    assert_int_not_equal(KVS_OK, test_store_close(&fixture.store));
    assert_int_equal(asked, watched_syncs(fixture.watched)); /* no second try */
    watched_release_syncs(fixture.watched, KVS_OK);
    must_open_store(&again, fixture.dir, KVS_DURABILITY_ALWAYS);
    for (uint64_t key = 1; key <= 2; key++) {
        uint64_t version = version_of(&again, key);
        assert_true(version == 1 || version == 2);
    }
    assert_int_equal(0, version_of(&again, 3));
    must_close_store(&again);
    end(&fixture);
}

static bool others_pending(void *arg)
{
    return test_store_stat(arg, "pending_records") == 1 + OTHERS;
}

/* However many wait, and whether or not somebody waits who could lead: they take one more sync. */
static void test_one_sync_for_all(void **state)
{
    (void)state;
    struct fixture fixture;
    struct writer first;
    struct writer others[OTHERS];
    begin(&fixture, KVS_DURABILITY_ALWAYS);
    for (unsigned repeat = 1; repeat <= 20; repeat++) {
        watched_hold_syncs(fixture.watched, ".seg");
        first = (struct writer){.store = &fixture.store, .key = 1000, .version = repeat};
        start(&first);
        wait_until(is_held, fixture.watched);
        for (uint64_t i = 0; i < OTHERS; i++) {
            others[i] = (struct writer){.store = &fixture.store, .key = i, .version = repeat};
            start(&others[i]);
        }
        wait_until(others_pending, &fixture.store);
        unsigned before = watched_syncs(fixture.watched);
        watched_release_syncs(fixture.watched, KVS_OK);
        assert_int_equal(0, pthread_join(first.thread, NULL));
        assert_int_equal(KVS_OK, first.status);
        for (uint64_t i = 0; i < OTHERS; i++) {
            assert_int_equal(0, pthread_join(others[i].thread, NULL));
            assert_int_equal(KVS_OK, others[i].status);
            assert_int_equal(repeat, version_of(&fixture.store, i));
        }
        assert_int_equal(before + 1, watched_syncs(fixture.watched));
    }
    must_close_store(&fixture.store);
    end(&fixture);
}

/* A batch of one operation, and how it ended. */
struct decision {
    uint8_t key[STORE_KEY_BYTES];
    uint8_t expected[SMALL];
    struct kvs_op op;
    struct kvs_batch batch;
    _Atomic kvs_status status; /* KVS_PENDING until it is told */
};

static void decision_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    (void)batch;
    atomic_store(&((struct decision *)arg)->status, status);
}

static bool is_told(void *arg)
{
    return atomic_load(&((struct decision *)arg)->status) != KVS_PENDING;
}

/* Submits: only if key is at the version (0: absent). */
static void decide_on(struct fixture *fixture, struct decision *decision, uint32_t kind,
                      uint64_t key, uint64_t version, uint32_t flags)
{
    key_of(key, decision->key);
    value_make(key, version, decision->expected, SMALL);
    decision->op = (struct kvs_op){.kind = kind,
                                   .condition = version == 0 ? KVS_IF_ABSENT : KVS_IF_EQUAL,
                                   .key = {decision->key, STORE_KEY_BYTES},
                                   .expected = {decision->expected, SMALL}};
    decision->batch = (struct kvs_batch){.size = sizeof(decision->batch),
                                         .flags = flags,
                                         .ops = &decision->op,
                                         .op_count = 1,
                                         .complete = decision_complete,
                                         .arg = decision};
    atomic_store(&decision->status, KVS_PENDING);
    kvs_status status = engine_log_ops.submit(fixture->store.db, NULL, &decision->batch);
    if (status != KVS_PENDING)
        atomic_store(&decision->status, status);
}

/* Whichever way a condition was decided: if by a write that is not durable yet, it is not told
   before (appender.c, I3). Only then can somebody who tries again read what made it fail. */
static void test_decision_waits_for_disk(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        uint64_t key;
        uint64_t version; /* that it must have; 2 is the one under way */
        uint32_t flags;
        kvs_status status;
    } cases[] = {
        {KVS_OP_REMOVE, 1, 1, 0, KVS_CONDITION_FAILED},
        {KVS_OP_REMOVE, 1, 1, KVS_BATCH_ALL_OR_NONE, KVS_CONDITION_FAILED},
        {KVS_OP_SET, 2, 0, KVS_BATCH_ALL_OR_NONE, KVS_CONDITION_FAILED},
        {KVS_OP_CHECK, 1, 1, KVS_BATCH_ALL_OR_NONE, KVS_CONDITION_FAILED},
        {KVS_OP_CHECK, 2, 2, KVS_BATCH_ALL_OR_NONE, KVS_OK},
    };
    enum {
        CASES = sizeof(cases) / sizeof(cases[0])
    };
    struct fixture fixture;
    struct writer writers[2];
    struct decision decisions[CASES];
    struct decision durable;
    begin(&fixture, KVS_DURABILITY_ALWAYS);
    for (uint64_t key = 1; key <= 3; key++)
        assert_int_equal(KVS_OK, put(&fixture.store, key, 1, SMALL));
    hold_two(&fixture, writers);
    for (unsigned i = 0; i < CASES; i++) {
        decide_on(&fixture, &decisions[i], cases[i].kind, cases[i].key, cases[i].version,
                  cases[i].flags);
        assert_false(is_told(&decisions[i]));
    }
    /* One about a key that nobody writes has nothing to wait for. */
    decide_on(&fixture, &durable, KVS_OP_CHECK, 3, 2, KVS_BATCH_ALL_OR_NONE);
    assert_int_equal(KVS_CONDITION_FAILED, durable.status);
    for (unsigned i = 0; i < CASES; i++)
        assert_false(is_told(&decisions[i]));
    watched_release_syncs(fixture.watched, KVS_OK);
    for (unsigned i = 0; i < CASES; i++) {
        wait_until(is_told, &decisions[i]);
        assert_int_equal(cases[i].flags != 0 ? cases[i].status : KVS_OK, decisions[i].status);
        assert_int_equal(cases[i].status, decisions[i].op.status);
        assert_int_equal(2, version_of(&fixture.store, cases[i].key));
    }
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(0, pthread_join(writers[i].thread, NULL));
    must_close_store(&fixture.store);
    end(&fixture);
}

static bool can_set(void *arg)
{
    return put(arg, 1000, 1, 20000) == KVS_OK;
}

static void test_full_disk(void **state)
{
    (void)state;
    struct fixture fixture;
    kvs_status status = KVS_OK;
    uint64_t count = 0;
    begin(&fixture, KVS_DURABILITY_NONE);
    watched_reserve_gives(fixture.watched, KVS_NO_SPACE);
    while (count < 1000 && (status = put(&fixture.store, count, 1, 20000)) == KVS_OK)
        count++;
    assert_int_equal(KVS_NO_SPACE, status);
    assert_int_equal(0, test_store_stat(&fixture.store, "read_only"));
    for (uint64_t key = 0; key < count; key++)
        assert_int_equal(1, version_of(&fixture.store, key));
    for (uint64_t key = 0; key < count; key += 2)
        assert_int_equal(KVS_OK, del(&fixture.store, key));
    watched_reserve_gives(fixture.watched, KVS_OK);
    wait_until(can_set, &fixture.store);
    for (uint64_t key = 0; key < count; key++)
        assert_int_equal(key % 2, version_of(&fixture.store, key));
    must_close_store(&fixture.store);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invisible_until_durable),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_one_sync_for_all),
        cmocka_unit_test(test_decision_waits_for_disk),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
