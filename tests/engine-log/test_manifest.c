/* The manifest: what it keeps, over commits, reopening and rewriting. */
#include <stdlib.h>
#include <string.h>

#include "manifest_format.h"
#include "manifest_support.h"

/* ---- operations ---------------------------------------------------------------------------- */

static void a_new_store(void **state)
{
    struct folder *folder = *state;
    struct test_error error;
    assert_status(KVS_MISSING, open_fails(folder->disk, &error), &error);
    assert_false(exists(folder->real, MANIFEST_NAME));

    struct manifest *manifest = must_create(folder->disk);
    assert_int_equal(manifest_segment_count(manifest), 0);
    assert_null(manifest_find(manifest, 0));
    uint8_t secret[MANIFEST_SECRET_BYTES];
    memcpy(secret, manifest_secret(manifest), sizeof(secret));
    uint64_t generation = manifest_next_generation(manifest);
    assert_true(generation > 0);
    assert_int_equal(manifest_next_generation(manifest), generation + 1);
    manifest_free(manifest);
    manifest_free(NULL);
    assert_false(exists(folder->real, MANIFEST_TEST_NEW));

    manifest = must_open(folder->disk, false);
    assert_int_equal(manifest_segment_count(manifest), 0);
    assert_memory_equal(manifest_secret(manifest), secret, sizeof(secret));
    assert_int_equal(manifest_torn_bytes(manifest), 0);
    manifest_free(manifest);

    struct manifest *second = NULL;
    test_error_init(&error);
    assert_status(KVS_INVALID, manifest_create(folder->disk, &second, &error.error), &error);
    assert_null(second);
}

static void each_store_has_its_secret(void **state)
{
    struct folder *folder = *state;
    uint8_t secrets[2][MANIFEST_SECRET_BYTES];
    for (unsigned i = 0; i < 2; i++) {
        struct manifest *manifest = must_create(folder->disk);
        memcpy(secrets[i], manifest_secret(manifest), MANIFEST_SECRET_BYTES);
        manifest_free(manifest);
        assert_int_equal(disk_remove(folder->disk, MANIFEST_NAME, NULL), KVS_OK);
    }
    assert_memory_not_equal(secrets[0], secrets[1], MANIFEST_SECRET_BYTES);
}

static void changes_are_kept(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    struct model expected = {.count = 3};
    static const uint32_t numbers[] = {7, 0, 0xfffff}; /* not in order */
    for (unsigned i = 0; i < 3; i++)
        put_one(manifest, numbers[i]);
    expected.segments[0] = segment_make(0, 2);
    expected.segments[1] = segment_make(7, 1);
    expected.segments[2] = segment_make(0xfffff, 3);
    assert_model(manifest, &expected);
    assert_null(manifest_find(manifest, 8));
    manifest_free(manifest);

    manifest = must_open(folder->disk, false);
    assert_model(manifest, &expected);
    manifest_begin(manifest);
    struct manifest_segment changed = *manifest_find(manifest, 7);
    changed.sealed = true;
    changed.end = 4711;
    assert_int_equal(manifest_put(manifest, &changed), KVS_OK);
    manifest_remove(manifest, 0);
    manifest_remove(manifest, 1234); /* not there */
    must_commit(manifest);
    expected.count = 2;
    expected.segments[0] = changed;
    expected.segments[1] = expected.segments[2];
    assert_model(manifest, &expected);
    manifest_free(manifest);

    for (unsigned i = 0; i < 3; i++) {
        manifest = must_open(folder->disk, i == 1);
        assert_model(manifest, &expected);
        assert_int_equal(manifest_torn_bytes(manifest), 0);
        manifest_free(manifest);
    }
}

/* A segment that is put may be one that the manifest showed. */
static void a_segment_of_its_own(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    for (uint32_t i = 0; i < 16; i++)
        put_one(manifest, i + 1);
    manifest_begin(manifest);
    must_put(manifest, 100);
    const struct manifest_segment copy = *manifest_find(manifest, 16);
    assert_int_equal(manifest_put(manifest, manifest_find(manifest, 16)), KVS_OK);
    must_put(manifest, 0);
    must_commit(manifest);
    assert_segment(manifest_find(manifest, 16), &copy);
    assert_int_equal(manifest_segment_count(manifest), 18);
    manifest_free(manifest);
}

static void a_transaction_sees_itself(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    put_one(manifest, 2);
    manifest_begin(manifest);
    must_put(manifest, 3);
    manifest_remove(manifest, 1);
    assert_int_equal(manifest_segment_count(manifest), 2);
    assert_non_null(manifest_find(manifest, 3));
    assert_null(manifest_find(manifest, 1));
    must_commit(manifest);
    assert_int_equal(manifest_segment_count(manifest), 2);
    assert_int_equal(manifest_segment_at(manifest, 0)->number, 2);
    assert_int_equal(manifest_segment_at(manifest, 1)->number, 3);
    manifest_free(manifest);
}

static void an_empty_commit_writes_nothing(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    uint64_t before = disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING);
    manifest_begin(manifest);
    must_commit(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING), before);
    manifest_free(manifest);
}

static void many_segments(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    manifest_begin(manifest);
    for (uint32_t i = 0; i < 5000; i++)
        must_put(manifest, i * 7919 % 5000);
    must_commit(manifest);
    manifest_begin(manifest);
    for (uint32_t i = 0; i < 5000; i += 2)
        manifest_remove(manifest, i);
    must_commit(manifest);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(manifest_segment_count(manifest), 2500);
        for (uint32_t i = 0; i < 2500; i++)
            assert_int_equal(manifest_segment_at(manifest, i)->number, 2 * i + 1);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
    }
    manifest_free(manifest);
}

/* ---- generations --------------------------------------------------------------------------- */

static void generations_do_not_come_back(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    uint64_t largest = 0;
    for (unsigned round = 0; round < 5; round++) {
        uint64_t generation = manifest_next_generation(manifest);
        assert_true(generation > largest);
        largest = generation;
        struct manifest_segment segment = segment_make(1, generation);
        manifest_begin(manifest);
        assert_int_equal(manifest_put(manifest, &segment), KVS_OK);
        must_commit(manifest);
        remove_one(manifest, 1); /* the segment is forgotten, its generation is not */
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
    }
    /* Nor does one that the caller did not get here. */
    struct manifest_segment segment = segment_make(1, 1000);
    manifest_begin(manifest);
    assert_int_equal(manifest_put(manifest, &segment), KVS_OK);
    assert_int_equal(manifest_next_generation(manifest), 1001);
    must_commit(manifest);
    manifest_free(manifest);
    manifest = must_open(folder->disk, false);
    assert_int_equal(manifest_next_generation(manifest), 1002);
    manifest_free(manifest);
}

/* ---- rewriting ----------------------------------------------------------------------------- */

static uint64_t renames_of(struct folder *folder)
{
    return disk_faulty_calls(folder->disk, DISK_CALL_RENAME);
}

static void a_long_file_is_rewritten(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    uint8_t secret[MANIFEST_SECRET_BYTES];
    memcpy(secret, manifest_secret(manifest), sizeof(secret));
    uint64_t before = renames_of(folder);
    unsigned changes = 0;
    while (renames_of(folder) < before + 3) {
        put_one(manifest, changes++ % 5);
        assert_true(changes < 10000);
    }
    assert_in_range(changes, 3 * 65536 / (96 + 32) - 10, 3 * 65536 / (96 + 32) + 10);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALL_SYNC_FOLDER), renames_of(folder));
    assert_false(exists(folder->real, MANIFEST_TEST_NEW));
    struct content content = manifest_content(folder->real);
    assert_in_range(content.bytes, 5 * MANIFEST_ENTRY_BYTES, 600);
    free(content.data);

    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(manifest_segment_count(manifest), 5);
        for (uint32_t i = 0; i < 5; i++) {
            const struct manifest_segment *segment = manifest_segment_at(manifest, i);
            struct manifest_segment expected = segment_make(i, segment->generation);
            assert_segment(segment, &expected);
        }
        assert_memory_equal(manifest_secret(manifest), secret, sizeof(secret));
        put_one(manifest, 0); /* the new file takes changes too */
        assert_int_equal(manifest_find(manifest, 0)->generation, changes + round + 1);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
    }
    manifest_free(manifest);
}

/* With nothing left to carry it, the counter is in the rewritten file all the same. */
static void rewriting_keeps_the_generation(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    uint64_t before = renames_of(folder);
    uint64_t largest = 0;
    while (renames_of(folder) == before) {
        largest = manifest_next_generation(manifest);
        struct manifest_segment segment = segment_make(1, largest);
        manifest_begin(manifest);
        assert_int_equal(manifest_put(manifest, &segment), KVS_OK);
        manifest_remove(manifest, 1);
        must_commit(manifest);
    }
    manifest_free(manifest);
    manifest = must_open(folder->disk, false);
    assert_int_equal(manifest_segment_count(manifest), 0);
    assert_int_equal(manifest_next_generation(manifest), largest + 1);
    manifest_free(manifest);
}

/* A file that is long because there is much to say is left alone. */
static void a_full_file_is_not_rewritten(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    manifest_begin(manifest);
    for (uint32_t i = 0; i < 2000; i++)
        must_put(manifest, i);
    must_commit(manifest);
    uint64_t before = renames_of(folder);
    for (uint32_t i = 0; i < 300; i++)
        put_one(manifest, i);
    assert_int_equal(renames_of(folder), before);
    manifest_free(manifest);
}

static void a_left_over_new_file(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    manifest_free(manifest);
    put_content(folder->real, MANIFEST_TEST_NEW, "half", 4);
    manifest = must_open(folder->disk, true);
    manifest_free(manifest);
    assert_true(exists(folder->real, MANIFEST_TEST_NEW));
    manifest = must_open(folder->disk, false);
    assert_int_equal(manifest_segment_count(manifest), 1);
    manifest_free(manifest);
    assert_false(exists(folder->real, MANIFEST_TEST_NEW));
}

/* ---- reading only -------------------------------------------------------------------------- */

static void reading_only(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    manifest_free(manifest);
    uint64_t before = disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING);
    manifest = must_open(folder->disk, true);
    assert_int_equal(manifest_segment_count(manifest), 1);
    struct manifest_segment segment = segment_make(2, 2);
    manifest_begin(manifest);
    assert_int_equal(manifest_put(manifest, &segment), KVS_READ_ONLY);
    manifest_remove(manifest, 1);
    assert_int_equal(manifest_segment_count(manifest), 1);
    assert_commit_fails(KVS_READ_ONLY, manifest);
    assert_non_null(manifest_find(manifest, 1));
    manifest_free(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_store),
        TEST(each_store_has_its_secret),
        TEST(changes_are_kept),
        TEST(a_segment_of_its_own),
        TEST(a_transaction_sees_itself),
        TEST(an_empty_commit_writes_nothing),
        TEST(many_segments),
        TEST(generations_do_not_come_back),
        TEST(a_long_file_is_rewritten),
        TEST(rewriting_keeps_the_generation),
        TEST(a_full_file_is_not_rewritten),
        TEST(a_left_over_new_file),
        TEST(reading_only),
    };
    return cmocka_run_group_tests_name("engine-log-manifest", tests, NULL, NULL);
}
