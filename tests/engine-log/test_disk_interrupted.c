/*
 * The real disk under calls that are interrupted and transfers that are cut short. The linker puts
 * the functions below in the place of the C library's (--wrap): each call first fails with EINTR a
 * few times, then transfers a few bytes only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "disk.h"
#include "support/support.h"

#define SHORT_BYTES 7u
#define INTERRUPTS  3u

static unsigned interrupted; /* times in a row */
static unsigned interrupts;  /* in all */

/* True: this call is interrupted. */
static bool interrupt(void)
{
    if (interrupted == INTERRUPTS) {
        interrupted = 0;
        return false;
    }
    interrupted++;
    interrupts++;
    errno = EINTR;
    return true;
}

#define WRAP(name)                                                                                 \
    __typeof__(name) __real_##name;                                                                \
    __typeof__(name) __wrap_##name

WRAP(pread64);
WRAP(pwrite64);
WRAP(fallocate64);
WRAP(ftruncate64);
WRAP(fdatasync);
WRAP(fsync);
WRAP(openat64);
WRAP(open64);

ssize_t __wrap_pread64(int fd, void *to, size_t bytes, off64_t offset)
{
    if (interrupt())
        return -1;
    return __real_pread64(fd, to, bytes < SHORT_BYTES ? bytes : SHORT_BYTES, offset);
}

ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off64_t offset)
{
    if (interrupt())
        return -1;
    return __real_pwrite64(fd, from, bytes < SHORT_BYTES ? bytes : SHORT_BYTES, offset);
}

int __wrap_fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    return interrupt() ? -1 : __real_fallocate64(fd, mode, offset, bytes);
}

int __wrap_ftruncate64(int fd, off64_t bytes)
{
    return interrupt() ? -1 : __real_ftruncate64(fd, bytes);
}

int __wrap_fdatasync(int fd)
{
    return interrupt() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return interrupt() ? -1 : __real_fsync(fd);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return interrupt() ? -1 : __real_openat64(folder, path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return interrupt() ? -1 : __real_open64(path, flags, mode);
}

/* Expects that the call was interrupted, and worked. */
#define SURVIVES(call)                                                                             \
    do {                                                                                           \
        struct test_error error_;                                                                  \
        test_error_init(&error_);                                                                  \
        struct kvs_error *err = &error_.error;                                                     \
        unsigned before_ = interrupts;                                                             \
        assert_status(KVS_OK, (call), &error_);                                                    \
        assert_true(interrupts > before_);                                                         \
    } while (0)

static void every_call(void **state)
{
    (void)state;
    char *top = temp_dir_new();
    struct disk *disk = NULL;
    struct disk_file *file = NULL;
    SURVIVES(disk_open_real(top, &disk, err));
    SURVIVES(disk_file_open(disk, "file", DISK_CREATE, &file, err));
    SURVIVES(disk_file_reserve(file, 1000, err));
    SURVIVES(disk_file_truncate(file, 200, err));
    char content[200];
    for (unsigned i = 0; i < sizeof(content); i++)
        content[i] = (char)i;
    SURVIVES(disk_file_write(file, 0, content, sizeof(content), err));
    SURVIVES(disk_file_sync(file, err));
    SURVIVES(disk_sync_folder(disk, err));
    char got[300];
    uint64_t bytes = 0;
    SURVIVES(disk_file_read(file, 0, got, sizeof(got), &bytes, err));
    assert_int_equal(bytes, sizeof(content));
    assert_memory_equal(got, content, sizeof(content));
    disk_file_close(file);
    disk_close(disk);
    temp_dir_free(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call)};
    return cmocka_run_group_tests_name("engine-log-disk-interrupted", tests, NULL, NULL);
}
