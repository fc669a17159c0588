/*
 * The server's thread pool: one instance of a pool plugin, with its host services.
 */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H

#include <stdbool.h>

#include <kvs/pool.h>

#include "base/log.h"
#include "plugin/host.h"
#include "plugin/loader.h"

struct server_pool {
    struct plugin *plugin;
    struct plugin_host *host;
    struct kvs_pool *pool; /* NULL until started */
};

/* Loads the plugin and checks its options. KVS_OK, or what the loader or the options say. */
KVS_MUST_USE kvs_status server_pool_load(struct server_pool *pool, const struct plugin_dirs *dirs,
                                         const char *name, const char *const *options,
                                         uint32_t option_count, const struct log *log,
                                         struct kvs_error *err);

/* Creates the pool. config: with everything but host, which this fills in. As create. */
KVS_MUST_USE kvs_status server_pool_start(struct server_pool *pool, struct kvs_pool_config *config,
                                          struct kvs_error *err);

/* Runs what is queued and ends all threads; spawning gives KVS_CLOSED from here on. One that was not
   started is fine. */
kvs_status server_pool_stop(struct server_pool *pool, struct kvs_error *err);

/* Frees everything, when nobody can be inside a spawn any more. A zeroed one is fine. */
void server_pool_deinit(struct server_pool *pool);

static inline const struct kvs_pool_ops *server_pool_ops(const struct server_pool *pool)
{
    return &pool->plugin->ops.pool;
}

static inline bool server_pool_can(const struct server_pool *pool, uint64_t capability)
{
    return (server_pool_ops(pool)->capabilities & capability) != 0;
}

/* How many CPUs this process may use: the default number of threads. At least 1. */
uint32_t server_pool_default_threads(void);

#endif
