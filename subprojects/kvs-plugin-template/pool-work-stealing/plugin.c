/* What the host reads: the descriptor of the pool "work-stealing". */
#include "pool.h"

/* resize is absent: zero, and its capability bit is not set. */
static const struct kvs_pool_ops operations = {
    .size = sizeof(struct kvs_pool_ops),
    .capabilities = KVS_POOL_HAS_SPAWN_BATCH | KVS_POOL_HAS_STATS | KVS_POOL_SURVIVES_THREAD_EXIT,
    .create = pool_create,
    .spawn = pool_spawn,
    .shutdown = pool_shutdown,
    .destroy = pool_destroy,
    .spawn_batch = pool_spawn_batch,
    .stats = pool_stats,
};

static const struct kvs_option options[] = {
    {
        .size = sizeof(struct kvs_option),
        .type = KVS_OPTION_DURATION,
        .name = "spin",
        .default_value = "5us",
        .range = "0..10ms",
        .help = "how long a worker without work looks around before it parks",
    },
};

static const struct kvs_plugin plugin = {
    .size = sizeof(struct kvs_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = "work-stealing", /* the file is kvs-pool-work-stealing.so */
    .version = "0.1.0",
    .description = "A deque per thread; idle threads steal (a template for pools)",
    .author = "The kvs authors",
    .licence = "MIT",
    .options = options,
    .option_stride = sizeof(struct kvs_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &operations,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
