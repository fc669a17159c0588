/*
 * kvs-engine-null: an engine that stores nothing. A set is done at once, every key holds the same
 * value (option value-size; all bytes are 'x'). With it a server does all that it does but storing:
 * the floor below which no engine can come. For benchmarks only; never installed.
 */
#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/version.h>

#define VALUE_MAX (1u << 20)

struct kvs_db {
    uint64_t value_size;
    uint8_t value[]; /* read by all threads, written by none after open */
};

static kvs_status null_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                            struct kvs_error *err)
{
    struct kvs_option_value value = {.size = (uint32_t)sizeof(value)};
    kvs_status status = config->host->config_get(config->host, "value-size", &value);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "option value-size cannot be read");
    struct kvs_db *db = malloc(sizeof(*db) + value.u64);
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the value");
    db->value_size = value.u64;
    memset(db->value, 'x', value.u64);
    *ret_db = db;
    return KVS_OK;
}

static kvs_status null_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)err;
    free(db);
    return KVS_OK;
}

static kvs_status null_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    const struct kvs_bytes value = {db->value, db->value_size};
    (void)tls;
    (void)key;
    (void)err;
    return visit(arg, value) == 0 ? KVS_OK : KVS_STOPPED;
}

static kvs_status null_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           struct kvs_bytes value, struct kvs_error *err)
{
    (void)db;
    (void)tls;
    (void)key;
    (void)value;
    (void)err;
    return KVS_OK;
}

static kvs_status null_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                              struct kvs_error *err)
{
    return null_set(db, tls, key, key, err);
}

static const struct kvs_engine_ops ops = {
    .size = (uint32_t)sizeof(ops),
    .capabilities = KVS_ENGINE_CONCURRENT_WRITERS | KVS_ENGINE_GET_NEVER_BLOCKS,
    .key_max = 65536,
    .value_max = VALUE_MAX,
    .open = null_open,
    .close = null_close,
    .get = null_get,
    .set = null_set,
    .remove = null_remove,
};

static const struct kvs_option options[] = {
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_BYTES,
        .name = "value-size",
        .default_value = "100",
        .range = "0..1m",
        .help = "bytes of the value that every key holds",
    },
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = "null",
    .version = KVS_VERSION,
    .description = "stores nothing: the floor of the benchmarks",
    .author = "the kvs authors",
    .licence = "MIT",
    .options = options,
    .option_stride = (uint32_t)sizeof(options[0]),
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
