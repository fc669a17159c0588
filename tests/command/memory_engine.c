/* See memory_engine.h. */
#include "memory_engine.h"

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct kvs_db {
    pthread_mutex_t lock; /* guards the table */
    GHashTable *table;    /* GBytes to GBytes */
    atomic_int writers;   /* inside a write now */
};

static void unref(gpointer bytes)
{
    g_bytes_unref(bytes);
}

static kvs_status memory_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                              struct kvs_error *err)
{
    (void)config;
    struct kvs_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    (void)pthread_mutex_init(&db->lock, NULL);
    db->table = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, unref, unref);
    *ret_db = db;
    return KVS_OK;
}

static kvs_status memory_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)err;
    g_hash_table_unref(db->table);
    (void)pthread_mutex_destroy(&db->lock);
    free(db);
    return KVS_OK;
}

static kvs_status memory_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    (void)tls;
    kvs_status status = KVS_NOT_FOUND;
    if (key.len == 6 && memcmp(key.ptr, "broken", 6) == 0)
        return kvs_error_set(err, KVS_IO, 5, "the disk is on fire");
    GBytes *name = g_bytes_new(key.ptr, key.len);
    (void)pthread_mutex_lock(&db->lock);
    GBytes *value = g_hash_table_lookup(db->table, name);
    if (value != NULL) {
        gsize size;
        const void *data = g_bytes_get_data(value, &size);
        status = visit(arg, (struct kvs_bytes){data, size}) != 0 ? KVS_STOPPED : KVS_OK;
    }
    (void)pthread_mutex_unlock(&db->lock);
    g_bytes_unref(name);
    return status;
}

static kvs_status memory_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    if (value.len > MEMORY_ENGINE_VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0, "at most %u bytes", MEMORY_ENGINE_VALUE_MAX);
    (void)
        sched_yield(); /* so that whoever decided on what is there now is overtaken, if he can be */
    (void)pthread_mutex_lock(&db->lock);
    (void)g_hash_table_replace(db->table, g_bytes_new(key.ptr, key.len),
                               g_bytes_new(value.ptr, value.len));
    (void)pthread_mutex_unlock(&db->lock);
    return KVS_OK;
}

static kvs_status memory_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                                struct kvs_error *err)
{
    (void)tls;
    (void)err;
    GBytes *name = g_bytes_new(key.ptr, key.len);
    (void)pthread_mutex_lock(&db->lock);
    bool was = g_hash_table_remove(db->table, name);
    (void)pthread_mutex_unlock(&db->lock);
    g_bytes_unref(name);
    return was ? KVS_OK : KVS_NOT_FOUND;
}

/* Two writers at once are the host's fault. */
static void enter(struct kvs_db *db)
{
    if (atomic_fetch_add(&db->writers, 1) != 0)
        abort();
    (void)sched_yield(); /* so that another one comes in, if nothing keeps it out */
}

static void leave(struct kvs_db *db)
{
    (void)atomic_fetch_sub(&db->writers, 1);
}

static kvs_status one_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                          struct kvs_bytes value, struct kvs_error *err)
{
    enter(db);
    kvs_status status = memory_set(db, tls, key, value, err);
    leave(db);
    return status;
}

static kvs_status one_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             struct kvs_error *err)
{
    enter(db);
    kvs_status status = memory_remove(db, tls, key, err);
    leave(db);
    return status;
}

const struct kvs_engine_ops memory_engine_ops = {
    .size = sizeof(memory_engine_ops),
    .capabilities = KVS_ENGINE_CONCURRENT_WRITERS,
    .key_max = 65536,
    .value_max = UINT64_C(1) << 40,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
};

const struct kvs_engine_ops memory_engine_one_writer_ops = {
    .size = sizeof(memory_engine_one_writer_ops),
    .key_max = 65536,
    .value_max = UINT64_C(1) << 40,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = one_set,
    .remove = one_remove,
};
