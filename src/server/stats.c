/* See stats.h. */
#include "server/stats.h"

#include <stdio.h>

#include "base/clock.h"

#define NAME_MAX_SIZE 128u

/* Puts a prefix in front of the names on their way to the visitor. */
struct prefixed {
    const char *prefix;
    kvs_stat_fn visit;
    void *arg;
};

static void visit_prefixed(void *arg, const char *name, uint64_t value)
{
    const struct prefixed *to = arg;
    char full[NAME_MAX_SIZE];
    (void)snprintf(full, sizeof(full), "%s%s", to->prefix, name);
    to->visit(to->arg, full, value);
}

static void visit_limits(const struct limits *limits, kvs_stat_fn visit, void *arg)
{
    const struct {
        const char *name;
        const _Atomic uint64_t *count;
    } counts[] = {
        {"clients_refused", &limits->clients_refused},
        {"replies_refused", &limits->replies_refused},
        {"idle_timeouts", &limits->idle_timeouts},
        {"request_timeouts", &limits->request_timeouts},
        {"reader_timeouts", &limits->reader_timeouts},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        visit(arg, counts[i].name, atomic_load_explicit(counts[i].count, memory_order_relaxed));
}

static void visit_server(const struct server_stats *stats, kvs_stat_fn visit, void *arg)
{
    struct worker_counters counters;
    uint64_t open;
    uint64_t accepted;
    workers_count(stats->workers, &counters);
    connection_set_count(stats->connections, &open, &accepted);
    visit(arg, "uptime_ms", (clock_now_ns() - stats->started_ns) / NS_PER_MS);
    visit(arg, "connections", open);
    visit(arg, "connections_accepted", accepted);
    visit(arg, "accept_pauses",
          atomic_load_explicit(&stats->reactor->refused, memory_order_relaxed));
    visit(arg, "wrong_passwords",
          atomic_load_explicit(&stats->access->failures, memory_order_relaxed));
    struct tls_figures tls = tls_server_count(stats->tls);
    visit(arg, "tls_handshakes", tls.handshakes);
    visit(arg, "tls_failures", tls.failures);
    visit(arg, "login_timeouts",
          atomic_load_explicit(&stats->reactor->login_timeouts, memory_order_relaxed));
    visit_limits(stats->reactor->limits, visit, arg);
    visit(arg, "requests", counters.requests);
    visit(arg, "errors", counters.errors);
    visit(arg, "received_bytes", counters.bytes_received);
    visit(arg, "sent_bytes", counters.bytes_sent);
}

/* How long connections waited for a thread since the start, whatever the pool is. */
static void visit_queue_wait(const struct server_stats *stats, kvs_stat_fn visit, void *arg)
{
    struct latency wait = {.sum_ns = 0};
    workers_measure_queue_wait(stats->workers, &wait);
    visit(arg, "queue_wait_p50_ns", latency_quantile(&wait, 0.5));
    visit(arg, "queue_wait_p99_ns", latency_quantile(&wait, 0.99));
}

static void visit_pool(const struct server_stats *stats, kvs_stat_fn visit, void *arg)
{
    visit_queue_wait(stats, visit, arg);
    const struct kvs_pool_ops *ops = server_pool_ops(stats->pool);
    if (ops->stats == NULL)
        return;
    struct kvs_pool_stats pool = {.size = (uint32_t)sizeof(pool)};
    ops->stats(stats->pool->pool, &pool);
    visit(arg, "threads", pool.threads);
    visit(arg, "threads_started", pool.threads_started);
    visit(arg, "threads_lost", pool.threads_lost);
    visit(arg, "threads_replaced", pool.threads_replaced);
    visit(arg, "jobs_spawned", pool.jobs_spawned);
    visit(arg, "jobs_refused", pool.jobs_refused);
    visit(arg, "jobs_run", pool.jobs_run);
    visit(arg, "jobs_dropped", pool.jobs_dropped);
    visit(arg, "jobs_lost", pool.jobs_lost);
    visit(arg, "jobs_queued", pool.jobs_queued);
    visit(arg, "jobs_running", pool.jobs_running);
    visit(arg, "wakeups", pool.wakeups);
}

void server_stats_visit(void *arg, kvs_stat_fn visit, void *visit_arg)
{
    const struct server_stats *stats = arg;
    struct prefixed pool = {"pool_", visit, visit_arg};
    struct prefixed engine = {"engine_", visit, visit_arg};
    visit_server(stats, visit, visit_arg);
    keyspace_visit_stats(stats->keyspace, visit, visit_arg);
    visit_pool(stats, visit_prefixed, &pool);
    plugin_host_visit_metrics(stats->pool->host, visit_prefixed, &pool);
    if (store_is_open(stats->store) && stats->store->engine->stats != NULL)
        stats->store->engine->stats(stats->store->db, visit_prefixed, &engine);
    plugin_host_visit_metrics(stats->engine_host, visit_prefixed, &engine);
}
