/* The figures of a running server, for the stats command. */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include <stdint.h>

#include <kvs/engine.h>

#include "command/keyspace.h"
#include "command/store.h"
#include "plugin/host.h"
#include "server/connection_set.h"
#include "server/pool.h"
#include "server/reactor.h"
#include "server/worker.h"

/* Where the figures come from. Constant while the server runs. */
struct server_stats {
    struct store *store;
    struct keyspace *keyspace;
    struct workers *workers;
    struct connection_set *connections;
    struct reactor *reactor;
    struct access *access;
    const struct tls_server *tls; /* NULL: there is none */
    struct server_pool *pool;
    struct plugin_host *engine_host;
    uint64_t started_ns;
};

/* Shows the server's figures as they are, the pool's as pool_NAME, the engine's as engine_NAME. arg
   is the struct server_stats. Any thread. */
void server_stats_visit(void *arg, kvs_stat_fn visit, void *visit_arg);

#endif
