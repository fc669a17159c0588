/* See store.h. */
#include "command/store.h"

#include <string.h>

#include "base/bytes.h"
#include "command/copy_dir.h"
#include "command/hints.h"

static uint32_t lower(uint32_t ours, uint64_t engines)
{
    return engines < ours ? (uint32_t)engines : ours;
}

void store_prepare(struct store *store, const struct kvs_engine_ops *engine,
                   const struct request_limits *limits)
{
    memset(store, 0, sizeof(*store));
    store->engine = engine;
    store->limits.key_max = lower(limits->key_max, engine->key_max);
    store->limits.value_max = lower(limits->value_max, engine->value_max);
    store->batch_bytes_max = engine->submit != NULL ? engine->batch_bytes_max : UINT64_MAX;
    store->batch_ops_max = engine->submit != NULL ? engine->batch_ops_max : UINT64_MAX;
    store->one_writer = (engine->capabilities & KVS_ENGINE_CONCURRENT_WRITERS) == 0;
    /* Nobody knows what is there from before. */
    atomic_store_explicit(&store->expiry_due_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&store->expiry_seen, true, memory_order_relaxed);
    (void)pthread_mutex_init(&store->expiry_lock, NULL);
    (void)pthread_mutex_init(&store->writer, NULL);
    for (uint32_t i = 0; i < STORE_STRIPES; i++)
        (void)pthread_mutex_init(&store->stripes[i], NULL);
}

kvs_status store_open_prepared(struct store *store, const struct kvs_engine_config *config,
                               struct kvs_error *err)
{
    kvs_status status = store->engine->open(config, &store->db, err);
    if (status == KVS_OK && config->durability == KVS_DURABILITY_ALWAYS &&
        store->engine->submit != NULL)
        store->hints = hints_new(); /* without it, it is only slower */
    if (status == KVS_OK)
        atomic_store_explicit(&store->is_open, true, memory_order_release);
    return status > 0 ? kvs_error_set(err, KVS_INTERNAL, 0,
                                      "the engine's open gave the outcome '%s', which open has "
                                      "not: this is a bug of the engine",
                                      kvs_status_text(status))
                      : status;
}

kvs_status store_open(struct store *store, const struct kvs_engine_ops *engine,
                      const struct kvs_engine_config *config, const struct request_limits *limits,
                      struct kvs_error *err)
{
    store_prepare(store, engine, limits);
    kvs_status status = store_open_prepared(store, config, err);
    if (status != KVS_OK)
        (void)store_close(store, NULL);
    return status;
}

kvs_status store_close(struct store *store, struct kvs_error *err)
{
    if (store->engine == NULL)
        return KVS_OK;
    kvs_status status = store_is_open(store) ? store->engine->close(store->db, err) : KVS_OK;
    for (uint32_t i = 0; i < STORE_STRIPES; i++)
        (void)pthread_mutex_destroy(&store->stripes[i]);
    hints_free(store->hints);
    (void)pthread_mutex_destroy(&store->writer);
    (void)pthread_mutex_destroy(&store->expiry_lock);
    memset(store, 0, sizeof(*store));
    return status;
}

/* One lookup of a get_many on its way through get. */
struct lookup_visit {
    struct kvs_get_many *request;
    uint64_t index;
};

static int32_t visit_lookup(void *arg, struct kvs_bytes value)
{
    const struct lookup_visit *lookup = arg;
    return lookup->request->visit(lookup->request->arg, lookup->index, value);
}

kvs_status store_get_many(const struct store *store, struct kvs_tls *tls,
                          struct kvs_get_many *request)
{
    if (store->engine->get_many != NULL)
        return store->engine->get_many(store->db, tls, request);
    for (uint64_t i = 0; i < request->lookup_count; i++) {
        struct kvs_lookup *lookup = &request->lookups[i];
        struct lookup_visit visit = {request, i};
        lookup->status = store_get(store, tls, lookup->key, visit_lookup, &visit, request->err);
        if (lookup->status == KVS_STOPPED)
            return KVS_STOPPED;
    }
    return KVS_OK;
}

void store_set_plain(struct store *store,
                     kvs_status (*before_expiry)(void *arg, struct kvs_error *err), void *arg)
{
    store->before_expiry = before_expiry;
    store->before_expiry_arg = arg;
    atomic_store_explicit(&store->is_plain, true, memory_order_relaxed);
    atomic_store_explicit(&store->expiry_seen, false, memory_order_relaxed);
    atomic_store_explicit(&store->expiry_due_ms, INT64_MAX, memory_order_relaxed);
}

/* Whoever comes meanwhile waits: nothing that expires is set before the next start knows of it. */
static kvs_status end_plain(struct store *store, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    (void)pthread_mutex_lock(&store->expiry_lock);
    if (atomic_load_explicit(&store->is_plain, memory_order_relaxed)) {
        status = store->before_expiry(store->before_expiry_arg, err);
        if (status == KVS_OK)
            atomic_store_explicit(&store->is_plain, false, memory_order_release);
    }
    (void)pthread_mutex_unlock(&store->expiry_lock);
    return status;
}

kvs_status store_lower_expiry(struct store *store, int64_t expires_at_ms, struct kvs_error *err)
{
    if (atomic_load_explicit(&store->is_plain, memory_order_acquire)) {
        kvs_status status = end_plain(store, err);
        if (status != KVS_OK)
            return status;
    }
    int64_t due_ms = atomic_load_explicit(&store->expiry_due_ms, memory_order_relaxed);
    while (expires_at_ms < due_ms) {
        if (atomic_compare_exchange_weak_explicit(&store->expiry_due_ms, &due_ms, expires_at_ms,
                                                  memory_order_release, memory_order_relaxed)) {
            if (store->expiry_lowered != NULL)
                store->expiry_lowered(store->expiry_lowered_arg);
            break;
        }
    }
    return KVS_OK;
}

/* ---- batches on an engine that has none --------------------------------------------------- */

/* What a condition wants of a value, and whether it has it. */
struct comparison {
    const struct kvs_op *op;
    bool equal;
};

static int32_t compare_value(void *arg, struct kvs_bytes value)
{
    struct comparison *comparison = arg;
    comparison->equal = bytes_equal(value, comparison->op->expected);
    return 0;
}

/* KVS_OK: the condition holds. KVS_CONDITION_FAILED, or why it could not be decided. The key's stripe
   is held. */
static kvs_status decide(const struct store *store, struct kvs_tls *tls, const struct kvs_op *op,
                         struct kvs_error *err)
{
    struct comparison comparison = {.op = op};
    if (op->condition == KVS_IF_ALWAYS)
        return KVS_OK;
    kvs_status status = store_get(store, tls, op->key, compare_value, &comparison, err);
    if (status != KVS_OK && status != KVS_NOT_FOUND)
        return status;
    bool present = status == KVS_OK;
    bool holds = op->condition == KVS_IF_ABSENT    ? !present
                 : op->condition == KVS_IF_PRESENT ? present
                                                   : comparison.equal;
    return holds ? KVS_OK : KVS_CONDITION_FAILED;
}

static kvs_status apply(const struct store *store, struct kvs_tls *tls, const struct kvs_op *op,
                        struct kvs_error *err)
{
    switch (op->kind) {
    case KVS_OP_SET:
        return store->engine->set(store->db, tls, op->key, op->value, err);
    case KVS_OP_REMOVE:
        return store->engine->remove(store->db, tls, op->key, err);
    default:
        return KVS_OK;
    }
}

static kvs_status submit_all_or_none(const struct store *store, struct kvs_tls *tls,
                                     struct kvs_batch *batch)
{
    bool failed = false;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        struct kvs_op *op = &batch->ops[i];
        op->status = decide(store, tls, op, batch->err);
        if (op->status < 0)
            return op->status;
        failed = failed || op->status != KVS_OK;
    }
    if (failed)
        return KVS_CONDITION_FAILED;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        batch->ops[i].status = apply(store, tls, &batch->ops[i], batch->err);
        if (batch->ops[i].status != KVS_OK && batch->ops[i].status != KVS_NOT_FOUND)
            return batch->ops[i].status;
    }
    return KVS_OK;
}

/* Each operation by itself, a fault of one fails just that one. */
static kvs_status submit_one_by_one(const struct store *store, struct kvs_tls *tls,
                                    struct kvs_batch *batch)
{
    for (uint64_t i = 0; i < batch->op_count; i++) {
        struct kvs_op *op = &batch->ops[i];
        op->status = decide(store, tls, op, batch->err);
        if (op->status == KVS_OK)
            op->status = apply(store, tls, op, batch->err);
    }
    return KVS_OK;
}

static uint32_t stripe_of(struct kvs_bytes key)
{
    const uint8_t *at = key.ptr;
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a: only spreads, so chosen keys do no */
    for (uint64_t i = 0; i < key.len; i++)          /* worse than wait for each other */
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return (uint32_t)(hash >> 32) % STORE_STRIPES;
}

static uint64_t lock_stripes(struct store *store, const struct kvs_batch *batch)
{
    uint64_t set = 0;
    for (uint64_t i = 0; i < batch->op_count; i++)
        set |= UINT64_C(1) << stripe_of(batch->ops[i].key);
    for (uint32_t i = 0; i < STORE_STRIPES; i++) {
        if ((set >> i & 1) != 0)
            (void)pthread_mutex_lock(&store->stripes[i]);
    }
    return set;
}

static void unlock_stripes(struct store *store, uint64_t set)
{
    for (uint32_t i = 0; i < STORE_STRIPES; i++) {
        if ((set >> i & 1) != 0)
            (void)pthread_mutex_unlock(&store->stripes[i]);
    }
}

static kvs_status submit_without_engine(struct store *store, struct kvs_tls *tls,
                                        struct kvs_batch *batch)
{
    uint64_t stripes = lock_stripes(store, batch);
    if (store->one_writer)
        (void)pthread_mutex_lock(&store->writer);
    kvs_status status = (batch->flags & KVS_BATCH_ALL_OR_NONE) != 0
                            ? submit_all_or_none(store, tls, batch)
                            : submit_one_by_one(store, tls, batch);
    if (store->one_writer)
        (void)pthread_mutex_unlock(&store->writer);
    unlock_stripes(store, stripes);
    return status;
}

kvs_status store_submit(struct store *store, struct kvs_tls *tls, struct kvs_batch *batch)
{
    if (store->engine->submit == NULL)
        return submit_without_engine(store, tls, batch);
    if (store->one_writer)
        (void)pthread_mutex_lock(&store->writer);
    kvs_status status = store->engine->submit(store->db, tls, batch);
    if (store->one_writer)
        (void)pthread_mutex_unlock(&store->writer);
    return status;
}

kvs_status store_checkpoint(struct store *store, const char *path, struct kvs_error *err)
{
    struct copy_dir dir;
    if (store->engine->checkpoint == NULL || store->engine_name == NULL)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "engine %s cannot write checkpoints",
                             store->engine_name != NULL ? store->engine_name : "(unnamed)");
    kvs_status status = copy_dir_begin(&dir, path, store->engine_name, err);
    if (status != KVS_OK)
        return status;
    status = store->engine->checkpoint(store->db, path, err);
    if (status == KVS_OK)
        return copy_dir_finish(&dir, err);
    copy_dir_abandon(&dir);
    return status < 0 ? status
                      : kvs_error_set(err, KVS_INTERNAL, 0,
                                      "the engine's checkpoint gave the outcome '%s', which it has "
                                      "not: this is a bug of the engine",
                                      kvs_status_text(status));
}
