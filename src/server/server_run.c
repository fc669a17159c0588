/*
 * A server while it runs, and on its way down (include/kvs/server.h).
 *
 * Threads. kvs_server_run's thread waits for the stop. Where the pool's workers poll (idle hook) it
 * does nothing else; otherwise it is the reactor.
 *
 * Stopping. The listener goes first; then every connection is made to see the end of its input, so
 * that the ordinary path answers what was received, sends it and closes. Who does not take his
 * replies within drain_timeout_ms is cut off. Then the pool is drained and the store closed.
 *
 * I1  The pool's threads end before the workers' states are freed, these before the store closes. The
 *     pool's memory goes after that: a thread of the engine may still be on its way out of a spawn.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kvs/version.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/parts.h"

#define DRAIN_POLL_NS ((int64_t)10000000) /* the reactor's look at the clock while draining */

/* Said when the server runs and not before: who reads it may stop it with a signal at once, and
   kvs-server's handlers are in place only then. */
static void log_started(const struct kvs_server *server)
{
    char addresses[LOG_LINE_MAX / 2];
    char sync[48] = "none";
    listeners_format(&server->entrance.listeners, addresses, sizeof(addresses));
    if (server->durability == KVS_DURABILITY_ALWAYS)
        (void)snprintf(sync, sizeof(sync), "always");
    else if (server->durability == KVS_DURABILITY_INTERVAL)
        (void)snprintf(sync, sizeof(sync), "interval:%llu",
                       (unsigned long long)server->sync_interval_ms);
    char threads[32] = "1 (the caller's)";
    if (server->reactor.service.blocking)
        (void)snprintf(threads, sizeof(threads), "one per connection");
    else if (!server->reactor.pool_is_inline)
        (void)snprintf(threads, sizeof(threads), "%u", server->threads);
    log_info(&server->log,
             "kvs-server " KVS_VERSION " listens on %s; engine %s %s, pool %s %s, threads %s, sync "
             "%s, data directory %s",
             addresses, server->engine_plugin->name, server->engine_plugin->descriptor->version,
             server->pool.plugin->name, server->pool.plugin->descriptor->version, threads, sync,
             server->data_dir.path);
    entrance_log_advice(&server->entrance, &server->log);
    if (server->metrics != NULL)
        log_info(&server->log, "metrics on port %u", metrics_http_port(server->metrics));
}

void kvs_server_stop(struct kvs_server *server)
{
    uint64_t one = 1;
    int saved_errno = errno; /* it may run in a signal handler */
    ssize_t written = write(server->stop_fd, &one, sizeof(one));
    (void)written;
    reactor_wake(&server->reactor);
    errno = saved_errno;
}

/* Says what a new configuration changes that only a restart can. */
static void log_unchangeable(const struct kvs_server *server, const struct settings *settings)
{
    const struct kvs_server_config *config = settings->config;
    const struct {
        const char *name;
        bool changed;
    } fixed[] = {
        {"engine", settings->engine != NULL &&
                       strcmp(settings->engine, server->engine_plugin->name) != 0 &&
                       strcmp(settings->engine, "kvs") != 0},
        {"pool", strcmp(settings->pool, server->pool.plugin->name) != 0},
        {"threads", config->threads != 0 && config->threads != server->threads},
        {"sync", settings->durability != server->durability ||
                     (settings->durability == KVS_DURABILITY_INTERVAL &&
                      config->sync_interval_ms != server->sync_interval_ms)},
        {"listen", entrance_is_elsewhere(&server->entrance, settings)},
    };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (fixed[i].changed)
            log_warn(&server->log, "a new '%s' takes effect at the next start", fixed[i].name);
    }
}

kvs_status kvs_server_reload(struct kvs_server *server, const struct kvs_server_config *config,
                             struct kvs_error *err)
{
    struct settings settings;
    kvs_status status = settings_check(&settings, config, err);
    if (status != KVS_OK)
        return status;
    status = entrance_reload(&server->entrance, &settings, err);
    if (status != KVS_OK)
        return status;
    server_take_limits(&server->limits, &settings);
    atomic_store_explicit(&server->reactor.login_timeout_ns, settings.login_timeout_ms * NS_PER_MS,
                          memory_order_relaxed);
    reactor_wake(&server->reactor); /* it may sleep as the old limits let it */
    log_set_level(&server->log, config->log_level != 0 ? config->log_level : KVS_LOG_INFO);
    log_unchangeable(server, &settings);
    log_info(&server->log, "the configuration is reloaded");
    return KVS_OK;
}

/* Waits up to timeout_ms for a stop. */
static bool stop_requested(const struct kvs_server *server, int timeout_ms)
{
    struct pollfd stop = {.fd = server->stop_fd, .events = POLLIN};
    return poll(&stop, 1, timeout_ms) > 0;
}

static void serve_until_stop(struct kvs_server *server)
{
    if (server->reactor.pool_polls) {
        while (!stop_requested(server, -1))
            continue;
        return;
    }
    /* A stop wakes the reactor, and is seen before it sleeps again. */
    while (!stop_requested(server, 0))
        (void)reactor_poll(&server->reactor, -1);
}

/* Waits until no connection is left, serving meanwhile where that is this thread's job. */
static bool wait_for_connections(struct kvs_server *server, uint64_t timeout_ms)
{
    uint64_t deadline_ns = clock_now_ns() + timeout_ms * NS_PER_MS;
    if (server->reactor.pool_polls)
        return connection_set_wait_empty(&server->connections, timeout_ms * NS_PER_MS);
    while (!connection_set_wait_empty(&server->connections, 0)) {
        if (clock_now_ns() >= deadline_ns)
            return false;
        (void)reactor_poll(&server->reactor, DRAIN_POLL_NS);
    }
    return true;
}

static void end_connections(struct kvs_server *server)
{
    reactor_accept_end(&server->reactor);
    connection_set_end_input(&server->connections);
    if (wait_for_connections(server, server->drain_timeout_ms))
        return;
    uint64_t open;
    uint64_t accepted;
    connection_set_count(&server->connections, &open, &accepted);
    log_warn(&server->log, "cutting off %llu connections that do not take their replies",
             (unsigned long long)open);
    connection_set_cut(&server->connections);
    while (!wait_for_connections(server, DEFAULT_DRAIN_TIMEOUT_MS))
        log_warn(&server->log, "still waiting for requests that the engine has not answered");
}

kvs_status server_take_down(struct kvs_server *server, struct kvs_error *err)
{
    kvs_status status = opening_end(&server->opening, err);
    metrics_http_stop(TAKE(server->metrics)); /* it looks at all that follows */
    if (status != KVS_OK)
        data_dir_unclaim(&server->data_dir);
    kvs_status stopped = server_pool_stop(&server->pool, status == KVS_OK ? err : NULL);
    if (status == KVS_OK)
        status = stopped;
    administration_end_saving(&server->administration);
    workers_deinit(&server->workers); /* I1 */
    keyspace_free(TAKE(server->keyspace));
    kvs_status closed = store_close(&server->store, status == KVS_OK ? err : NULL);
    listeners_close(&server->entrance.listeners);
    return status != KVS_OK ? status : closed;
}

/* The store is open, or cannot be opened: the thread that opened it says so. */
static void store_opened(void *arg, kvs_status status)
{
    struct kvs_server *server = arg;
    struct kvs_error error = KVS_ERROR_INIT(server->begin_message);
    if (status == KVS_OK)
        status = server->begin_status = keyspace_start(server->keyspace, &error);
    if (status != KVS_OK) {
        kvs_server_stop(server);
        return;
    }
    uint32_t phase = SERVER_LOADING;
    if (!atomic_compare_exchange_strong(&server->state.phase, &phase, SERVER_READY))
        return; /* a stop came first */
    log_started(server);
    if (server->ready != NULL)
        server->ready(server->ready_arg);
}

/* Opens the store on the side, unless it is open, and tells when requests are served. */
static kvs_status open_and_tell(struct kvs_server *server, struct kvs_error *err)
{
    if (store_is_open(&server->store)) {
        store_opened(server, KVS_OK);
        return KVS_OK;
    }
    log_info(&server->log, "opening the store in %s", server->data_dir.path);
    server->opening.done = store_opened;
    server->opening.arg = server;
    return opening_begin(&server->opening, err);
}

kvs_status kvs_server_run(struct kvs_server *server, struct kvs_error *err)
{
    kvs_status status = reactor_accept_begin(&server->reactor, err);
    if (status != KVS_OK)
        return status;
    reactor_wake(&server->reactor);
    status = open_and_tell(server, err);
    if (status == KVS_OK)
        serve_until_stop(server);
    atomic_store(&server->state.phase, SERVER_STOPPING);
    log_info(&server->log, "stopping");
    keyspace_stop(server->keyspace); /* whoever waits for it is answered */
    end_connections(server);
    kvs_status down = server_take_down(server, status == KVS_OK ? err : NULL);
    if (status == KVS_OK)
        status = down;
    if (status == KVS_OK && server->begin_status != KVS_OK)
        status = kvs_error_set(err, server->begin_status, 0, "%s", server->begin_message);
    if (status == KVS_OK && atomic_load(&server->state.engine_failed) != 0)
        status = kvs_error_set(err, KVS_IO, 0, "the engine gave up; see the log");
    if (status == KVS_OK)
        log_info(&server->log, "stopped");
    return status;
}
