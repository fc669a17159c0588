/*
 * Puts a server together (include/kvs/server.h); server_run.c runs it and takes it down.
 *
 * Up, in this order, so that what is likely to be wrong shows before anything is touched: address,
 * plugins and their options, port, data directory, store, pool, listening. Down in the reverse
 * order. Every step is safe on a server that is half built.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "protocol/native.h"
#include "server/parts.h"

#define DEFAULT_BACKLOG 4096u
#define DEFAULT_ENGINE  "log"

static void engine_fatal(void *arg, const char *message)
{
    struct kvs_server *server = arg;
    (void)message; /* the host logged it */
    atomic_store(&server->state.engine_failed, 1);
    kvs_server_stop(server);
}

/* Loads the engine that the data were made with, or that was asked for, and checks its options. */
static kvs_status load_engine(struct kvs_server *server, const struct settings *settings,
                              struct kvs_error *err)
{
    char made_by[DATA_DIR_ENGINE_MAX];
    kvs_status status = data_dir_peek(settings->data_dir, made_by, err);
    if (status != KVS_OK)
        return status;
    const char *name = settings->engine != NULL ? settings->engine
                       : made_by[0] != '\0'     ? made_by
                                                : DEFAULT_ENGINE;
    status = plugin_open(&server->dirs, KVS_PLUGIN_ENGINE, name, &server->engine_plugin, err);
    if (status == KVS_OK)
        status =
            data_dir_check_engine(settings->data_dir, made_by, server->engine_plugin->name, err);
    if (status != KVS_OK)
        return status;
    struct plugin_host_config config = {
        .plugin = server->engine_plugin,
        .log = &server->log,
        .options = settings->config->engine_options,
        .option_count = settings->config->engine_option_count,
        .fatal = engine_fatal,
        .fatal_arg = server,
    };
    return plugin_host_new(&config, &server->engine_host, err);
}

static kvs_status before_expiry(void *arg, struct kvs_error *err)
{
    struct kvs_server *server = arg;
    return data_dir_end_plain(&server->data_dir, err);
}

/* Opens the store, or makes ready for kvs_server_run to do it. */
static kvs_status open_store(struct kvs_server *server, const struct settings *settings,
                             struct kvs_error *err)
{
    kvs_status status = data_dir_claim(&server->data_dir, server->engine_plugin->name, err);
    if (status != KVS_OK)
        return status;
    server->opening.store = &server->store;
    server->opening.state = &server->state;
    server->opening.config = (struct kvs_engine_config){
        .size = (uint32_t)sizeof(server->opening.config),
        .flags = KVS_OPEN_CREATE,
        .durability = settings->durability,
        .threads = server->threads,
        .sync_interval_ms = settings->config->sync_interval_ms,
        .data_dir = server->data_dir.path,
        .host = plugin_host_services(server->engine_host),
    };
    store_prepare(&server->store, &server->engine_plugin->ops.engine, &settings->limits);
    server->store.engine_name = server->engine_plugin->name;
    if (data_dir_is_plain(&server->data_dir))
        store_set_plain(&server->store, before_expiry, server);
    const struct keyspace_config keyspace = {.store = &server->store, .log = &server->log};
    status = keyspace_new(&keyspace, &server->keyspace, err);
    if (status == KVS_OK && (settings->config->flags & KVS_SERVER_OPEN_LATE) != 0)
        return KVS_OK;
    if (status == KVS_OK)
        status = store_open_prepared(&server->store, &server->opening.config, err);
    if (status != KVS_OK)
        data_dir_unclaim(&server->data_dir);
    return status;
}

static int32_t pool_idle(void *arg, int64_t timeout_ns)
{
    struct kvs_server *server = arg;
    return reactor_poll(&server->reactor, timeout_ns);
}

static void pool_wake_idle(void *arg)
{
    struct kvs_server *server = arg;
    reactor_wake(&server->reactor);
}

static void pool_job_lost(void *arg, const struct kvs_job *job)
{
    struct kvs_server *server = arg;
    log_error(&server->log, "a request ended its thread: its connection is closed");
    connection_drop(job->arg);
}

/* What RESP requests may be, given what may be stored. A client that is not authenticated gets as far
   as Redis lets it. */
static struct resp_limits resp_limits_of(const struct settings *settings,
                                         const struct request_limits *limits, bool stranger)
{
    uint32_t bulk_max = limits->value_max > limits->key_max ? limits->value_max : limits->key_max;
    if (stranger && bulk_max > RESP_STRANGER_BULK_MAX)
        bulk_max = RESP_STRANGER_BULK_MAX;
    return (struct resp_limits){
        .request_max = settings->request_max != 0 ? settings->request_max : UINT64_MAX,
        .bulk_max = bulk_max,
        .arguments_max = stranger ? RESP_STRANGER_ARGUMENTS_MAX : RESP_ARGUMENTS_MAX,
        .inline_max = RESP_INLINE_MAX,
        .stranger = stranger,
    };
}

/* From the start, and again with each reload. */
void server_take_limits(struct limits *limits, const struct settings *settings)
{
    atomic_store_explicit(&limits->clients_max, settings->clients_max, memory_order_relaxed);
    atomic_store_explicit(&limits->reply_max, settings->reply_max, memory_order_relaxed);
    atomic_store_explicit(&limits->idle_timeout_ns, settings->idle_timeout_ms * NS_PER_MS,
                          memory_order_relaxed);
    atomic_store_explicit(&limits->request_timeout_ns, settings->request_timeout_ms * NS_PER_MS,
                          memory_order_relaxed);
    atomic_store_explicit(&limits->reader_timeout_ns, settings->reader_timeout_ms * NS_PER_MS,
                          memory_order_relaxed);
}

static kvs_status start_pool(struct kvs_server *server, const struct settings *settings,
                             struct kvs_error *err)
{
    struct reactor *reactor = &server->reactor;
    server_take_limits(&server->limits, settings);
    reactor->pool_ops = server_pool_ops(&server->pool);
    reactor->pool_is_inline = server_pool_can(&server->pool, KVS_POOL_INLINE);
    reactor->pool_polls = server_pool_can(&server->pool, KVS_POOL_RUNS_IDLE_HOOK);
    reactor->connections = &server->connections;
    reactor->listeners = &server->entrance.listeners;
    reactor->limits = &server->limits;
    reactor->login_timeout_ns = settings->login_timeout_ms * NS_PER_MS;
    reactor->log = &server->log;
    reactor->service = (struct connection_service){
        .sessions =
            {
                .commands = &server->commands,
                .log = &server->log,
                .limits = &server->limits,
                .resp_limits = resp_limits_of(settings, &server->store.limits, false),
                .resp_stranger_limits = resp_limits_of(settings, &server->store.limits, true),
                .writes_wait = settings->durability == KVS_DURABILITY_ALWAYS,
                .reads_wait =
                    (server->store.engine->capabilities & KVS_ENGINE_GET_NEVER_BLOCKS) == 0,
                .before_waiting = connection_before_waiting,
                .completed = connection_completed,
                .wrong_password = connection_wrong_password,
            },
        .workers = &server->workers,
        .access = &server->entrance.access,
        .tls = server->entrance.tls,
        .slow_log = server->administration.slow_log,
        .limits = &server->limits,
        .log = &server->log,
        .blocking = server_pool_can(&server->pool, KVS_POOL_UNBOUNDED),
        .requeue = reactor_requeue,
        .close = reactor_take_closed,
        .wake = reactor_wake_for_limits,
        .arg = reactor,
    };
    struct kvs_pool_config config = {
        .size = (uint32_t)sizeof(config),
        .threads = server->threads,
        .thread_name = "kvs-worker",
        .arg = server,
        .job_lost = pool_job_lost,
    };
    if (reactor->pool_polls) {
        config.idle = pool_idle;
        config.wake_idle = pool_wake_idle;
    }
    return server_pool_start(&server->pool, &config, err);
}

/* What can be wrong without anything being opened or made. */
static kvs_status prepare(struct kvs_server *server, const struct settings *settings,
                          struct kvs_error *err)
{
    const struct kvs_server_config *config = settings->config;
    kvs_status status = entrance_init(&server->entrance, settings, &server->log, err);
    if (status != KVS_OK)
        return status;
    status = plugin_dirs_init(&server->dirs, config->plugin_dirs, config->plugin_dir_count);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "out of memory");
    status = server_pool_load(&server->pool, &server->dirs, settings->pool, config->pool_options,
                              config->pool_option_count, &server->log, err);
    if (status == KVS_OK)
        status = load_engine(server, settings, err);
    return status;
}

static kvs_status start_metrics(struct kvs_server *server, const struct settings *settings,
                                struct kvs_error *err)
{
    if (settings->metrics_address.size == 0)
        return KVS_OK;
    server->monitor = (struct monitor){
        .stats = &server->stats,
        .state = &server->state,
        .resp_commands = server->commands.resp_commands,
        .engine_name = server->engine_plugin->name,
        .pool_name = server->pool.plugin->name,
    };
    struct metrics_source source = monitor_source(&server->monitor);
    return metrics_http_start(&settings->metrics_address, &source, &server->metrics, err);
}

static void stop_for_client(void *arg)
{
    kvs_server_stop(arg);
}

/* What clients' commands for operators work on. */
static kvs_status make_administration(struct kvs_server *server, const struct settings *settings,
                                      struct kvs_error *err)
{
    server->administration = (struct administration){
        .access = &server->entrance.access,
        .connections = &server->connections,
        .workers = &server->workers,
        .limits = &server->limits,
        .store = &server->store,
        .threads = server->threads,
        .log = &server->log,
        .data_dir = server->data_dir.path,
        .durability = server->durability,
        .port = listeners_port(&server->entrance.listeners),
        .stop = stop_for_client,
        .stop_arg = server,
    };
    return administration_init(&server->administration, settings->config, &server->store, err);
}

static kvs_status bring_up(struct kvs_server *server, const struct settings *settings,
                           struct kvs_error *err)
{
    const struct kvs_server_config *config = settings->config;
    kvs_status status = prepare(server, settings, err);
    if (status == KVS_OK)
        status = entrance_open(&server->entrance, settings, err);
    if (status == KVS_OK)
        status = data_dir_open(&server->data_dir, settings->data_dir, err);
    if (status == KVS_OK)
        status = reactor_open(&server->reactor, err);
    if (status == KVS_OK)
        status = open_store(server, settings, err);
    if (status == KVS_OK)
        status = make_administration(server, settings, err);
    if (status == KVS_OK)
        status = workers_init(&server->workers, &server->store, err);
    if (status == KVS_OK)
        status = start_pool(server, settings, err);
    if (status != KVS_OK)
        return status;
    server->reactor.pool = server->pool.pool;
    resp_table_init(&server->resp_table);
    server->commands = (struct command_context){
        .store = &server->store,
        .keyspace = server->keyspace,
        .engine_name = server->engine_plugin->name,
        .resp_commands = &server->resp_table,
        .visit_stats = server_stats_visit,
        .visit_stats_arg = &server->stats,
        .format_loading = server_state_format_loading,
        .show_loading = server_state_show_loading,
        .loading_arg = &server->state,
        .hooks = administration_hooks(&server->administration),
    };
    server->stats = (struct server_stats){
        .store = &server->store,
        .keyspace = server->keyspace,
        .workers = &server->workers,
        .connections = &server->connections,
        .reactor = &server->reactor,
        .access = &server->entrance.access,
        .tls = server->entrance.tls,
        .pool = &server->pool,
        .engine_host = server->engine_host,
        .started_ns = clock_now_ns(),
    };
    status = start_metrics(server, settings, err);
    if (status != KVS_OK)
        return status;
    return listeners_listen(&server->entrance.listeners,
                            config->backlog != 0 ? config->backlog : DEFAULT_BACKLOG, err);
}

static void freep_server(struct kvs_server **server)
{
    kvs_server_free(*server);
}

/* A server that has and does nothing yet. NULL: no memory, no descriptor; err says which. */
static struct kvs_server *server_new(const struct settings *settings, struct kvs_error *err)
{
    const struct kvs_server_config *config = settings->config;
    struct kvs_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        (void)kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
        return NULL;
    }
    server->data_dir.lock_fd = -1;
    connection_set_init(&server->connections);
    log_init(&server->log, config->log_level != 0 ? config->log_level : KVS_LOG_INFO, config->log,
             config->log_arg);
    server->durability = settings->durability;
    server->sync_interval_ms = config->sync_interval_ms;
    server->threads = config->threads != 0 ? config->threads : server_pool_default_threads();
    server->drain_timeout_ms =
        config->drain_timeout_ms != 0 ? config->drain_timeout_ms : DEFAULT_DRAIN_TIMEOUT_MS;
    server->ready = config->ready;
    server->ready_arg = config->ready_arg;
    server->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (server->stop_fd < 0) {
        (void)kvs_error_set(err, KVS_NO_MEMORY, errno, "cannot make an eventfd: %s",
                            strerror(errno));
        kvs_server_free(server);
        return NULL;
    }
    return server;
}

kvs_status kvs_server_new(const struct kvs_server_config *config, struct kvs_server **ret_server,
                          struct kvs_error *err)
{
    struct settings settings;
    kvs_status status = settings_check(&settings, config, err);
    if (status != KVS_OK)
        return status;
    _cleanup_(freep_server) struct kvs_server *server = server_new(&settings, err);
    if (server == NULL)
        return KVS_NO_MEMORY;
    status = bring_up(server, &settings, err);
    if (status != KVS_OK)
        return status;
    *ret_server = TAKE(server);
    return KVS_OK;
}

kvs_status kvs_server_check(const struct kvs_server_config *config, struct kvs_error *err)
{
    struct settings settings;
    kvs_status status = settings_check(&settings, config, err);
    if (status != KVS_OK)
        return status;
    _cleanup_(freep_server) struct kvs_server *server = server_new(&settings, err);
    return server != NULL ? prepare(server, &settings, err) : KVS_NO_MEMORY;
}

uint16_t kvs_server_port(const struct kvs_server *server)
{
    return listeners_port(&server->entrance.listeners);
}

uint16_t kvs_server_metrics_port(const struct kvs_server *server)
{
    return server->metrics != NULL ? metrics_http_port(server->metrics) : 0;
}

void kvs_server_free(struct kvs_server *server)
{
    if (server == NULL)
        return;
    (void)server_take_down(server, NULL);
    reactor_close(&server->reactor);
    plugin_host_free(server->engine_host);
    plugin_free(server->engine_plugin);
    server_pool_deinit(&server->pool);
    data_dir_close(&server->data_dir);
    plugin_dirs_deinit(&server->dirs);
    connection_set_deinit(&server->connections);
    administration_deinit(&server->administration);
    entrance_deinit(&server->entrance);
    if (server->stop_fd >= 0)
        (void)close(server->stop_fd);
    free(server);
}
