/* See store.h. */
#include "command/store.h"

#include <assert.h>
#include <string.h>

static uint32_t lower(uint32_t ours, uint64_t engines)
{
    return engines < ours ? (uint32_t)engines : ours;
}

kvs_status store_open(struct store *store, const struct kvs_engine_ops *engine,
                      const struct kvs_engine_config *config, const struct request_limits *limits,
                      struct kvs_error *err)
{
    struct kvs_db *db = NULL;
    kvs_status status = engine->open(config, &db, err);
    if (status != KVS_OK)
        return status > 0 ? kvs_error_set(err, KVS_INTERNAL, 0,
                                          "the engine's open gave the outcome '%s', which open has "
                                          "not: this is a bug of the engine",
                                          kvs_status_text(status))
                          : status;
    memset(store, 0, sizeof(*store));
    store->engine = engine;
    store->db = db;
    store->limits.key_max = lower(limits->key_max, engine->key_max);
    store->limits.value_max = lower(limits->value_max, engine->value_max);
    store->batch_bytes_max = engine->submit != NULL ? engine->batch_bytes_max : UINT64_MAX;
    store->batch_ops_max = engine->submit != NULL ? engine->batch_ops_max : UINT64_MAX;
    store->one_writer = (engine->capabilities & KVS_ENGINE_CONCURRENT_WRITERS) == 0;
    (void)pthread_mutex_init(&store->writer, NULL);
    return KVS_OK;
}

kvs_status store_close(struct store *store, struct kvs_error *err)
{
    if (store->db == NULL)
        return KVS_OK;
    kvs_status status = store->engine->close(store->db, err);
    (void)pthread_mutex_destroy(&store->writer);
    store->db = NULL;
    return status;
}

/* The simple engine's batch: each operation by itself, a fault of one fails just that one. */
static kvs_status submit_one_by_one(struct store *store, struct kvs_tls *tls,
                                    struct kvs_batch *batch)
{
    const struct kvs_engine_ops *engine = store->engine;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        struct kvs_op *op = &batch->ops[i];
        assert(op->condition == KVS_IF_ALWAYS);
        op->status = op->kind == KVS_OP_SET
                         ? engine->set(store->db, tls, op->key, op->value, batch->err)
                         : engine->remove(store->db, tls, op->key, batch->err);
    }
    return KVS_OK;
}

kvs_status store_submit(struct store *store, struct kvs_tls *tls, struct kvs_batch *batch)
{
    if (store->one_writer)
        (void)pthread_mutex_lock(&store->writer);
    kvs_status status = store->engine->submit != NULL ? store->engine->submit(store->db, tls, batch)
                                                      : submit_one_by_one(store, tls, batch);
    if (store->one_writer)
        (void)pthread_mutex_unlock(&store->writer);
    return status;
}
