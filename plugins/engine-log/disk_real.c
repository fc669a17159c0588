/*
 * The real disk: one folder, held open by a descriptor; every name is looked up below it, so it
 * does not matter if the folder is moved or the process's working folder changes.
 *
 * Threads: any; there is nothing here that changes after disk_open_real() or disk_file_open().
 *
 * How the promises of disk.h are kept on Linux:
 *   - fdatasync() also writes what was written through shared mappings, and the size of the file
 *     where that has changed; what it leaves out is the times.
 *   - fsync() of the folder makes its entries durable.
 *   - fallocate() takes space without writing it. The C library's posix_fallocate() would write
 *     zeros where the file system cannot, behind our back and into a file that others map: not used.
 *   - Files are private to the user, never a terminal, and never reached through a symbolic link.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk.h"

#define DISK_FILE_MODE 0600

struct disk_real {
    struct disk disk; /* first */
    int folder;       /* owned */
    char path[];      /* of the folder, as given: for messages */
};

struct disk_real_file {
    struct disk_file file; /* first */
    int fd;                /* owned */
    char name[];           /* for messages */
};

static const struct disk_ops disk_real_ops;

static struct disk_real *disk_real_of(struct disk *disk)
{
    assert(disk->ops == &disk_real_ops);
    return (struct disk_real *)disk;
}

static struct disk_real_file *disk_real_file_of(struct disk_file *file)
{
    assert(file->disk->ops == &disk_real_ops);
    return (struct disk_real_file *)file;
}

/* ---- errors ------------------------------------------------------------------------------- */

static kvs_status disk_real_status(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return KVS_NO_SPACE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN: /* of mmap: over the limit of locked memory */
        return KVS_NO_MEMORY;
    case ENOENT:
        return KVS_MISSING;
    default:
        return KVS_IO;
    }
}

/* What has run out, and what to do about it, where the system's own words do not say so. */
static const char *disk_real_reason(int error)
{
    switch (error) {
    case EMFILE:
        return "out of file descriptors: raise the limit of the process (ulimit -n)";
    case ENFILE:
        return "out of file descriptors: the system has no more (sysctl fs.file-max)";
    case ENOMEM:
        return "out of memory, or of memory mappings (sysctl vm.max_map_count)";
    default:
        return strerror(error);
    }
}

static kvs_status disk_real_say(struct disk *disk, const char *name, const char *what, int error,
                                kvs_status status, struct kvs_error *err)
{
    const char *folder = disk_real_of(disk)->path;
    if (name == NULL)
        return kvs_error_set(err, status, error, "cannot %s %s: %s", what, folder,
                             disk_real_reason(error));
    return kvs_error_set(err, status, error, "cannot %s %s/%s: %s", what, folder, name,
                         disk_real_reason(error));
}

/* Turns an errno into a status. name NULL: the folder itself. */
static kvs_status disk_real_failed(struct disk *disk, const char *name, const char *what, int error,
                                   struct kvs_error *err)
{
    return disk_real_say(disk, name, what, error, disk_real_status(error), err);
}

/* The same for a sync. Whatever it was short of, what it was to store may be lost: KVS_NO_MEMORY would
   say that nothing happened. */
static kvs_status disk_real_sync_failed(struct disk *disk, const char *name, const char *what,
                                        int error, struct kvs_error *err)
{
    kvs_status status = disk_real_status(error) == KVS_NO_SPACE ? KVS_NO_SPACE : KVS_IO;
    return disk_real_say(disk, name, what, error, status, err);
}

static kvs_status disk_real_file_failed(struct disk_real_file *file, const char *what, int error,
                                        struct kvs_error *err)
{
    return disk_real_failed(file->file.disk, file->name, what, error, err);
}

static bool disk_real_name_fits(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL;
}

/* ---- files -------------------------------------------------------------------------------- */

static kvs_status disk_real_file_open(struct disk *disk, const char *name, uint32_t flags,
                                      struct disk_file **ret_file, struct kvs_error *err)
{
    assert(disk_real_name_fits(name));
    assert(flags == 0 || flags == DISK_CREATE || flags == DISK_READ_ONLY);
    int how = (flags & DISK_READ_ONLY) != 0 ? O_RDONLY : O_RDWR;
    if ((flags & DISK_CREATE) != 0)
        how |= O_CREAT | O_TRUNC;
    size_t name_size = strlen(name) + 1;
    struct disk_real_file *file = malloc(sizeof(*file) + name_size);
    if (file == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to open %s", name);
    file->file.disk = disk;
    memcpy(file->name, name, name_size);
    do {
        file->fd = openat(disk_real_of(disk)->folder, name, how | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
                          DISK_FILE_MODE);
    } while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) {
        int error = errno;
        free(file);
        return disk_real_failed(disk, name, how & O_CREAT ? "create" : "open", error, err);
    }
    *ret_file = &file->file;
    return KVS_OK;
}

static void disk_real_file_close(struct disk_file *base)
{
    struct disk_real_file *file = disk_real_file_of(base);
    (void)close(file->fd); /* what had to be stored was synced, and that is what was checked */
    free(file);
}

static kvs_status disk_real_file_stat(struct disk_file *base, struct stat *ret_stat,
                                      struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    if (fstat(file->fd, ret_stat) != 0)
        return disk_real_file_failed(file, "look at", errno, err);
    return KVS_OK;
}

static kvs_status disk_real_file_size(struct disk_file *base, uint64_t *ret_bytes,
                                      struct kvs_error *err)
{
    struct stat st;
    kvs_status status = disk_real_file_stat(base, &st, err);
    if (status == KVS_OK)
        *ret_bytes = (uint64_t)st.st_size;
    return status;
}

static kvs_status disk_real_file_links(struct disk_file *base, uint64_t *ret_links,
                                       struct kvs_error *err)
{
    struct stat st;
    kvs_status status = disk_real_file_stat(base, &st, err);
    if (status == KVS_OK)
        *ret_links = (uint64_t)st.st_nlink;
    return status;
}

static kvs_status disk_real_file_truncate(struct disk_file *base, uint64_t bytes,
                                          struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    int failed;
    do {
        failed = ftruncate(file->fd, (off_t)bytes);
    } while (failed != 0 && errno == EINTR);
    return failed == 0 ? KVS_OK : disk_real_file_failed(file, "change the size of", errno, err);
}

static kvs_status disk_real_file_reserve(struct disk_file *base, uint64_t bytes,
                                         struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    uint64_t before;
    kvs_status status = disk_real_file_size(base, &before, err);
    if (status != KVS_OK || bytes == 0)
        return status;
    int failed;
    do {
        failed = fallocate(file->fd, 0, 0, (off_t)bytes);
    } while (failed != 0 && errno == EINTR);
    if (failed == 0)
        return KVS_OK;
    int error = errno;
    if (error == EOPNOTSUPP || error == ENOSYS)
        return kvs_error_set(err, KVS_UNSUPPORTED, error,
                             "the file system of %s cannot reserve space",
                             disk_real_of(base->disk)->path);
    /* A full disk is noticed half-way: give back what was taken. */
    if (bytes > before)
        (void)disk_real_file_truncate(base, before, NULL);
    return disk_real_file_failed(file, "reserve space for", error, err);
}

static kvs_status disk_real_file_write(struct disk_file *base, uint64_t offset, const void *from,
                                       uint64_t bytes, struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    const char *at = from;
    while (bytes > 0) {
        ssize_t done = pwrite(file->fd, at, bytes, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return disk_real_file_failed(file, "write", done < 0 ? errno : EIO, err);
        at += done;
        offset += (uint64_t)done;
        bytes -= (uint64_t)done;
    }
    return KVS_OK;
}

static kvs_status disk_real_file_read(struct disk_file *base, uint64_t offset, void *to,
                                      uint64_t bytes, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    uint64_t got = 0;
    while (got < bytes) {
        ssize_t done = pread(file->fd, (char *)to + got, bytes - got, (off_t)(offset + got));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return disk_real_file_failed(file, "read", errno, err);
        if (done == 0)
            break;
        got += (uint64_t)done;
    }
    *ret_bytes = got;
    return KVS_OK;
}

static kvs_status disk_real_file_map(struct disk_file *base, uint64_t bytes, bool writable,
                                     void **ret_memory, struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    void *memory = mmap(NULL, bytes, protection, MAP_SHARED, file->fd, 0);
    if (memory == MAP_FAILED)
        return disk_real_file_failed(file, "map", errno, err);
    *ret_memory = memory;
    return KVS_OK;
}

static void disk_real_file_unmap(struct disk_file *file, void *memory, uint64_t bytes)
{
    (void)file;
    int failed = munmap(memory, bytes);
    assert(failed == 0);
    (void)failed;
}

static kvs_status disk_real_file_sync(struct disk_file *base, struct kvs_error *err)
{
    struct disk_real_file *file = disk_real_file_of(base);
    int failed;
    do {
        failed = fdatasync(file->fd);
    } while (failed != 0 && errno == EINTR); /* interrupted is not failed: nothing was given up */
    return failed == 0 ? KVS_OK : disk_real_sync_failed(base->disk, file->name, "sync", errno, err);
}

/* ---- the folder --------------------------------------------------------------------------- */

static kvs_status disk_real_sync_folder(struct disk *disk, struct kvs_error *err)
{
    int failed;
    do {
        failed = fsync(disk_real_of(disk)->folder);
    } while (failed != 0 && errno == EINTR);
    return failed == 0 ? KVS_OK : disk_real_sync_failed(disk, NULL, "sync the folder", errno, err);
}

static kvs_status disk_real_rename(struct disk *disk, const char *from, const char *to,
                                   struct kvs_error *err)
{
    assert(disk_real_name_fits(from) && disk_real_name_fits(to));
    int folder = disk_real_of(disk)->folder;
    if (renameat(folder, from, folder, to) != 0)
        return disk_real_failed(disk, from, "rename", errno, err);
    return KVS_OK;
}

static kvs_status disk_real_remove(struct disk *disk, const char *name, struct kvs_error *err)
{
    assert(disk_real_name_fits(name));
    if (unlinkat(disk_real_of(disk)->folder, name, 0) != 0)
        return disk_real_failed(disk, name, "remove", errno, err);
    return KVS_OK;
}

static kvs_status disk_real_link(struct disk *disk, const char *name, struct disk *to,
                                 const char *to_name, struct kvs_error *err)
{
    assert(disk_real_name_fits(name) && disk_real_name_fits(to_name));
    int error = EXDEV;
    if (to->ops == &disk_real_ops) {
        if (linkat(disk_real_of(disk)->folder, name, disk_real_of(to)->folder, to_name, 0) == 0)
            return KVS_OK;
        error = errno;
    }
    if (error == EXDEV || error == EPERM || error == EMLINK || error == EOPNOTSUPP ||
        error == ENOSYS)
        return kvs_error_set(err, KVS_UNSUPPORTED, error, "cannot link %s/%s to another folder: %s",
                             disk_real_of(disk)->path, name, strerror(error));
    return disk_real_failed(disk, name, "link", error, err);
}

static bool disk_real_is_regular(DIR *folder, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    struct stat st;
    return fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static kvs_status disk_real_list(struct disk *disk, void (*visit)(void *arg, const char *name),
                                 void *arg, struct kvs_error *err)
{
    /* Opened anew: a duplicate of the descriptor would share its position with other threads. */
    int fd = openat(disk_real_of(disk)->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        int error = errno;
        if (fd >= 0)
            (void)close(fd);
        return disk_real_failed(disk, NULL, "list", error, err);
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(folder)) != NULL) {
        if (disk_real_is_regular(folder, entry))
            visit(arg, entry->d_name);
    }
    int error = errno;
    (void)closedir(folder);
    return error == 0 ? KVS_OK : disk_real_failed(disk, NULL, "list", error, err);
}

static kvs_status disk_real_free_bytes(struct disk *disk, uint64_t *ret_bytes,
                                       struct kvs_error *err)
{
    struct statvfs st;
    int failed;
    do {
        failed = fstatvfs(disk_real_of(disk)->folder, &st);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0)
        return disk_real_failed(disk, NULL, "ask for the free space of", errno, err);
    *ret_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return KVS_OK;
}

static void disk_real_close(struct disk *base)
{
    struct disk_real *disk = disk_real_of(base);
    (void)close(disk->folder);
    free(disk);
}

static const struct disk_ops disk_real_ops = {
    .close = disk_real_close,
    .file_open = disk_real_file_open,
    .file_close = disk_real_file_close,
    .file_size = disk_real_file_size,
    .file_links = disk_real_file_links,
    .file_reserve = disk_real_file_reserve,
    .file_truncate = disk_real_file_truncate,
    .file_write = disk_real_file_write,
    .file_read = disk_real_file_read,
    .file_map = disk_real_file_map,
    .file_unmap = disk_real_file_unmap,
    .file_sync = disk_real_file_sync,
    .sync_folder = disk_real_sync_folder,
    .rename = disk_real_rename,
    .remove = disk_real_remove,
    .link = disk_real_link,
    .list = disk_real_list,
    .free_bytes = disk_real_free_bytes,
};

kvs_status disk_open_real(const char *path, struct disk **ret_disk, struct kvs_error *err)
{
    size_t path_size = strlen(path) + 1;
    struct disk_real *disk = malloc(sizeof(*disk) + path_size);
    if (disk == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to open the folder %s", path);
    disk->disk.ops = &disk_real_ops;
    memcpy(disk->path, path, path_size);
    do {
        disk->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (disk->folder < 0 && errno == EINTR);
    if (disk->folder < 0) {
        kvs_status status = disk_real_failed(&disk->disk, NULL, "open the folder", errno, err);
        free(disk);
        return status;
    }
    *ret_disk = &disk->disk;
    return KVS_OK;
}
