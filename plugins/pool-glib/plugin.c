/* The descriptor of the glib pool. */
#include <kvs/plugin.h>
#include <kvs/version.h>

#include "pool.h"

static const struct kvs_pool_ops ops = {
    .size = (uint32_t)sizeof(ops),
    .capabilities = KVS_POOL_HAS_STATS | KVS_POOL_SURVIVES_THREAD_EXIT,
    .create = life_create,
    .spawn = life_spawn,
    .shutdown = life_shutdown,
    .destroy = life_destroy,
    .stats = life_stats,
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = "glib",
    .version = KVS_VERSION,
    .description = "GLib's GThreadPool with exclusive threads",
    .author = "The kvs authors",
    .licence = "MIT",
    .option_stride = (uint32_t)sizeof(struct kvs_option),
    .ops = &ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const plugins[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return plugins;
}
