/*
 * A store whose files cannot be read any more while it runs: they are cut short underneath, so that
 * touching what is gone raises SIGBUS, as a page does that the disk cannot read. cmocka sets its own
 * handler for each test, so every store is opened and closed within one.
 */
#include "store_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_faulty.h"

#define PAGE_BYTES  4096
#define VALUE_BYTES 20000u
#define KEYS        100u /* fill two segments */
#define FIRST       "00000000.seg"

static void cut_file(const char *dir, const char *name, off_t bytes)
{
    char *path = path_join(dir, name);
    assert_int_equal(0, truncate(path, bytes));
    free(path);
}

static void fill(struct test_store *store)
{
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(store, key, 1, VALUE_BYTES));
}

static kvs_status look_at(struct test_store *store, uint64_t key)
{
    uint64_t version = 0;
    return look(store, key, &version);
}

static bool is_sealed(void *arg)
{
    return segment_at(&((struct test_store *)arg)->db->table, 0)->sealed != 0;
}

static int32_t ignore_lookup(void *arg, uint64_t index, struct kvs_bytes value)
{
    (void)arg;
    (void)index;
    (void)value;
    return 0;
}

static int32_t ignore_key(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    (void)arg;
    (void)key;
    (void)value;
    return 0;
}

static void check_lookups(struct test_store *store)
{
    uint8_t names[2][STORE_KEY_BYTES];
    struct kvs_lookup lookups[2];
    for (unsigned i = 0; i < 2; i++) {
        key_of(i == 0 ? 0 : 40, names[i]);
        lookups[i] = (struct kvs_lookup){.key = {names[i], STORE_KEY_BYTES}};
    }
    struct kvs_get_many request = {
        .size = sizeof(request), .lookups = lookups, .lookup_count = 2, .visit = ignore_lookup};
    assert_int_equal(KVS_OK, engine_log_ops.get_many(store->db, NULL, &request));
    assert_int_equal(KVS_OK, lookups[0].status);
    assert_int_equal(KVS_IO, lookups[1].status);
}

static void test_reading(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    wait_until(is_sealed, &store);
    cut_file(dir, FIRST, 10 * PAGE_BYTES);
    assert_int_equal(KVS_OK, look_at(&store, 0)); /* all of it is in front of the cut */
    for (unsigned round = 0; round < 2; round++)
        assert_int_equal(KVS_IO, look_at(&store, 40));
    assert_int_equal(KVS_OK, look_at(&store, 0)); /* not so after the failure of another page */
    assert_int_equal(KVS_OK, look_at(&store, KEYS - 1));
    check_lookups(&store);
    struct kvs_scan scan = {.size = sizeof(scan), .visit = ignore_key};
    assert_int_equal(KVS_IO, engine_log_ops.scan(store.db, NULL, &scan, NULL));
    assert_int_equal(KVS_OK, put(&store, KEYS, 1, VALUE_BYTES));
    (void)test_store_close(&store);
    temp_dir_free(dir);
}

struct cutting {
    const char *dir;
    uint64_t calls;
};

/* The file goes while its value is being shown. */
static int32_t cut_and_read(void *arg, struct kvs_bytes value)
{
    struct cutting *cutting = arg;
    const uint8_t *bytes = value.ptr;
    cut_file(cutting->dir, FIRST, PAGE_BYTES);
    cutting->calls++;
    return bytes[value.len / 2] == 0 ? 0 : 1; /* the page is gone: zeros */
}

static void test_reading_while_it_goes(void **state)
{
    (void)state;
    struct test_store store;
    uint8_t name[STORE_KEY_BYTES];
    char *dir = temp_dir_new();
    struct cutting cutting = {.dir = dir};
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    wait_until(is_sealed, &store);
    key_of(3, name);
    assert_int_equal(KVS_IO,
                     engine_log_ops.get(store.db, NULL, (struct kvs_bytes){name, sizeof(name)},
                                        cut_and_read, &cutting, NULL));
    assert_int_equal(1, cutting.calls);
    (void)test_store_close(&store);
    temp_dir_free(dir);
}

/* What was appended to a page that is not the file's is not acknowledged. */
static void test_writing(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_ALWAYS);
    assert_int_equal(KVS_OK, put(&store, 1, 1, VALUE_BYTES));
    cut_file(dir, FIRST, 2 * PAGE_BYTES);
    assert_int_equal(KVS_IO, put(&store, 2, 1, VALUE_BYTES));
    assert_true(test_store_logged(&store, FIRST));
    assert_int_equal(KVS_READ_ONLY, put(&store, 3, 1, VALUE_BYTES));
    assert_int_equal(KVS_NOT_FOUND, look_at(&store, 2));
    (void)test_store_close(&store);
    temp_dir_free(dir);
}

/* A victim that cannot be read is left alone; what can be read of it stays. */
static void test_compacting(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    wait_until(is_sealed, &store);
    assert_int_equal(KVS_OK, put(&store, 20, 2, VALUE_BYTES));
    cut_file(dir, FIRST, 50 * PAGE_BYTES);
    assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
    assert_true(test_store_logged(&store, "it is not compacted"));
    assert_int_equal(KVS_OK, look_at(&store, 0));
    assert_int_equal(KVS_IO, look_at(&store, 45));
    assert_int_equal(2, version_of(&store, 20));
    (void)test_store_close(&store);
    temp_dir_free(dir);
}

static void test_two_stores(void **state)
{
    (void)state;
    struct test_store stores[2];
    char *dirs[2];
    for (unsigned i = 0; i < 2; i++) {
        dirs[i] = temp_dir_new();
        must_open_store(&stores[i], dirs[i], KVS_DURABILITY_NONE);
        fill(&stores[i]);
        wait_until(is_sealed, &stores[i]);
    }
    cut_file(dirs[0], FIRST, PAGE_BYTES);
    assert_int_equal(KVS_IO, look_at(&stores[0], 0));
    assert_int_equal(KVS_OK, look_at(&stores[1], 0));
    (void)test_store_close(&stores[0]);
    cut_file(dirs[1], FIRST, PAGE_BYTES);
    assert_int_equal(KVS_IO, look_at(&stores[1], 0));
    (void)test_store_close(&stores[1]);
    for (unsigned i = 0; i < 2; i++)
        temp_dir_free(dirs[i]);
}

/* ---- while it is opened --------------------------------------------------------------------- */

struct cut {
    const char *dir;
    uint64_t bytes;
};

static void cut_first(void *arg)
{
    const struct cut *cut = arg;
    cut_file(cut->dir, FIRST, (off_t)cut->bytes);
}

/* Opens the store on a disk where the first segment, which is mapped first, is cut to so many bytes then. */
static kvs_status open_cut(struct test_store *store, const char *dir, uint32_t flags,
                           uint64_t bytes, struct disk **ret_below)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, disk_open_real(dir, ret_below, &error.error), &error);
    struct disk *disk = disk_faulty_new(*ret_below);
    struct cut cut = {dir, bytes};
    disk_faulty_after_map(disk, cut_first, &cut);
    return test_store_open(store, NULL, disk, KVS_DURABILITY_NONE, flags, &error);
}

/* The tail of a killed store: what cannot be read is not cut off as a torn write. */
static void test_tail_cannot_be_read(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store other;
    struct disk *below;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < 20; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    wait_until(test_store_keeper_is_idle, &store); /* and no file changes */
    copy_folder(dir, copy);
    assert_int_equal(KVS_IO, open_cut(&other, copy, 0, 20 * PAGE_BYTES, &below));
    disk_close(below);
    copy_folder(dir, copy);
    assert_int_equal(KVS_IO, open_cut(&other, copy, KVS_OPEN_READ_ONLY, 20 * PAGE_BYTES, &below));
    disk_close(below);
    must_close_store(&store);
    temp_dir_free(copy);
    temp_dir_free(dir);
}

/* A footer can be done without, records cannot. */
static void test_footer_cannot_be_read(void **state)
{
    (void)state;
    struct test_store store;
    struct disk *below;
    struct stat st;
    char *dir = temp_dir_new();
    char *snapshot = path_join(dir, "log.snapshot");
    char *first = path_join(dir, FIRST);
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store);
    must_close_store(&store);
    assert_int_equal(0, unlink(snapshot));
    assert_int_equal(0, stat(first, &st));
    /* Only some of the footer's bytes are on the last page, and a page goes as a whole. */
    assert_true(st.st_size % PAGE_BYTES != 0);
    uint64_t cut = (uint64_t)st.st_size / PAGE_BYTES * PAGE_BYTES;
    assert_int_equal(KVS_OK, open_cut(&store, dir, 0, cut, &below));
    assert_true(test_store_logged(&store, "its records are read instead"));
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(1, version_of(&store, key));
    (void)test_store_close(&store);
    disk_close(below);
    free(snapshot);
    free(first);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_reading_while_it_goes),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_compacting),
        cmocka_unit_test(test_two_stores),
        cmocka_unit_test(test_tail_cannot_be_read),
        cmocka_unit_test(test_footer_cannot_be_read),
    };
    return cmocka_run_group_tests_name("engine-log/unreadable", tests, NULL, NULL);
}
