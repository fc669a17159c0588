/*
 * LevelDB through its C API. Compression off, a Bloom filter of 10 bits a key, a block cache that
 * holds all of the data twice over; its log is synced per write with sync. It has no get of many,
 * and its C API hands out values in memory of its own, which is copied and freed.
 */
#include "peers/peers.h"

#include <glib.h>
#include <leveldb/c.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define BLOOM_BITS_PER_KEY 10
#define CACHE_MIN_BYTES    (UINT64_C(64) << 20)
#define RECORD_OVERHEAD    64u

struct peer_store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options;
};

/* Takes over the library's message. */
static kvs_status fault(struct kvs_error *err, const char *what, char *message)
{
    kvs_error_set(err, KVS_IO, 0, "leveldb: %s: %s", what, message);
    leveldb_free(message);
    return KVS_IO;
}

static void store_free(struct peer_store *store)
{
    if (store->db != NULL)
        leveldb_close(store->db);
    leveldb_writeoptions_destroy(store->write_options);
    leveldb_readoptions_destroy(store->read_options);
    leveldb_options_destroy(store->options);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_cache_destroy(store->cache);
    free(store);
}

static kvs_status level_open(const struct peer *peer, const struct peer_config *config,
                             struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    char *message = NULL;
    uint64_t data_bytes = config->keys * (config->value_size + RECORD_OVERHEAD);
    struct peer_store *store = g_new0(struct peer_store, 1);
    store->options = leveldb_options_create();
    store->cache = leveldb_cache_create_lru(CACHE_MIN_BYTES + 2 * data_bytes);
    store->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);
    store->read_options = leveldb_readoptions_create();
    store->write_options = leveldb_writeoptions_create();
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->filter);
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_writeoptions_set_sync(store->write_options, config->sync);
    store->db = leveldb_open(store->options, config->dir, &message);
    if (message != NULL) {
        store_free(store);
        return fault(err, "open", message);
    }
    *ret_store = store;
    return KVS_OK;
}

static kvs_status level_close(struct peer_store *store, struct kvs_error *err)
{
    (void)err;
    store_free(store);
    return KVS_OK;
}

static kvs_status level_get(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    size_t len;
    char *data = leveldb_get(store->db, store->read_options, key.ptr, key.len, &len, &message);
    if (message != NULL)
        return fault(err, "get", message);
    if (data == NULL)
        return KVS_NOT_FOUND;
    kvs_status status = peer_value_copy(value, data, len);
    leveldb_free(data);
    return status;
}

static kvs_status level_get_many(struct peer_store *store, struct peer_thread *thread,
                                 const struct kvs_bytes *keys, uint32_t count,
                                 struct peer_value *values, struct kvs_error *err);

static kvs_status level_set(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    leveldb_put(store->db, store->write_options, key.ptr, key.len, value.ptr, value.len, &message);
    return message != NULL ? fault(err, "put", message) : KVS_OK;
}

/* Says KVS_OK for a missing key too: LevelDB removes without looking. */
static kvs_status level_remove(struct peer_store *store, struct peer_thread *thread,
                               struct kvs_bytes key, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    leveldb_delete(store->db, store->write_options, key.ptr, key.len, &message);
    return message != NULL ? fault(err, "delete", message) : KVS_OK;
}

static kvs_status level_batch(struct peer_store *store, struct peer_thread *thread,
                              const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    for (uint32_t i = 0; i < count; i++)
        leveldb_writebatch_put(batch, items[i].key.ptr, items[i].key.len, items[i].value.ptr,
                               items[i].value.len);
    leveldb_write(store->db, store->write_options, batch, &message);
    leveldb_writebatch_destroy(batch);
    return message != NULL ? fault(err, "write", message) : KVS_OK;
}

static const struct peer_ops level_ops = {
    .open = level_open,
    .close = level_close,
    .get = level_get,
    .get_many = level_get_many,
    .set = level_set,
    .remove = level_remove,
    .batch = level_batch,
};

static kvs_status level_get_many(struct peer_store *store, struct peer_thread *thread,
                                 const struct kvs_bytes *keys, uint32_t count,
                                 struct peer_value *values, struct kvs_error *err)
{
    return peer_get_many_by_get(store, thread, keys, count, values, err, &level_ops);
}

struct peer *peer_leveldb_new(void)
{
    _cleanup_(freep) char *version =
        g_strdup_printf("%d.%d", leveldb_major_version(), leveldb_minor_version());
    return peer_new(&level_ops, "leveldb", version,
                    "no compression, Bloom filter 10 bits, cache above the data's size",
                    PEER_READS | PEER_REOPENS | PEER_SYNCS | PEER_MIXES | PEER_REMOVES, NULL);
}
