/* kvs-engine-log: the descriptor and the entry function. */
#include <kvs/plugin.h>
#include <kvs/version.h>

#include "engine.h"

static const struct kvs_option options[] = {
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_BYTES,
        .name = "segment-size",
        .default_value = "256m",
        .range = "1m..1g",
        .help = "bytes of a segment file; what is made from now on",
    },
    {
        .size = (uint32_t)sizeof(struct kvs_option),
        .type = KVS_OPTION_BOOL,
        .name = "repair-older",
        .default_value = "no",
        .help = "repair: where the newest version of a key is lost, bring back an older one",
    },
};

static const struct kvs_plugin plugin = {
    .size = (uint32_t)sizeof(plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = "log",
    .version = KVS_VERSION,
    .description = "log-structured store: lock-free readers, group commit, compaction",
    .author = "the kvs authors",
    .licence = "MIT",
    .options = options,
    .option_stride = (uint32_t)sizeof(options[0]),
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &engine_log_ops,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const plugins[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return plugins;
}
