/* Segments made, sealed and removed behind the writers' backs, also when the disk is full. */
#include "store_support.h"

#include <stdlib.h>

#include "disk_faulty.h"

#define VALUE_BYTES 20000u
#define PER_SEGMENT (STORE_TEST_SEGMENT / VALUE_BYTES) /* and one more does not fit */

struct fixture {
    char *dir;
    struct disk *below;
    struct disk *disk;
    struct test_store store;
};

static void begin(struct fixture *fixture)
{
    struct test_error error;
    test_error_init(&error);
    fixture->dir = temp_dir_new();
    assert_status(KVS_OK, disk_open_real(fixture->dir, &fixture->below, &error.error), &error);
    fixture->disk = disk_faulty_new(fixture->below);
    assert_status(KVS_OK,
                  test_store_open(&fixture->store, NULL, fixture->disk, KVS_DURABILITY_NONE,
                                  KVS_OPEN_CREATE, &error),
                  &error);
}

static void end(struct fixture *fixture)
{
    must_close_store(&fixture->store);
    disk_close(fixture->below);
    temp_dir_free(fixture->dir);
}

static bool has_spare(void *arg)
{
    struct kvs_db *db = ((struct test_store *)arg)->db;
    (void)pthread_mutex_lock(&db->keeper_lock);
    bool there = db->spare != NULL;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return there;
}

static bool is_put_aside(void *arg)
{
    struct kvs_db *db = ((struct test_store *)arg)->db;
    (void)pthread_mutex_lock(&db->keeper_lock);
    bool aside = db->unsealed != NULL;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return aside;
}

static bool is_sealed(void *arg)
{
    return segment_at(&((struct test_store *)arg)->db->table, 0)->sealed != 0;
}

/* The manifest finds no room to say that a segment is sealed: it is tried again, without a restart. */
static void test_sealing_on_a_full_disk(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    wait_until(has_spare, &fixture.store);
    disk_faulty_fail(fixture.disk, DISK_CALL_WRITE | DISK_CALL_RESERVE, 0, DISK_FAULTY_FOREVER,
                     KVS_NO_SPACE, DISK_FAIL_BEFORE);
    for (uint64_t key = 0; key <= PER_SEGMENT; key++)
        assert_int_equal(KVS_OK, put(&fixture.store, key, 1, VALUE_BYTES));
    wait_until(is_put_aside, &fixture.store);
    assert_false(is_sealed(&fixture.store));
    disk_faulty_fail(fixture.disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
    wait_until(is_sealed, &fixture.store);
    wait_until(has_spare, &fixture.store);
    assert_int_equal(0, test_store_stat(&fixture.store, "read_only"));
    for (uint64_t key = 0; key <= PER_SEGMENT; key++)
        assert_int_equal(1, version_of(&fixture.store, key));
    end(&fixture);
}

static bool is_gone(void *arg)
{
    return segment_at(&((struct test_store *)arg)->db->table, 0) == NULL;
}

/* The segment that a large value finds empty goes, as nothing is in it. */
static void test_empty_segment_is_dropped(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    assert_int_equal(0, fixture.store.db->active->number);
    assert_int_equal(KVS_OK, put(&fixture.store, 1, 1, 2 * STORE_TEST_SEGMENT));
    wait_until(is_gone, &fixture.store);
    assert_int_equal(0, test_store_stat(&fixture.store, "compacted_segments"));
    assert_int_equal(KVS_OK, put(&fixture.store, 2, 1, VALUE_BYTES));
    must_close_store(&fixture.store);
    assert_int_equal(2, count_files(fixture.dir, ".seg"));
    disk_close(fixture.below);
    must_open_store(&fixture.store, fixture.dir, KVS_DURABILITY_NONE);
    assert_int_equal(1, version_of(&fixture.store, 1));
    assert_int_equal(1, version_of(&fixture.store, 2));
    must_close_store(&fixture.store);
    temp_dir_free(fixture.dir);
}

/* Writers take the spare and there is another one, again and again. */
static void test_spare_is_made_again(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    for (uint64_t round = 0; round < 5; round++) {
        wait_until(has_spare, &fixture.store);
        const struct segment *spare = fixture.store.db->spare;
        for (uint64_t key = 0; fixture.store.db->active != spare; key++)
            assert_int_equal(KVS_OK, put(&fixture.store, key, round, VALUE_BYTES));
    }
    end(&fixture);
}

/* A fault of the disk that sealing meets turns the store read-only; nothing that was written is lost. */
static void test_sealing_fails(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    wait_until(has_spare, &fixture.store);
    disk_faulty_fail(fixture.disk, DISK_CALL_TRUNCATE, 0, DISK_FAULTY_FOREVER, KVS_IO,
                     DISK_FAIL_BEFORE);
    kvs_status status = KVS_OK;
    uint64_t key = 0;
    for (; key < 20 * PER_SEGMENT && status == KVS_OK; key++)
        status = put(&fixture.store, key, 1, VALUE_BYTES);
    assert_int_equal(KVS_READ_ONLY, status);
    assert_true(test_store_logged(&fixture.store, "read-only from now on"));
    for (uint64_t each = 0; each + 1 < key; each++)
        assert_int_equal(1, version_of(&fixture.store, each));
    (void)test_store_close(&fixture.store);
    disk_close(fixture.below);
    temp_dir_free(fixture.dir);
}

/* So does one that a writer meets who needs a segment at once: the folder is not synced again, and the
   segment taken for durable. */
static void test_making_fails(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    wait_until(test_store_keeper_is_idle, &fixture.store);
    assert_int_equal(KVS_OK, put(&fixture.store, 1, 1, VALUE_BYTES));
    disk_faulty_fail(fixture.disk, DISK_CALL_SYNC_FOLDER, 0, 1, KVS_IO, DISK_FAIL_BEFORE);
    assert_int_equal(KVS_READ_ONLY, put(&fixture.store, 1, 2, 2 * STORE_TEST_SEGMENT));
    assert_int_equal(1, disk_faulty_failures(fixture.disk));
    assert_int_equal(KVS_READ_ONLY, put(&fixture.store, 1, 3, VALUE_BYTES));
    assert_true(test_store_logged(&fixture.store, "read-only from now on"));
    assert_int_equal(1, version_of(&fixture.store, 1));
    (void)test_store_close(&fixture.store);
    disk_close(fixture.below);
    temp_dir_free(fixture.dir);
}

static bool takes_a_set(void *arg)
{
    kvs_status status = put(arg, 0, 3, VALUE_BYTES);
    assert_true(status == KVS_OK || status == KVS_NO_MEMORY);
    return status == KVS_OK;
}

static bool tries_again(void *disk)
{
    return disk_faulty_failures(disk) > 1;
}

/* Sets until one finds no segment. The number of those that succeeded. */
static uint64_t set_until_refused(struct fixture *fixture)
{
    uint64_t key = 0;
    kvs_status status = KVS_OK;
    while (key < 10 * PER_SEGMENT && status == KVS_OK)
        status = put(&fixture->store, key++, 1, VALUE_BYTES);
    assert_int_equal(KVS_NO_MEMORY, status);
    return key - 1;
}

/* The process has no descriptors or no memory for another segment: the disk is well, so the store goes
   on as far as it can, is read from and removed from, and recovers by itself. */
static void make_without(uint32_t call)
{
    struct fixture fixture;
    uint64_t version;
    begin(&fixture);
    wait_until(test_store_keeper_is_idle, &fixture.store);
    uint64_t began_ns = fixture.store.stub.host.now_ns(NULL);
    disk_faulty_fail(fixture.disk, call, 0, DISK_FAULTY_FOREVER, KVS_NO_MEMORY, DISK_FAIL_BEFORE);
    uint64_t count = set_until_refused(&fixture);
    wait_until(tries_again, fixture.disk);
    for (unsigned i = 0; i < 1000; i++) /* none of these is another try */
        assert_int_equal(KVS_NO_MEMORY, put(&fixture.store, 0, 2, VALUE_BYTES));
    for (uint64_t key = 1; key < count; key++) {
        assert_int_equal(1, version_of(&fixture.store, key));
        assert_int_equal(KVS_OK, del(&fixture.store, key));
        assert_int_equal(KVS_NOT_FOUND, look(&fixture.store, key, &version));
    }
    uint64_t seconds = (fixture.store.stub.host.now_ns(NULL) - began_ns) / UINT64_C(1000000000);
    assert_in_range(disk_faulty_failures(fixture.disk), 1, 4 + 2 * seconds);
    assert_true(test_store_logged(&fixture.store, "writes are refused until another segment"));
    assert_false(test_store_logged(&fixture.store, "read-only"));
    disk_faulty_fail(fixture.disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
    wait_until(takes_a_set, &fixture.store);
    wait_until(has_spare, &fixture.store);
    assert_int_equal(3, version_of(&fixture.store, 0));
    assert_int_equal(0, test_store_stat(&fixture.store, "read_only"));
    end(&fixture);
}

static void test_without_descriptors(void **state)
{
    (void)state;
    make_without(DISK_CALL_CREATE);
}

static void test_without_mappings(void **state)
{
    (void)state;
    make_without(DISK_CALL_MAP);
}

static void test_without_memory_to_reserve(void **state)
{
    (void)state;
    make_without(DISK_CALL_RESERVE);
}

static bool takes_a_large_set(void *arg)
{
    return put(arg, 1, 2, 2 * STORE_TEST_SEGMENT) == KVS_OK;
}

/* A segment that the manifest cannot name has no file either: it would take space until the next start. */
static void test_no_file_stays(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    wait_until(test_store_keeper_is_idle, &fixture.store);
    unsigned before = count_files(fixture.dir, ".seg");
    /* Header, then the manifest. */
    disk_faulty_fail(fixture.disk, DISK_CALL_WRITE, 1, 1, KVS_NO_MEMORY, DISK_FAIL_HALF);
    assert_int_equal(KVS_NO_MEMORY, put(&fixture.store, 1, 1, 2 * STORE_TEST_SEGMENT));
    assert_int_equal(1, disk_faulty_failures(fixture.disk));
    assert_int_equal(before, count_files(fixture.dir, ".seg"));
    wait_until(takes_a_large_set, &fixture.store);
    assert_int_equal(2, version_of(&fixture.store, 1));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealing_on_a_full_disk),
        cmocka_unit_test(test_empty_segment_is_dropped),
        cmocka_unit_test(test_spare_is_made_again),
        cmocka_unit_test(test_sealing_fails),
        cmocka_unit_test(test_making_fails),
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_without_mappings),
        cmocka_unit_test(test_without_memory_to_reserve),
        cmocka_unit_test(test_no_file_stays),
    };
    return cmocka_run_group_tests_name("engine-log/keeper", tests, NULL, NULL);
}
