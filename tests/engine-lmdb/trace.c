/*
 * See trace.h. One mutex is held around each call and its record, so both have the same order.
 *
 * A file is known by its inode, and an inode belongs to whoever got it last: one that was removed may be
 * taken for a new file. Names are kept as well, since a call to open does not say whether it made the file.
 *
 * What is not recorded: what a mapping writes (the engine maps for reading only), links and folders in it.
 */
#undef _FILE_OFFSET_BITS /* every function is to have the name that is written here */
#include "engine-lmdb/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX    256u
#define NAMES_MAX    16u
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define DATA_NAME    "data.mdb"
#define NONE         UINT32_MAX

/* The name with 64 for the same function: off_t has 64 bits. */
#define ALSO(name) __attribute__((alias(#name)))

struct known_file {
    dev_t device;
    ino_t inode;
    bool is_data;
};

struct known_name {
    char name[TRACE_NAME_MAX];
    uint32_t file;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct { /* all of it under the mutex */
    bool on;
    char dir[4096];
    struct stat dir_info;
    struct trace trace;
    size_t capacity;
    struct known_file files[FILES_MAX];
    uint32_t file_count;
    struct known_name names[NAMES_MAX]; /* file NONE: not used */
    uint64_t least;
    uint64_t most;
    uint64_t fails_in; /* flushes; 0: none fails */
    uint64_t boot;
} now;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "trace: %s\n", what);
    abort();
}

/* ---- what is known ------------------------------------------------------------------------------ */

static bool is_same(const struct stat *info, dev_t device, ino_t inode)
{
    return info->st_dev == device && info->st_ino == inode;
}

/* The number of the file of the folder that fd is, or NONE. */
static uint32_t file_of(int fd)
{
    struct stat info;
    if (!now.on || fstat(fd, &info) != 0)
        return NONE;
    for (uint32_t i = now.file_count; i > 0; i--) {
        if (is_same(&info, now.files[i - 1].device, now.files[i - 1].inode))
            return i - 1;
    }
    return NONE;
}

static bool is_folder(int fd)
{
    struct stat info;
    return now.on && fstat(fd, &info) == 0 &&
           is_same(&info, now.dir_info.st_dev, now.dir_info.st_ino);
}

/* The entry of a name, or NULL. */
static struct known_name *find_name(const char *name)
{
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (now.names[i].file != NONE && strcmp(now.names[i].name, name) == 0)
            return &now.names[i];
    }
    return NULL;
}

static void set_name(const char *name, uint32_t file)
{
    struct known_name *entry = find_name(name);
    for (unsigned i = 0; entry == NULL && i < NAMES_MAX; i++)
        entry = now.names[i].file == NONE ? &now.names[i] : NULL;
    require(entry != NULL && strlen(name) < TRACE_NAME_MAX, "too many names, or too long ones");
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->file = file;
}

/* Copies the name that path has in the folder. False: it is not in there, or is the lock file. */
static bool name_in_folder(int folder, const char *path, char name[TRACE_NAME_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t size = strlen(now.dir);
    const char *found = NULL;
    if (!now.on)
        return false;
    if (slash == NULL && is_folder(folder))
        found = path;
    else if (slash != NULL && (size_t)(slash - path) == size && memcmp(path, now.dir, size) == 0)
        found = slash + 1;
    if (found == NULL || strcmp(found, "lock.mdb") == 0)
        return false;
    require(strlen(found) < TRACE_NAME_MAX, "a name is too long");
    (void)snprintf(name, TRACE_NAME_MAX, "%s", found);
    return true;
}

/* ---- recording ---------------------------------------------------------------------------------- */

/* A new entry at the end; valid until the next one. */
static struct trace_op *add(enum trace_kind kind, uint32_t file)
{
    if (now.trace.count == now.capacity) {
        now.capacity = now.capacity == 0 ? 1024 : 2 * now.capacity;
        now.trace.ops = realloc(now.trace.ops, now.capacity * sizeof(*now.trace.ops));
        require(now.trace.ops != NULL, "no memory");
    }
    struct trace_op *op = &now.trace.ops[now.trace.count++];
    *op = (struct trace_op){.kind = kind, .file = file, .least = now.least, .most = now.most};
    op->is_data = file != NONE && now.files[file].is_data;
    return op;
}

static void add_bytes(uint32_t file, const void *from, uint64_t size, uint64_t offset, bool synced)
{
    struct trace_op *op = add(TRACE_WRITE, file);
    op->offset = offset;
    op->size = size;
    op->is_synced = synced;
    op->data = malloc(size);
    require(op->data != NULL, "no memory");
    memcpy(op->data, from, size);
}

static void add_length(uint32_t file, uint64_t size)
{
    add(TRACE_LENGTH, file)->size = size;
}

static void add_file(const char *name, const struct stat *info)
{
    uint32_t file = now.file_count++;
    require(file < FILES_MAX, "too many files");
    now.files[file] = (struct known_file){info->st_dev, info->st_ino,
                                          strncmp(name, DATA_NAME, strlen(DATA_NAME)) == 0};
    set_name(name, file);
    struct trace_op *op = add(TRACE_NAME, file);
    (void)snprintf(op->name, sizeof(op->name), "%s", name);
}

/* What open did, beyond opening: it made the file, or emptied it. */
static void note_open(int fd, const char *name, int flags)
{
    struct stat info;
    require(fstat(fd, &info) == 0, "a file that was just opened cannot be looked at");
    if ((flags & O_CREAT) != 0 && find_name(name) == NULL)
        add_file(name, &info);
    else if ((flags & O_TRUNC) != 0)
        add_length(file_of(fd), 0);
}

static void note_write(int fd, const void *from, ssize_t written, off_t offset)
{
    uint32_t file = written > 0 ? file_of(fd) : NONE;
    if (file != NONE)
        add_bytes(file, from, (uint64_t)written, (uint64_t)offset,
                  (fcntl(fd, F_GETFL) & O_DSYNC) != 0);
}

static void note_length(int fd, int result)
{
    struct stat info;
    uint32_t file = result == 0 ? file_of(fd) : NONE;
    if (file != NONE && fstat(fd, &info) == 0)
        add_length(file, (uint64_t)info.st_size);
}

static int note_sync(int fd)
{
    uint32_t file = file_of(fd);
    if (is_folder(fd))
        (void)add(TRACE_SYNC_FOLDER, NONE);
    if (file == NONE)
        return 0;
    bool fails = now.fails_in > 0 && --now.fails_in == 0;
    (void)add(fails ? TRACE_SYNC_FAILED : TRACE_SYNC, file);
    errno = EIO;
    return fails ? -1 : 0;
}

/* ---- the test's side ---------------------------------------------------------------------------- */

static void find_file(const char *name)
{
    struct stat info;
    char path[8192];
    (void)snprintf(path, sizeof(path), "%s/%s", now.dir, name);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    require(fd >= 0 && fstat(fd, &info) == 0, "a file that was found cannot be opened");
    add_file(name, &info);
    uint8_t *content = malloc((size_t)info.st_size + 1);
    require(content != NULL && pread(fd, content, (size_t)info.st_size, 0) == info.st_size,
            "a file that was found cannot be read");
    if (info.st_size > 0)
        add_bytes(now.file_count - 1, content, (uint64_t)info.st_size, 0, false);
    (void)add(TRACE_SYNC, now.file_count - 1);
    free(content);
    (void)close(fd);
}

void trace_begin(const char *dir)
{
    const struct dirent *entry;
    (void)pthread_mutex_lock(&mutex);
    (void)snprintf(now.dir, sizeof(now.dir), "%s", dir);
    require(stat(dir, &now.dir_info) == 0, "no such folder");
    now.file_count = 0;
    now.trace = (struct trace){0};
    now.capacity = 0;
    for (unsigned i = 0; i < NAMES_MAX; i++)
        now.names[i].file = NONE;
    DIR *folder = opendir(dir);
    require(folder != NULL, "the folder cannot be read");
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lock.mdb") != 0)
            find_file(entry->d_name);
    }
    (void)closedir(folder);
    (void)add(TRACE_SYNC_FOLDER, NONE);
    now.trace.begin = now.trace.count;
    now.on = true;
    (void)pthread_mutex_unlock(&mutex);
}

struct trace trace_end(void)
{
    (void)pthread_mutex_lock(&mutex);
    (void)add(TRACE_SYNC_FOLDER, NONE); /* carries what is promised in the end */
    struct trace trace = now.trace;
    now.on = false;
    now.fails_in = 0;
    (void)pthread_mutex_unlock(&mutex);
    return trace;
}

void trace_free(struct trace *trace)
{
    for (size_t i = 0; i < trace->count; i++)
        free(trace->ops[i].data);
    free(trace->ops);
    *trace = (struct trace){0};
}

void trace_promise(uint64_t least, uint64_t most)
{
    (void)pthread_mutex_lock(&mutex);
    now.least = least;
    now.most = most;
    (void)pthread_mutex_unlock(&mutex);
}

void trace_fail_sync(uint64_t nth)
{
    (void)pthread_mutex_lock(&mutex);
    now.fails_in = nth;
    (void)pthread_mutex_unlock(&mutex);
}

void trace_set_boot(uint64_t number)
{
    (void)pthread_mutex_lock(&mutex);
    now.boot = number;
    (void)pthread_mutex_unlock(&mutex);
}

/* ---- the interposed functions -------------------------------------------------------------------- */

static int open_boot_id(void)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "boot-%llu\n", (unsigned long long)now.boot);
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    require(fd >= 0 && syscall(SYS_pwrite64, fd, text, (size_t)size, (off_t)0) == size,
            "no boot id can be made");
    return fd;
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    char name[TRACE_NAME_MAX];
    if (strcmp(path, BOOT_ID_PATH) == 0)
        return open_boot_id();
    (void)pthread_mutex_lock(&mutex);
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && (flags & (O_CREAT | O_TRUNC)) != 0 && name_in_folder(folder, path, name))
        note_open(fd, name, flags);
    (void)pthread_mutex_unlock(&mutex);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int openat(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(folder, path, flags, mode);
}
ALSO(openat) int openat64(int folder, const char *path, int flags, ...);

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}
ALSO(open) int open64(const char *path, int flags, ...);

ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
    (void)pthread_mutex_lock(&mutex);
    ssize_t written = syscall(SYS_pwrite64, fd, from, size, offset);
    note_write(fd, from, written, offset);
    (void)pthread_mutex_unlock(&mutex);
    return written;
}
ALSO(pwrite) ssize_t pwrite64(int fd, const void *from, size_t size, off64_t offset);

ssize_t write(int fd, const void *from, size_t size)
{
    (void)pthread_mutex_lock(&mutex);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_write, fd, from, size);
    note_write(fd, from, written, offset);
    (void)pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    (void)pthread_mutex_lock(&mutex);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    ssize_t left = written;
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t size = (ssize_t)parts[i].iov_len < left ? (ssize_t)parts[i].iov_len : left;
        note_write(fd, parts[i].iov_base, size, offset);
        offset += size;
        left -= size;
    }
    (void)pthread_mutex_unlock(&mutex);
    return written;
}

int fdatasync(int fd)
{
    (void)pthread_mutex_lock(&mutex);
    int result = note_sync(fd);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int fsync(int fd)
{
    return fdatasync(fd);
}

int ftruncate(int fd, off_t size)
{
    (void)pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    note_length(fd, result);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}
ALSO(ftruncate) int ftruncate64(int fd, off64_t size);

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    (void)pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    note_length(fd, result);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}
ALSO(fallocate) int fallocate64(int fd, int mode, off64_t offset, off64_t size);

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char names[2][TRACE_NAME_MAX];
    (void)pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    if (result == 0 && name_in_folder(from_folder, from, names[0]) &&
        name_in_folder(to_folder, to, names[1])) {
        struct known_name *entry = find_name(names[0]);
        require(entry != NULL, "a file that nobody knows was renamed");
        struct trace_op *op = add(TRACE_RENAME, entry->file);
        memcpy(op->from, names[0], sizeof(op->from));
        memcpy(op->name, names[1], sizeof(op->name));
        entry->file = NONE;
        set_name(names[1], op->file);
    }
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int folder, const char *path, int flags)
{
    char name[TRACE_NAME_MAX];
    (void)pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_unlinkat, folder, path, flags);
    if (result == 0 && name_in_folder(folder, path, name)) {
        struct known_name *entry = find_name(name);
        require(entry != NULL, "a file that nobody knows was removed");
        struct trace_op *op = add(TRACE_UNLINK, entry->file);
        memcpy(op->name, name, sizeof(op->name));
        entry->file = NONE;
    }
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
