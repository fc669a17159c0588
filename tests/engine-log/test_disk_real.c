/* The real disk: the contract, and what only a kernel can do. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_contract.h"
#include "disk_faulty.h"
#include "support/support.h"

/* ---- the contract ------------------------------------------------------------------------- */

struct folders {
    char *top;
    struct disk *below[2]; /* of faulty disks */
};

static struct disk *open_folder(const char *path)
{
    struct test_error error;
    test_error_init(&error);
    struct disk *disk = NULL;
    assert_status(KVS_OK, disk_open_real(path, &disk, &error.error), &error);
    return disk;
}

static struct disk *make_folder(const char *top, const char *name)
{
    char *path = path_join(top, name);
    assert_int_equal(mkdir(path, 0700), 0);
    struct disk *disk = open_folder(path);
    free(path);
    return disk;
}

static void make_real(struct disk_pair *ret_pair)
{
    struct folders *folders = calloc(1, sizeof(*folders));
    folders->top = temp_dir_new();
    ret_pair->disk = make_folder(folders->top, "one");
    ret_pair->other = make_folder(folders->top, "two");
    ret_pair->owner = folders;
}

static void unmake_real(struct disk_pair *pair)
{
    struct folders *folders = pair->owner;
    disk_close(pair->disk);
    disk_close(pair->other);
    temp_dir_free(folders->top);
    free(folders);
}

/* The faulty disk of the other tests, while nothing fails, is a disk like any other. */
static void make_faulty(struct disk_pair *ret_pair)
{
    make_real(ret_pair);
    struct folders *folders = ret_pair->owner;
    folders->below[0] = ret_pair->disk;
    folders->below[1] = ret_pair->other;
    ret_pair->disk = disk_faulty_new(folders->below[0]);
    ret_pair->other = disk_faulty_new(folders->below[1]);
}

static void unmake_faulty(struct disk_pair *pair)
{
    struct folders *folders = pair->owner;
    disk_close(pair->disk);
    disk_close(pair->other);
    pair->disk = folders->below[0];
    pair->other = folders->below[1];
    unmake_real(pair);
}

/* ---- the folder --------------------------------------------------------------------------- */

static void a_folder_that_is_not_there(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    char *path = path_join(top, "nowhere");
    struct test_error error;
    test_error_init(&error);
    struct disk *disk = NULL;
    assert_status(KVS_MISSING, disk_open_real(path, &disk, &error.error), &error);
    assert_int_equal(error.error.os_errno, ENOENT);
    assert_non_null(strstr(error.message, path));
    assert_null(disk);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_status(KVS_IO, disk_open_real(path, &disk, &error.error), &error);
    assert_int_equal(error.error.os_errno, ENOTDIR);
    free(path);
    temp_dir_free(top);
    disk_close(NULL);
}

static void count_name(void *arg, const char *name)
{
    unsigned *count = arg;
    assert_string_equal(name, "file");
    *count += 1;
}

/* Neither shown nor opened. */
static void only_regular_files_count(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = open_folder(top);
    int folder = open(top, O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(folder, "folder", 0700), 0);
    assert_int_equal(mkfifoat(folder, "fifo", 0600), 0);
    struct disk_file *file = NULL;
    assert_int_equal(disk_file_open(disk, "file", DISK_CREATE, &file, NULL), KVS_OK);
    disk_file_close(file);
    assert_int_equal(symlinkat("file", folder, "link"), 0);

    unsigned count = 0;
    assert_int_equal(disk_list(disk, count_name, &count, NULL), KVS_OK);
    assert_int_equal(count, 1);
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_IO, disk_file_open(disk, "link", 0, &file, &error.error), &error);
    assert_int_equal(error.error.os_errno, ELOOP);
    close(folder);
    disk_close(disk);
    temp_dir_free(top);
}

static void files_are_private(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = open_folder(top);
    struct disk_file *file = NULL;
    assert_int_equal(disk_file_open(disk, "file", DISK_CREATE, &file, NULL), KVS_OK);
    char *path = path_join(top, "file");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0600, 0);

    /* Every descriptor that leads into the folder is closed in a program that we start. */
    unsigned ours = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64];
        char target[4096];
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, target, sizeof(target) - 1);
        if (size <= 0 || strncmp(target, top, strlen(top)) != 0)
            continue;
        ours++;
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    assert_int_equal(ours, 2);
    free(path);
    disk_file_close(file);
    disk_close(disk);
    temp_dir_free(top);
}

/* What was reserved has its blocks; what was only extended has none. */
static void reserving_takes_space(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = open_folder(top);
    struct disk_file *file = NULL;
    assert_int_equal(disk_file_open(disk, "file", DISK_CREATE, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_truncate(file, 1u << 20, NULL), KVS_OK);
    assert_true(dir_disk_bytes(top) < 1u << 20);
    struct test_error error;
    test_error_init(&error);
    kvs_status status = disk_file_reserve(file, 1u << 20, &error.error);
    if (status != KVS_UNSUPPORTED) {
        assert_status(KVS_OK, status, &error);
        assert_true(dir_disk_bytes(top) >= 1u << 20);
    }
    disk_file_close(file);
    disk_close(disk);
    temp_dir_free(top);
}

/* ---- failures that Linux has ready ---------------------------------------------------------- */

static struct disk_file *open_special(struct disk *disk, const char *name)
{
    struct disk_file *file = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, disk_file_open(disk, name, 0, &file, &error.error), &error);
    return file;
}

static void a_full_disk(void **state)
{
    (void)state;
    struct disk *disk = open_folder("/dev");
    struct disk_file *file = open_special(disk, "full");
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_NO_SPACE, disk_file_write(file, 0, "x", 1, &error.error), &error);
    assert_int_equal(error.error.os_errno, ENOSPC);
    assert_non_null(strstr(error.message, "/dev/full"));
    disk_file_close(file);
    disk_close(disk);
}

/* Neither is the disk's fault, and the message says what there is none of. */
static void no_descriptors_and_no_memory(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = open_folder(top);
    struct disk_file *file = NULL;
    struct disk_file *other = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_int_equal(disk_file_open(disk, "file", DISK_CREATE, &file, NULL), KVS_OK);
    struct rlimit before;
    int free_descriptor = dup(STDIN_FILENO);
    assert_true(free_descriptor >= 0);
    (void)close(free_descriptor);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {(rlim_t)free_descriptor, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    kvs_status status = disk_file_open(disk, "other", DISK_CREATE, &other, &error.error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_status(KVS_NO_MEMORY, status, &error);
    assert_int_equal(error.error.os_errno, EMFILE);
    assert_non_null(strstr(error.message, "/other: out of file descriptors"));
    void *memory = NULL;
    test_error_init(&error);
    assert_status(KVS_NO_MEMORY,
                  disk_file_map(file, UINT64_C(1) << 60, false, &memory, &error.error), &error);
    assert_non_null(strstr(error.message, "/file: out of memory"));
    disk_file_close(file);
    disk_close(disk);
    temp_dir_free(top);
}

static void a_disk_that_fails(void **state)
{
    (void)state;
    struct disk *disk = open_folder("/proc/self");
    struct disk_file *file = open_special(disk, "mem");
    struct test_error error;
    test_error_init(&error);
    char byte = 0;
    uint64_t got = 99;
    assert_status(KVS_IO, disk_file_read(file, 0, &byte, 1, &got, &error.error), &error);
    assert_int_equal(error.error.os_errno, EIO);
    assert_int_equal(got, 99);
    assert_status(KVS_IO, disk_file_write(file, 0, &byte, 1, &error.error), &error);
    assert_status(KVS_IO, disk_file_sync(file, &error.error), &error);
    disk_file_close(file);
    disk_close(disk);
}

static void a_file_system_that_cannot_reserve(void **state)
{
    (void)state;
    struct disk *disk = open_folder("/proc/self");
    struct disk_file *file = open_special(disk, "comm");
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_UNSUPPORTED, disk_file_reserve(file, 4096, &error.error), &error);
    disk_file_close(file);
    disk_close(disk);
}

static void a_link_to_another_file_system(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = open_folder(top);
    struct disk *other = open_folder("/dev");
    struct disk_file *file = NULL;
    assert_int_equal(disk_file_open(disk, "file", DISK_CREATE, &file, NULL), KVS_OK);
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_UNSUPPORTED, disk_link(disk, "file", other, "kvs", &error.error), &error);
    assert_int_equal(error.error.os_errno, EXDEV);
    struct disk *strange = disk_faulty_new(disk);
    assert_status(KVS_UNSUPPORTED, disk_link(disk, "file", strange, "two", &error.error), &error);
    disk_close(strange);
    disk_file_close(file);
    disk_close(other);
    disk_close(disk);
    temp_dir_free(top);
}

int main(void)
{
    static const struct disk_maker real = {make_real, unmake_real};
    static const struct disk_maker faulty = {make_faulty, unmake_faulty};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_that_is_not_there),
        cmocka_unit_test(only_regular_files_count),
        cmocka_unit_test(files_are_private),
        cmocka_unit_test(reserving_takes_space),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(no_descriptors_and_no_memory),
        cmocka_unit_test(a_disk_that_fails),
        cmocka_unit_test(a_file_system_that_cannot_reserve),
        cmocka_unit_test(a_link_to_another_file_system),
    };
    int failed = disk_contract_run("engine-log-disk-contract", &real);
    failed += disk_contract_run("engine-log-disk-faulty-contract", &faulty);
    failed += cmocka_run_group_tests_name("engine-log-disk-real", tests, NULL, NULL);
    return failed;
}
