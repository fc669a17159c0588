/*
 * LMDB, called directly. One environment with one unnamed database.
 *
 * Without sync: a writable map and MDB_NOSYNC, its fastest way that survives the end of the
 * process. With sync: its default, one fdatasync of the data and one of the meta page per
 * transaction. A reader keeps one transaction that it resets after and renews before each get, as
 * its documentation advises; get_many uses one renewal for all keys.
 */
#include "peers/peers.h"

#include <glib.h>
#include <lmdb.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define MAP_MIN_BYTES    (UINT64_C(1) << 30)
#define MAP_PER_KEY      16u /* times the bytes of key and value: pages half full, and old versions */
#define KEY_MAX          511u /* fixed when the library was built; Debian leaves it at the default */
#define READERS_MAX      1024u
#define KEY_AND_OVERHEAD 64u

struct peer_store {
    MDB_env *env;
    MDB_dbi dbi;
};

struct peer_thread {
    MDB_txn *reader; /* between uses: reset */
};

static kvs_status fault(struct kvs_error *err, const char *what, int code)
{
    kvs_status status = code == MDB_MAP_FULL ? KVS_NO_SPACE : KVS_IO;
    return kvs_error_set(err, status, code > 0 ? code : 0, "lmdb: %s: %s", what,
                         mdb_strerror(code));
}

/* Opens the one database once, so that every thread knows its number. */
static int open_database(struct peer_store *store)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0)
        return code;
    code = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

static kvs_status lmdb_open(const struct peer *peer, const struct peer_config *config,
                            struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    uint64_t record = config->value_size + KEY_AND_OVERHEAD;
    unsigned flags = MDB_NOTLS | (config->sync ? 0u : MDB_WRITEMAP | MDB_NOSYNC);
    struct peer_store *store = g_new0(struct peer_store, 1);
    int code = mdb_env_create(&store->env);
    if (code == 0)
        code = mdb_env_set_mapsize(store->env, MAP_MIN_BYTES + config->keys * record * MAP_PER_KEY);
    if (code == 0)
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (code == 0)
        code = mdb_env_open(store->env, config->dir, flags, 0600);
    if (code == 0)
        code = open_database(store);
    if (code == 0) {
        *ret_store = store;
        return KVS_OK;
    }
    if (store->env != NULL)
        mdb_env_close(store->env);
    free(store);
    return fault(err, "open", code);
}

static kvs_status lmdb_close(struct peer_store *store, struct kvs_error *err)
{
    int code = mdb_env_sync(store->env, 1);
    mdb_env_close(store->env);
    free(store);
    return code == 0 ? KVS_OK : fault(err, "sync at close", code);
}

static kvs_status lmdb_thread_begin(struct peer_store *store, struct peer_thread **ret_thread,
                                    struct kvs_error *err)
{
    struct peer_thread *thread = g_new0(struct peer_thread, 1);
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &thread->reader);
    if (code != 0) {
        free(thread);
        return fault(err, "begin of a reader", code);
    }
    mdb_txn_reset(thread->reader);
    *ret_thread = thread;
    return KVS_OK;
}

static void lmdb_thread_end(struct peer_store *store, struct peer_thread *thread)
{
    (void)store;
    mdb_txn_abort(thread->reader);
    free(thread);
}

static MDB_val val_of(struct kvs_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.len, .mv_data = (void *)(uintptr_t)bytes.ptr};
}

static kvs_status get_in(struct peer_store *store, MDB_txn *reader, struct kvs_bytes key,
                         struct peer_value *value, struct kvs_error *err)
{
    MDB_val found;
    MDB_val name = val_of(key);
    int code = mdb_get(reader, store->dbi, &name, &found);
    if (code == MDB_NOTFOUND)
        return KVS_NOT_FOUND;
    if (code != 0)
        return fault(err, "get", code);
    return peer_value_copy(value, found.mv_data, found.mv_size);
}

static kvs_status lmdb_get(struct peer_store *store, struct peer_thread *thread,
                           struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    int code = mdb_txn_renew(thread->reader);
    if (code != 0)
        return fault(err, "renewal of a reader", code);
    kvs_status status = get_in(store, thread->reader, key, value, err);
    mdb_txn_reset(thread->reader);
    return status;
}

static kvs_status lmdb_get_many(struct peer_store *store, struct peer_thread *thread,
                                const struct kvs_bytes *keys, uint32_t count,
                                struct peer_value *values, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    int code = mdb_txn_renew(thread->reader);
    if (code != 0)
        return fault(err, "renewal of a reader", code);
    for (uint32_t i = 0; i < count && status >= 0; i++)
        status = values[i].status = get_in(store, thread->reader, keys[i], &values[i], err);
    mdb_txn_reset(thread->reader);
    return status < 0 ? status : KVS_OK;
}

static kvs_status lmdb_batch(struct peer_store *store, struct peer_thread *thread,
                             const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    (void)thread;
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0)
        return fault(err, "begin", code);
    for (uint32_t i = 0; i < count && code == 0; i++) {
        MDB_val name = val_of(items[i].key);
        MDB_val content = val_of(items[i].value);
        code = mdb_put(txn, store->dbi, &name, &content, 0);
    }
    if (code == 0)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return code == 0 ? KVS_OK : fault(err, "put", code);
}

static kvs_status lmdb_set(struct peer_store *store, struct peer_thread *thread,
                           struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    const struct peer_item item = {key, value};
    return lmdb_batch(store, thread, &item, 1, err);
}

static kvs_status lmdb_remove(struct peer_store *store, struct peer_thread *thread,
                              struct kvs_bytes key, struct kvs_error *err)
{
    (void)thread;
    MDB_txn *txn;
    MDB_val name = val_of(key);
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0)
        return fault(err, "begin", code);
    code = mdb_del(txn, store->dbi, &name, NULL);
    if (code == 0) {
        code = mdb_txn_commit(txn);
        return code == 0 ? KVS_OK : fault(err, "commit", code);
    }
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? KVS_NOT_FOUND : fault(err, "del", code);
}

static const struct peer_ops lmdb_ops = {
    .open = lmdb_open,
    .close = lmdb_close,
    .thread_begin = lmdb_thread_begin,
    .thread_end = lmdb_thread_end,
    .get = lmdb_get,
    .get_many = lmdb_get_many,
    .set = lmdb_set,
    .remove = lmdb_remove,
    .batch = lmdb_batch,
};

struct peer *peer_lmdb_new(void)
{
    int major, minor, patch;
    (void)mdb_version(&major, &minor, &patch);
    _cleanup_(freep) char *version = g_strdup_printf("%d.%d.%d", major, minor, patch);
    struct peer *peer =
        peer_new(&lmdb_ops, "lmdb", version,
                 "no sync: MDB_WRITEMAP, MDB_NOSYNC; sync: the default; readers renewed per get",
                 PEER_READS | PEER_REOPENS | PEER_SYNCS | PEER_MIXES | PEER_REMOVES, NULL);
    peer->key_max = KEY_MAX;
    return peer;
}
