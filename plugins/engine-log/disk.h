/*
 * The disk, as the log engine sees it: one folder with files in it. Nothing else in the engine
 * makes a file system call. There are two implementations: the real one (disk_real.c), and for
 * tests a simulated one that knows what is durable and what is not.
 *
 * All names are relative to the folder and contain no '/'. Every call that can fail gives a status
 * and fills err with file, reason and errno; a full disk or quota is KVS_NO_SPACE, a process or system
 * that has no memory or descriptors left KVS_NO_MEMORY, a missing file KVS_MISSING, all other failures
 * KVS_IO. A sync never gives KVS_NO_MEMORY. EINTR and short transfers are dealt with inside. A
 * symbolic link is not followed.
 *
 * What is durable: the content of a file up to the last disk_file_sync() that gave KVS_OK, writes
 * through mappings included; a name (created, renamed, linked, removed) after disk_sync_folder().
 *
 * Threads: any call from any thread; calls on one file that change it are the caller's to order.
 */
#ifndef ENGINE_LOG_DISK_H
#define ENGINE_LOG_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

struct disk;
struct disk_file;

enum {                        /* flags of disk_file_open() */
    DISK_CREATE = 1u << 0,    /* make it; an existing file of that name is emptied first */
    DISK_READ_ONLY = 1u << 1, /* no writes and no writable mapping */
};

/* The operations of one implementation. The functions below call them; see there. */
struct disk_ops {
    void (*close)(struct disk *disk);
    kvs_status (*file_open)(struct disk *disk, const char *name, uint32_t flags,
                            struct disk_file **ret_file, struct kvs_error *err);
    void (*file_close)(struct disk_file *file);
    kvs_status (*file_size)(struct disk_file *file, uint64_t *ret_bytes, struct kvs_error *err);
    kvs_status (*file_links)(struct disk_file *file, uint64_t *ret_links, struct kvs_error *err);
    kvs_status (*file_reserve)(struct disk_file *file, uint64_t bytes, struct kvs_error *err);
    kvs_status (*file_truncate)(struct disk_file *file, uint64_t bytes, struct kvs_error *err);
    kvs_status (*file_write)(struct disk_file *file, uint64_t offset, const void *from,
                             uint64_t bytes, struct kvs_error *err);
    kvs_status (*file_read)(struct disk_file *file, uint64_t offset, void *to, uint64_t bytes,
                            uint64_t *ret_bytes, struct kvs_error *err);
    kvs_status (*file_map)(struct disk_file *file, uint64_t bytes, bool writable, void **ret_memory,
                           struct kvs_error *err);
    void (*file_unmap)(struct disk_file *file, void *memory, uint64_t bytes);
    kvs_status (*file_sync)(struct disk_file *file, struct kvs_error *err);
    kvs_status (*sync_folder)(struct disk *disk, struct kvs_error *err);
    kvs_status (*rename)(struct disk *disk, const char *from, const char *to,
                         struct kvs_error *err);
    kvs_status (*remove)(struct disk *disk, const char *name, struct kvs_error *err);
    kvs_status (*link)(struct disk *disk, const char *name, struct disk *to, const char *to_name,
                       struct kvs_error *err);
    kvs_status (*list)(struct disk *disk, void (*visit)(void *arg, const char *name), void *arg,
                       struct kvs_error *err);
    kvs_status (*free_bytes)(struct disk *disk, uint64_t *ret_bytes, struct kvs_error *err);
};

/* What every implementation's disk and file begin with. */
struct disk {
    const struct disk_ops *ops;
};
struct disk_file {
    struct disk *disk;
};

/* True for the failures that are not the disk's: something has run out, and the same call may succeed
   later. A call other than a sync that gave one of them changed nothing, or what its caller undoes. */
static inline bool disk_is_short(kvs_status status)
{
    return status == KVS_NO_SPACE || status == KVS_NO_MEMORY;
}

/* Opens a real folder, which exists. KVS_OK, KVS_MISSING, KVS_IO, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status disk_open_real(const char *path, struct disk **ret_disk,
                                       struct kvs_error *err);

/* Frees it; no file is open. NULL is fine. */
static inline void disk_close(struct disk *disk)
{
    if (disk != NULL)
        disk->ops->close(disk);
}

/* Opens a file for reading and writing. flags: DISK_*. KVS_MISSING without DISK_CREATE. */
KVS_MUST_USE static inline kvs_status disk_file_open(struct disk *disk, const char *name,
                                                     uint32_t flags, struct disk_file **ret_file,
                                                     struct kvs_error *err)
{
    return disk->ops->file_open(disk, name, flags, ret_file, err);
}

/* Closes it. Mappings that are not undone by then stay as long as the process: disk_file_unmap()
   wants the open file. NULL is fine. */
static inline void disk_file_close(struct disk_file *file)
{
    if (file != NULL)
        file->disk->ops->file_close(file);
}

KVS_MUST_USE static inline kvs_status disk_file_size(struct disk_file *file, uint64_t *ret_bytes,
                                                     struct kvs_error *err)
{
    return file->disk->ops->file_size(file, ret_bytes, err);
}

/* How many names the file has (st_nlink). */
KVS_MUST_USE static inline kvs_status disk_file_links(struct disk_file *file, uint64_t *ret_links,
                                                      struct kvs_error *err)
{
    return file->disk->ops->file_links(file, ret_links, err);
}

/* Makes the file at least `bytes` long and takes the space for it, so that no later write inside
   can meet a full disk. What is new reads as zeros. KVS_NO_SPACE, KVS_NO_MEMORY (the size is as
   before); KVS_UNSUPPORTED: this file system cannot reserve (nothing changed). */
KVS_MUST_USE static inline kvs_status disk_file_reserve(struct disk_file *file, uint64_t bytes,
                                                        struct kvs_error *err)
{
    return file->disk->ops->file_reserve(file, bytes, err);
}

/* Cuts or extends (with zeros, without taking space) the file to exactly `bytes`. */
KVS_MUST_USE static inline kvs_status disk_file_truncate(struct disk_file *file, uint64_t bytes,
                                                         struct kvs_error *err)
{
    return file->disk->ops->file_truncate(file, bytes, err);
}

KVS_MUST_USE static inline kvs_status disk_file_write(struct disk_file *file, uint64_t offset,
                                                      const void *from, uint64_t bytes,
                                                      struct kvs_error *err)
{
    return file->disk->ops->file_write(file, offset, from, bytes, err);
}

/* Reads up to `bytes`; *ret_bytes is less only at the end of the file. */
KVS_MUST_USE static inline kvs_status disk_file_read(struct disk_file *file, uint64_t offset,
                                                     void *to, uint64_t bytes, uint64_t *ret_bytes,
                                                     struct kvs_error *err)
{
    return file->disk->ops->file_read(file, offset, to, bytes, ret_bytes, err);
}

/* Maps the first `bytes` (> 0) of the file, shared. Touching what lies behind the file's end, or
   what the disk cannot deliver, raises SIGBUS (sigbus.h). */
KVS_MUST_USE static inline kvs_status disk_file_map(struct disk_file *file, uint64_t bytes,
                                                    bool writable, void **ret_memory,
                                                    struct kvs_error *err)
{
    return file->disk->ops->file_map(file, bytes, writable, ret_memory, err);
}

static inline void disk_file_unmap(struct disk_file *file, void *memory, uint64_t bytes)
{
    file->disk->ops->file_unmap(file, memory, bytes);
}

/* Returns when all that was written to the file (through mappings too) and its size are on stable
   storage. After a failure, KVS_NO_SPACE included, nobody knows what is: it must not be tried again
   and believed. */
KVS_MUST_USE static inline kvs_status disk_file_sync(struct disk_file *file, struct kvs_error *err)
{
    return file->disk->ops->file_sync(file, err);
}

/* Returns when the folder's names are on stable storage. */
KVS_MUST_USE static inline kvs_status disk_sync_folder(struct disk *disk, struct kvs_error *err)
{
    return disk->ops->sync_folder(disk, err);
}

/* Replaces `to`, if there is one, in one step. */
KVS_MUST_USE static inline kvs_status disk_rename(struct disk *disk, const char *from,
                                                  const char *to, struct kvs_error *err)
{
    return disk->ops->rename(disk, from, to, err);
}

KVS_MUST_USE static inline kvs_status disk_remove(struct disk *disk, const char *name,
                                                  struct kvs_error *err)
{
    return disk->ops->remove(disk, name, err);
}

/* Gives the file a second name, in another folder of the same file system. KVS_UNSUPPORTED where
   that cannot be (another file system): the caller copies instead. */
KVS_MUST_USE static inline kvs_status disk_link(struct disk *disk, const char *name,
                                                struct disk *to, const char *to_name,
                                                struct kvs_error *err)
{
    return disk->ops->link(disk, name, to, to_name, err);
}

/* Shows every regular file's name, in no order. */
KVS_MUST_USE static inline kvs_status disk_list(struct disk *disk,
                                                void (*visit)(void *arg, const char *name),
                                                void *arg, struct kvs_error *err)
{
    return disk->ops->list(disk, visit, arg, err);
}

/* How much may still be written here by an ordinary user. */
KVS_MUST_USE static inline kvs_status disk_free_bytes(struct disk *disk, uint64_t *ret_bytes,
                                                      struct kvs_error *err)
{
    return disk->ops->free_bytes(disk, ret_bytes, err);
}

#endif
