/* See pool.h. */
#include "server/pool.h"

#include <sched.h>

uint32_t server_pool_default_threads(void)
{
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (sched_getaffinity(0, sizeof(usable), &usable) != 0)
        return 1;
    int count = CPU_COUNT(&usable);
    return count > 0 ? (uint32_t)count : 1;
}

kvs_status server_pool_load(struct server_pool *pool, const struct plugin_dirs *dirs,
                            const char *name, const char *const *options, uint32_t option_count,
                            const struct log *log, struct kvs_error *err)
{
    kvs_status status = plugin_open(dirs, KVS_PLUGIN_POOL, name, &pool->plugin, err);
    if (status != KVS_OK)
        return status;
    struct plugin_host_config config = {
        .plugin = pool->plugin,
        .log = log,
        .options = options,
        .option_count = option_count,
    };
    return plugin_host_new(&config, &pool->host, err);
}

kvs_status server_pool_start(struct server_pool *pool, struct kvs_pool_config *config,
                             struct kvs_error *err)
{
    config->host = plugin_host_services(pool->host);
    kvs_status status = server_pool_ops(pool)->create(config, &pool->pool, err);
    if (status > 0) /* BUSY: an outcome for the pool, the end for a server that is starting */
        err->status = KVS_NO_MEMORY;
    return status > 0 ? KVS_NO_MEMORY : status;
}

kvs_status server_pool_stop(struct server_pool *pool, struct kvs_error *err)
{
    if (pool->pool == NULL)
        return KVS_OK;
    return server_pool_ops(pool)->shutdown(pool->pool, KVS_POOL_DRAIN, err);
}

void server_pool_deinit(struct server_pool *pool)
{
    if (pool->pool != NULL)
        server_pool_ops(pool)->destroy(pool->pool);
    plugin_host_free(pool->host);
    plugin_free(pool->plugin);
    *pool = (struct server_pool){.pool = NULL};
}
