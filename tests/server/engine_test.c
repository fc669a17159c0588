/*
 * kvs-engine-test: an engine for tests of the server. It keeps everything in memory and does as its
 * options say: answers at once, or later from a thread of its own; on request only when a file
 * exists (so that a test decides when a write is "on the disk"); ends the calling thread on a
 * certain key, and on another one says that it cannot go on.
 */
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kvs/engine.h>

#define GATE_PAUSE_NS 1000000L

struct kvs_db {
    const struct kvs_host *host;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    GHashTable *table; /* GBytes to GBytes */
    struct kvs_batch *first;
    struct kvs_batch *last;
    int closing;
    int later;  /* complete in the thread */
    char *gate; /* batches complete only while this file exists; NULL: no gate */
    pthread_t thread;
};

static GBytes *copy_of(struct kvs_bytes bytes)
{
    return g_bytes_new(bytes.ptr, bytes.len);
}

static void unref(gpointer bytes)
{
    g_bytes_unref(bytes);
}

static bool condition_holds(struct kvs_db *db, GBytes *key, const struct kvs_op *op)
{
    GBytes *value = g_hash_table_lookup(db->table, key);
    gsize size = 0;
    const void *data = value != NULL ? g_bytes_get_data(value, &size) : NULL;
    switch (op->condition) {
    case KVS_IF_ABSENT:
        return value == NULL;
    case KVS_IF_PRESENT:
        return value != NULL;
    case KVS_IF_EQUAL:
        return value != NULL && size == op->expected.len &&
               (size == 0 || memcmp(data, op->expected.ptr, size) == 0);
    default:
        return true;
    }
}

/* Does the operation, or with change false only says how its condition stands. */
static kvs_status apply(struct kvs_db *db, struct kvs_op *op, bool change)
{
    GBytes *key = copy_of(op->key);
    kvs_status status = KVS_OK;
    if (!condition_holds(db, key, op))
        status = KVS_CONDITION_FAILED;
    else if (change && op->kind == KVS_OP_SET)
        (void)g_hash_table_replace(db->table, g_bytes_ref(key), copy_of(op->value));
    else if (change && op->kind == KVS_OP_REMOVE && !g_hash_table_remove(db->table, key))
        status = KVS_NOT_FOUND;
    g_bytes_unref(key);
    return status;
}

/* All or none is decided against what was there before, so its keys are to be different ones. */
static kvs_status apply_batch(struct kvs_db *db, struct kvs_batch *batch)
{
    kvs_status whole = KVS_OK;
    if ((batch->flags & KVS_BATCH_ALL_OR_NONE) != 0) {
        for (uint64_t i = 0; i < batch->op_count; i++) {
            batch->ops[i].status = apply(db, &batch->ops[i], false);
            if (batch->ops[i].status != KVS_OK)
                whole = KVS_CONDITION_FAILED;
        }
    }
    for (uint64_t i = 0; whole == KVS_OK && i < batch->op_count; i++)
        batch->ops[i].status = apply(db, &batch->ops[i], true);
    return whole;
}

static void wait_for_file(const char *path)
{
    while (path != NULL && path[0] != '\0' && access(path, F_OK) != 0) {
        struct timespec pause = {0, GATE_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
}

static void *complete_later(void *arg)
{
    struct kvs_db *db = arg;
    (void)pthread_mutex_lock(&db->lock);
    while (!db->closing || db->first != NULL) {
        if (db->first == NULL) {
            (void)pthread_cond_wait(&db->changed, &db->lock);
            continue;
        }
        struct kvs_batch *batch = db->first;
        db->first = batch->engine_data[0];
        (void)pthread_mutex_unlock(&db->lock);
        wait_for_file(db->gate);
        (void)pthread_mutex_lock(&db->lock);
        kvs_status status = apply_batch(db, batch);
        (void)pthread_mutex_unlock(&db->lock);
        batch->complete(batch->arg, batch, status);
        (void)pthread_mutex_lock(&db->lock);
    }
    (void)pthread_mutex_unlock(&db->lock);
    return NULL;
}

static kvs_status test_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                            struct kvs_error *err)
{
    struct kvs_option_value fail = {.size = sizeof(fail)};
    struct kvs_option_value later = {.size = sizeof(later)};
    struct kvs_option_value gate = {.size = sizeof(gate)};
    (void)config->host->config_get(config->host, "fail", &fail);
    (void)config->host->config_get(config->host, "later", &later);
    struct kvs_option_value open_gate = {.size = sizeof(open_gate)};
    (void)config->host->config_get(config->host, "gate", &gate);
    (void)config->host->config_get(config->host, "open-gate", &open_gate);
    if (KVS_HAS(config, struct kvs_engine_config, progress))
        config->progress(config->progress_arg, 1, 4);
    wait_for_file(open_gate.text);
    if (fail.u64 != 0)
        return kvs_error_set(err, KVS_CORRUPT, 0, "the test engine fails as it was told to");
    struct kvs_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    db->host = config->host;
    (void)pthread_mutex_init(&db->lock, NULL);
    (void)pthread_cond_init(&db->changed, NULL);
    db->table = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, unref, unref);
    db->later = later.u64 != 0;
    if (gate.text[0] != '\0')
        db->gate = strdup(gate.text);
    if (pthread_create(&db->thread, NULL, complete_later, db) != 0)
        abort();
    *ret_db = db;
    return KVS_OK;
}

static kvs_status test_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)err;
    if (db == NULL)
        return KVS_OK;
    (void)pthread_mutex_lock(&db->lock);
    db->closing = 1;
    (void)pthread_cond_signal(&db->changed);
    (void)pthread_mutex_unlock(&db->lock);
    (void)pthread_join(db->thread, NULL);
    g_hash_table_unref(db->table);
    free(db->gate);
    free(db);
    return KVS_OK;
}

static kvs_status test_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    (void)tls;
    if (key.len == 5 && memcmp(key.ptr, "panic", 5) == 0)
        pthread_exit(NULL);
    if (key.len == 5 && memcmp(key.ptr, "rot13", 5) == 0)
        return kvs_error_set(err, KVS_CORRUPT, 0, "this key is corrupt for the test");
    if (key.len == 5 && memcmp(key.ptr, "fatal", 5) == 0) {
        db->host->fatal(db->host, "the test engine has had enough");
        return kvs_error_set(err, KVS_IO, 0, "the test engine has had enough");
    }
    GBytes *name = copy_of(key);
    kvs_status status = KVS_NOT_FOUND;
    /* Shown under the lock: GLib's reference counts are not visible to ThreadSanitizer. */
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

static kvs_status test_submit(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch)
{
    (void)tls;
    (void)pthread_mutex_lock(&db->lock);
    if (!db->later) {
        kvs_status status = apply_batch(db, batch);
        (void)pthread_mutex_unlock(&db->lock);
        return status;
    }
    batch->engine_data[0] = NULL;
    if (db->first != NULL)
        db->last->engine_data[0] = batch;
    else
        db->first = batch;
    db->last = batch;
    (void)pthread_cond_signal(&db->changed);
    (void)pthread_mutex_unlock(&db->lock);
    return KVS_PENDING;
}

static kvs_status write_one(struct kvs_db *db, struct kvs_op *op)
{
    (void)pthread_mutex_lock(&db->lock);
    kvs_status status = apply(db, op, true);
    (void)pthread_mutex_unlock(&db->lock);
    return status;
}

static kvs_status test_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    (void)err;
    struct kvs_op op = {.kind = KVS_OP_SET, .key = key, .value = value};
    return write_one(db, &op);
}

static kvs_status test_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                              struct kvs_error *err)
{
    (void)tls;
    (void)err;
    struct kvs_op op = {.kind = KVS_OP_REMOVE, .key = key};
    return write_one(db, &op);
}

static void test_stats(struct kvs_db *db, kvs_stat_fn visit, void *arg)
{
    (void)pthread_mutex_lock(&db->lock);
    uint64_t keys = g_hash_table_size(db->table);
    (void)pthread_mutex_unlock(&db->lock);
    visit(arg, "keys", keys);
}

static const struct kvs_engine_ops ops = {
    .size = sizeof(ops),
    .capabilities = KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_HAS_STATS | KVS_ENGINE_CONCURRENT_WRITERS,
    .key_max = 65536,
    .value_max = 67108864,
    .batch_bytes_max = 67108864 + 65536,
    .batch_ops_max = 1000,
    .open = test_open,
    .close = test_close,
    .get = test_get,
    .set = test_set,
    .remove = test_remove,
    .submit = test_submit,
    .stats = test_stats,
};

static const struct kvs_option options[] = {
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_BOOL,
     .name = "fail",
     .default_value = "no",
     .help = "fail to open"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_BOOL,
     .name = "later",
     .default_value = "no",
     .help = "complete batches later, from another thread"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_STRING,
     .name = "open-gate",
     .default_value = "",
     .help = "opening waits until this file exists"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_STRING,
     .name = "gate",
     .default_value = "",
     .help = "with later: complete only while this file exists"},
};

static const struct kvs_plugin plugin = {
    .size = sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = "test",
    .version = "1",
    .description = "in memory, for tests of the server",
    .options = options,
    .option_stride = sizeof(options[0]),
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const plugins[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return plugins;
}
