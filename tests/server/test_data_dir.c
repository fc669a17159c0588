/* The data directory: who may have it, and which engine's it is. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/data_dir.h"

static void write_file(const char *dir, const char *name, const char *content)
{
    char *path = path_join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    free(path);
}

static void assert_message_has(const struct test_error *error, const char *part)
{
    if (strstr(error->message, part) == NULL)
        fail_msg("'%s' is not in: %s", part, error->message);
}

static void a_missing_directory_is_made_with_its_parents(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *base = temp_dir_new();
    char *path = path_join(base, "a/b/c");
    test_error_init(&error);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_true(dir.is_new);
    assert_string_equal(dir.engine, "");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    data_dir_close(&dir);
    data_dir_close(&dir);
    free(path);
    temp_dir_free(base);
}

static void it_belongs_to_the_engine_that_claimed_it(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    test_error_init(&error);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    data_dir_close(&dir);

    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_false(dir.is_new);
    assert_string_equal(dir.engine, "log");
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    assert_status(KVS_INCOMPATIBLE, data_dir_claim(&dir, "lmdb", &error.error), &error);
    assert_message_has(&error, "was made by engine log, not lmdb; start with --engine log");
    data_dir_unclaim(&dir); /* not new: stays */
    assert_string_equal(dir.engine, "log");
    data_dir_close(&dir);
    temp_dir_free(path);
}

static void a_claim_is_taken_back_only_while_there_are_no_data(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    test_error_init(&error);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    data_dir_unclaim(&dir);
    data_dir_close(&dir);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_true(dir.is_new);
    assert_status(KVS_OK, data_dir_claim(&dir, "lmdb", &error.error), &error);
    write_file(path, "data.mdb", "what the engine left behind");
    data_dir_unclaim(&dir);
    data_dir_close(&dir);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_string_equal(dir.engine, "lmdb");
    data_dir_close(&dir);
    temp_dir_free(path);
}

static void only_one_may_have_it(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    struct data_dir other;
    char *path = temp_dir_new();
    test_error_init(&error);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_LOCKED, data_dir_open(&other, path, &error.error), &error);
    assert_message_has(&error, "is used by another server");
    data_dir_close(&other);
    data_dir_close(&dir);
    assert_status(KVS_OK, data_dir_open(&other, path, &error.error), &error);
    data_dir_close(&other);
    temp_dir_free(path);
}

static void foreign_files_are_left_alone(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    test_error_init(&error);
    write_file(path, "thesis.tex", "\\end{document}");
    assert_status(KVS_INCOMPATIBLE, data_dir_open(&dir, path, &error.error), &error);
    assert_message_has(&error, "thesis.tex");
    temp_dir_free(path);
}

static void what_is_no_directory_is_refused(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *base = temp_dir_new();
    write_file(base, "file", "x");
    char *path = path_join(base, "file");
    char *below = path_join(base, "file/below");
    test_error_init(&error);
    assert_true(data_dir_open(&dir, path, &error.error) < 0);
    assert_message_has(&error, path);
    assert_true(data_dir_open(&dir, below, &error.error) < 0);
    assert_message_has(&error, below);
    assert_status(KVS_INVALID, data_dir_open(&dir, "", &error.error), &error);
    free(path);
    free(below);
    temp_dir_free(base);
}

static void a_damaged_marker_is_no_licence_to_overwrite(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "[store]\n", "[store]\nformat=1\n", "garbage",
                                          "[store]\nengine=log\n"};
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    test_error_init(&error);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        write_file(path, "kvs.store", damaged[i]);
        assert_status(KVS_CORRUPT, data_dir_open(&dir, path, &error.error), &error);
        assert_message_has(&error, "kvs.store");
    }
    write_file(path, "kvs.store", "[store]\nformat=2\nengine=log\n");
    assert_status(KVS_INCOMPATIBLE, data_dir_open(&dir, path, &error.error), &error);
    assert_message_has(&error, "format 2");
    temp_dir_free(path);
}

static void existing_means_existing(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *base = temp_dir_new();
    char *path = path_join(base, "not-there");
    test_error_init(&error);
    assert_status(KVS_MISSING, data_dir_open_stopped(&dir, path, false, &error.error), &error);
    assert_int_equal(access(path, F_OK), -1);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    data_dir_close(&dir);
    assert_status(KVS_OK, data_dir_open_stopped(&dir, path, false, &error.error), &error);
    assert_string_equal(dir.engine, "log");
    data_dir_close(&dir);
    free(path);
    temp_dir_free(base);
}

static bool has_file(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void looking_changes_nothing(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    struct data_dir other;
    char *path = temp_dir_new();
    test_error_init(&error);
    write_file(path, "kvs.store", "[store]\nformat=1\nengine=log\n");
    assert_status(KVS_OK, data_dir_open_stopped(&dir, path, false, &error.error), &error);
    assert_true(
        has_file(path, "kvs.lock")); /* there was none: it is made for as long as it is needed */
    assert_status(KVS_LOCKED, data_dir_open(&other, path, &error.error), &error);
    assert_status(KVS_LOCKED, data_dir_open_stopped(&other, path, false, &error.error), &error);
    assert_true(has_file(path, "kvs.lock"));
    data_dir_close(&dir);
    assert_false(has_file(path, "kvs.lock"));

    write_file(path, "kvs.lock", "12\n");
    assert_status(KVS_OK, data_dir_open_stopped(&dir, path, true, &error.error), &error);
    data_dir_close(&dir);
    assert_true(has_file(path, "kvs.lock"));
    temp_dir_free(path);
}

/* Who knows the engine needs no marker. */
static void a_marker_is_needed_unless_the_engine_is_known(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    test_error_init(&error);
    write_file(path, "00000000.seg", "data");
    assert_status(KVS_MISSING, data_dir_open_stopped(&dir, path, false, &error.error), &error);
    assert_status(KVS_OK, data_dir_open_stopped(&dir, path, true, &error.error), &error);
    assert_string_equal(dir.engine, "");
    data_dir_close(&dir);
    write_file(path, "kvs.store", "[store]\nformat=1\nengin");
    assert_status(KVS_CORRUPT, data_dir_open_stopped(&dir, path, false, &error.error), &error);
    assert_status(KVS_OK, data_dir_open_stopped(&dir, path, true, &error.error), &error);
    assert_string_equal(dir.engine, "");
    data_dir_close(&dir);
    write_file(path, "kvs.store", "[store]\nformat=2\nengine=log\n");
    assert_status(KVS_INCOMPATIBLE, data_dir_open_stopped(&dir, path, true, &error.error), &error);
    temp_dir_free(path);
}

static void a_copy_that_was_not_finished_is_refused(void **state)
{
    (void)state;
    struct test_error error;
    struct data_dir dir;
    char *path = temp_dir_new();
    write_file(path, "00000000.seg", "data");
    write_file(path, "kvs.incomplete", "[store]\nformat=1\nengine=log\n");
    test_error_init(&error);
    assert_int_equal(data_dir_open(&dir, path, &error.error), KVS_CORRUPT);
    assert_message_has(&error, "not finished");
    test_error_init(&error);
    assert_int_equal(data_dir_open_stopped(&dir, path, false, &error.error), KVS_CORRUPT);
    assert_message_has(&error, "not finished");
    temp_dir_free(path);
}

static void a_new_store_is_plain_until_told(void **state)
{
    (void)state;
    struct data_dir dir;
    struct test_error error;
    test_error_init(&error);
    char *path = temp_dir_new();
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_false(data_dir_is_plain(&dir));
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    assert_true(data_dir_is_plain(&dir));
    data_dir_close(&dir);
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    assert_true(data_dir_is_plain(&dir));
    assert_status(KVS_OK, data_dir_end_plain(&dir, &error.error), &error);
    assert_false(data_dir_is_plain(&dir));
    assert_status(KVS_OK, data_dir_end_plain(&dir, &error.error), &error);
    data_dir_close(&dir);
    /* It does not come back. */
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    assert_false(data_dir_is_plain(&dir));
    data_dir_close(&dir);
    temp_dir_free(path);
}

/* ---- flushes that fail ------------------------------------------------------------------------- */

/* The dynamic linker finds this before the C library's. */
static unsigned flushes;         /* so far */
static unsigned flushes_to_fail; /* the next ones */

int fsync(int fd)
{
    flushes++;
    if (flushes_to_fail == 0)
        return (int)syscall(SYS_fsync, fd);
    flushes_to_fail--;
    errno = EIO;
    return -1;
}

/* Else a power loss could bring the file back behind an answer, and keys that have expired with it. */
static void what_could_not_be_flushed_is_not_tried_again(void **state)
{
    (void)state;
    struct data_dir dir;
    struct test_error error;
    test_error_init(&error);
    char *path = temp_dir_new();
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    flushes_to_fail = 1;
    assert_status(KVS_IO, data_dir_end_plain(&dir, &error.error), &error);
    assert_message_has(&error, "cannot write to data directory");
    assert_status(KVS_IO, data_dir_end_plain(&dir, &error.error), &error);
    assert_message_has(&error, "a flush of it failed before");
    data_dir_close(&dir);
    /* The next start makes durable what it finds, or ends. */
    flushes_to_fail = 1;
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_IO, data_dir_claim(&dir, "log", &error.error), &error);
    data_dir_close(&dir);
    unsigned before = flushes;
    assert_status(KVS_OK, data_dir_open(&dir, path, &error.error), &error);
    assert_status(KVS_OK, data_dir_claim(&dir, "log", &error.error), &error);
    assert_false(data_dir_is_plain(&dir));
    assert_true(flushes > before);
    data_dir_close(&dir);
    temp_dir_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_directory_is_made_with_its_parents),
        cmocka_unit_test(it_belongs_to_the_engine_that_claimed_it),
        cmocka_unit_test(a_new_store_is_plain_until_told),
        cmocka_unit_test(what_could_not_be_flushed_is_not_tried_again),
        cmocka_unit_test(a_claim_is_taken_back_only_while_there_are_no_data),
        cmocka_unit_test(only_one_may_have_it),
        cmocka_unit_test(foreign_files_are_left_alone),
        cmocka_unit_test(what_is_no_directory_is_refused),
        cmocka_unit_test(a_damaged_marker_is_no_licence_to_overwrite),
        cmocka_unit_test(existing_means_existing),
        cmocka_unit_test(looking_changes_nothing),
        cmocka_unit_test(a_marker_is_needed_unless_the_engine_is_known),
        cmocka_unit_test(a_copy_that_was_not_finished_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
