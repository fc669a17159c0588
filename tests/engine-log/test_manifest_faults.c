/*
 * The manifest on a disk that fails: each call in turn, before, half-way and after it was done. A
 * commit that gave KVS_OK is there at the next open; one that did not is there whole or not at all.
 */
#include <stdlib.h>
#include <string.h>

#include "manifest_format.h"
#include "manifest_support.h"

static const enum disk_fail_when whens[] = {DISK_FAIL_BEFORE, DISK_FAIL_HALF, DISK_FAIL_AFTER};
#define WHENS (sizeof(whens) / sizeof(whens[0]))

static void heal(struct folder *folder)
{
    disk_faulty_fail(folder->disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
}

/* Begins anew with a manifest that has segments 1 and 2. */
static struct manifest *start(struct folder *folder)
{
    heal(folder);
    (void)!disk_remove(folder->real, MANIFEST_NAME, NULL);
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    put_one(manifest, 2);
    return manifest;
}

/* A transaction with some of everything; what it leads to. */
static struct model change(struct manifest *manifest)
{
    manifest_begin(manifest);
    must_put(manifest, 3);
    must_put(manifest, 1);
    manifest_remove(manifest, 2);
    return model_of(manifest);
}

static void assert_read_only_from_now_on(struct manifest *manifest)
{
    for (unsigned i = 0; i < 2; i++) {
        manifest_begin(manifest);
        must_put(manifest, 5);
        assert_commit_fails(KVS_READ_ONLY, manifest);
        assert_null(manifest_find(manifest, 5));
    }
}

/* ---- a commit ----------------------------------------------------------------------------- */

/* False: the commit makes no nth call. */
static bool commit_with_failure(struct folder *folder, uint64_t nth, enum disk_fail_when when)
{
    struct manifest *manifest = start(folder);
    const struct model before = model_of(manifest);
    disk_faulty_fail(folder->disk, DISK_CALLS_ALL, nth, 1, KVS_IO, when);
    const struct model after = change(manifest);
    struct test_error error;
    test_error_init(&error);
    kvs_status status = manifest_commit(manifest, &error.error);
    bool failed = disk_faulty_failures(folder->disk) > 0;
    if (status == KVS_OK) {
        assert_model(manifest, &after);
    } else {
        assert_status(KVS_IO, status, &error);
        assert_non_null(strstr(error.message, "as the test wants it"));
        assert_model(manifest, &before);
    }
    if (failed)
        assert_read_only_from_now_on(manifest);
    manifest_free(manifest);

    heal(folder);
    manifest = must_open(folder->disk, false);
    const struct model found = model_of(manifest);
    if (status == KVS_OK || !model_equal(&found, &before))
        assert_model(manifest, &after);
    put_one(manifest, 6);
    manifest_free(manifest);
    return failed;
}

static void each_call_of_a_commit(void **state)
{
    struct folder *folder = *state;
    for (unsigned when = 0; when < WHENS; when++) {
        uint64_t nth = 0;
        while (commit_with_failure(folder, nth, whens[when]))
            nth++;
        assert_int_equal(nth, 3); /* write, sync, seal */
    }
}

/* A sync that fails says KVS_IO whatever its reason: KVS_NO_SPACE would promise that nothing
   changed. */
static void a_sync_without_space(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    disk_faulty_fail(folder->disk, DISK_CALL_SYNC, 0, 1, KVS_NO_SPACE, DISK_FAIL_BEFORE);
    (void)change(manifest);
    assert_commit_fails(KVS_IO, manifest);
    assert_read_only_from_now_on(manifest);
    manifest_free(manifest);
}

/* The frame of a commit whose sync failed is in the page cache, and who knows where else. The next
   open has to write it again before it believes it. */
static void a_frame_that_was_not_synced(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    disk_faulty_fail(folder->disk, DISK_CALL_SYNC, 0, 1, KVS_IO, DISK_FAIL_BEFORE);
    const struct model after = change(manifest);
    assert_commit_fails(KVS_IO, manifest);
    manifest_free(manifest);
    heal(folder);

    manifest = must_open(folder->disk, true);
    assert_model(manifest, &after);
    manifest_free(manifest);

    static const uint32_t calls[] = {DISK_CALL_WRITE, DISK_CALL_SYNC};
    for (unsigned i = 0; i < 2; i++) {
        struct test_error error;
        disk_faulty_fail(folder->disk, calls[i], 0, 1, KVS_IO, DISK_FAIL_BEFORE);
        assert_status(KVS_IO, open_fails(folder->disk, &error), &error);
    }
    heal(folder);
    uint64_t writes = disk_faulty_calls(folder->disk, DISK_CALL_WRITE);
    uint64_t syncs = disk_faulty_calls(folder->disk, DISK_CALL_SYNC);
    manifest = must_open(folder->disk, false);
    assert_model(manifest, &after);
    manifest_free(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALL_WRITE), writes + 2); /* and a seal */
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALL_SYNC), syncs + 1);

    manifest = must_open(folder->disk, false); /* now it is known */
    assert_model(manifest, &after);
    manifest_free(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALL_SYNC), syncs + 1);
}

/* ---- a full disk -------------------------------------------------------------------------- */

/* Some space is there before it is needed, and commits go on until that is used up. Then nothing
   changes, and when there is space again, they go on. */
static void space_is_kept(void **state)
{
    struct folder *folder = *state;
    for (unsigned reopened = 0; reopened < 2; reopened++) {
        struct manifest *manifest = start(folder);
        for (uint32_t i = 0; i < 350; i++) /* about to ask for more */
            put_one(manifest, i % 8);
        if (reopened == 1) {
            manifest_free(manifest);
            manifest = must_open(folder->disk, false);
        }
        disk_faulty_fail(folder->disk, DISK_CALL_RESERVE | DISK_CALL_CREATE, 0, DISK_FAULTY_FOREVER,
                         KVS_NO_SPACE, DISK_FAIL_BEFORE);
        unsigned commits = 0;
        kvs_status status;
        struct model before;
        do {
            before = model_of(manifest);
            manifest_begin(manifest);
            must_put(manifest, commits++ % 8);
            status = manifest_commit(manifest, NULL);
        } while (status == KVS_OK && commits < 5000);
        assert_int_equal(status, KVS_NO_SPACE);
        assert_in_range(commits, 250, 500);
        assert_model(manifest, &before);
        heal(folder);
        put_one(manifest, 9);
        before = model_of(manifest);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
        assert_model(manifest, &before);
        manifest_free(manifest);
    }
}

/* Where space cannot be reserved, a write that meets a full disk is taken back. */
static void a_full_disk_without_reserving(void **state)
{
    struct folder *folder = *state;
    for (unsigned when = 0; when < WHENS; when++) {
        struct manifest *manifest = start(folder);
        disk_faulty_fail(folder->disk, DISK_CALL_RESERVE, 0, DISK_FAULTY_FOREVER, KVS_UNSUPPORTED,
                         DISK_FAIL_BEFORE);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
        put_one(manifest, 4);
        const struct model before = model_of(manifest);
        disk_faulty_fail(folder->disk, DISK_CALL_WRITE, 0, 1, KVS_NO_SPACE, whens[when]);
        (void)change(manifest);
        assert_commit_fails(KVS_NO_SPACE, manifest);
        assert_model(manifest, &before);

        struct manifest *other = must_open(folder->real, true); /* nothing is left of it */
        assert_model(other, &before);
        assert_int_equal(manifest_torn_bytes(other), 0);
        manifest_free(other);

        const struct model after = change(manifest);
        must_commit(manifest);
        assert_model(manifest, &after);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
        assert_model(manifest, &after);
        manifest_free(manifest);
    }
}

/* Taking back fails too: nothing is known any more. */
static void a_full_disk_that_fails(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    disk_faulty_fail(folder->disk, DISK_CALL_WRITE | DISK_CALL_TRUNCATE, 0, 2, KVS_NO_SPACE,
                     DISK_FAIL_HALF);
    (void)change(manifest);
    assert_commit_fails(KVS_IO, manifest);
    assert_read_only_from_now_on(manifest);
    manifest_free(manifest);
}

/* The seal has no space: nothing depends on it. */
static void no_space_for_a_seal(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    disk_faulty_fail(folder->disk, DISK_CALL_WRITE, 1, 1, KVS_NO_SPACE, DISK_FAIL_HALF);
    const struct model after = change(manifest);
    must_commit(manifest);
    assert_int_equal(disk_faulty_failures(folder->disk), 1);
    manifest_free(manifest);
    manifest = must_open(folder->disk, false);
    assert_model(manifest, &after);
    put_one(manifest, 7);
    manifest_free(manifest);
    manifest = must_open(folder->disk, false);
    assert_non_null(manifest_find(manifest, 7));
    manifest_free(manifest);
}

/* ---- rewriting ---------------------------------------------------------------------------- */

/* Commits until the next one rewrites the file. */
static void fill_up(struct folder *folder, struct manifest *manifest)
{
    struct content content;
    do {
        put_one(manifest, 1);
        content = manifest_content(folder->real);
        free(content.data);
    } while (content.bytes + 2 * MANIFEST_FRAME_BYTES + 3 * MANIFEST_ENTRY_BYTES <= 65536);
}

#define CALLS_OF_THE_COMMIT 4u /* reserve, write, sync, seal */

/* The commit that is followed by rewriting is done, whatever becomes of that. False: rewriting makes
   no nth call. */
static bool rewrite_with_failure(struct folder *folder, const struct content *full, uint64_t nth,
                                 enum disk_fail_when when)
{
    heal(folder);
    put_content(folder->real, MANIFEST_NAME, full->data, full->bytes);
    struct manifest *manifest = must_open(folder->disk, false);
    uint64_t creates = disk_faulty_calls(folder->disk, DISK_CALL_CREATE);
    disk_faulty_fail(folder->disk, DISK_CALLS_ALL, CALLS_OF_THE_COMMIT + nth, 1, KVS_IO, when);
    struct model expected = change(manifest);
    must_commit(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALL_CREATE), creates + 1);
    assert_model(manifest, &expected);
    bool failed = disk_faulty_failures(folder->disk) > 0;
    heal(folder);
    if (failed) {
        assert_read_only_from_now_on(manifest);
    } else {
        put_one(manifest, 7);
        expected = model_of(manifest);
    }
    manifest_free(manifest);
    manifest = must_open(folder->disk, false);
    assert_model(manifest, &expected);
    put_one(manifest, 8);
    manifest_free(manifest);
    assert_false(exists(folder->real, MANIFEST_TEST_NEW));
    return failed;
}

static void each_call_of_rewriting(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    fill_up(folder, manifest);
    manifest_free(manifest);
    struct content full = manifest_content(folder->real);
    for (unsigned when = 0; when < WHENS; when++) {
        uint64_t nth = 0;
        while (rewrite_with_failure(folder, &full, nth, whens[when]))
            nth++;
        assert_int_equal(nth, 6); /* create, reserve, write, sync, rename, sync the folder */
    }
    free(full.data);
}

/* Without space for a new file the old one is used on, and rewritten later. */
static void rewriting_without_space(void **state)
{
    struct folder *folder = *state;
    static const uint32_t calls[] = {DISK_CALL_CREATE, DISK_CALL_RENAME};
    for (unsigned i = 0; i < 2; i++) {
        struct manifest *manifest = start(folder);
        fill_up(folder, manifest);
        disk_faulty_fail(folder->disk, calls[i], 0, 2, KVS_NO_SPACE, DISK_FAIL_BEFORE);
        (void)change(manifest);
        must_commit(manifest);
        put_one(manifest, 5);
        assert_int_equal(disk_faulty_failures(folder->disk), 2);
        assert_false(exists(folder->real, MANIFEST_TEST_NEW));
        struct content content = manifest_content(folder->real);
        assert_true(content.bytes > 65536);
        free(content.data);
        put_one(manifest, 6);
        content = manifest_content(folder->real);
        assert_true(content.bytes < 1000);
        free(content.data);
        struct model last = model_of(manifest);
        manifest_free(manifest);
        manifest = must_open(folder->disk, false);
        assert_model(manifest, &last);
        manifest_free(manifest);
    }
}

/* ---- making and opening ------------------------------------------------------------------- */

static void each_call_of_creating(void **state)
{
    struct folder *folder = *state;
    for (unsigned when = 0; when < WHENS; when++) {
        uint64_t nth = 0;
        bool failed;
        do {
            (void)!disk_remove(folder->real, MANIFEST_NAME, NULL);
            disk_faulty_fail(folder->disk, DISK_CALLS_ALL, nth++, 1, KVS_IO, whens[when]);
            struct test_error error;
            test_error_init(&error);
            struct manifest *manifest = NULL;
            kvs_status status = manifest_create(folder->disk, &manifest, &error.error);
            failed = disk_faulty_failures(folder->disk) > 0;
            heal(folder);
            assert_status(failed ? KVS_IO : KVS_OK, status, &error);
            if (failed) {
                assert_null(manifest);
                manifest = exists(folder->real, MANIFEST_NAME) ? must_open(folder->disk, false)
                                                               : must_create(folder->disk);
            }
            put_one(manifest, 1);
            manifest_free(manifest);
        } while (failed);
        assert_int_equal(nth, 8); /* looking for one, as in rewriting, and the last one worked */
    }
}

/* Of a file with a torn end, so that it has something to write. */
static void each_call_of_opening(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = start(folder);
    const struct model expected = model_of(manifest);
    manifest_free(manifest);
    struct content whole = manifest_content(folder->real);
    uint8_t torn[40];
    memset(torn, 0xa5, sizeof(torn));
    for (unsigned when = 0; when < WHENS; when++) {
        uint64_t nth = 0;
        bool failed;
        do {
            put_content(folder->real, MANIFEST_NAME, whole.data, whole.bytes);
            struct disk_file *file;
            assert_int_equal(disk_file_open(folder->real, MANIFEST_NAME, 0, &file, NULL), KVS_OK);
            assert_int_equal(disk_file_write(file, whole.bytes, torn, sizeof(torn), NULL), KVS_OK);
            disk_file_close(file);
            disk_faulty_fail(folder->disk, DISK_CALLS_ALL & ~DISK_CALL_REMOVE, nth++, 1, KVS_IO,
                             whens[when]);
            manifest = NULL;
            kvs_status status = manifest_open(folder->disk, false, &manifest, NULL);
            failed = disk_faulty_failures(folder->disk) > 0;
            heal(folder);
            assert_true(status == KVS_OK || (failed && status == KVS_IO));
            if (status == KVS_OK) {
                assert_model(manifest, &expected);
                if (failed)
                    assert_read_only_from_now_on(manifest); /* it was the seal */
                manifest_free(manifest);
            }
            manifest = must_open(folder->disk, false);
            assert_model(manifest, &expected);
            put_one(manifest, 5);
            manifest_free(manifest);
        } while (failed);
        assert_int_equal(nth, 8); /* open, size, read, write, sync, seal, reserve */
    }
    free(whole.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call_of_a_commit),         TEST(a_sync_without_space),
        TEST(a_frame_that_was_not_synced),   TEST(space_is_kept),
        TEST(a_full_disk_without_reserving), TEST(a_full_disk_that_fails),
        TEST(no_space_for_a_seal),           TEST(each_call_of_rewriting),
        TEST(rewriting_without_space),       TEST(each_call_of_creating),
        TEST(each_call_of_opening),
    };
    return cmocka_run_group_tests_name("engine-log-manifest-faults", tests, NULL, NULL);
}
