/* Folders: made, counted, copied with their holes, removed with all that is in them. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "harness/folder.h"

/* A file of 4 MiB with one page of data at its middle. */
static void write_sparse(const char *path)
{
    char page[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    memset(page, 'x', sizeof(page));
    assert_int_equal(ftruncate(fd, 4 << 20), 0);
    assert_int_equal(pwrite(fd, page, sizeof(page), 2 << 20), sizeof(page));
    assert_int_equal(close(fd), 0);
}

static void a_copy_has_all_files_and_keeps_holes(void **state)
{
    (void)state;
    struct test_error error;
    char *base = temp_dir_new();
    char *from = NULL;
    char *to = NULL;
    test_error_init(&error);
    assert_status(KVS_OK, folder_new(base, "from", &from, &error.error), &error);
    assert_status(KVS_OK, folder_new(base, "to", &to, &error.error), &error);
    assert_string_not_equal(from, to);
    _cleanup_(freep) char *below = path_join(from, "below");
    _cleanup_(freep) char *file = path_join(below, "file");
    assert_int_equal(mkdir(below, 0700), 0);
    write_sparse(file);
    assert_in_range(folder_disk_bytes(from), 4096, 1 << 20);

    assert_status(KVS_OK, folder_copy(from, to, &error.error), &error);
    _cleanup_(freep) char *copy = path_join(to, "below/file");
    struct stat info;
    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(info.st_size, 4 << 20);
    assert_in_range(folder_disk_bytes(to), 4096, 1 << 20);
    char page[4096];
    int fd = open(copy, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, page, sizeof(page), 2 << 20), sizeof(page));
    assert_true(page[0] == 'x' && page[4095] == 'x');
    assert_int_equal(close(fd), 0);

    folder_free(from);
    assert_int_equal(stat(file, &info), -1);
    assert_int_equal(errno, ENOENT);
    folder_free(to);
    folder_free(NULL);
    temp_dir_free(base);
}

static void failures_name_the_folder(void **state)
{
    (void)state;
    struct test_error error;
    char *path = NULL;
    test_error_init(&error);
    assert_int_equal(folder_new("/nonexistent/base", "x", &path, &error.error), KVS_IO);
    assert_non_null(strstr(error.message, "/nonexistent/base"));
    assert_null(path);
    assert_int_equal(folder_copy("/nonexistent/from", "/nonexistent/to", &error.error), KVS_IO);
    assert_int_equal(folder_disk_bytes("/nonexistent"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_all_files_and_keeps_holes),
        cmocka_unit_test(failures_name_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
