/*
 * tkrzw's hash database (HashDBM) through its C API: a memory-mapped file, updated in place, with
 * as many buckets as there are keys. Values are read inside the record's lock by a callback, so
 * they are copied once. With sync, each write is followed by a hard synchronisation of the file,
 * which is the only way that it has.
 */
#include "peers/peers.h"

#include <glib.h>
#include <stdlib.h>
#include <tkrzw_langc.h>

#include "base/cleanup.h"

#define BUCKETS_MIN UINT64_C(1024)

struct peer_store {
    TkrzwDBM *dbm;
    bool sync;
};

static kvs_status fault(struct kvs_error *err, const char *what)
{
    return kvs_error_set(err, KVS_IO, 0, "tkrzw: %s: %s", what, tkrzw_get_last_status_message());
}

static kvs_status hash_open(const struct peer *peer, const struct peer_config *config,
                            struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    uint64_t buckets = config->keys > BUCKETS_MIN ? config->keys : BUCKETS_MIN;
    _cleanup_(freep) char *path = g_strdup_printf("%s/hash.tkh", config->dir);
    _cleanup_(freep) char *settings =
        g_strdup_printf("dbm=HashDBM,num_buckets=%" G_GUINT64_FORMAT, buckets);
    TkrzwDBM *dbm = tkrzw_dbm_open(path, true, settings);
    if (dbm == NULL)
        return fault(err, "open");
    struct peer_store *store = g_new0(struct peer_store, 1);
    store->dbm = dbm;
    store->sync = config->sync;
    *ret_store = store;
    return KVS_OK;
}

static kvs_status hash_close(struct peer_store *store, struct kvs_error *err)
{
    bool closed = tkrzw_dbm_close(store->dbm);
    free(store);
    return closed ? KVS_OK : fault(err, "close");
}

struct hash_get {
    struct peer_value *value;
    kvs_status status;
};

static const char *take_value(void *arg, const char *key, int32_t key_size, const char *data,
                              int32_t size, int32_t *ret_size)
{
    struct hash_get *get = arg;
    (void)key;
    (void)key_size;
    (void)ret_size;
    get->status = data != NULL ? peer_value_copy(get->value, data, (uint64_t)size) : KVS_NOT_FOUND;
    return TKRZW_REC_PROC_NOOP;
}

static kvs_status hash_get(struct peer_store *store, struct peer_thread *thread,
                           struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    (void)thread;
    struct hash_get get = {.value = value, .status = KVS_NOT_FOUND};
    if (!tkrzw_dbm_process(store->dbm, key.ptr, (int32_t)key.len, take_value, &get, false))
        return fault(err, "get");
    return get.status;
}

static kvs_status finish_write(struct peer_store *store, struct kvs_error *err)
{
    if (store->sync && !tkrzw_dbm_synchronize(store->dbm, true, NULL, NULL, ""))
        return fault(err, "synchronise");
    return KVS_OK;
}

static kvs_status hash_set(struct peer_store *store, struct peer_thread *thread,
                           struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    (void)thread;
    if (!tkrzw_dbm_set(store->dbm, key.ptr, (int32_t)key.len, value.ptr, (int32_t)value.len, true))
        return fault(err, "set");
    return finish_write(store, err);
}

static kvs_status hash_remove(struct peer_store *store, struct peer_thread *thread,
                              struct kvs_bytes key, struct kvs_error *err)
{
    (void)thread;
    if (!tkrzw_dbm_remove(store->dbm, key.ptr, (int32_t)key.len))
        return tkrzw_get_last_status_code() == TKRZW_STATUS_NOT_FOUND_ERROR ? KVS_NOT_FOUND
                                                                            : fault(err, "remove");
    return finish_write(store, err);
}

static const char *give_value(void *arg, const char *key, int32_t key_size, const char *data,
                              int32_t size, int32_t *ret_size)
{
    const struct peer_item *item = arg;
    (void)key;
    (void)key_size;
    (void)data;
    (void)size;
    *ret_size = (int32_t)item->value.len;
    return item->value.ptr;
}

static kvs_status hash_batch(struct peer_store *store, struct peer_thread *thread,
                             const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    (void)thread;
    TkrzwKeyProcPair pairs[PEER_BATCH_MAX];
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (TkrzwKeyProcPair){.key_ptr = items[i].key.ptr,
                                      .key_size = (int32_t)items[i].key.len,
                                      .proc = give_value,
                                      .proc_arg = (void *)(uintptr_t)&items[i]};
    if (!tkrzw_dbm_process_multi(store->dbm, pairs, (int32_t)count, true))
        return fault(err, "set of many");
    return finish_write(store, err);
}

static kvs_status hash_get_many(struct peer_store *store, struct peer_thread *thread,
                                const struct kvs_bytes *keys, uint32_t count,
                                struct peer_value *values, struct kvs_error *err);

static const struct peer_ops hash_ops = {
    .open = hash_open,
    .close = hash_close,
    .get = hash_get,
    .get_many = hash_get_many,
    .set = hash_set,
    .remove = hash_remove,
    .batch = hash_batch,
};

/* Its own get of many locks all records together and is slower than one get after the other. */
static kvs_status hash_get_many(struct peer_store *store, struct peer_thread *thread,
                                const struct kvs_bytes *keys, uint32_t count,
                                struct peer_value *values, struct kvs_error *err)
{
    return peer_get_many_by_get(store, thread, keys, count, values, err, &hash_ops);
}

struct peer *peer_tkrzw_new(void)
{
    return peer_new(&hash_ops, "tkrzw", TKRZW_PACKAGE_VERSION,
                    "HashDBM, memory-mapped, a bucket per key; sync: hard synchronisation",
                    PEER_READS | PEER_REOPENS | PEER_SYNCS | PEER_MIXES | PEER_REMOVES, NULL);
}
