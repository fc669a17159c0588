/*
 * A server's parts, for the two files that put it together (server.c) and run it (server_run.c).
 */
#ifndef SERVER_PARTS_H
#define SERVER_PARTS_H

#include <kvs/server.h>

#include "base/log.h"
#include "command/command.h"
#include "command/keyspace.h"
#include "command/resp_table.h"
#include "command/store.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "server/administration.h"
#include "server/connection_set.h"
#include "server/data_dir.h"
#include "server/entrance.h"
#include "server/limits.h"
#include "server/metrics_http.h"
#include "server/monitor.h"
#include "server/opening.h"
#include "server/pool.h"
#include "server/reactor.h"
#include "server/settings.h"
#include "server/state.h"
#include "server/stats.h"
#include "server/worker.h"

#define DEFAULT_DRAIN_TIMEOUT_MS 5000u

struct kvs_server {
    /* Constant once kvs_server_new returned. */
    struct log log;
    struct plugin_dirs dirs;
    struct data_dir data_dir;
    struct plugin *engine_plugin;
    struct plugin_host *engine_host;
    struct store store;
    struct keyspace *keyspace;
    struct workers workers;
    struct server_pool pool;
    struct entrance entrance;
    struct reactor reactor;
    struct limits limits;
    struct connection_set connections;
    struct command_context commands;
    struct resp_table resp_table;
    struct server_stats stats;
    struct administration administration;
    struct monitor monitor;
    struct metrics_http *metrics; /* NULL: none is wanted */
    uint64_t drain_timeout_ms;
    uint64_t sync_interval_ms;
    uint32_t durability; /* KVS_DURABILITY_* */
    uint32_t threads;
    int stop_fd; /* eventfd: readable once a stop was asked for */

    struct server_state state;
    struct opening opening;
    /* Why it could not serve though the store is open; KVS_OK: it could. Written before the stop is asked
       for, by the thread that opens the store, and read when that has ended. */
    kvs_status begin_status;
    char begin_message[KVS_ERROR_MESSAGE_MAX];
    void (*ready)(void *arg);
    void *ready_arg;
};

/* Makes the limits those of the settings. Any thread. */
void server_take_limits(struct limits *limits, const struct settings *settings);

/* Ends the pool and closes the store: the first fault counts. A server that is half built, or down
   already, is fine. */
kvs_status server_take_down(struct kvs_server *server, struct kvs_error *err);

#endif
