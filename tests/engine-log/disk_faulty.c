/* A disk that fails when it is told to. The lock guards the plan and the counts; calls below are
   made without it. */
#include "disk_faulty.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define KINDS 15u

/* What is done after the next file was mapped. */
struct after_map {
    void (*call)(void *arg);
    void *arg;
};

struct disk_faulty {
    struct disk disk; /* first */
    struct disk *below;
    pthread_mutex_t lock;
    /* Guarded by the lock. */
    uint32_t calls; /* kinds that fail */
    uint64_t skip;
    uint64_t count;
    kvs_status status;
    enum disk_fail_when when;
    uint64_t failures;
    struct after_map after_map;
    uint64_t seen[KINDS]; /* by kind */
};

struct disk_faulty_file {
    struct disk_file file; /* first */
    struct disk_file *below;
};

/* What happens to one call. */
struct verdict {
    bool fails;
    kvs_status status;
    enum disk_fail_when when;
};

static struct disk_faulty *faulty_of(struct disk *disk)
{
    return (struct disk_faulty *)disk;
}

static struct disk *below_disk(struct disk *disk)
{
    return faulty_of(disk)->below;
}

static struct disk_file *below_file(struct disk_file *file)
{
    return ((struct disk_faulty_file *)file)->below;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static struct verdict judge(struct disk *base, uint32_t call)
{
    struct disk_faulty *disk = faulty_of(base);
    struct verdict verdict = {0};
    pthread_mutex_lock(&disk->lock);
    disk->seen[__builtin_ctz(call)]++;
    if ((disk->calls & call) != 0 && disk->count > 0) {
        if (disk->skip > 0) {
            disk->skip--;
        } else {
            if (disk->count != DISK_FAULTY_FOREVER)
                disk->count--;
            disk->failures++;
            verdict = (struct verdict){true, disk->status, disk->when};
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return verdict;
}

static bool goes_below(struct verdict verdict)
{
    return !verdict.fails || verdict.when == DISK_FAIL_AFTER;
}

/* The status of a call that went below if it was meant to. */
static kvs_status outcome(struct verdict verdict, kvs_status below, const char *what,
                          struct kvs_error *err)
{
    if (!verdict.fails)
        return below;
    int error = verdict.status == KVS_NO_SPACE    ? ENOSPC
                : verdict.status == KVS_NO_MEMORY ? EMFILE
                                                  : EIO;
    return kvs_error_set(err, verdict.status, error, "cannot %s: as the test wants it", what);
}

void disk_faulty_after_map(struct disk *base, void (*call)(void *arg), void *arg)
{
    struct disk_faulty *disk = faulty_of(base);
    pthread_mutex_lock(&disk->lock);
    disk->after_map = (struct after_map){call, arg};
    pthread_mutex_unlock(&disk->lock);
}

void disk_faulty_fail(struct disk *base, uint32_t calls, uint64_t skip, uint64_t count,
                      kvs_status status, enum disk_fail_when when)
{
    struct disk_faulty *disk = faulty_of(base);
    pthread_mutex_lock(&disk->lock);
    disk->calls = calls;
    disk->skip = skip;
    disk->count = count;
    disk->status = status;
    disk->when = when;
    disk->failures = 0;
    pthread_mutex_unlock(&disk->lock);
}

uint64_t disk_faulty_failures(struct disk *base)
{
    struct disk_faulty *disk = faulty_of(base);
    pthread_mutex_lock(&disk->lock);
    uint64_t failures = disk->failures;
    pthread_mutex_unlock(&disk->lock);
    return failures;
}

uint64_t disk_faulty_calls(struct disk *base, uint32_t calls)
{
    struct disk_faulty *disk = faulty_of(base);
    uint64_t sum = 0;
    pthread_mutex_lock(&disk->lock);
    for (unsigned kind = 0; kind < KINDS; kind++)
        sum += (calls >> kind & 1) != 0 ? disk->seen[kind] : 0;
    pthread_mutex_unlock(&disk->lock);
    return sum;
}

/* ---- files -------------------------------------------------------------------------------- */

static kvs_status faulty_file_open(struct disk *disk, const char *name, uint32_t flags,
                                   struct disk_file **ret_file, struct kvs_error *err)
{
    uint32_t call = (flags & DISK_CREATE) != 0 ? DISK_CALL_CREATE : DISK_CALL_OPEN;
    struct verdict verdict = judge(disk, call);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "open a file", err);
    struct disk_file *below;
    kvs_status status = disk_file_open(below_disk(disk), name, flags, &below, err);
    if (status != KVS_OK)
        return status;
    struct disk_faulty_file *file = malloc(sizeof(*file));
    assert(file != NULL);
    file->file.disk = disk;
    file->below = below;
    *ret_file = &file->file;
    return KVS_OK;
}

static void faulty_file_close(struct disk_file *file)
{
    disk_file_close(below_file(file));
    free(file);
}

static kvs_status faulty_file_size(struct disk_file *file, uint64_t *ret_bytes,
                                   struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_SIZE);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "look at a file", err);
    return disk_file_size(below_file(file), ret_bytes, err);
}

static kvs_status faulty_file_links(struct disk_file *file, uint64_t *ret_links,
                                    struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_SIZE);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "look at a file", err);
    return disk_file_links(below_file(file), ret_links, err);
}

static kvs_status faulty_file_reserve(struct disk_file *file, uint64_t bytes, struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_RESERVE);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_file_reserve(below_file(file), bytes, err);
    return outcome(verdict, status, "reserve space", err);
}

static kvs_status faulty_file_truncate(struct disk_file *file, uint64_t bytes,
                                       struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_TRUNCATE);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_file_truncate(below_file(file), bytes, err);
    return outcome(verdict, status, "change a size", err);
}

static kvs_status faulty_file_write(struct disk_file *file, uint64_t offset, const void *from,
                                    uint64_t bytes, struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_WRITE);
    kvs_status status = KVS_OK;
    if (verdict.fails && verdict.when == DISK_FAIL_HALF)
        status = disk_file_write(below_file(file), offset, from, bytes / 2, err);
    else if (goes_below(verdict))
        status = disk_file_write(below_file(file), offset, from, bytes, err);
    return outcome(verdict, status, "write", err);
}

static kvs_status faulty_file_read(struct disk_file *file, uint64_t offset, void *to,
                                   uint64_t bytes, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_READ);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "read", err);
    return disk_file_read(below_file(file), offset, to, bytes, ret_bytes, err);
}

/* What disk_faulty_after_map() asked for, once. */
static struct after_map take_after_map(struct disk *base)
{
    struct disk_faulty *disk = faulty_of(base);
    pthread_mutex_lock(&disk->lock);
    struct after_map after = disk->after_map;
    disk->after_map = (struct after_map){NULL, NULL};
    pthread_mutex_unlock(&disk->lock);
    return after;
}

static kvs_status faulty_file_map(struct disk_file *file, uint64_t bytes, bool writable,
                                  void **ret_memory, struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_MAP);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "map", err);
    kvs_status status = disk_file_map(below_file(file), bytes, writable, ret_memory, err);
    struct after_map after = take_after_map(file->disk);
    if (status == KVS_OK && after.call != NULL)
        after.call(after.arg);
    return status;
}

static void faulty_file_unmap(struct disk_file *file, void *memory, uint64_t bytes)
{
    disk_file_unmap(below_file(file), memory, bytes);
}

static kvs_status faulty_file_sync(struct disk_file *file, struct kvs_error *err)
{
    struct verdict verdict = judge(file->disk, DISK_CALL_SYNC);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_file_sync(below_file(file), err);
    return outcome(verdict, status, "sync a file", err);
}

/* ---- the folder --------------------------------------------------------------------------- */

static kvs_status faulty_sync_folder(struct disk *disk, struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_SYNC_FOLDER);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_sync_folder(below_disk(disk), err);
    return outcome(verdict, status, "sync the folder", err);
}

static kvs_status faulty_rename(struct disk *disk, const char *from, const char *to,
                                struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_RENAME);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_rename(below_disk(disk), from, to, err);
    return outcome(verdict, status, "rename", err);
}

static kvs_status faulty_remove(struct disk *disk, const char *name, struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_REMOVE);
    kvs_status status = KVS_OK;
    if (goes_below(verdict))
        status = disk_remove(below_disk(disk), name, err);
    return outcome(verdict, status, "remove", err);
}

static kvs_status faulty_link(struct disk *disk, const char *name, struct disk *to,
                              const char *to_name, struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_LINK);
    kvs_status status = KVS_OK;
    if (to->ops == disk->ops)
        to = below_disk(to);
    if (goes_below(verdict))
        status = disk_link(below_disk(disk), name, to, to_name, err);
    return outcome(verdict, status, "link", err);
}

static kvs_status faulty_list(struct disk *disk, void (*visit)(void *arg, const char *name),
                              void *arg, struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_LIST);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "list", err);
    return disk_list(below_disk(disk), visit, arg, err);
}

static kvs_status faulty_free_bytes(struct disk *disk, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct verdict verdict = judge(disk, DISK_CALL_FREE_BYTES);
    if (verdict.fails)
        return outcome(verdict, KVS_OK, "ask for free space", err);
    return disk_free_bytes(below_disk(disk), ret_bytes, err);
}

static void faulty_close(struct disk *base)
{
    struct disk_faulty *disk = faulty_of(base);
    pthread_mutex_destroy(&disk->lock);
    free(disk);
}

static const struct disk_ops disk_faulty_ops = {
    .close = faulty_close,
    .file_open = faulty_file_open,
    .file_close = faulty_file_close,
    .file_size = faulty_file_size,
    .file_links = faulty_file_links,
    .file_reserve = faulty_file_reserve,
    .file_truncate = faulty_file_truncate,
    .file_write = faulty_file_write,
    .file_read = faulty_file_read,
    .file_map = faulty_file_map,
    .file_unmap = faulty_file_unmap,
    .file_sync = faulty_file_sync,
    .sync_folder = faulty_sync_folder,
    .rename = faulty_rename,
    .remove = faulty_remove,
    .link = faulty_link,
    .list = faulty_list,
    .free_bytes = faulty_free_bytes,
};

struct disk *disk_faulty_new(struct disk *below)
{
    struct disk_faulty *disk = calloc(1, sizeof(*disk));
    assert(disk != NULL);
    disk->disk.ops = &disk_faulty_ops;
    disk->below = below;
    pthread_mutex_init(&disk->lock, NULL);
    return &disk->disk;
}
