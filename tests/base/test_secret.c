/* Files of secrets, and comparing them. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/secret.h"

#define WHAT "the secret"

static char *write_file(const char *folder, const char *content, size_t size, mode_t mode)
{
    char *path = path_join(folder, "secret");
    (void)unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), (ssize_t)size);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

static void private_files_are_read(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0400, 0640, 0440};
    char *folder = temp_dir_new();
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct test_error error;
        char *content = NULL;
        size_t size = 0;
        char *path = write_file(folder, "a\0b\n", 4, modes[i]);
        test_error_init(&error);
        assert_status(KVS_OK, secret_file_read(path, WHAT, &content, &size, &error.error), &error);
        assert_int_equal(size, 4);
        assert_memory_equal(content, "a\0b\n", 5); /* terminated */
        assert_int_equal(secret_file_check(path, WHAT, NULL), KVS_OK);
        secret_free(content, size);
        free(path);
    }
    secret_free(NULL, 0);
    temp_dir_free(folder);
}

static void a_password_comes_from_a_file_or_the_environment(void **state)
{
    (void)state;
    static const char variable[] = "KVS_TEST_SECRET";
    struct test_error error;
    char *folder = temp_dir_new();
    char *path = write_file(folder, "first\r\nsecond\n", 14, 0600);
    char *password = NULL;
    test_error_init(&error);
    assert_int_equal(unsetenv(variable), 0);
    assert_int_equal(secret_password_read(NULL, variable, &password, NULL), KVS_OK);
    assert_null(password);
    assert_int_equal(setenv(variable, "third", 1), 0);
    assert_int_equal(secret_password_read(NULL, variable, &password, NULL), KVS_OK);
    assert_string_equal(password, "third");
    secret_free(password, 5);
    assert_status(KVS_OK, secret_password_read(path, variable, &password, &error.error), &error);
    assert_string_equal(password, "first"); /* the file wins */
    secret_free(password, 5);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(secret_password_read(path, variable, &password, NULL), KVS_DENIED);
    assert_null(password);
    assert_int_equal(unsetenv(variable), 0);
    free(path);
    temp_dir_free(folder);
}

static void check_refused(const char *path, kvs_status status, const char *reason)
{
    struct test_error error;
    char *content = NULL;
    size_t size = 0;
    test_error_init(&error);
    assert_status(status, secret_file_read(path, WHAT, &content, &size, &error.error), &error);
    assert_null(content);
    if (strstr(error.message, reason) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, reason);
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, WHAT));
    assert_int_equal(secret_file_check(path, WHAT, NULL), status);
}

static void files_of_others_are_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = {0644, 0604, 0601, 0602, 0620, 0660};
    char *folder = temp_dir_new();
    char *path = NULL;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        free(path);
        path = write_file(folder, "x\n", 2, modes[i]);
        check_refused(path, KVS_DENIED, "open to others");
    }
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 12345, 12345), 0);
        check_refused(path, KVS_DENIED, "belongs to user 12345");
    }
    free(path);
    temp_dir_free(folder);
}

static void what_is_no_small_file_is_refused(void **state)
{
    (void)state;
    char *folder = temp_dir_new();
    char *missing = path_join(folder, "missing");
    char *content = calloc(1, SECRET_FILE_MAX + 1);
    check_refused(missing, KVS_MISSING, "No such file");
    check_refused(folder, KVS_INVALID, "no regular file");
    char *path = write_file(folder, content, SECRET_FILE_MAX + 1, 0600);
    check_refused(path, KVS_TOO_LARGE, "65536");
    free(path);
    free(content);
    free(missing);
    temp_dir_free(folder);
}

/* Every single bit counts. */
static void equal_is_equal(void **state)
{
    (void)state;
    uint8_t a[33];
    uint8_t b[33];
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = b[i] = (uint8_t)(i * 37);
    assert_true(secret_equal(a, b, sizeof(a)));
    assert_true(secret_equal(a, b, 0));
    for (size_t bit = 0; bit < sizeof(a) * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(secret_equal(a, b, sizeof(a)));
        assert_true(secret_equal(a, b, bit / 8));
        b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void lines_come_without_their_ends(void **state)
{
    (void)state;
    static const char *const lines[] = {"one", "", "two", " three "};
    struct kvs_bytes text = bytes_of_text("one\n\ntwo\r\n three ");
    struct kvs_bytes line;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(secret_next_line(&text, &line));
        assert_true(bytes_equal(line, bytes_of_text(lines[i])));
    }
    assert_false(secret_next_line(&text, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_files_are_read),
        cmocka_unit_test(a_password_comes_from_a_file_or_the_environment),
        cmocka_unit_test(files_of_others_are_refused),
        cmocka_unit_test(what_is_no_small_file_is_refused),
        cmocka_unit_test(equal_is_equal),
        cmocka_unit_test(lines_come_without_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
