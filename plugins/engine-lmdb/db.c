/* See db.h. */
#include "db.h"

#include <stdlib.h>
#include <string.h>

#define READERS_SPARE                                                                              \
    16u /* for LMDB's own transactions (copies), and for mdb_stat and the like                     \
         */

/* The value of an option that this plugin declares. */
static struct kvs_option_value option_of(const struct kvs_host *host, const char *name)
{
    struct kvs_option_value value = {.size = sizeof(value)};
    (void)host->config_get(host, name, &value);
    return value;
}

static struct store_config store_config_of(const struct kvs_engine_config *config)
{
    uint64_t max_readers = option_of(config->host, "max-readers").u64;
    return (struct store_config){
        .dir = config->data_dir,
        .map_bytes = option_of(config->host, "map-size").u64,
        .max_readers = (uint32_t)max_readers + READERS_SPARE,
        .sync_flags = durable_env_flags(config->durability),
        .create = (config->flags & KVS_OPEN_CREATE) != 0,
        .read_only = (config->flags & KVS_OPEN_READ_ONLY) != 0,
        .trust_unsynced = option_of(config->host, "trust-unsynced").u64 != 0,
    };
}

/* As many as were asked for, or fewer where LMDB's lock file is an old one with fewer slots. */
static uint32_t reader_count(const struct kvs_db *db)
{
    uint32_t count = db->store_config.max_readers - READERS_SPARE;
    uint32_t count_max =
        db->store.max_readers > READERS_SPARE ? db->store.max_readers - READERS_SPARE : 1;
    return count < count_max ? count : count_max;
}

/* Builds everything on top of the store, which is open. On failure db_close takes it down. */
static kvs_status start(struct kvs_db *db, const struct kvs_engine_config *config,
                        struct kvs_error *err)
{
    kvs_status status = reader_pool_init(&db->readers, &db->store, reader_count(db), err);
    if (status != KVS_OK)
        return status;
    space_init(&db->space, &db->store, &db->readers, &db->health);
    status = durable_start(&db->durable, &db->store, &db->readers, &db->health, config->durability,
                           config->sync_interval_ms, err);
    if (status != KVS_OK)
        return status;
    db->group = (struct group_context){
        .store = &db->store,
        .store_config = &db->store_config,
        .readers = &db->readers,
        .space = &db->space,
        .durable = &db->durable,
        .health = &db->health,
    };
    if (db->store.read_only)
        return KVS_OK; /* nobody writes */
    return writer_start(&db->writer, &db->group, err);
}

kvs_status db_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                   struct kvs_error *err)
{
    struct kvs_db *db = aligned_alloc(_Alignof(struct kvs_db), sizeof(*db));
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to open a store");
    memset(db, 0, sizeof(*db));
    db->store_config = store_config_of(config);
    health_init(&db->health, config->host, config->data_dir, db->store_config.read_only);
    kvs_status status = store_open(&db->store, &db->store_config, &db->health, err);
    if (status == KVS_OK) {
        db->store_config.dir = db->store.dir;
        db->health.dir = db->store.dir;
        status = start(db, config, err);
    }
    if (status == KVS_OK) {
        *ret_db = db;
        return KVS_OK;
    }
    kvs_status closing = db_close(db, NULL);
    (void)closing; /* err tells of the first fault */
    return status;
}

kvs_status db_close(struct kvs_db *db, struct kvs_error *err)
{
    if (db == NULL)
        return KVS_OK;
    writer_stop(&db->writer);
    kvs_status status = durable_stop(&db->durable, err);
    reader_pool_deinit(&db->readers);
    store_close(&db->store);
    free(db);
    return status;
}
