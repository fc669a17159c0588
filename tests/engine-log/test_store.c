/* Keys whose records are damaged while the store runs: what is damaged is said, and can be overwritten and
   removed like anything else. */
#include "store_support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES 20000u
#define KEYS        100u /* fill two segments */
#define FIRST       "00000000.seg"
#define FRAME_BYTES                                                                                \
    (FRAME_HEADER_BYTES + ((RECORD_HEADER_BYTES + STORE_KEY_BYTES + VALUE_BYTES + 7u) & ~7u))

/* Where in the file something of a key's record is: at `within` of it. */
static off_t offset_of(uint64_t key, unsigned within)
{
    return (off_t)(SEGMENT_HEADER_BYTES + key * FRAME_BYTES + FRAME_HEADER_BYTES + within);
}

static void flip(const char *dir, off_t offset)
{
    uint8_t byte;
    char *path = path_join(dir, FIRST);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(1, pread(fd, &byte, 1, offset));
    byte ^= 4;
    assert_int_equal(1, pwrite(fd, &byte, 1, offset));
    (void)close(fd);
    free(path);
}

static bool is_sealed(void *arg)
{
    return segment_at(&((struct test_store *)arg)->db->table, 0)->sealed != 0;
}

static char *begin(struct test_store *store)
{
    char *dir = temp_dir_new();
    must_open_store(store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(store, key, 1, VALUE_BYTES));
    wait_until(is_sealed, store);
    return dir;
}

static kvs_status look_at(struct test_store *store, uint64_t key)
{
    uint64_t version = 0;
    return look(store, key, &version);
}

/* In the sizes, in the key, and in the value. */
static const unsigned places[] = {8, RECORD_HEADER_BYTES + 1, RECORD_HEADER_BYTES + 5000};

static void test_overwriting(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = begin(&store);
    for (uint64_t key = 0; key < 3; key++) {
        flip(dir, offset_of(key, places[key]));
        assert_int_equal(KVS_CORRUPT, look_at(&store, key));
        uint64_t live = test_store_stat(&store, "live_bytes");
        assert_int_equal(KVS_OK, put(&store, key, 2, VALUE_BYTES));
        assert_int_equal(2, version_of(&store, key));
        assert_int_equal(KEYS, test_store_stat(&store, "keys"));
        /* The damaged length of a value may count, within bounds. */
        if (key != 0)
            assert_int_equal(live, test_store_stat(&store, "live_bytes"));
        assert_int_equal(KVS_OK, del(&store, key));
        assert_int_equal(KVS_NOT_FOUND, look_at(&store, key));
        assert_int_equal(KVS_OK, put(&store, key, 3, VALUE_BYTES));
    }
    must_close_store(&store);
    temp_dir_free(dir);
}

static void test_removing(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = begin(&store);
    for (uint64_t key = 0; key < 3; key++) {
        flip(dir, offset_of(key, places[key]));
        assert_int_equal(KVS_OK, del(&store, key));
        assert_int_equal(KVS_NOT_FOUND, look_at(&store, key));
        assert_int_equal(KEYS - 1 - key, test_store_stat(&store, "keys"));
        assert_int_equal(KVS_NOT_FOUND, del(&store, key));
    }
    must_close_store(&store);
    /* It stays so. */
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < 3; key++)
        assert_int_equal(KVS_NOT_FOUND, look_at(&store, key));
    must_close_store(&store);
    temp_dir_free(dir);
}

/* A condition about the value cannot be decided; about the key being there it can. */
static void test_conditions(void **state)
{
    (void)state;
    struct test_store store;
    uint8_t name[STORE_KEY_BYTES];
    uint8_t value[VALUE_BYTES];
    char *dir = begin(&store);
    for (uint64_t key = 0; key < 3; key++) {
        flip(dir, offset_of(key, places[key]));
        key_of(key, name);
        value_make(key, 1, value, sizeof(value));
        struct kvs_op op = {.kind = KVS_OP_SET,
                            .condition = KVS_IF_EQUAL,
                            .key = {name, sizeof(name)},
                            .value = {"x", 1},
                            .expected = {value, sizeof(value)}};
        struct kvs_batch batch = {.size = sizeof(batch), .ops = &op, .op_count = 1};
        assert_int_equal(KVS_OK, engine_log_ops.submit(store.db, NULL, &batch));
        assert_int_equal(KVS_CORRUPT, op.status);
        op.condition = KVS_IF_ABSENT;
        assert_int_equal(KVS_OK, engine_log_ops.submit(store.db, NULL, &batch));
        assert_int_equal(KVS_CONDITION_FAILED, op.status);
        op.condition = KVS_IF_PRESENT;
        assert_int_equal(KVS_OK, engine_log_ops.submit(store.db, NULL, &batch));
        assert_int_equal(KVS_OK, op.status);
    }
    must_close_store(&store);
    temp_dir_free(dir);
}

/* The segment has no footer yet that could say whose the record was: it is not silently gone. */
static void test_unsealed(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < 10; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    assert_false(is_sealed(&store));
    for (uint64_t key = 0; key < 3; key++) {
        flip(dir, offset_of(key, places[key]));
        assert_int_equal(KVS_CORRUPT, look_at(&store, key));
    }
    for (uint64_t key = 3; key < 10; key++)
        assert_int_equal(1, version_of(&store, key));
    assert_int_equal(KVS_NOT_FOUND, look_at(&store, 1000));
    assert_int_equal(KVS_OK, put(&store, 1, 2, VALUE_BYTES));
    assert_int_equal(2, version_of(&store, 1));
    assert_int_equal(KVS_OK, del(&store, 0));
    assert_int_equal(KVS_NOT_FOUND, look_at(&store, 0));
    assert_int_equal(9, test_store_stat(&store, "keys"));
    (void)test_store_close(&store);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overwriting),
        cmocka_unit_test(test_removing),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_unsealed),
    };
    return cmocka_run_group_tests_name("engine-log/store", tests, NULL, NULL);
}
