/* The plugin's face: its descriptor, its options, and the operations table, which only forwards. */
#include <kvs/engine.h>
#include <kvs/version.h>

#include "copy.h"
#include "db.h"
#include "figures.h"
#include "limits.h"
#include "lookup.h"
#include "scan.h"
#include "verify.h"

#include <stdlib.h>

static kvs_status engine_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    return lookup_one(&db->readers, tls, key, visit, arg, err);
}

/* set and remove: one operation through the writer. */
static kvs_status engine_write(struct kvs_db *db, struct kvs_op *op, struct kvs_error *err)
{
    if (db->store.read_only)
        return health_check(&db->health, err);
    return writer_call(&db->writer, op, err);
}

static kvs_status engine_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             struct kvs_bytes value, struct kvs_error *err)
{
    struct kvs_op op = {.kind = KVS_OP_SET, .key = key, .value = value};
    (void)tls;
    return engine_write(db, &op, err);
}

static kvs_status engine_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                                struct kvs_error *err)
{
    struct kvs_op op = {.kind = KVS_OP_REMOVE, .key = key};
    (void)tls;
    return engine_write(db, &op, err);
}

static kvs_status engine_submit(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch)
{
    (void)tls;
    if (db->store.read_only)
        return health_check(&db->health, batch->err);
    return writer_submit(&db->writer, batch);
}

static kvs_status engine_get_many(struct kvs_db *db, struct kvs_tls *tls,
                                  struct kvs_get_many *request)
{
    return lookup_many(&db->readers, tls, request);
}

static kvs_status engine_scan(struct kvs_db *db, struct kvs_tls *tls, struct kvs_scan *scan,
                              struct kvs_error *err)
{
    return scan_run(&db->readers, tls, scan, err);
}

static kvs_status engine_sync(struct kvs_db *db, struct kvs_error *err)
{
    if (db->store.read_only)
        return KVS_OK; /* nothing was written */
    return durable_sync(&db->durable, err);
}

static kvs_status engine_thread_attach(struct kvs_db *db, struct kvs_tls **ret_tls,
                                       struct kvs_error *err)
{
    struct kvs_tls *tls = malloc(sizeof(*tls));
    if (tls == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a thread's state");
    reader_attach(&db->readers, tls);
    *ret_tls = tls;
    return KVS_OK;
}

static void engine_thread_detach(struct kvs_db *db, struct kvs_tls *tls)
{
    if (tls == NULL)
        return;
    reader_detach(&db->readers, tls);
    free(tls);
}

static const struct kvs_engine_ops engine_ops = {
    .size = sizeof(engine_ops),
    .capabilities = KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_HAS_GET_MANY | KVS_ENGINE_HAS_SCAN |
                    KVS_ENGINE_HAS_SYNC | KVS_ENGINE_HAS_THREADS | KVS_ENGINE_HAS_STATS |
                    KVS_ENGINE_HAS_CHECKPOINT | KVS_ENGINE_HAS_COMPACT | KVS_ENGINE_HAS_VERIFY |
                    KVS_ENGINE_ORDERED | KVS_ENGINE_SNAPSHOT_SCAN | KVS_ENGINE_DURABLE |
                    KVS_ENGINE_CONCURRENT_WRITERS | KVS_ENGINE_GET_NEVER_BLOCKS |
                    KVS_ENGINE_BATCH_ATOMIC,
    .key_max = LIMITS_KEY_MAX,
    .value_max = LIMITS_VALUE_MAX,
    .batch_bytes_max = LIMITS_BATCH_BYTES_MAX,
    .batch_ops_max = LIMITS_BATCH_OPS_MAX,
    .open = db_open,
    .close = db_close,
    .get = engine_get,
    .set = engine_set,
    .remove = engine_remove,
    .submit = engine_submit,
    .get_many = engine_get_many,
    .scan = engine_scan,
    .sync = engine_sync,
    .thread_attach = engine_thread_attach,
    .thread_detach = engine_thread_detach,
    .stats = figures_visit,
    .checkpoint = copy_checkpoint,
    .compact = copy_compact,
    .verify = verify_run,
};

static const struct kvs_option engine_options[] = {
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_BYTES,
     .name = "map-size",
     .default_value = "1g",
     .range = "1m..16t",
     .help = "address space that the store begins with, in bytes; it grows by itself"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_U64,
     .name = "max-readers",
     .default_value = "1024",
     .range = "4..65536",
     .help = "how many threads may read at the same moment; others wait for one to finish"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_BOOL,
     .name = "trust-unsynced",
     .default_value = "no",
     .help = "open a store although the machine went down while it was written with durability "
             "none"},
};

static const struct kvs_plugin engine_plugin = {
    .size = sizeof(engine_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = "lmdb",
    .version = KVS_VERSION,
    .description = "LMDB: an ordered, memory-mapped B+ tree with copy-on-write pages",
    .author = "the kvs authors",
    .licence = "MIT",
    .options = engine_options,
    .option_stride = sizeof(struct kvs_option),
    .option_count = sizeof(engine_options) / sizeof(engine_options[0]),
    .ops = &engine_ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&engine_plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
