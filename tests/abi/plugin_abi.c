/*
 * A library that does nothing but mention every public struct of the plugin ABI, so that abidiff
 * finds their description in it. See tests/abi/meson.build.
 */
#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/pool.h>

KVS_EXPORT void kvs_plugin_abi_common(const struct kvs_host *host, const struct kvs_plugin *plugin,
                                      const struct kvs_option *option,
                                      const struct kvs_option_value *value,
                                      const struct kvs_error *error);
KVS_EXPORT void kvs_plugin_abi_engine(const struct kvs_engine_ops *ops,
                                      const struct kvs_engine_config *config,
                                      const struct kvs_batch *batch,
                                      const struct kvs_get_many *many, const struct kvs_scan *scan);
KVS_EXPORT void kvs_plugin_abi_pool(const struct kvs_pool_ops *ops,
                                    const struct kvs_pool_config *config,
                                    const struct kvs_pool_stats *stats);

void kvs_plugin_abi_common(const struct kvs_host *host, const struct kvs_plugin *plugin,
                           const struct kvs_option *option, const struct kvs_option_value *value,
                           const struct kvs_error *error)
{
    (void)host;
    (void)plugin;
    (void)option;
    (void)value;
    (void)error;
}

void kvs_plugin_abi_engine(const struct kvs_engine_ops *ops, const struct kvs_engine_config *config,
                           const struct kvs_batch *batch, const struct kvs_get_many *many,
                           const struct kvs_scan *scan)
{
    (void)ops;
    (void)config;
    (void)batch;
    (void)many;
    (void)scan;
}

void kvs_plugin_abi_pool(const struct kvs_pool_ops *ops, const struct kvs_pool_config *config,
                         const struct kvs_pool_stats *stats)
{
    (void)ops;
    (void)config;
    (void)stats;
}
