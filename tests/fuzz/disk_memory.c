/*
 * See disk_memory.h. A file's content is allocated with exactly its size, at a page's beginning as a
 * mapping would be, and mapping it gives that memory. When a mapped file grows, the mapping keeps what
 * it had: whoever maps must not touch what came later (disk.h).
 */
#include "disk_memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at))
#endif

#define NAME_MAX_BYTES 32u
#define PAGE_BYTES     4096u
#define CAPACITY       (UINT64_C(64) << 20) /* of all files, in bytes */

/* Memory for a content; in a list until the end, as mappings may last. */
struct extent {
    struct extent *next;
    uint8_t *memory;
    uint64_t bytes;
};

struct memory_file {
    struct memory_file *next;
    char name[NAME_MAX_BYTES]; /* "": removed */
    struct extent *extent;     /* at least bytes long */
    uint64_t bytes;
};

struct memory_files {
    pthread_mutex_t lock;
    struct memory_file *first;
    struct extent *extents;
    uint64_t taken; /* bytes of all extents */
    uint64_t changes;
};

struct memory_disk {
    struct disk disk; /* first */
    struct memory_files *files;
};

struct open_file {
    struct disk_file file; /* first */
    struct memory_file *at;
    struct memory_files *files;
};

static const struct disk_ops memory_ops;

static void *must_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- files -------------------------------------------------------------------------------- */

struct memory_files *memory_files_new(void)
{
    struct memory_files *files = must_alloc(sizeof(*files));
    (void)pthread_mutex_init(&files->lock, NULL);
    return files;
}

void memory_files_free(struct memory_files *files)
{
    while (files->first != NULL) {
        struct memory_file *file = files->first;
        files->first = file->next;
        free(file);
    }
    while (files->extents != NULL) {
        struct extent *extent = files->extents;
        files->extents = extent->next;
        ASAN_UNPOISON_MEMORY_REGION(extent->memory, extent->bytes);
        free(extent->memory);
        free(extent);
    }
    (void)pthread_mutex_destroy(&files->lock);
    free(files);
}

static struct memory_file *find(const struct memory_files *files, const char *name)
{
    struct memory_file *file = files->first;
    while (file != NULL && strcmp(file->name, name) != 0)
        file = file->next;
    return file;
}

static struct extent *extent_new(struct memory_files *files, uint64_t bytes)
{
    struct extent *extent = must_alloc(sizeof(*extent));
    void *memory = NULL;
    if (posix_memalign(&memory, PAGE_BYTES, bytes > 0 ? bytes : 1) != 0)
        abort();
    memset(memory, 0, bytes);
    *extent = (struct extent){files->extents, memory, bytes};
    files->extents = extent;
    files->taken += bytes;
    return extent;
}

/* False: there is no room. */
static bool resize(struct memory_files *files, struct memory_file *file, uint64_t bytes)
{
    struct extent *extent = file->extent;
    if (bytes > extent->bytes) {
        if (bytes > CAPACITY || files->taken > CAPACITY - bytes)
            return false;
        struct extent *larger = extent_new(files, bytes);
        memcpy(larger->memory, extent->memory, file->bytes);
        file->extent = larger;
    } else {
        uint64_t least = bytes < file->bytes ? bytes : file->bytes;
        ASAN_UNPOISON_MEMORY_REGION(extent->memory, extent->bytes);
        memset(extent->memory + least, 0, extent->bytes - least);
        ASAN_POISON_MEMORY_REGION(extent->memory + bytes, extent->bytes - bytes);
    }
    file->bytes = bytes;
    return true;
}

static struct memory_file *add(struct memory_files *files, const char *name)
{
    struct memory_file *file = must_alloc(sizeof(*file));
    assert(name[0] != '\0' && strlen(name) < sizeof(file->name));
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    file->extent = extent_new(files, 0);
    file->next = files->first;
    files->first = file;
    return file;
}

void memory_files_put(struct memory_files *files, const char *name, const void *content,
                      uint64_t bytes)
{
    struct memory_file *file = find(files, name);
    if (file == NULL)
        file = add(files, name);
    if (!resize(files, file, bytes))
        abort();
    if (bytes > 0)
        memcpy(file->extent->memory, content, bytes);
}

const uint8_t *memory_files_get(const struct memory_files *files, const char *name,
                                uint64_t *ret_bytes)
{
    const struct memory_file *file = find(files, name);
    if (file == NULL)
        return NULL;
    *ret_bytes = file->bytes;
    return file->extent->memory;
}

uint64_t memory_files_changes(const struct memory_files *files)
{
    return files->changes;
}

/* ---- the calls ---------------------------------------------------------------------------- */

static struct memory_files *lock_of(struct memory_files *files)
{
    (void)pthread_mutex_lock(&files->lock);
    return files;
}

static kvs_status done(struct memory_files *files, int error, const char *name,
                       struct kvs_error *err)
{
    (void)pthread_mutex_unlock(&files->lock);
    if (error == 0)
        return KVS_OK;
    kvs_status status = error == ENOENT ? KVS_MISSING : error == ENOSPC ? KVS_NO_SPACE : KVS_IO;
    return kvs_error_set(err, status, error, "%s: %s", name, strerror(error));
}

static struct memory_files *files_of(struct disk *disk)
{
    return ((struct memory_disk *)disk)->files;
}

static struct open_file *open_file_of(struct disk_file *file)
{
    return (struct open_file *)file;
}

static kvs_status memory_file_open(struct disk *disk, const char *name, uint32_t flags,
                                   struct disk_file **ret_file, struct kvs_error *err)
{
    struct memory_files *files = lock_of(files_of(disk));
    struct memory_file *file = find(files, name);
    if (file == NULL && (flags & DISK_CREATE) == 0)
        return done(files, ENOENT, name, err);
    if ((flags & DISK_CREATE) != 0) {
        files->changes++;
        if (file == NULL)
            file = add(files, name);
        (void)resize(files, file, 0);
    }
    struct open_file *opened = must_alloc(sizeof(*opened));
    *opened = (struct open_file){{disk}, file, files};
    *ret_file = &opened->file;
    return done(files, 0, name, err);
}

static void memory_file_close(struct disk_file *file)
{
    free(open_file_of(file));
}

static kvs_status memory_file_size(struct disk_file *base, uint64_t *ret_bytes,
                                   struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    *ret_bytes = file->at->bytes;
    return done(files, 0, file->at->name, err);
}

static kvs_status memory_file_links(struct disk_file *base, uint64_t *ret_links,
                                    struct kvs_error *err)
{
    (void)base;
    (void)err;
    *ret_links = 1;
    return KVS_OK;
}

static kvs_status change_size(struct disk_file *base, uint64_t bytes, bool only_up,
                              struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    files->changes++;
    bool fits = (only_up && bytes <= file->at->bytes) || resize(files, file->at, bytes);
    return done(files, fits ? 0 : ENOSPC, file->at->name, err);
}

static kvs_status memory_file_reserve(struct disk_file *file, uint64_t bytes, struct kvs_error *err)
{
    return change_size(file, bytes, true, err);
}

static kvs_status memory_file_truncate(struct disk_file *file, uint64_t bytes,
                                       struct kvs_error *err)
{
    return change_size(file, bytes, false, err);
}

static kvs_status memory_file_write(struct disk_file *base, uint64_t offset, const void *from,
                                    uint64_t bytes, struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    files->changes++;
    bool fits = offset + bytes <= file->at->bytes || resize(files, file->at, offset + bytes);
    if (fits && bytes > 0)
        memmove(file->at->extent->memory + offset, from, bytes);
    return done(files, fits ? 0 : ENOSPC, file->at->name, err);
}

static kvs_status memory_file_read(struct disk_file *base, uint64_t offset, void *to,
                                   uint64_t bytes, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    uint64_t there = offset < file->at->bytes ? file->at->bytes - offset : 0;
    *ret_bytes = bytes < there ? bytes : there;
    if (*ret_bytes > 0)
        memcpy(to, file->at->extent->memory + offset, *ret_bytes);
    return done(files, 0, file->at->name, err);
}

static kvs_status memory_file_map(struct disk_file *base, uint64_t bytes, bool writable,
                                  void **ret_memory, struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    (void)writable;
    if (bytes == 0 || bytes > file->at->bytes) /* the real one would raise SIGBUS later */
        abort();
    *ret_memory = file->at->extent->memory;
    return done(files, 0, file->at->name, err);
}

static void memory_file_unmap(struct disk_file *file, void *memory, uint64_t bytes)
{
    (void)file;
    (void)memory;
    (void)bytes;
}

static kvs_status memory_file_sync(struct disk_file *base, struct kvs_error *err)
{
    struct open_file *file = open_file_of(base);
    struct memory_files *files = lock_of(file->files);
    files->changes++;
    return done(files, 0, file->at->name, err);
}

static kvs_status memory_sync_folder(struct disk *disk, struct kvs_error *err)
{
    struct memory_files *files = lock_of(files_of(disk));
    files->changes++;
    return done(files, 0, "the folder", err);
}

static kvs_status memory_rename(struct disk *disk, const char *from, const char *to,
                                struct kvs_error *err)
{
    struct memory_files *files = lock_of(files_of(disk));
    struct memory_file *file = find(files, from);
    struct memory_file *old = find(files, to);
    if (file == NULL)
        return done(files, ENOENT, from, err);
    files->changes++;
    if (old != NULL && old != file)
        old->name[0] = '\0';
    (void)snprintf(file->name, sizeof(file->name), "%s", to);
    return done(files, 0, from, err);
}

static kvs_status memory_remove(struct disk *disk, const char *name, struct kvs_error *err)
{
    struct memory_files *files = lock_of(files_of(disk));
    struct memory_file *file = find(files, name);
    if (file == NULL)
        return done(files, ENOENT, name, err);
    files->changes++;
    file->name[0] = '\0';
    return done(files, 0, name, err);
}

static kvs_status memory_link(struct disk *disk, const char *name, struct disk *to,
                              const char *to_name, struct kvs_error *err)
{
    (void)disk;
    (void)to;
    (void)to_name;
    return kvs_error_set(err, KVS_UNSUPPORTED, EXDEV, "%s: no links here", name);
}

static kvs_status memory_list(struct disk *disk, void (*visit)(void *arg, const char *name),
                              void *arg, struct kvs_error *err)
{
    struct memory_files *files = files_of(disk);
    (void)err;
    /* Files stay in the list when they are removed, and new ones go to its begin: the visitor may do both. */
    for (struct memory_file *file = files->first; file != NULL; file = file->next)
        if (file->name[0] != '\0')
            visit(arg, file->name);
    return KVS_OK;
}

static kvs_status memory_free_bytes(struct disk *disk, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct memory_files *files = lock_of(files_of(disk));
    *ret_bytes = CAPACITY - files->taken;
    return done(files, 0, "the folder", err);
}

static void memory_close(struct disk *disk)
{
    free(disk);
}

struct disk *disk_memory_open(struct memory_files *files)
{
    struct memory_disk *disk = must_alloc(sizeof(*disk));
    *disk = (struct memory_disk){{&memory_ops}, files};
    return &disk->disk;
}

static const struct disk_ops memory_ops = {
    .close = memory_close,
    .file_open = memory_file_open,
    .file_close = memory_file_close,
    .file_size = memory_file_size,
    .file_links = memory_file_links,
    .file_reserve = memory_file_reserve,
    .file_truncate = memory_file_truncate,
    .file_write = memory_file_write,
    .file_read = memory_file_read,
    .file_map = memory_file_map,
    .file_unmap = memory_file_unmap,
    .file_sync = memory_file_sync,
    .sync_folder = memory_sync_folder,
    .rename = memory_rename,
    .remove = memory_remove,
    .link = memory_link,
    .list = memory_list,
    .free_bytes = memory_free_bytes,
};
