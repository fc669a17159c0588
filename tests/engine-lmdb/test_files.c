/* What the engine makes of the files that it finds, and who may open them. */
#include "engines/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lmdb.h>

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static bool file_exists(const char *dir, const char *name)
{
    struct stat info;
    char *path = path_join(dir, name);
    bool exists = stat(path, &info) == 0;
    free(path);
    return exists;
}

/* Writes a file of these bytes, cut to size; at offset of what is there if that is not 0. */
static void write_file(const char *dir, const char *name, const void *from, size_t size,
                       off_t offset)
{
    char *path = path_join(dir, name);
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (offset == 0 ? O_TRUNC : 0);
    int fd = open(path, flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(size, pwrite(fd, from, size, offset));
    (void)close(fd);
    free(path);
}

static void expect_open(const char *dir, const struct session_config *config, kvs_status expected,
                        const char *words)
{
    struct session session;
    struct test_error error;
    test_error_init(&error);
    assert_status(expected, session_try_open(&session, dir, config, &error), &error);
    assert_non_null(strstr(error.message, words));
}

/* ---- one opener -------------------------------------------------------------------------------- */

/* Opens a store that is open elsewhere, in a process of its own. Its exit code is the status. */
static kvs_status open_in_child(const char *dir, uint32_t flags)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct session session;
        struct test_error error;
        const struct session_config config = {.flags = flags};
        test_error_init(&error);
        _exit(-session_try_open(&session, dir, &config, &error));
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void test_second_opener(void **state)
{
    (void)state;
    struct session session;
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    for (unsigned round = 0; round < 3; round++) {
        expect_open(dir, NULL, KVS_LOCKED, dir);
        expect_open(dir, &read_only, KVS_LOCKED, dir);
        check_set(&session, text("key"), bytes_of(&round, sizeof(round)));
        if (round == 1) /* the file of the same name is another one then */
            assert_int_equal(KVS_OK, engine_ops()->compact(session.db, NULL));
        assert_int_equal(KVS_LOCKED, open_in_child(dir, KVS_OPEN_CREATE));
        assert_int_equal(KVS_LOCKED, open_in_child(dir, KVS_OPEN_READ_ONLY));
        check_value(&session, text("key"), bytes_of(&round, sizeof(round)));
    }
    session_close(&session);
    assert_int_equal(KVS_OK, open_in_child(dir, 0));
    session_open(&session, dir, &read_only); /* any number of readers, but no writer beside them */
    assert_int_equal(KVS_OK, open_in_child(dir, KVS_OPEN_READ_ONLY));
    assert_int_equal(KVS_LOCKED, open_in_child(dir, 0));
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- unsynced writes and a machine that went down ------------------------------------------------ */

/* A store whose writer was killed in mode none. */
static char *dir_of_the_killed(void)
{
    int status;
    char *dir = temp_dir_new();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct session session;
        struct test_error error;
        test_error_init(&error);
        if (session_try_open(&session, dir, NULL, &error) != KVS_OK ||
            session_set(&session, NULL, text("key"), text("value"), &error) != KVS_OK)
            _exit(1);
        (void)raise(SIGKILL);
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status));
    return dir;
}

static void test_marker(void **state)
{
    (void)state;
    static const char *const trust[] = {"trust-unsynced=yes"};
    static const char other_boot[] = "00000000-0000-0000-0000-000000000000\n";
    const struct session_config trusting = {.options = trust, .option_count = 1};
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    struct session session;
    char *dir = dir_of_the_killed();
    assert_true(file_exists(dir, "unsynced"));
    session_open(&session, dir, &read_only); /* the same machine still holds all of it */
    check_value(&session, text("key"), text("value"));
    session_close(&session);
    assert_true(file_exists(dir, "unsynced"));
    session_open(&session, dir, NULL);
    assert_false(file_exists(dir, "unsynced")); /* flushed, and nothing written yet */
    check_value(&session, text("key"), text("value"));
    check_set(&session, text("key"), text("other"));
    assert_true(file_exists(dir, "unsynced"));
    session_close(&session);
    assert_false(file_exists(dir, "unsynced"));
    temp_dir_free(dir);

    dir = dir_of_the_killed();
    write_file(dir, "unsynced", other_boot, strlen(other_boot), 0);
    expect_open(dir, NULL, KVS_CORRUPT, "trust-unsynced");
    expect_open(dir, &read_only, KVS_CORRUPT, "trust-unsynced");
    session_open(&session, dir, &trusting);
    check_value(&session, text("key"), text("value"));
    session_reopen(&session, dir, NULL); /* trusted once, flushed since */
    check_value(&session, text("key"), text("value"));
    session_close(&session);
    temp_dir_free(dir);

    dir = temp_dir_new(); /* what the marker was about is gone */
    write_file(dir, "unsynced", other_boot, strlen(other_boot), 0);
    session_open(&session, dir, NULL);
    assert_false(file_exists(dir, "unsynced"));
    session_close(&session);
    temp_dir_free(dir);
}

/*
 * Deaths in the middle of making a marker: the dynamic linker finds these before the C library's. What a child
 * dies of is its n-th call to one of them.
 */
static atomic_uint calls_to_live; /* 0: nobody dies */
static atomic_int fsync_error;    /* what the next fsync fails with; 0: nothing */

static void live_or_die(void)
{
    if (atomic_load(&calls_to_live) != 0 && atomic_fetch_sub(&calls_to_live, 1) == 1)
        (void)raise(SIGKILL);
}

ssize_t write(int fd, const void *from, size_t size)
{
    live_or_die();
    return syscall(SYS_write, fd, from, size);
}

int fsync(int fd)
{
    live_or_die();
    int error = atomic_exchange(&fsync_error, 0);
    if (error == 0)
        return (int)syscall(SYS_fsync, fd);
    errno = error;
    return -1;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    live_or_die();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

/* Opens the store and sets a key, and is killed at the call-th call; false when it lived. */
static bool is_killed_at(unsigned call, const char *dir)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct session session;
        struct test_error error;
        test_error_init(&error);
        if (session_try_open(&session, dir, NULL, &error) != KVS_OK)
            _exit(1);
        atomic_store(&calls_to_live, call);
        _exit(session_set(&session, NULL, text("key"), text("value"), &error) == KVS_OK ? 0 : 1);
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* Whoever is killed while it makes a marker leaves one that counts, or none; and what it left is cleared away. */
static void test_killed_while_marking(void **state)
{
    (void)state;
    unsigned call = 1;
    bool killed = true;
    while (killed) {
        struct session session;
        char *dir = temp_dir_new();
        killed = is_killed_at(call++, dir);
        session_open(&session, dir, NULL);
        assert_false(file_exists(dir, "unsynced"));
        assert_false(file_exists(dir, "unsynced.new"));
        session_close(&session);
        temp_dir_free(dir);
    }
    assert_true(call > 4); /* it wrote, flushed, renamed, and flushed the folder */
}

/* A disk that cannot flush the marker gets no second try, but what it has is sound; a full one does. */
static void test_marker_cannot_be_flushed(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    test_error_init(&error);
    atomic_store(&fsync_error, ENOSPC);
    assert_status(KVS_NO_SPACE, session_set(&session, NULL, text("key"), text("value"), &error),
                  &error);
    check_set(&session, text("key"), text("old"));
    session_reopen(&session, dir, NULL);
    atomic_store(&fsync_error, EIO);
    assert_status(KVS_IO, session_set(&session, NULL, text("key"), text("value"), &error), &error);
    assert_status(KVS_READ_ONLY, session_set(&session, NULL, text("key"), text("value"), &error),
                  &error);
    check_value(&session, text("key"), text("old"));
    assert_true(session_try_close(&session, &error) != KVS_OK);
    session_open(&session, dir, NULL);
    check_value(&session, text("key"), text("old"));
    session_close(&session);
    temp_dir_free(dir);
}

static bool is_marker_gone(void *arg)
{
    return !file_exists(arg, "unsynced");
}

/* Nothing is left to lose when a durable batch was asked for, or some time after the last write. */
static void test_marker_goes(void **state)
{
    (void)state;
    struct session session;
    struct kvs_op op = op_set(text("key"), text("durable"));
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    check_set(&session, text("key"), text("value"));
    assert_true(file_exists(dir, "unsynced"));
    wait_until(is_marker_gone, dir);
    check_set(&session, text("key"), text("value"));
    assert_true(file_exists(dir, "unsynced"));
    assert_int_equal(KVS_OK, session_submit(&session, NULL, &op, 1, KVS_BATCH_DURABLE, NULL));
    assert_false(file_exists(dir, "unsynced"));
    check_set(&session, text("key"), text("value"));
    assert_false(file_exists(dir, "unsynced"));
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- files that are not what they should be -------------------------------------------------------- */

static void make_foreign(const char *dir)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(0, mdb_env_create(&env));
    assert_int_equal(0, mdb_env_open(env, dir, 0, 0600));
    assert_int_equal(0, mdb_txn_begin(env, NULL, 0, &txn));
    assert_int_equal(0, mdb_dbi_open(txn, NULL, MDB_DUPSORT, &dbi));
    assert_int_equal(0, mdb_txn_commit(txn));
    mdb_env_close(env);
}

static void test_not_a_store(void **state)
{
    (void)state;
    char garbage[16384];
    struct session session;
    char *dir = temp_dir_new();
    memset(garbage, 'x', sizeof(garbage));
    write_file(dir, "data.mdb", garbage, sizeof(garbage), 0);
    expect_open(dir, NULL, KVS_CORRUPT, dir);
    write_file(dir, "data.mdb", garbage, 100, 0);
    expect_open(dir, NULL, KVS_CORRUPT, dir);
    write_file(dir, "data.mdb", garbage, 0, 0);
    expect_open(dir, NULL, KVS_CORRUPT, dir);
    temp_dir_free(dir);

    dir = temp_dir_new();
    make_foreign(dir);
    expect_open(dir, NULL, KVS_INCOMPATIBLE, "another program");
    temp_dir_free(dir);

    dir = temp_dir_new(); /* what a crash left in the making means nothing */
    write_file(dir, "data.mdb.new", garbage, sizeof(garbage), 0);
    session_open(&session, dir, NULL);
    assert_false(file_exists(dir, "data.mdb.new"));
    check_set(&session, text("key"), text("value"));
    session_close(&session);
    temp_dir_free(dir);
}

#define PAGE         4096u
#define DAMAGE_KEYS  300u
#define DAMAGE_VALUE 1000u /* three to a page */
#define DAMAGE_FIRST 2u    /* the first page behind the meta pages */

static char *dir_to_damage(void)
{
    struct session session;
    char key[KEY_TEXT_MAX];
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    for (unsigned i = 0; i < DAMAGE_KEYS; i++)
        check_set_pattern(&session, key_make(key, "damage", i), i, DAMAGE_VALUE);
    session_close(&session);
    return dir;
}

/* Reads all keys; how many are there and right. None may be wrong. */
static unsigned count_sound(struct session *session)
{
    unsigned count = 0;
    struct copy copy = {NULL, 0, 0};
    for (unsigned i = 0; i < DAMAGE_KEYS; i++) {
        char text_of_key[KEY_TEXT_MAX];
        uint64_t number;
        struct kvs_bytes key = key_make(text_of_key, "damage", i);
        kvs_status status = session_get(session, NULL, key, &copy, NULL);
        assert_true(status == KVS_OK || status == KVS_CORRUPT || status == KVS_NOT_FOUND);
        if (status == KVS_OK && pattern_check(key, bytes_of(copy.data, copy.len), &number))
            count++;
    }
    copy_deinit(&copy);
    return count;
}

static void test_cut_off(void **state)
{
    (void)state;
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    struct session session;
    char *dir = dir_to_damage();
    char *path = path_join(dir, "data.mdb");
    assert_int_equal(0, truncate(path, 20 * PAGE));
    expect_open(dir, &read_only, KVS_CORRUPT, "cut off");
    session_open(&session, dir, NULL);
    assert_true(count_sound(&session) < DAMAGE_KEYS); /* and no SIGBUS */
    session_close(&session);
    free(path);
    temp_dir_free(dir);
}

struct findings {
    unsigned count;
    char last[KVS_ERROR_MESSAGE_MAX];
};

static void take_finding(void *arg, uint32_t level, const char *message)
{
    struct findings *findings = arg;
    if (level <= KVS_LOG_ERROR)
        findings->count++;
    (void)snprintf(findings->last, sizeof(findings->last), "%s", message);
}

static kvs_status verify(const char *dir, struct findings *findings)
{
    struct session host; /* for its host services */
    struct test_error error;
    char *host_dir = temp_dir_new();
    *findings = (struct findings){0};
    test_error_init(&error);
    session_open(&host, host_dir, NULL);
    const struct kvs_engine_config config = {.size = sizeof(config),
                                             .durability = KVS_DURABILITY_ALWAYS,
                                             .data_dir = dir,
                                             .host = plugin_host_services(host.host)};
    kvs_status status = engine_ops()->verify(&config, take_finding, findings, &error.error);
    session_close(&host);
    temp_dir_free(host_dir);
    return status;
}

static void test_verify_finds(void **state)
{
    (void)state;
    struct findings findings;
    char zeros[PAGE] = "";
    unsigned found = 0;
    char *dir = dir_to_damage();
    assert_int_equal(KVS_OK, verify(dir, &findings));
    assert_int_equal(0, findings.count);
    for (unsigned page = DAMAGE_FIRST; page < DAMAGE_FIRST + 12; page++) {
        /* Most of these pages are in the tree, some are free. */
        write_file(dir, "data.mdb", zeros, sizeof(zeros), (off_t)page * PAGE);
        if (verify(dir, &findings) == KVS_CORRUPT) {
            assert_true(findings.count > 0);
            assert_non_null(strstr(findings.last, "data.mdb"));
            found++;
        }
    }
    assert_true(found > 0);
    temp_dir_free(dir);

    dir = dir_to_damage();
    char *path = path_join(dir, "data.mdb");
    assert_int_equal(0, truncate(path, 20 * PAGE));
    assert_int_equal(KVS_CORRUPT, verify(dir, &findings));
    assert_int_equal(1, findings.count);
    free(path);
    temp_dir_free(dir);
}

/* A value too large for a page lies in pages of its own; its key's order is what is damaged here. */
static void test_verify_finds_disorder(void **state)
{
    (void)state;
    struct findings findings;
    struct session session;
    char *dir = temp_dir_new();
    char *path = path_join(dir, "data.mdb");
    session_open(&session, dir, NULL);
    check_set(&session, text("disorder-a"), text("value"));
    check_set(&session, text("disorder-b"), text("value"));
    check_set(&session, text("disorder-c"), text("value"));
    session_close(&session);
    assert_int_equal(KVS_OK, verify(dir, &findings));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char page[PAGE];
    bool changed = false;
    for (off_t at = 0; pread(fd, page, sizeof(page), at) == (ssize_t)sizeof(page); at += PAGE) {
        char *place = memmem(page, sizeof(page), "disorder-b", 10);
        if (place == NULL)
            continue;
        place[9] = 'z';
        assert_int_equal(PAGE, pwrite(fd, page, sizeof(page), at));
        changed = true;
    }
    (void)close(fd);
    assert_true(changed);
    assert_int_equal(KVS_CORRUPT, verify(dir, &findings));
    assert_non_null(strstr(findings.last, "out of order"));
    free(path);
    temp_dir_free(dir);
}

/* A copy is one file, without a lock file, and of the live data only. */
static void test_checkpoint_files(void **state)
{
    (void)state;
    struct session session;
    char *dir = dir_to_damage();
    char *path = temp_dir_new();
    session_open(&session, dir, NULL);
    assert_int_equal(KVS_OK, engine_ops()->checkpoint(session.db, path, NULL));
    assert_true(file_exists(path, "data.mdb"));
    assert_false(file_exists(path, "lock.mdb"));
    assert_false(file_exists(path, "data.mdb.new"));
    assert_true(dir_disk_bytes(path) < dir_disk_bytes(dir));
    session_close(&session);
    temp_dir_free(path);
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_opener),
        cmocka_unit_test(test_marker),
        cmocka_unit_test(test_killed_while_marking),
        cmocka_unit_test(test_marker_cannot_be_flushed),
        cmocka_unit_test(test_marker_goes),
        cmocka_unit_test(test_not_a_store),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_verify_finds),
        cmocka_unit_test(test_verify_finds_disorder),
        cmocka_unit_test(test_checkpoint_files),
    };
    return engine_tests_run(argc, argv, "files", tests, sizeof(tests) / sizeof(tests[0]));
}
