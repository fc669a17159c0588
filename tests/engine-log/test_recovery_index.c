/* Where the index comes from at a start, and that it makes no difference: not for the keys, nor for the
   figures. */
#include "store_support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot.h"

#define KEYS        5000u
#define VALUE_BYTES 200u
#define BUILT       "the index is built from the segments instead"

struct figures {
    uint64_t keys;
    uint64_t live_bytes;
    uint64_t dead_bytes;
};

static struct figures figures_of(struct test_store *store)
{
    return (struct figures){
        .keys = test_store_stat(store, "keys"),
        .live_bytes = test_store_stat(store, "live_bytes"),
        .dead_bytes = test_store_stat(store, "dead_bytes"),
    };
}

static void check_figures(struct test_store *store, const struct figures *expected)
{
    struct figures now = figures_of(store);
    assert_int_equal(expected->keys, now.keys);
    assert_int_equal(expected->live_bytes, now.live_bytes);
    assert_int_equal(expected->dead_bytes, now.dead_bytes);
}

/* Every key has version 1; every 10th has 2 instead, and every 25th none. */
static void fill(struct test_store *store)
{
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(store, key, 1, VALUE_BYTES));
    for (uint64_t key = 0; key < KEYS; key += 10)
        assert_int_equal(KVS_OK, put(store, key, 2, VALUE_BYTES));
    for (uint64_t key = 0; key < KEYS; key += 25)
        assert_int_equal(KVS_OK, del(store, key));
}

static void check_keys(struct test_store *store)
{
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(key % 25 == 0 ? 0 : key % 10 == 0 ? 2 : 1, version_of(store, key));
}

static bool file_is_there(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void flip_byte(const char *dir, const char *name, off_t offset)
{
    uint8_t byte;
    char *path = path_join(dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    if (offset < 0)
        offset += lseek(fd, 0, SEEK_END);
    assert_int_equal(1, pread(fd, &byte, 1, offset));
    byte ^= 1;
    assert_int_equal(1, pwrite(fd, &byte, 1, offset));
    (void)close(fd);
    free(path);
}

/* A store that was filled and stopped. */
static char *stopped_store(struct figures *ret_figures)
{
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    *ret_figures = figures_of(&store);
    must_close_store(&store);
    assert_true(file_is_there(dir, SNAPSHOT_NAME));
    return dir;
}

/* ------------------------------------------------------------------------------------------- */

static void test_clean_stop(void **state)
{
    (void)state;
    struct test_store store;
    struct figures figures;
    char *dir = stopped_store(&figures);
    /* Who reads this segment's footer says that it is damaged. */
    flip_byte(dir, "00000000.seg", -20);
    for (unsigned round = 0; round < 2; round++) {
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_false(test_store_logged(&store, "instead"));
        assert_false(file_is_there(dir, SNAPSHOT_NAME));
        check_keys(&store);
        check_figures(&store, &figures);
        must_close_store(&store);
        assert_true(file_is_there(dir, SNAPSHOT_NAME));
    }
    temp_dir_free(dir);
}

static void test_killed(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    struct figures figures = figures_of(&store);
    assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
    wait_until(test_store_keeper_is_idle, &store); /* and no file changes */
    copy_folder(dir, copy);
    must_close_store(&store);
    must_open_store(&store, copy, KVS_DURABILITY_NONE);
    check_keys(&store);
    check_figures(&store, &figures);
    must_close_store(&store);
    temp_dir_free(copy);
    temp_dir_free(dir);
}

static void test_damaged_snapshot(void **state)
{
    (void)state;
    struct test_store store;
    struct figures figures;
    char *dir = stopped_store(&figures);
    const off_t places[] = {20, 5000, -5}; /* header, slots, tables */
    for (unsigned i = 0; i < 3; i++) {
        flip_byte(dir, SNAPSHOT_NAME, places[i]);
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_true(test_store_logged(&store, BUILT));
        check_keys(&store);
        check_figures(&store, &figures);
        must_close_store(&store);
    }
    temp_dir_free(dir);
}

/* One that was put aside and comes back, and one of another store. */
static void test_foreign_snapshot(void **state)
{
    (void)state;
    struct test_store store;
    struct figures figures;
    char *dir = stopped_store(&figures);
    char *other = stopped_store(&figures);
    char *old_name = path_join(dir, "aside");
    char *name = path_join(dir, SNAPSHOT_NAME);
    char *other_name = path_join(other, SNAPSHOT_NAME);
    assert_int_equal(0, link(name, old_name));
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_int_equal(KVS_OK, put(&store, KEYS, 7, VALUE_BYTES));
    must_close_store(&store);
    assert_int_equal(0, rename(old_name, name));
    for (unsigned round = 0; round < 2; round++) {
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_true(test_store_logged(&store, BUILT));
        check_keys(&store);
        assert_int_equal(7, version_of(&store, KEYS));
        must_close_store(&store);
        if (round == 0)
            assert_int_equal(0, rename(other_name, name));
    }
    free(old_name);
    free(name);
    free(other_name);
    temp_dir_free(dir);
    temp_dir_free(other);
}

static void test_read_only(void **state)
{
    (void)state;
    struct test_store store;
    struct test_error error;
    struct figures figures;
    char *dir = stopped_store(&figures);
    flip_byte(dir, "00000000.seg", -20);
    for (unsigned round = 0; round < 2; round++) {
        assert_status(
            KVS_OK,
            test_store_open(&store, dir, NULL, KVS_DURABILITY_NONE, KVS_OPEN_READ_ONLY, &error),
            &error);
        assert_false(test_store_logged(&store, "instead"));
        check_keys(&store);
        check_figures(&store, &figures);
        must_close_store(&store);
    }
    temp_dir_free(dir);
}

/* Nothing is left behind by a store in which nothing was ever written. */
static void test_empty_store(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    for (unsigned round = 0; round < 3; round++) {
        must_open_store(&store, dir, KVS_DURABILITY_ALWAYS);
        assert_false(test_store_logged(&store, "instead"));
        assert_int_equal(0, test_store_stat(&store, "keys"));
        must_close_store(&store);
        assert_int_equal(0, count_files(dir, ".seg"));
    }
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_stop),       cmocka_unit_test(test_killed),
        cmocka_unit_test(test_damaged_snapshot), cmocka_unit_test(test_foreign_snapshot),
        cmocka_unit_test(test_read_only),        cmocka_unit_test(test_empty_store),
    };
    return cmocka_run_group_tests_name("engine-log/recovery-index", tests, NULL, NULL);
}
