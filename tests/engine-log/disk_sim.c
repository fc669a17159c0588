/* The simulated disk: the calls of disk.h, on files and folders in memory. */
#include "disk_sim.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "disk_sim_internal.h"

struct sim_disk {
    struct disk disk; /* first */
    struct disk_sim *sim;
    struct sim_folder *folder;
};

struct sim_file {
    struct disk_file file; /* first */
    struct disk_sim *sim;
    struct sim_inode *inode; /* counted */
    bool read_only;
    char name[SIM_NAME_MAX];
};

static const struct disk_ops sim_ops;

/* ---- the machine -------------------------------------------------------------------------- */

struct disk_sim *disk_sim_new(void)
{
    struct disk_sim *sim = sim_alloc(sizeof(*sim));
    pthread_mutex_init(&sim->lock, NULL);
    sim->capacity = UINT64_MAX;
    sim->can_reserve = true;
    sim->freeze_at = UINT64_MAX;
    sim->folder_sync_skip = UINT64_MAX;
    return sim;
}

void disk_sim_free(struct disk_sim *sim)
{
    if (sim == NULL)
        return;
    assert(sim->open == 0);
    disk_sim_free(sim->frozen);
    while (sim->folders != NULL) {
        struct sim_folder *folder = sim->folders;
        sim->folders = folder->next;
        sim_folder_free(folder);
    }
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

struct disk *disk_sim_folder(struct disk_sim *sim, const char *name)
{
    struct sim_disk *disk = sim_alloc(sizeof(*disk));
    disk->disk.ops = &sim_ops;
    disk->sim = sim;
    pthread_mutex_lock(&sim->lock);
    struct sim_folder *folder = sim->folders;
    while (folder != NULL && strcmp(folder->name, name) != 0)
        folder = folder->next;
    if (folder == NULL) {
        folder = sim_folder_new(name);
        folder->next = sim->folders;
        sim->folders = folder;
    }
    disk->folder = folder;
    sim->open++;
    pthread_mutex_unlock(&sim->lock);
    return &disk->disk;
}

void disk_sim_set_capacity(struct disk_sim *sim, uint64_t bytes)
{
    pthread_mutex_lock(&sim->lock);
    sim->capacity = bytes;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_set_room(struct disk_sim *sim, uint64_t bytes)
{
    pthread_mutex_lock(&sim->lock);
    sim->capacity = UINT64_MAX;
    uint64_t used = UINT64_MAX / DISK_SIM_BLOCK_BYTES - disk_sim_room(sim);
    sim->capacity = used * DISK_SIM_BLOCK_BYTES + bytes;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_set_can_reserve(struct disk_sim *sim, bool can_reserve)
{
    pthread_mutex_lock(&sim->lock);
    sim->can_reserve = can_reserve;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_fail_syncs(struct disk_sim *sim, uint64_t skip, uint64_t count, uint64_t seed)
{
    pthread_mutex_lock(&sim->lock);
    sim->sync_skip = skip;
    sim->sync_failures = count;
    sim->sync_random = sim_random_of(seed);
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_fail_folder_syncs(struct disk_sim *sim, uint64_t skip)
{
    pthread_mutex_lock(&sim->lock);
    sim->folder_sync_skip = skip;
    pthread_mutex_unlock(&sim->lock);
}

/* ---- help for the calls -------------------------------------------------------------------- */

static struct sim_disk *sim_disk_of(struct disk *disk)
{
    assert(disk->ops == &sim_ops);
    return (struct sim_disk *)disk;
}

static struct sim_file *sim_file_of(struct disk_file *file)
{
    assert(file->disk->ops == &sim_ops);
    return (struct sim_file *)file;
}

static struct disk_sim *sim_lock(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    return sim;
}

/* Ends a call: unlocks, and gives its status. error 0: it worked. */
static kvs_status sim_done(struct disk_sim *sim, int error, const char *what, const char *name,
                           struct kvs_error *err)
{
    pthread_mutex_unlock(&sim->lock);
    if (error == 0)
        return KVS_OK;
    kvs_status status = KVS_IO;
    if (error == ENOSPC)
        status = KVS_NO_SPACE;
    else if (error == ENOENT)
        status = KVS_MISSING;
    else if (error == EOPNOTSUPP || error == EXDEV)
        status = KVS_UNSUPPORTED;
    return kvs_error_set(err, status, error, "cannot %s %s: %s", what, name, strerror(error));
}

static struct sim_entry sim_entry_of(const char *name, struct sim_inode *inode)
{
    struct sim_entry entry = {.inode = inode};
    assert(name[0] != '\0' && strchr(name, '/') == NULL && strlen(name) < SIM_NAME_MAX);
    strcpy(entry.name, name);
    return entry;
}

/* ---- files -------------------------------------------------------------------------------- */

static kvs_status sim_file_open(struct disk *base, const char *name, uint32_t flags,
                                struct disk_file **ret_file, struct kvs_error *err)
{
    assert(flags == 0 || flags == DISK_CREATE || flags == DISK_READ_ONLY);
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    struct sim_inode *inode = sim_folder_find(disk->folder, name);
    if (inode == NULL && (flags & DISK_CREATE) == 0)
        return sim_done(sim, ENOENT, "open", name, err);
    if ((flags & DISK_CREATE) != 0)
        disk_sim_note_change(sim);
    if (inode == NULL) {
        inode = sim_inode_new();
        struct sim_entry entry = sim_entry_of(name, inode);
        sim_folder_change(disk->folder, &entry, 1);
    } else if ((flags & DISK_CREATE) != 0) {
        sim_inode_resize(inode, 0);
    }
    struct sim_file *file = sim_alloc(sizeof(*file));
    file->file.disk = base;
    file->sim = sim;
    file->inode = inode;
    file->read_only = (flags & DISK_READ_ONLY) != 0;
    strcpy(file->name, name);
    sim_inode_reference(inode);
    sim->open++;
    *ret_file = &file->file;
    return sim_done(sim, 0, "open", name, err);
}

static void sim_file_close(struct disk_file *base)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    sim_inode_release(file->inode);
    sim->open--;
    pthread_mutex_unlock(&sim->lock);
    free(file);
}

static kvs_status sim_file_size(struct disk_file *base, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    *ret_bytes = file->inode->bytes;
    return sim_done(sim, 0, "look at", file->name, err);
}

static kvs_status sim_file_links(struct disk_file *base, uint64_t *ret_links, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    *ret_links = file->inode->links;
    return sim_done(sim, 0, "look at", file->name, err);
}

static kvs_status sim_file_reserve(struct disk_file *base, uint64_t bytes, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    if (!sim->can_reserve)
        return sim_done(sim, EOPNOTSUPP, "reserve space for", file->name, err);
    if (file->read_only)
        return sim_done(sim, EBADF, "reserve space for", file->name, err);
    disk_sim_note_change(sim);
    uint64_t room = disk_sim_room(sim);
    uint64_t got = sim_inode_allocate(file->inode, 0, bytes, &room);
    uint64_t before = file->inode->bytes;
    if (got < bytes)
        sim_inode_resize(file->inode, before); /* gives back what lies behind */
    else if (bytes > before)
        sim_inode_resize(file->inode, bytes);
    return sim_done(sim, got < bytes ? ENOSPC : 0, "reserve space for", file->name, err);
}

static kvs_status sim_file_truncate(struct disk_file *base, uint64_t bytes, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    if (file->read_only)
        return sim_done(sim, EBADF, "change the size of", file->name, err);
    disk_sim_note_change(sim);
    sim_inode_resize(file->inode, bytes);
    return sim_done(sim, 0, "change the size of", file->name, err);
}

static kvs_status sim_file_write(struct disk_file *base, uint64_t offset, const void *from,
                                 uint64_t bytes, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    if (file->read_only)
        return sim_done(sim, EBADF, "write", file->name, err);
    disk_sim_note_change(sim);
    uint64_t room = disk_sim_room(sim);
    uint64_t fits = sim_inode_allocate(file->inode, offset, bytes, &room);
    sim_inode_write(file->inode, offset, from, fits);
    return sim_done(sim, fits < bytes ? ENOSPC : 0, "write", file->name, err);
}

static kvs_status sim_file_read(struct disk_file *base, uint64_t offset, void *to, uint64_t bytes,
                                uint64_t *ret_bytes, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    *ret_bytes = sim_inode_read(file->inode, offset, to, bytes);
    return sim_done(sim, 0, "read", file->name, err);
}

static kvs_status sim_file_map(struct disk_file *base, uint64_t bytes, bool writable,
                               void **ret_memory, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    if (writable && file->read_only)
        return sim_done(sim, EACCES, "map", file->name, err);
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    void *memory = mmap(NULL, bytes, protection, MAP_SHARED, file->inode->fd, 0);
    int error = memory == MAP_FAILED ? errno : 0;
    if (error == 0)
        *ret_memory = memory;
    return sim_done(sim, error, "map", file->name, err);
}

static void sim_file_unmap(struct disk_file *base, void *memory, uint64_t bytes)
{
    (void)base;
    (void)munmap(memory, bytes);
}

static kvs_status sim_file_sync(struct disk_file *base, struct kvs_error *err)
{
    struct sim_file *file = sim_file_of(base);
    struct disk_sim *sim = sim_lock(file->sim);
    disk_sim_note_change(sim);
    bool fails = sim->sync_failures > 0 && sim->sync_skip == 0;
    if (fails)
        sim->sync_failures--;
    else if (sim->sync_failures > 0)
        sim->sync_skip--;
    sim_inode_sync(file->inode, fails ? &sim->sync_random : NULL);
    return sim_done(sim, fails ? EIO : 0, "sync", file->name, err);
}

/* ---- the folder --------------------------------------------------------------------------- */

static kvs_status sim_sync_folder(struct disk *base, struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    disk_sim_note_change(sim);
    bool fails = sim->folder_sync_skip == 0;
    if (!fails)
        sim_folder_sync(disk->folder);
    if (!fails && sim->folder_sync_skip != UINT64_MAX)
        sim->folder_sync_skip--;
    return sim_done(sim, fails ? EIO : 0, "sync the folder", disk->folder->name, err);
}

static kvs_status sim_rename(struct disk *base, const char *from, const char *to,
                             struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    struct sim_inode *inode = sim_folder_find(disk->folder, from);
    if (inode == NULL)
        return sim_done(sim, ENOENT, "rename", from, err);
    disk_sim_note_change(sim);
    if (inode != sim_folder_find(disk->folder, to)) { /* two names of one file: nothing, in POSIX */
        const struct sim_entry entries[] = {sim_entry_of(to, inode), sim_entry_of(from, NULL)};
        sim_folder_change(disk->folder, entries, 2);
    }
    return sim_done(sim, 0, "rename", from, err);
}

static kvs_status sim_remove(struct disk *base, const char *name, struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    if (sim_folder_find(disk->folder, name) == NULL)
        return sim_done(sim, ENOENT, "remove", name, err);
    disk_sim_note_change(sim);
    const struct sim_entry entry = sim_entry_of(name, NULL);
    sim_folder_change(disk->folder, &entry, 1);
    return sim_done(sim, 0, "remove", name, err);
}

static kvs_status sim_link(struct disk *base, const char *name, struct disk *to_base,
                           const char *to_name, struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    struct sim_disk *to = (struct sim_disk *)to_base;
    if (to_base->ops != &sim_ops || to->sim != sim)
        return sim_done(sim, EXDEV, "link", name, err);
    struct sim_inode *inode = sim_folder_find(disk->folder, name);
    if (inode == NULL)
        return sim_done(sim, ENOENT, "link", name, err);
    if (sim_folder_find(to->folder, to_name) != NULL)
        return sim_done(sim, EEXIST, "link", name, err);
    disk_sim_note_change(sim);
    const struct sim_entry entry = sim_entry_of(to_name, inode);
    sim_folder_change(to->folder, &entry, 1);
    return sim_done(sim, 0, "link", name, err);
}

static kvs_status sim_list(struct disk *base, void (*visit)(void *arg, const char *name), void *arg,
                           struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    size_t count = disk->folder->now.count; /* a copy: the visitor may make calls */
    struct sim_entry *entries = sim_alloc(count * sizeof(*entries));
    if (count > 0)
        memcpy(entries, disk->folder->now.entries, count * sizeof(*entries));
    kvs_status status = sim_done(sim, 0, "list", disk->folder->name, err);
    for (size_t i = 0; i < count; i++)
        visit(arg, entries[i].name);
    free(entries);
    return status;
}

static kvs_status sim_free_bytes(struct disk *base, uint64_t *ret_bytes, struct kvs_error *err)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    *ret_bytes = disk_sim_room(sim) * DISK_SIM_BLOCK_BYTES;
    return sim_done(sim, 0, "look at", disk->folder->name, err);
}

static void sim_close(struct disk *base)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct disk_sim *sim = sim_lock(disk->sim);
    sim->open--;
    pthread_mutex_unlock(&sim->lock);
    free(disk);
}

static const struct disk_ops sim_ops = {
    .close = sim_close,
    .file_open = sim_file_open,
    .file_close = sim_file_close,
    .file_size = sim_file_size,
    .file_links = sim_file_links,
    .file_reserve = sim_file_reserve,
    .file_truncate = sim_file_truncate,
    .file_write = sim_file_write,
    .file_read = sim_file_read,
    .file_map = sim_file_map,
    .file_unmap = sim_file_unmap,
    .file_sync = sim_file_sync,
    .sync_folder = sim_sync_folder,
    .rename = sim_rename,
    .remove = sim_remove,
    .link = sim_link,
    .list = sim_list,
    .free_bytes = sim_free_bytes,
};
