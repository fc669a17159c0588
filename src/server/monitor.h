/* What the page for monitoring (metrics_http.h) shows of a server. */
#ifndef SERVER_MONITOR_H
#define SERVER_MONITOR_H

#include "server/metrics_http.h"
#include "server/state.h"
#include "server/stats.h"

/* Constant while the page is served. */
struct monitor {
    struct server_stats *stats;
    struct server_state *state;
    const struct resp_table *resp_commands;
    const char *engine_name;
    const char *pool_name;
};

/* The source whose arg is monitor, which outlives it. */
struct metrics_source monitor_source(struct monitor *monitor);

#endif
