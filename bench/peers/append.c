/*
 * The floor of writing: each write is appended to one file with one write(), and with sync followed
 * by fdatasync. Nothing can be read back. A log cannot do less than this per commit; an engine
 * beats it only by committing several writes at once, or by syncing into space made beforehand.
 */
#include "peers/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

struct peer_store {
    int fd;
    bool sync;
};

static kvs_status fault(struct kvs_error *err, const char *what)
{
    int code = errno;
    return kvs_error_set(err, KVS_IO, code, "append: %s: %s", what, g_strerror(code));
}

static kvs_status append_open(const struct peer *peer, const struct peer_config *config,
                              struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    _cleanup_(freep) char *path = g_strdup_printf("%s/append", config->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return fault(err, path);
    struct peer_store *store = g_new0(struct peer_store, 1);
    store->fd = fd;
    store->sync = config->sync;
    *ret_store = store;
    return KVS_OK;
}

static kvs_status append_close(struct peer_store *store, struct kvs_error *err)
{
    int result = close(store->fd);
    free(store);
    return result == 0 ? KVS_OK : fault(err, "close");
}

static kvs_status append_parts(struct peer_store *store, const struct iovec *parts, uint32_t count,
                               struct kvs_error *err)
{
    if (writev(store->fd, parts, (int)count) < 0)
        return fault(err, "write");
    if (store->sync && fdatasync(store->fd) != 0)
        return fault(err, "fdatasync");
    return KVS_OK;
}

static struct iovec part_of(struct kvs_bytes bytes)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
}

static kvs_status append_set(struct peer_store *store, struct peer_thread *thread,
                             struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    (void)thread;
    const struct iovec parts[] = {part_of(key), part_of(value)};
    return append_parts(store, parts, 2, err);
}

static kvs_status append_batch(struct peer_store *store, struct peer_thread *thread,
                               const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    enum {
        PARTS_MAX = 1024
    }; /* IOV_MAX */
    struct iovec parts[PARTS_MAX];
    (void)thread;
    for (uint32_t i = 0, used = 0; i < count; i++) {
        parts[used++] = part_of(items[i].key);
        parts[used++] = part_of(items[i].value);
        if (used < PARTS_MAX && i + 1 < count)
            continue;
        kvs_status status = append_parts(store, parts, used, err);
        if (status != KVS_OK)
            return status;
        used = 0;
    }
    return KVS_OK;
}

static const struct peer_ops append_ops = {
    .open = append_open,
    .close = append_close,
    .set = append_set,
    .batch = append_batch,
};

struct peer *peer_append_new(void)
{
    return peer_new(&append_ops, "append", "1", "write() to a growing file; sync: fdatasync",
                    PEER_SYNCS | PEER_FLOOR, NULL);
}
