/*
 * A disk that fails (disk.h): nothing that was acknowledged is lost, nothing that was refused shows
 * up, the store turns read-only where it must and goes on where it can. And what each durability
 * mode costs in flushes, which is what it promises.
 */
#include "engine-lmdb/disk.h"
#include "engines/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static kvs_status set(struct session *session, const char *key, const char *value,
                      struct test_error *error)
{
    test_error_init(error);
    return session_set(session, NULL, text(key), text(value), error);
}

static void take_read_only(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "read_only") == 0)
        *(uint64_t *)arg = value;
}

/* The figure that /metrics and INFO show. */
static uint64_t read_only_figure(struct session *session)
{
    uint64_t figure = UINT64_MAX;
    engine_ops()->stats(session->db, take_read_only, &figure);
    return figure;
}

static char *open_with_one(struct session *session, const struct session_config *config)
{
    char *dir = temp_dir_new();
    session_open(session, dir, config);
    check_set(session, text("key"), text("old"));
    return dir;
}

/*
 * The store takes no more writes, shows what it had, and opens again with just that. What was
 * answered before it was flushed may be lost now, so then it only opens if it is told to.
 */
static void check_read_only(struct session *session, const char *dir,
                            const struct session_config *config)
{
    static const char *const trust[] = {"trust-unsynced=yes"};
    struct session_config trusting = *config;
    struct test_error error;
    struct kvs_op op = op_set(text("new"), text("value"));
    assert_status(KVS_READ_ONLY, set(session, "key", "newer", &error), &error);
    assert_non_null(strstr(error.message, dir));
    assert_int_equal(KVS_READ_ONLY, session_remove(session, NULL, text("key"), &error));
    assert_int_equal(KVS_READ_ONLY, session_submit(session, NULL, &op, 1, 0, &error));
    assert_int_equal(KVS_READ_ONLY, engine_ops()->sync(session->db, &error.error));
    assert_int_equal(KVS_READ_ONLY, engine_ops()->compact(session->db, &error.error));
    check_value(session, text("key"), text("old"));
    check_missing(session, text("new"));
    assert_int_equal(1, session_key_count(session));
    assert_int_equal(1, read_only_figure(session));
    assert_true(session_try_close(session, &error) != KVS_OK);
    if (config->durability != KVS_DURABILITY_ALWAYS) {
        assert_status(KVS_CORRUPT, session_try_open(session, dir, config, &error), &error);
        assert_non_null(strstr(error.message, "a flush of it failed"));
        trusting.options = trust;
        trusting.option_count = 1;
    }
    session_open(session, dir, &trusting);
    check_value(session, text("key"), text("old"));
    check_missing(session, text("new"));
    check_set(session, text("new"), text("value"));
    session_reopen(session, dir, config);
    check_value(session, text("new"), text("value"));
    assert_int_equal(0, read_only_figure(session));
    session_close(session);
}

static void run_fatal(enum disk_op op)
{
    const struct session_config config = {.durability = KVS_DURABILITY_ALWAYS};
    struct session session;
    struct test_error error;
    char *dir = open_with_one(&session, &config);
    disk_fail(op, EIO, 1);
    assert_status(KVS_IO, set(&session, "key", "new", &error), &error);
    assert_int_equal(EIO, error.error.os_errno);
    check_read_only(&session, dir, &config);
    temp_dir_free(dir);
}

static void test_data_write_fails(void **state)
{
    (void)state;
    run_fatal(DISK_DATA);
}

static void test_flush_fails(void **state)
{
    (void)state;
    run_fatal(DISK_SYNC);
}

static void test_meta_write_fails(void **state)
{
    (void)state;
    run_fatal(DISK_META);
}

static void test_disk_full_for_a_moment(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_ALWAYS};
    struct session session;
    struct test_error error;
    char *dir = open_with_one(&session, &config);
    disk_fail(DISK_DATA, ENOSPC, 1);
    assert_status(KVS_NO_SPACE, set(&session, "key", "new", &error), &error);
    check_value(&session, text("key"), text("old"));
    assert_status(KVS_OK, set(&session, "key", "newer", &error), &error);
    session_reopen(&session, dir, &config);
    check_value(&session, text("key"), text("newer"));
    session_close(&session);
    temp_dir_free(dir);
}

/* A flush that nobody waits for fails: the store turns read-only all the same. */
static bool is_read_only(void *arg)
{
    struct test_error error;
    return set(arg, "key", "old", &error) == KVS_READ_ONLY;
}

static void test_background_flush_fails(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_INTERVAL, .interval_ms = 2};
    struct session session;
    char *dir = open_with_one(&session, &config);
    disk_fail(DISK_SYNC, EIO, 1);
    wait_until(is_read_only, &session);
    check_read_only(&session, dir, &config);
    temp_dir_free(dir);
}

static void test_sync_fails(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_NONE};
    struct session session;
    struct test_error error;
    char *dir = open_with_one(&session, &config);
    disk_fail(DISK_SYNC, EIO, 1);
    test_error_init(&error);
    assert_status(KVS_IO, engine_ops()->sync(session.db, &error.error), &error);
    check_read_only(&session, dir, &config);
    temp_dir_free(dir);
}

/* Batches that queue behind one whose commit fails are refused, each exactly once. */
static void test_queue_behind_a_fault(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_ALWAYS};
    struct session session;
    struct submission submissions[50];
    struct kvs_op ops[50];
    kvs_status started[50];
    char *dir = open_with_one(&session, &config);
    disk_fail(DISK_SYNC, EIO, 1);
    for (unsigned i = 0; i < 50; i++) {
        ops[i] = op_set(text("new"), text("value"));
        submission_init(&submissions[i], &ops[i], 1, 0);
        started[i] = submission_start(&session, NULL, &submissions[i]);
    }
    for (unsigned i = 0; i < 50; i++) {
        kvs_status status = submission_wait(&submissions[i], started[i]);
        assert_true(status == KVS_IO || status == KVS_READ_ONLY);
        assert_true(strlen(submissions[i].error.message) > 0);
        assert_int_equal(started[i] == KVS_PENDING ? 1 : 0, submissions[i].complete_count);
        submission_deinit(&submissions[i]);
    }
    check_read_only(&session, dir, &config);
    temp_dir_free(dir);
}

/* ---- what a mode costs ------------------------------------------------------------------------- */

#define COMMITS 20u

static void run_cost(uint32_t durability, uint32_t batch_flags, uint64_t flushes)
{
    const struct session_config config = {.durability = durability, .interval_ms = 3600000};
    struct session session;
    char *dir = open_with_one(&session, &config);
    struct kvs_op op = op_set(text("key"), text("first"));
    assert_int_equal(KVS_OK, session_submit(&session, NULL, &op, 1, batch_flags, NULL));
    uint64_t before = disk_count(DISK_SYNC);
    uint64_t metas_before = disk_count(DISK_META);
    for (unsigned i = 0; i < COMMITS; i++)
        check_set(&session, text("key"), bytes_of(&i, sizeof(i)));
    assert_int_equal(flushes * COMMITS, disk_count(DISK_SYNC) - before);
    assert_int_equal(COMMITS, disk_count(DISK_META) - metas_before);
    session_close(&session);
    temp_dir_free(dir);
}

static void test_costs(void **state)
{
    (void)state;
    run_cost(KVS_DURABILITY_ALWAYS, 0, 1); /* and the meta page's, which is written with O_DSYNC */
    run_cost(KVS_DURABILITY_INTERVAL, 0, 1);
    run_cost(KVS_DURABILITY_NONE, 0, 0);
    run_cost(KVS_DURABILITY_NONE, KVS_BATCH_DURABLE, 1);
}

/* A mode that was raised stays so when compaction opens the file anew. */
static void test_raised_after_compact(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_NONE};
    struct session session;
    char *dir = open_with_one(&session, &config);
    struct kvs_op op = op_set(text("key"), text("durable"));
    assert_int_equal(KVS_OK, session_submit(&session, NULL, &op, 1, KVS_BATCH_DURABLE, NULL));
    assert_int_equal(KVS_OK, engine_ops()->compact(session.db, NULL));
    uint64_t before = disk_count(DISK_SYNC);
    check_set(&session, text("key"), text("later"));
    assert_int_equal(1, disk_count(DISK_SYNC) - before);
    session_reopen(&session, dir, &config);
    check_value(&session, text("key"), text("later"));
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- a disk that is full, by a limit on files' sizes ------------------------------------------- */

#define PIECE 20000u

/* In a child process, because the limit is one of the process. 0: all as it should be. */
static int fill_the_disk(const char *dir)
{
    struct session session;
    struct test_error error;
    struct rlimit limit;
    char key[KEY_TEXT_MAX];
    static uint8_t value[PIECE];
    unsigned count = 0;
    kvs_status status = KVS_OK;
    test_error_init(&error);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 24u << 20;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        session_try_open(&session, dir, NULL, &error) != KVS_OK)
        return 1;
    for (; status == KVS_OK && count < 10000; count++)
        status = session_set(&session, NULL, key_make(key, "fill", count), bytes_of(value, PIECE),
                             &error);
    if (status != KVS_NO_SPACE || count < 500 || strlen(error.message) == 0)
        return 2;
    /* It stays full, tells each so, and still reads. */
    for (unsigned i = 0; i < 50; i++) {
        if (session_set(&session, NULL, key_make(key, "more", i), bytes_of(value, PIECE), NULL) !=
            KVS_NO_SPACE)
            return 3;
    }
    struct copy copy = {NULL, 0, 0};
    if (session_get(&session, NULL, key_make(key, "fill", 0), &copy, NULL) != KVS_OK)
        return 4;
    copy_deinit(&copy);
    /* A batch that fits nowhere spoils none that need no room. */
    for (unsigned i = 0; i < count / 2; i++) {
        if (session_remove(&session, NULL, key_make(key, "fill", i), NULL) != KVS_OK)
            return 5;
    }
    for (unsigned i = 0; i < count / 4; i++) {
        if (session_set(&session, NULL, key_make(key, "again", i), bytes_of(value, PIECE),
                        &error) != KVS_OK)
            return 6;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned i = 0; i < 1000; i++) {
        if (session_set(&session, NULL, key_make(key, "room", i), bytes_of(value, PIECE), NULL) !=
            KVS_OK)
            return 7;
    }
    return session_try_close(&session, &error) == KVS_OK ? 0 : 8;
}

static void test_full_disk(void **state)
{
    (void)state;
    struct session session;
    char key[KEY_TEXT_MAX];
    int status;
    static uint8_t value[PIECE];
    char *dir = temp_dir_new();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_the_disk(dir));
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(0, WEXITSTATUS(status));
    session_open(&session, dir, NULL);
    check_missing(&session, key_make(key, "fill", 0));
    check_missing(&session, key_make(key, "more", 0));
    check_value(&session, key_make(key, "again", 0), bytes_of(value, PIECE));
    check_value(&session, key_make(key, "room", 999), bytes_of(value, PIECE));
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- what a kill left to the kernel ------------------------------------------------------------------- */

/* In a process of its own, which ends with its store open. */
static void write_and_die(const char *dir, uint32_t durability)
{
    struct session session;
    struct test_error error;
    const struct session_config config = {.durability = durability, .interval_ms = 3600000};
    test_error_init(&error);
    if (session_try_open(&session, dir, &config, &error) != KVS_OK ||
        set(&session, "key", "old", &error) != KVS_OK)
        _exit(1);
    _exit(0);
}

/*
 * The start after a kill flushes what the kernel has. Where that fails the kernel forgets it without losing
 * it from sight: a start that tries again would call it durable. With none it may be any part of a commit.
 */
static void run_left_unflushed(uint32_t durability, kvs_status then)
{
    struct session session;
    struct test_error error;
    int status;
    const struct session_config config = {.durability = durability, .interval_ms = 3600000};
    char *dir = temp_dir_new();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_and_die(dir, durability);
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    disk_fail(DISK_SYNC, EIO, 1);
    test_error_init(&error);
    assert_status(KVS_IO, session_try_open(&session, dir, &config, &error), &error);
    for (unsigned i = 0; i < 2; i++) {
        test_error_init(&error);
        assert_status(then, session_try_open(&session, dir, &config, &error), &error);
        if (then == KVS_OK)
            session_close(&session);
        else
            assert_non_null(strstr(error.message, "a flush of it failed"));
    }
    temp_dir_free(dir);
}

static void test_left_unflushed(void **state)
{
    (void)state;
    run_left_unflushed(KVS_DURABILITY_ALWAYS, KVS_OK);
    run_left_unflushed(KVS_DURABILITY_INTERVAL, KVS_OK); /* its pages were flushed by each commit */
    run_left_unflushed(KVS_DURABILITY_NONE, KVS_CORRUPT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_write_fails),
        cmocka_unit_test(test_flush_fails),
        cmocka_unit_test(test_meta_write_fails),
        cmocka_unit_test(test_disk_full_for_a_moment),
        cmocka_unit_test(test_background_flush_fails),
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_queue_behind_a_fault),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_raised_after_compact),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_left_unflushed),
    };
    return engine_tests_run(argc, argv, "faults", tests, sizeof(tests) / sizeof(tests[0]));
}
