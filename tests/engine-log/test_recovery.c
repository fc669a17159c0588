/*
 * What a store is after its process was killed, and after its files were damaged behind its back. The
 * numbers of the log engine's recovery are white-box: frames of one record are FRAME bytes.
 */
#include "store_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL      STORE_VALUE_LEAST
#define FRAME      (FRAME_HEADER_BYTES + RECORD_HEADER_BYTES + STORE_KEY_BYTES + SMALL)
#define FIRST      "00000000.seg"
#define PATH_BYTES 512u

static const uint32_t all_modes[] = {KVS_DURABILITY_ALWAYS, KVS_DURABILITY_INTERVAL,
                                     KVS_DURABILITY_NONE};
#define MODE_COUNT (sizeof(all_modes) / sizeof(all_modes[0]))

static void require(bool condition)
{
    if (!condition)
        _exit(3);
}

/* Runs work in a child on an open store, which then ends without closing it. */
static void run_and_die(const char *dir, uint32_t durability,
                        void (*work)(struct test_store *store))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct test_store store;
        require(test_store_open(&store, dir, NULL, durability, KVS_OPEN_CREATE, NULL) == KVS_OK);
        work(&store);
        _exit(0);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(0, WEXITSTATUS(status));
}

static kvs_status try_open(const char *dir, uint32_t flags, struct test_error *error)
{
    struct test_store store;
    kvs_status status = test_store_open(&store, dir, NULL, KVS_DURABILITY_NONE, flags, error);
    if (status == KVS_OK)
        must_close_store(&store);
    return status;
}

/* ---- the order of segments ------------------------------------------------------------------ */

/* The large value takes a segment of its own, made after the spare that is used next. */
static void write_large_between(struct test_store *store)
{
    for (uint64_t i = 0; i < 50; i++) {
        require(put(store, 3 * i, 1, SMALL) == KVS_OK);
        require(put(store, 3 * i + 1, 1, i % 10 == 5 ? 2 * STORE_TEST_SEGMENT : SMALL) == KVS_OK);
        require(put(store, 3 * i + 2, 1, 20000) == KVS_OK);
    }
}

static void test_segments_in_any_order(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODE_COUNT; mode++) {
        struct test_store store;
        char *dir = temp_dir_new();
        run_and_die(dir, all_modes[mode], write_large_between);
        for (unsigned round = 0; round < 2; round++) {
            must_open_store(&store, dir, all_modes[mode]);
            for (uint64_t i = 0; i < 150; i++)
                assert_int_equal(1, version_of(&store, i));
            assert_false(test_store_logged(&store, "torn"));
            must_close_store(&store);
        }
        temp_dir_free(dir);
    }
}

/* ---- killed at any moment ------------------------------------------------------------------- */

#define KEYS       200u
#define KILL_AFTER 300u /* acknowledged writes, at least */

struct progress { /* shared with the child */
    _Atomic uint64_t acknowledged[KEYS];
    _Atomic uint64_t started[KEYS];
    _Atomic uint64_t writes;
};

/* Overwrites a few keys for ever, so that segments die as fast as they are filled; every 16th version
   is a removal. */
static void overwrite(struct test_store *store, struct progress *progress, uint64_t seed)
{
    for (;;) {
        uint64_t key = dice_next(&seed) % KEYS;
        uint64_t version = progress->started[key] + 1;
        progress->started[key] = version;
        if (version % 16 == 0) {
            kvs_status status = del(store, key);
            require(status == KVS_OK || status == KVS_NOT_FOUND);
        } else {
            require(put(store, key, version, SMALL + dice_next(&seed) % 20000) == KVS_OK);
        }
        progress->acknowledged[key] = version;
        progress->writes++;
    }
}

static void check_progress(struct test_store *store, const struct progress *progress)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t least = progress->acknowledged[key];
        uint64_t most = progress->started[key];
        uint64_t version = version_of(store, key);
        if (version == 0)
            assert_true(least == 0 || least % 16 == 0 || (most != least && most % 16 == 0));
        else
            assert_true(version == least || version == most);
    }
}

/* What was on its way may be there or not; the next round goes on from what is. */
static void settle_progress(struct test_store *store, struct progress *progress)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t least = progress->acknowledged[key];
        uint64_t version = version_of(store, key);
        if (version == 0)
            version = least % 16 == 0 ? least : progress->started[key];
        progress->acknowledged[key] = version;
        progress->started[key] = version;
    }
}

static void kill_rounds(uint32_t durability, unsigned rounds, uint64_t seed)
{
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(progress != MAP_FAILED);
    char *dir = temp_dir_new();
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t until = progress->writes + KILL_AFTER + dice_next(&seed) % 1000;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct test_store store;
            require(test_store_open(&store, dir, NULL, durability, KVS_OPEN_CREATE, NULL) ==
                    KVS_OK);
            overwrite(&store, progress, seed);
        }
        while (progress->writes < until && waitpid(child, NULL, WNOHANG) == 0)
            (void)usleep(200);
        assert_true(progress->writes >= until); /* else the child ended by itself */
        (void)kill(child, SIGKILL);
        assert_int_equal(child, waitpid(child, NULL, 0));
        struct test_store store;
        must_open_store(&store, dir, durability);
        check_progress(&store, progress);
        if (round % 3 == 2) {
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
            check_progress(&store, progress);
        }
        settle_progress(&store, progress);
        must_close_store(&store);
    }
    assert_true(count_files(dir, ".seg") < 40);
    temp_dir_free(dir);
    (void)munmap(progress, sizeof(*progress));
}

static void test_killed_always(void **state)
{
    (void)state;
    kill_rounds(KVS_DURABILITY_ALWAYS, 6, 1);
}

static void test_killed_interval(void **state)
{
    (void)state;
    kill_rounds(KVS_DURABILITY_INTERVAL, 12, 2);
}

static void test_killed_none(void **state)
{
    (void)state;
    kill_rounds(KVS_DURABILITY_NONE, 12, 3);
}

/* ---- torn tails ----------------------------------------------------------------------------- */

#define WRITTEN 12u

static void write_some(struct test_store *store)
{
    for (uint64_t i = 0; i < WRITTEN; i++)
        require(put(store, i, 1, SMALL) == KVS_OK);
}

enum damage {
    TRUNCATED,
    ZEROED,  /* from there on */
    GARBLED, /* one byte */
    DAMAGE_COUNT
};

static void damage_file(const char *dir, const char *name, enum damage damage, uint64_t offset)
{
    char path[PATH_BYTES];
    uint8_t byte;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    if (damage == GARBLED) {
        assert_int_equal(1, pread(fd, &byte, 1, (off_t)offset));
        byte ^= 0x5A;
        assert_int_equal(1, pwrite(fd, &byte, 1, (off_t)offset));
    } else {
        assert_int_equal(0, ftruncate(fd, (off_t)offset));
        if (damage == ZEROED)
            assert_int_equal(0, ftruncate(fd, size));
    }
    (void)close(fd);
}

static void check_torn(const char *dir, uint32_t flags, uint64_t sound, bool may_be_whole)
{
    struct test_store store;
    struct test_error error;
    assert_status(KVS_OK, test_store_open(&store, dir, NULL, KVS_DURABILITY_NONE, flags, &error),
                  &error);
    for (uint64_t i = 0; i < WRITTEN; i++) {
        uint64_t version = version_of(&store, i);
        if (i < sound)
            assert_int_equal(1, version);
        else if (!may_be_whole)
            assert_int_equal(0, version);
    }
    if (flags == KVS_OPEN_CREATE) {
        for (uint64_t i = 0; i < WRITTEN; i++)
            assert_int_equal(KVS_OK, put(&store, i, 2, SMALL));
        must_close_store(&store);
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        for (uint64_t i = 0; i < WRITTEN; i++)
            assert_int_equal(2, version_of(&store, i));
    }
    must_close_store(&store);
}

static void test_torn_at_every_byte(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    run_and_die(dir, KVS_DURABILITY_NONE, write_some);
    for (unsigned damage = 0; damage < DAMAGE_COUNT; damage++) {
        for (uint64_t at = 0; at < 3 * FRAME; at++) {
            uint64_t offset = SEGMENT_HEADER_BYTES + (WRITTEN - 3) * FRAME + at;
            copy_folder(dir, copy);
            damage_file(copy, FIRST, (enum damage)damage, offset);
            /* Zeros in the place of zeros damage nothing. */
            check_torn(copy, at % 48 == 5 ? KVS_OPEN_CREATE : KVS_OPEN_READ_ONLY,
                       WRITTEN - 3 + at / FRAME, damage != GARBLED);
        }
    }
    temp_dir_free(copy);
    temp_dir_free(dir);
}

static void test_torn_tail_says_how_much(void **state)
{
    (void)state;
    struct test_store store;
    char expected[128];
    char *dir = temp_dir_new();
    run_and_die(dir, KVS_DURABILITY_NONE, write_some);
    uint64_t offset = SEGMENT_HEADER_BYTES + (WRITTEN - 1) * FRAME;
    damage_file(dir, FIRST, TRUNCATED, offset + 40);
    (void)snprintf(expected, sizeof(expected),
                   FIRST ": cut off a torn tail of 40 bytes at offset %llu",
                   (unsigned long long)offset);
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_true(test_store_logged(&store, expected));
    must_close_store(&store);
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_false(test_store_logged(&store, "torn"));
    must_close_store(&store);
    temp_dir_free(dir);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* With always, each frame says that the ones before it were durable. */
static void test_damage_before_a_claim(void **state)
{
    (void)state;
    struct test_error error;
    char expected[64];
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    run_and_die(dir, KVS_DURABILITY_ALWAYS, write_some);
    for (uint64_t frame = 0; frame < WRITTEN; frame++) {
        uint64_t offset = SEGMENT_HEADER_BYTES + frame * FRAME;
        copy_folder(dir, copy);
        damage_file(copy, FIRST, GARBLED, offset + FRAME / 2);
        if (frame == WRITTEN - 1) { /* nothing says that it was durable */
            assert_int_equal(KVS_OK, try_open(copy, KVS_OPEN_CREATE, &error));
            continue;
        }
        assert_int_equal(KVS_CORRUPT, try_open(copy, KVS_OPEN_CREATE, &error));
        (void)snprintf(expected, sizeof(expected), FIRST " is damaged at offset %llu",
                       (unsigned long long)offset);
        assert_non_null(strstr(error.message, expected));
        assert_int_equal(KVS_CORRUPT, try_open(copy, KVS_OPEN_CREATE, &error)); /* still */
    }
    temp_dir_free(copy);
    temp_dir_free(dir);
}

static void make_sealed(const char *dir)
{
    struct test_store store;
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t i = 0; i < WRITTEN; i++)
        assert_int_equal(KVS_OK, put(&store, i, 1, SMALL));
    must_close_store(&store);
}

/* Every byte of one record of a sealed segment: that key alone is damaged, whatever is done. */
static void test_damaged_sealed_record(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    make_sealed(dir);
    uint64_t begin = SEGMENT_HEADER_BYTES + 4 * FRAME + FRAME_HEADER_BYTES;
    for (uint64_t at = 0; at < FRAME - FRAME_HEADER_BYTES; at += 3) {
        struct test_store store;
        uint64_t version;
        copy_folder(dir, copy);
        damage_file(copy, FIRST, GARBLED, begin + at);
        must_open_store(&store, copy, KVS_DURABILITY_NONE);
        for (unsigned round = 0; round < 2; round++) {
            for (uint64_t i = 0; i < WRITTEN; i++)
                assert_int_equal(i == 4 ? KVS_CORRUPT : KVS_OK, look(&store, i, &version));
            /* Half of the segment is dead now; compacting it must not lose the damage. */
            for (uint64_t i = 6; i < WRITTEN; i++)
                assert_int_equal(KVS_OK, put(&store, i, 2, SMALL));
            (void)!engine_log_ops.compact(store.db, NULL);
        }
        must_close_store(&store);
        struct test_error error;
        if (test_store_open(&store, copy, NULL, KVS_DURABILITY_NONE, 0, &error) == KVS_OK) {
            assert_int_equal(KVS_CORRUPT, look(&store, 4, &version));
            must_close_store(&store);
        }
    }
    temp_dir_free(copy);
    temp_dir_free(dir);
}

/* ---- files that are not there, or should not be ---------------------------------------------- */

static void test_missing_files(void **state)
{
    (void)state;
    struct test_error error;
    char path[PATH_BYTES];
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    make_sealed(dir);
    copy_folder(dir, copy);
    (void)snprintf(path, sizeof(path), "%s/" FIRST, copy);
    assert_int_equal(0, unlink(path));
    assert_int_equal(KVS_CORRUPT, try_open(copy, KVS_OPEN_CREATE, &error));
    assert_non_null(strstr(error.message, FIRST));
    copy_folder(dir, copy);
    (void)snprintf(path, sizeof(path), "%s/" MANIFEST_NAME, copy);
    assert_int_equal(0, unlink(path));
    assert_int_equal(KVS_CORRUPT, try_open(copy, KVS_OPEN_CREATE, &error));
    assert_non_null(strstr(error.message, MANIFEST_NAME));
    assert_int_equal(1, count_files(copy, ".seg")); /* nothing was made or removed */
    empty_folder(copy);
    assert_int_equal(KVS_MISSING, try_open(copy, 0, &error));
    temp_dir_free(copy);
    temp_dir_free(dir);
}

static void test_leftovers_are_removed(void **state)
{
    (void)state;
    struct test_store store;
    char path[PATH_BYTES];
    char *dir = temp_dir_new();
    make_sealed(dir);
    (void)snprintf(path, sizeof(path), "%s/00000777.seg", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_int_equal(-1, access(path, F_OK));
    must_close_store(&store);
    assert_int_equal(1, count_files(dir, ".seg"));
    temp_dir_free(dir);
}

static uint64_t restart; /* the child's copy says which one it is */

static void write_one(struct test_store *store)
{
    require(put(store, restart, 1, SMALL) == KVS_OK);
}

static bool has_few_segments(void *arg)
{
    return test_store_stat(arg, "segments") < 12; /* the active one and the spare are among them */
}

static void test_restarts_leave_nothing(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    for (restart = 0; restart < 60; restart++) {
        if (restart % 2 == 0) {
            run_and_die(dir, KVS_DURABILITY_NONE, write_one);
            continue;
        }
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_int_equal(KVS_OK, put(&store, restart, 1, SMALL));
        must_close_store(&store);
    }
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    wait_until(has_few_segments, &store);
    for (uint64_t i = 0; i < 60; i++)
        assert_int_equal(1, version_of(&store, i));
    assert_int_equal(60, test_store_stat(&store, "keys"));
    must_close_store(&store);
    assert_true(count_files(dir, ".seg") < 12);
    temp_dir_free(dir);
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* Everything is removed and compacted away; what is written then must not look older. */
static void test_sequence_goes_on(void **state)
{
    (void)state;
    struct test_store store;
    uint64_t before = 0;
    char *dir = temp_dir_new();
    for (unsigned round = 0; round < 6; round++) {
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_true(store.db->sequence > before);
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(KVS_OK, put(&store, i, round + 1, 1000));
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(KVS_OK, del(&store, i));
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
        before = store.db->sequence - 1;
        assert_int_equal(0, test_store_stat(&store, "live_bytes"));
        if (round % 2 == 0) {
            must_close_store(&store);
            continue;
        }
        for (uint64_t i = 200; i < 220; i++) /* it dies with these */
            assert_int_equal(KVS_OK, put(&store, i, round + 1, 1000));
        char *copy = temp_dir_new();
        copy_folder(dir, copy);
        must_close_store(&store);
        must_open_store(&store, copy, KVS_DURABILITY_NONE);
        for (uint64_t i = 200; i < 220; i++)
            assert_int_equal(round + 1, version_of(&store, i));
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(0, version_of(&store, i));
        must_close_store(&store);
        temp_dir_free(copy);
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        for (uint64_t i = 200; i < 220; i++)
            assert_int_equal(KVS_OK, del(&store, i));
        must_close_store(&store);
    }
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_in_any_order),
        cmocka_unit_test(test_killed_always),
        cmocka_unit_test(test_killed_interval),
        cmocka_unit_test(test_killed_none),
        cmocka_unit_test(test_torn_at_every_byte),
        cmocka_unit_test(test_torn_tail_says_how_much),
        cmocka_unit_test(test_damage_before_a_claim),
        cmocka_unit_test(test_damaged_sealed_record),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_leftovers_are_removed),
        cmocka_unit_test(test_restarts_leave_nothing),
        cmocka_unit_test(test_sequence_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
