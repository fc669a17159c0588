/*
 * RocksDB through its C API. Compression off, a Bloom filter of 10 bits a key, a block cache that
 * holds all of the data twice over, background threads for every CPU; the write-ahead log is on in
 * both modes, and synced per write with sync. Values are read pinned, so they are copied once;
 * get_many is its batched multi-get.
 */
#include "peers/peers.h"

#include <glib.h>
#include <rocksdb/c.h>
#include <stdlib.h>

#include "peers/built.h"

#define BLOOM_BITS_PER_KEY 10
#define CACHE_MIN_BYTES    (UINT64_C(64) << 20)
#define RECORD_OVERHEAD    64u
#define LOG_LEVEL_ERROR    3

struct peer_store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_column_family_handle_t *family; /* the default one */
};

/* Takes over the library's message. */
static kvs_status fault(struct kvs_error *err, const char *what, char *message)
{
    kvs_error_set(err, KVS_IO, 0, "rocksdb: %s: %s", what, message);
    rocksdb_free(message);
    return KVS_IO;
}

static void store_free(struct peer_store *store)
{
    if (store->family != NULL)
        rocksdb_column_family_handle_destroy(store->family);
    if (store->db != NULL)
        rocksdb_close(store->db);
    rocksdb_writeoptions_destroy(store->write_options);
    rocksdb_readoptions_destroy(store->read_options);
    rocksdb_options_destroy(store->options);
    rocksdb_block_based_options_destroy(store->table_options);
    rocksdb_cache_destroy(store->cache);
    free(store);
}

static void set_options(struct peer_store *store, const struct peer_config *config)
{
    uint64_t data_bytes = config->keys * (config->value_size + RECORD_OVERHEAD);
    store->options = rocksdb_options_create();
    store->table_options = rocksdb_block_based_options_create();
    store->cache = rocksdb_cache_create_lru(CACHE_MIN_BYTES + 2 * data_bytes);
    store->read_options = rocksdb_readoptions_create();
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_block_based_options_set_block_cache(store->table_options, store->cache);
    rocksdb_block_based_options_set_filter_policy(
        store->table_options, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_options_set_block_based_table_factory(store->options, store->table_options);
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_increase_parallelism(store->options, (int)g_get_num_processors());
    rocksdb_options_set_info_log_level(store->options, LOG_LEVEL_ERROR);
    rocksdb_options_set_stats_dump_period_sec(store->options, 0);
    rocksdb_writeoptions_set_sync(store->write_options, config->sync);
}

static kvs_status rocks_open(const struct peer *peer, const struct peer_config *config,
                             struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    char *message = NULL;
    struct peer_store *store = g_new0(struct peer_store, 1);
    set_options(store, config);
    /* The batched get of many wants the family's handle, which only this way of opening gives. */
    static const char *const family_names[] = {"default"};
    const rocksdb_options_t *family_options[] = {store->options};
    store->db = rocksdb_open_column_families(store->options, config->dir, 1, family_names,
                                             family_options, &store->family, &message);
    if (message != NULL) {
        store_free(store);
        return fault(err, "open", message);
    }
    *ret_store = store;
    return KVS_OK;
}

static kvs_status rocks_close(struct peer_store *store, struct kvs_error *err)
{
    (void)err;
    store_free(store);
    return KVS_OK;
}

static kvs_status take_pinned(rocksdb_pinnableslice_t *slice, struct peer_value *value)
{
    if (slice == NULL)
        return KVS_NOT_FOUND;
    size_t len;
    const char *data = rocksdb_pinnableslice_value(slice, &len);
    kvs_status status = peer_value_copy(value, data, len);
    rocksdb_pinnableslice_destroy(slice);
    return status;
}

static kvs_status rocks_get(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(store->db, store->read_options, key.ptr, key.len, &message);
    return message != NULL ? fault(err, "get", message) : take_pinned(slice, value);
}

static kvs_status rocks_get_many(struct peer_store *store, struct peer_thread *thread,
                                 const struct kvs_bytes *keys, uint32_t count,
                                 struct peer_value *values, struct kvs_error *err)
{
    (void)thread;
    const char *names[PEER_MANY_MAX] = {NULL};
    size_t sizes[PEER_MANY_MAX] = {0};
    rocksdb_pinnableslice_t *slices[PEER_MANY_MAX];
    char *messages[PEER_MANY_MAX];
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = keys[i].ptr;
        sizes[i] = keys[i].len;
    }
    rocksdb_batched_multi_get_cf(store->db, store->read_options, store->family, count, names, sizes,
                                 slices, messages, false);
    for (uint32_t i = 0; i < count; i++) {
        if (messages[i] != NULL)
            status = fault(err, "get of many", messages[i]);
        else
            values[i].status = take_pinned(slices[i], &values[i]);
        if (messages[i] == NULL && values[i].status < 0)
            status = values[i].status;
    }
    return status;
}

static kvs_status rocks_set(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    rocksdb_put(store->db, store->write_options, key.ptr, key.len, value.ptr, value.len, &message);
    return message != NULL ? fault(err, "put", message) : KVS_OK;
}

/* Says KVS_OK for a missing key too: RocksDB removes without looking. */
static kvs_status rocks_remove(struct peer_store *store, struct peer_thread *thread,
                               struct kvs_bytes key, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    rocksdb_delete(store->db, store->write_options, key.ptr, key.len, &message);
    return message != NULL ? fault(err, "delete", message) : KVS_OK;
}

static kvs_status rocks_batch(struct peer_store *store, struct peer_thread *thread,
                              const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    (void)thread;
    char *message = NULL;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (uint32_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch, items[i].key.ptr, items[i].key.len, items[i].value.ptr,
                               items[i].value.len);
    rocksdb_write(store->db, store->write_options, batch, &message);
    rocksdb_writebatch_destroy(batch);
    return message != NULL ? fault(err, "write", message) : KVS_OK;
}

static const struct peer_ops rocks_ops = {
    .open = rocks_open,
    .close = rocks_close,
    .get = rocks_get,
    .get_many = rocks_get_many,
    .set = rocks_set,
    .remove = rocks_remove,
    .batch = rocks_batch,
};

struct peer *peer_rocksdb_new(void)
{
    return peer_new(&rocks_ops, "rocksdb", PEER_ROCKSDB_VERSION,
                    "no compression, Bloom filter 10 bits, cache above the data's size, log on",
                    PEER_READS | PEER_REOPENS | PEER_SYNCS | PEER_MIXES | PEER_REMOVES, NULL);
}
