/* See disk.h. The interposed functions run on whatever thread writes. */
#include "engine-lmdb/disk.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u

static _Atomic uint64_t counts[DISK_OPS];
static atomic_int errors[DISK_OPS];
static atomic_uint failures_left[DISK_OPS];

uint64_t disk_count(enum disk_op op)
{
    return atomic_load(&counts[op]);
}

void disk_fail(enum disk_op op, int error, unsigned count)
{
    atomic_store(&errors[op], error);
    atomic_store(&failures_left[op], count);
}

/* Whether fd is some data.mdb. */
static bool is_data_file(int fd)
{
    char link[64];
    char path[4096];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof(path) - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/data.mdb") == 0;
}

/* Counts an operation; true when it has to fail, with errno set. */
static bool is_to_fail(enum disk_op op)
{
    (void)atomic_fetch_add(&counts[op], 1);
    unsigned left = atomic_load(&failures_left[op]);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&failures_left[op], &left, left - 1)) {
            errno = atomic_load(&errors[op]);
            return true;
        }
    }
    return false;
}

/* ---- the interposed functions, under the names that liblmdb calls ------------------------------- */

ssize_t disk_pwrite(int fd, const void *from, size_t size, off_t offset) __asm__("pwrite");
ssize_t disk_writev(int fd, const struct iovec *parts, int count) __asm__("writev");
int disk_fdatasync(int fd) __asm__("fdatasync");

ssize_t disk_pwrite(int fd, const void *from, size_t size, off_t offset)
{
    if (is_data_file(fd) && is_to_fail(offset < 2 * (off_t)PAGE ? DISK_META : DISK_DATA))
        return -1;
    return syscall(SYS_pwrite64, fd, from, size, offset);
}

ssize_t disk_writev(int fd, const struct iovec *parts, int count)
{
    if (is_data_file(fd) && is_to_fail(DISK_DATA))
        return -1;
    return syscall(SYS_writev, fd, parts, count);
}

int disk_fdatasync(int fd)
{
    if (is_data_file(fd) && is_to_fail(DISK_SYNC))
        return -1;
    return (int)syscall(SYS_fdatasync, fd);
}
