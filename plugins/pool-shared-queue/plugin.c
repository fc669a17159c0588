/* The descriptor of the shared-queue pool. */
#include <kvs/plugin.h>
#include <kvs/version.h>

#include "pool.h"

static const struct kvs_option options[] = {
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_DURATION,
        .name = "spin",
        .default_value = "20us",
        .range = "0..1s",
        .help = "how long a worker looks for events before it sleeps, as long as that finds some "
                "(never on one CPU)",
    },
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_DURATION,
        .name = "wake-threshold",
        .default_value = "50us",
        .range = "0..1s",
        .help =
            "queued work, in expected time, for which one more worker is woken at least; 4 times "
            "what wake-ups take at present, if that is more; 0: any",
    },
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_DURATION,
        .name = "standby",
        .default_value = "1ms",
        .range = "100us..1s",
        .help = "how often an idle worker looks whether those at work are stuck",
    },
};

static const struct kvs_pool_ops ops = {
    .size = (uint32_t)sizeof(ops),
    .capabilities = KVS_POOL_HAS_SPAWN_BATCH | KVS_POOL_HAS_STATS | KVS_POOL_HAS_RESIZE |
                    KVS_POOL_SURVIVES_THREAD_EXIT | KVS_POOL_RUNS_IDLE_HOOK,
    .create = life_create,
    .spawn = spawn_one,
    .shutdown = life_shutdown,
    .destroy = life_destroy,
    .spawn_batch = spawn_batch,
    .stats = life_stats,
    .resize = threads_resize,
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = "shared-queue",
    .version = KVS_VERSION,
    .description = "A bounded set of threads on one queue; idle ones poll for events",
    .author = "The kvs authors",
    .licence = "MIT",
    .options = options,
    .option_stride = (uint32_t)sizeof(options[0]),
    .option_count = (uint32_t)(sizeof(options) / sizeof(options[0])),
    .ops = &ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const plugins[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return plugins;
}
