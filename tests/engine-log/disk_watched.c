/* See disk_watched.h. The lock guards everything but the calls below; a power loss is taken with it,
   and a sync counts from the content that the file had before the call. */
#include "disk_watched.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 32u
#define NAMES_MAX      4096u
#define PAGE           4096u

/* A file, whatever names it has. Never freed before the disk, so that pointers are identities. */
struct inode {
    struct inode *next;
    struct disk_file *below; /* opened once more, for looking at it */
    uint8_t *durable;
    uint64_t durable_bytes;
};

struct name {
    char text[NAME_MAX_BYTES];
    struct inode *inode;
};

struct folder_names {
    struct name items[NAMES_MAX];
    unsigned count;
};

struct watched {
    struct disk disk; /* first */
    struct disk *below;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct inode *inodes;
    struct folder_names live;
    struct folder_names durable;
    char suffix[NAME_MAX_BYTES];
    bool holds;
    unsigned held;
    unsigned syncs;
    kvs_status sync_gives;
    kvs_status reserve_gives;
};

struct watched_file {
    struct disk_file file; /* first */
    struct disk_file *below;
    struct inode *inode;
    char name[NAME_MAX_BYTES];
};

static struct watched *watched_of(struct disk *disk)
{
    return (struct watched *)disk;
}

static struct watched_file *file_of(struct disk_file *file)
{
    return (struct watched_file *)file;
}

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* ---- what is durable ------------------------------------------------------------------------ */

static struct name *name_find(struct folder_names *names, const char *text)
{
    for (unsigned i = 0; i < names->count; i++)
        if (strcmp(names->items[i].text, text) == 0)
            return &names->items[i];
    return NULL;
}

static void name_put(struct folder_names *names, const char *text, struct inode *inode)
{
    struct name *name = name_find(names, text);
    if (name == NULL) {
        require(names->count < NAMES_MAX);
        name = &names->items[names->count++];
        (void)snprintf(name->text, sizeof(name->text), "%s", text);
    }
    name->inode = inode;
}

static void name_remove(struct folder_names *names, const char *text)
{
    struct name *name = name_find(names, text);
    if (name != NULL)
        *name = names->items[--names->count];
}

/* The file's content now. */
static uint8_t *content_now(struct inode *inode, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    require(disk_file_size(inode->below, &bytes, NULL) == KVS_OK);
    uint8_t *data = malloc(bytes + 1);
    require(data != NULL &&
            disk_file_read(inode->below, 0, data, bytes, ret_bytes, NULL) == KVS_OK);
    return data;
}

/* ---- files ---------------------------------------------------------------------------------- */

static struct inode *inode_new(struct watched *watched, const char *name)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    require(inode != NULL &&
            disk_file_open(watched->below, name, DISK_READ_ONLY, &inode->below, NULL) == KVS_OK);
    inode->next = watched->inodes;
    watched->inodes = inode;
    return inode;
}

static kvs_status watched_file_open(struct disk *disk, const char *text, uint32_t flags,
                                    struct disk_file **ret_file, struct kvs_error *err)
{
    struct watched *watched = watched_of(disk);
    struct disk_file *below;
    (void)pthread_mutex_lock(&watched->lock);
    kvs_status status = disk_file_open(watched->below, text, flags, &below, err);
    if (status == KVS_OK) {
        struct watched_file *file = calloc(1, sizeof(*file));
        require(file != NULL);
        if (name_find(&watched->live, text) == NULL)
            name_put(&watched->live, text, inode_new(watched, text));
        file->file.disk = disk;
        file->below = below;
        file->inode = name_find(&watched->live, text)->inode;
        (void)snprintf(file->name, sizeof(file->name), "%s", text);
        *ret_file = &file->file;
    }
    (void)pthread_mutex_unlock(&watched->lock);
    return status;
}

static void watched_file_close(struct disk_file *file)
{
    disk_file_close(file_of(file)->below);
    free(file);
}

static kvs_status watched_file_size(struct disk_file *file, uint64_t *ret, struct kvs_error *err)
{
    return disk_file_size(file_of(file)->below, ret, err);
}

static kvs_status watched_file_links(struct disk_file *file, uint64_t *ret, struct kvs_error *err)
{
    return disk_file_links(file_of(file)->below, ret, err);
}

static kvs_status watched_file_reserve(struct disk_file *file, uint64_t bytes,
                                       struct kvs_error *err)
{
    struct watched *watched = watched_of(file->disk);
    (void)pthread_mutex_lock(&watched->lock);
    kvs_status status = watched->reserve_gives;
    (void)pthread_mutex_unlock(&watched->lock);
    if (status != KVS_OK)
        return kvs_error_set(err, status, status == KVS_NO_SPACE ? ENOSPC : EOPNOTSUPP,
                             "cannot reserve space: as the test wants it");
    return disk_file_reserve(file_of(file)->below, bytes, err);
}

static kvs_status watched_file_truncate(struct disk_file *file, uint64_t bytes,
                                        struct kvs_error *err)
{
    return disk_file_truncate(file_of(file)->below, bytes, err);
}

static kvs_status watched_file_write(struct disk_file *file, uint64_t offset, const void *from,
                                     uint64_t bytes, struct kvs_error *err)
{
    return disk_file_write(file_of(file)->below, offset, from, bytes, err);
}

static kvs_status watched_file_read(struct disk_file *file, uint64_t offset, void *to,
                                    uint64_t bytes, uint64_t *ret_bytes, struct kvs_error *err)
{
    return disk_file_read(file_of(file)->below, offset, to, bytes, ret_bytes, err);
}

static kvs_status watched_file_map(struct disk_file *file, uint64_t bytes, bool writable,
                                   void **ret_memory, struct kvs_error *err)
{
    return disk_file_map(file_of(file)->below, bytes, writable, ret_memory, err);
}

static void watched_file_unmap(struct disk_file *file, void *memory, uint64_t bytes)
{
    disk_file_unmap(file_of(file)->below, memory, bytes);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t size = strlen(suffix);
    return size > 0 && length >= size && strcmp(text + length - size, suffix) == 0;
}

static kvs_status watched_file_sync(struct disk_file *base, struct kvs_error *err)
{
    struct watched *watched = watched_of(base->disk);
    struct watched_file *file = file_of(base);
    uint64_t bytes = 0;
    kvs_status gives = KVS_OK;
    (void)pthread_mutex_lock(&watched->lock);
    uint8_t *data = content_now(file->inode, &bytes);
    if (has_suffix(file->name, watched->suffix)) {
        watched->syncs++;
        watched->held++;
        while (watched->holds)
            (void)pthread_cond_wait(&watched->changed, &watched->lock);
        watched->held--;
        gives = watched->sync_gives;
    }
    if (gives == KVS_OK) {
        free(file->inode->durable);
        file->inode->durable = data;
        file->inode->durable_bytes = bytes;
    } else {
        free(data);
    }
    (void)pthread_mutex_unlock(&watched->lock);
    return gives == KVS_OK ? KVS_OK
                           : kvs_error_set(err, gives, EIO, "cannot sync: as the test wants it");
}

/* ---- the folder ----------------------------------------------------------------------------- */

static kvs_status watched_sync_folder(struct disk *disk, struct kvs_error *err)
{
    struct watched *watched = watched_of(disk);
    (void)err;
    (void)pthread_mutex_lock(&watched->lock);
    watched->durable = watched->live;
    (void)pthread_mutex_unlock(&watched->lock);
    return KVS_OK;
}

static kvs_status watched_rename(struct disk *disk, const char *from, const char *to,
                                 struct kvs_error *err)
{
    struct watched *watched = watched_of(disk);
    (void)pthread_mutex_lock(&watched->lock);
    kvs_status status = disk_rename(watched->below, from, to, err);
    if (status == KVS_OK) {
        struct inode *inode = name_find(&watched->live, from)->inode;
        name_remove(&watched->live, from);
        name_put(&watched->live, to, inode);
    }
    (void)pthread_mutex_unlock(&watched->lock);
    return status;
}

static kvs_status watched_remove(struct disk *disk, const char *name, struct kvs_error *err)
{
    struct watched *watched = watched_of(disk);
    (void)pthread_mutex_lock(&watched->lock);
    kvs_status status = disk_remove(watched->below, name, err);
    if (status == KVS_OK)
        name_remove(&watched->live, name);
    (void)pthread_mutex_unlock(&watched->lock);
    return status;
}

static kvs_status watched_link(struct disk *disk, const char *name, struct disk *to,
                               const char *to_name, struct kvs_error *err)
{
    return disk_link(watched_of(disk)->below, name, to, to_name, err);
}

static kvs_status watched_list(struct disk *disk, void (*visit)(void *arg, const char *name),
                               void *arg, struct kvs_error *err)
{
    return disk_list(watched_of(disk)->below, visit, arg, err);
}

static kvs_status watched_free_bytes(struct disk *disk, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct watched *watched = watched_of(disk);
    (void)pthread_mutex_lock(&watched->lock);
    bool is_full = watched->reserve_gives == KVS_NO_SPACE;
    (void)pthread_mutex_unlock(&watched->lock);
    if (!is_full)
        return disk_free_bytes(watched->below, ret_bytes, err);
    *ret_bytes = 0;
    return KVS_OK;
}

static void watched_close(struct disk *disk)
{
    (void)disk; /* watched_free() does it */
}

static const struct disk_ops watched_ops = {
    .close = watched_close,
    .file_open = watched_file_open,
    .file_close = watched_file_close,
    .file_size = watched_file_size,
    .file_links = watched_file_links,
    .file_reserve = watched_file_reserve,
    .file_truncate = watched_file_truncate,
    .file_write = watched_file_write,
    .file_read = watched_file_read,
    .file_map = watched_file_map,
    .file_unmap = watched_file_unmap,
    .file_sync = watched_file_sync,
    .sync_folder = watched_sync_folder,
    .rename = watched_rename,
    .remove = watched_remove,
    .link = watched_link,
    .list = watched_list,
    .free_bytes = watched_free_bytes,
};

/* ---- the test's side ------------------------------------------------------------------------ */

/* What is there already is durable. */
static void take_existing(void *arg, const char *text)
{
    struct watched *watched = arg;
    struct inode *inode = inode_new(watched, text);
    inode->durable = content_now(inode, &inode->durable_bytes);
    name_put(&watched->live, text, inode);
}

struct watched *watched_new(const char *path)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    require(watched != NULL);
    watched->disk.ops = &watched_ops;
    (void)pthread_mutex_init(&watched->lock, NULL);
    (void)pthread_cond_init(&watched->changed, NULL);
    require(disk_open_real(path, &watched->below, NULL) == KVS_OK &&
            disk_list(watched->below, take_existing, watched, NULL) == KVS_OK);
    watched->durable = watched->live;
    return watched;
}

struct disk *watched_disk(struct watched *watched)
{
    return &watched->disk;
}

void watched_free(struct watched *watched)
{
    while (watched->inodes != NULL) {
        struct inode *inode = watched->inodes;
        watched->inodes = inode->next;
        disk_file_close(inode->below);
        free(inode->durable);
        free(inode);
    }
    disk_close(watched->below);
    (void)pthread_cond_destroy(&watched->changed);
    (void)pthread_mutex_destroy(&watched->lock);
    free(watched);
}

void watched_hold_syncs(struct watched *watched, const char *suffix)
{
    (void)pthread_mutex_lock(&watched->lock);
    (void)snprintf(watched->suffix, sizeof(watched->suffix), "%s", suffix);
    watched->holds = true;
    watched->syncs = 0;
    (void)pthread_mutex_unlock(&watched->lock);
}

void watched_release_syncs(struct watched *watched, kvs_status status)
{
    (void)pthread_mutex_lock(&watched->lock);
    watched->holds = false;
    watched->sync_gives = status;
    (void)pthread_cond_broadcast(&watched->changed);
    (void)pthread_mutex_unlock(&watched->lock);
}

unsigned watched_held(struct watched *watched)
{
    (void)pthread_mutex_lock(&watched->lock);
    unsigned held = watched->held;
    (void)pthread_mutex_unlock(&watched->lock);
    return held;
}

unsigned watched_syncs(struct watched *watched)
{
    (void)pthread_mutex_lock(&watched->lock);
    unsigned syncs = watched->syncs;
    (void)pthread_mutex_unlock(&watched->lock);
    return syncs;
}

void watched_reserve_gives(struct watched *watched, kvs_status status)
{
    (void)pthread_mutex_lock(&watched->lock);
    watched->reserve_gives = status;
    (void)pthread_mutex_unlock(&watched->lock);
}

/* ---- losing power --------------------------------------------------------------------------- */

static uint64_t dice(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* What is left of a file: all of the durable content, with pages of what came later here and there. */
static uint8_t *left_of(struct inode *inode, enum power_loss kind, uint64_t *seed,
                        uint64_t *ret_bytes)
{
    uint64_t bytes = inode->durable_bytes;
    uint64_t now_bytes = 0;
    uint8_t *now = kind == LOSE_SOME ? content_now(inode, &now_bytes) : NULL;
    if (kind == LOSE_SOME && (now_bytes > bytes || dice(seed) % 2 == 0))
        bytes = now_bytes;
    uint64_t kept = bytes < inode->durable_bytes ? bytes : inode->durable_bytes;
    uint8_t *left = calloc(1, bytes + 1);
    require(left != NULL);
    if (kept > 0)
        memcpy(left, inode->durable, kept);
    for (uint64_t at = 0; at < bytes && at < now_bytes; at += PAGE) {
        uint64_t end = at + PAGE < now_bytes ? at + PAGE : now_bytes;
        end = end < bytes ? end : bytes;
        if (dice(seed) % 2 == 0)
            memcpy(left + at, now + at, end - at);
    }
    free(now);
    *ret_bytes = bytes;
    return left;
}

void watched_power_loss(struct watched *watched, enum power_loss kind, uint64_t seed,
                        const char *into)
{
    struct disk *target;
    require(disk_open_real(into, &target, NULL) == KVS_OK);
    (void)pthread_mutex_lock(&watched->lock);
    bool is_live = kind == LOSE_SOME && dice(&seed) % 2 == 0;
    const struct folder_names *names = is_live ? &watched->live : &watched->durable;
    for (unsigned i = 0; i < names->count; i++) {
        struct disk_file *file;
        uint64_t bytes;
        uint8_t *left = left_of(names->items[i].inode, kind, &seed, &bytes);
        require(disk_file_open(target, names->items[i].text, DISK_CREATE, &file, NULL) == KVS_OK);
        require(bytes == 0 || disk_file_write(file, 0, left, bytes, NULL) == KVS_OK);
        disk_file_close(file);
        free(left);
    }
    (void)pthread_mutex_unlock(&watched->lock);
    disk_close(target);
}
