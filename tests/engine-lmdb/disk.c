/*
 * See disk.h. The interposed functions run on whatever thread writes; one mutex guards the record.
 *
 * Two arrays hold the file: as the program sees it, and as the disk has it for sure. A write goes
 * into the first, page by page, and marks the pages as unflushed; fdatasync, once it has returned,
 * copies to the second all pages that were marked when it began. A write through a descriptor with
 * O_DSYNC goes into both. An image is the second, with some of the marked pages of the first.
 */
#include "engine-lmdb/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE       4096u
#define RECORD_MAX (UINT64_C(64) << 20) /* bytes of the largest file that is recorded */
#define IMAGES_MAX 200u
#define IMAGE_EACH 41u /* operations between images; a prime, so that each kind is met */

static _Atomic uint64_t counts[DISK_OPS];
static atomic_int errors[DISK_OPS];
static atomic_uint failures_left[DISK_OPS];
static _Atomic uint64_t note;

static pthread_mutex_t record_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool on;
    dev_t device;
    ino_t inode;
    uint8_t *seen;
    uint8_t *flushed;
    uint8_t *marks; /* per page: 1 unflushed, 2 also when the fdatasync under way began */
    uint64_t size;
    uint64_t operations;
    uint64_t random;
    struct disk_image images[IMAGES_MAX];
    unsigned image_count;
} record;

uint64_t disk_count(enum disk_op op)
{
    return atomic_load(&counts[op]);
}

void disk_fail(enum disk_op op, int error, unsigned count)
{
    atomic_store(&errors[op], error);
    atomic_store(&failures_left[op], count);
}

void disk_set_note(uint64_t new_note)
{
    atomic_store(&note, new_note);
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

/* ---- the record --------------------------------------------------------------------------------- */

static uint64_t next_random(void)
{
    record.random ^= record.random << 13;
    record.random ^= record.random >> 7;
    record.random ^= record.random << 17;
    return record.random;
}

static void take_image(bool is_random)
{
    if (record.image_count == IMAGES_MAX)
        return;
    struct disk_image *image = &record.images[record.image_count++];
    *image = (struct disk_image){
        .data = malloc(record.size), .size = record.size, .note = atomic_load(&note)};
    if (image->data == NULL)
        abort();
    memcpy(image->data, record.flushed, record.size);
    uint64_t likely = next_random() % 4; /* few pages, many, or nearly all */
    for (uint64_t page = 0; is_random && page < record.size / PAGE; page++) {
        if (record.marks[page] != 0 && next_random() % 4 <= likely)
            memcpy(image->data + page * PAGE, record.seen + page * PAGE, PAGE);
    }
}

static void maybe_take_images(void)
{
    if (++record.operations % IMAGE_EACH != 0)
        return;
    take_image(false);
    take_image(true);
}

static bool is_recorded(int fd)
{
    struct stat info;
    return record.on && fstat(fd, &info) == 0 && info.st_dev == record.device &&
           info.st_ino == record.inode;
}

static void record_write(int fd, const void *from, uint64_t size, uint64_t offset)
{
    (void)pthread_mutex_lock(&record_mutex);
    if (is_recorded(fd)) {
        if (offset + size > RECORD_MAX)
            abort();
        bool is_synced = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
        memcpy(record.seen + offset, from, size);
        if (is_synced)
            memcpy(record.flushed + offset, from, size);
        for (uint64_t page = offset / PAGE; !is_synced && page <= (offset + size - 1) / PAGE;
             page++)
            record.marks[page] = 1;
        if (record.size < (offset + size + PAGE - 1) / PAGE * PAGE)
            record.size = (offset + size + PAGE - 1) / PAGE * PAGE;
        maybe_take_images();
    }
    (void)pthread_mutex_unlock(&record_mutex);
}

static void record_sync_begin(int fd)
{
    (void)pthread_mutex_lock(&record_mutex);
    if (is_recorded(fd)) {
        maybe_take_images();
        for (uint64_t page = 0; page < record.size / PAGE; page++)
            record.marks[page] = record.marks[page] != 0 ? 2 : 0;
    }
    (void)pthread_mutex_unlock(&record_mutex);
}

static void record_sync_end(int fd)
{
    (void)pthread_mutex_lock(&record_mutex);
    for (uint64_t page = 0; is_recorded(fd) && page < record.size / PAGE; page++) {
        if (record.marks[page] != 2) /* 1: written since it began */
            continue;
        memcpy(record.flushed + page * PAGE, record.seen + page * PAGE, PAGE);
        record.marks[page] = 0;
    }
    (void)pthread_mutex_unlock(&record_mutex);
}

void disk_record_begin(const char *dir, uint64_t seed)
{
    char path[4096];
    struct stat info;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || (uint64_t)info.st_size > RECORD_MAX)
        abort();
    (void)pthread_mutex_lock(&record_mutex);
    record.seen = calloc(1, RECORD_MAX);
    record.flushed = calloc(1, RECORD_MAX);
    record.marks = calloc(1, RECORD_MAX / PAGE);
    record.size = (uint64_t)info.st_size / PAGE * PAGE;
    if (record.seen == NULL || record.flushed == NULL || record.marks == NULL ||
        pread(fd, record.seen, record.size, 0) != (ssize_t)record.size)
        abort();
    memcpy(record.flushed, record.seen, record.size);
    record.device = info.st_dev;
    record.inode = info.st_ino;
    record.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    record.operations = 0;
    record.image_count = 0;
    record.on = true;
    (void)pthread_mutex_unlock(&record_mutex);
    (void)close(fd); /* LMDB keeps no fcntl lock on this file */
}

struct disk_image *disk_record_end(unsigned *ret_count)
{
    (void)pthread_mutex_lock(&record_mutex);
    record.on = false;
    struct disk_image *images = calloc(IMAGES_MAX, sizeof(*images));
    if (images == NULL)
        abort();
    memcpy(images, record.images, record.image_count * sizeof(*images));
    *ret_count = record.image_count;
    free(record.seen);
    free(record.flushed);
    free(record.marks);
    (void)pthread_mutex_unlock(&record_mutex);
    return images;
}

void disk_images_free(struct disk_image *images, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(images[i].data);
    free(images);
}

/* ---- the interposed functions, under the names that liblmdb calls ------------------------------- */

ssize_t disk_pwrite(int fd, const void *from, size_t size, off_t offset) __asm__("pwrite");
ssize_t disk_writev(int fd, const struct iovec *parts, int count) __asm__("writev");
int disk_fdatasync(int fd) __asm__("fdatasync");

ssize_t disk_pwrite(int fd, const void *from, size_t size, off_t offset)
{
    if (!is_data_file(fd))
        return syscall(SYS_pwrite64, fd, from, size, offset);
    if (is_to_fail(offset < 2 * (off_t)PAGE ? DISK_META : DISK_DATA))
        return -1;
    ssize_t written = syscall(SYS_pwrite64, fd, from, size, offset);
    if (written > 0)
        record_write(fd, from, (uint64_t)written, (uint64_t)offset);
    return written;
}

ssize_t disk_writev(int fd, const struct iovec *parts, int count)
{
    if (!is_data_file(fd))
        return syscall(SYS_writev, fd, parts, count);
    if (is_to_fail(DISK_DATA))
        return -1;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    uint64_t left = written > 0 ? (uint64_t)written : 0;
    for (int i = 0; i < count && left > 0; i++) {
        uint64_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
        record_write(fd, parts[i].iov_base, size, (uint64_t)offset);
        offset += (off_t)size;
        left -= size;
    }
    return written;
}

int disk_fdatasync(int fd)
{
    if (!is_data_file(fd))
        return (int)syscall(SYS_fdatasync, fd);
    if (is_to_fail(DISK_SYNC))
        return -1;
    record_sync_begin(fd);
    int result = (int)syscall(SYS_fdatasync, fd);
    if (result == 0)
        record_sync_end(fd);
    return result;
}
