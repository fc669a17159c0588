/*
 * kvs-server: the command line around libkvs-server. What belongs to the process and not to a
 * server is here: signals, limits, exit status (0: stopped in order, 1: failed, 2: what was asked for
 * is wrong, 3: salvaged in part).
 */
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <kvs/server.h>
#include <kvs/version.h>

#include "plugin/list.h"
#include "plugin/loader.h"
#include "server/activation.h"
#include "server/maintenance.h"
#include "server/notify.h"
#include "server/options.h"
#include "server/signals.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2
#define EXIT_LOST   3

/* What the thread for signals acts on. */
struct process {
    char **argv;              /* the command line as it was given, terminated */
    char *const *handed_down; /* listeners that systemd gave, terminated */
    /* Where the server logs to, also when what is read again cannot say where. */
    void (*log)(void *arg, uint32_t level, const char *message);
    void *log_arg;
    struct kvs_server *_Atomic server; /* written by main, read by the signals' thread (acquire: it
                                          sees the whole server); NULL: there is none yet */
};

static void stop(void *arg)
{
    struct process *process = arg;
    struct kvs_server *server = atomic_load(&process->server);
    /* There is nothing yet that could be stopped in order. */
    if (server == NULL)
        _exit(EXIT_FAILED);
    (void)notify_send("STOPPING=1");
    kvs_server_stop(server);
}

static void tell_ready(void *arg)
{
    (void)arg;
    (void)notify_send("READY=1\nSTATUS=serving");
}

static void tell_reloading(void)
{
    char message[64];
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)now.tv_sec * 1000000 +
                       (unsigned long long)now.tv_nsec / 1000);
    (void)notify_send(message);
}

/* Reads flags and file again: what can change does, and what is wrong changes nothing. */
static void reload(void *arg)
{
    struct process *process = arg;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct options options;
    struct kvs_server *server = atomic_load(&process->server);
    if (server == NULL)
        return;
    tell_reloading();
    char **argv = g_strdupv(process->argv);
    int argc = (int)g_strv_length(argv);
    /* Parsing takes entries out of the list, but the texts stay argv's. */
    char **rest = g_memdup2(argv, ((size_t)argc + 1) * sizeof(char *));
    char **list = rest;
    kvs_status status = options_parse(&options, &argc, &list, &error);
    if (status == KVS_OK) {
        options_add_listen(&options, process->handed_down);
        status = kvs_server_reload(server, &options.config, &error);
    }
    if (status != KVS_OK)
        process->log(process->log_arg, KVS_LOG_ERROR, message);
    options_deinit(&options);
    g_free(rest);
    g_strfreev(argv);
    (void)notify_send("READY=1");
}

/* A connection is a descriptor: use as many as we may. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static kvs_status serve(struct options *options, char **argv, struct kvs_error *err)
{
    struct process process = {.argv = argv};
    struct signals signals = {.stop = stop, .reload = reload, .arg = &process};
    struct kvs_server *server = NULL;
    g_auto(GStrv) handed_down = NULL;
    kvs_status taken = activation_take(&handed_down, err);
    if (taken != KVS_OK)
        return taken;
    options_add_listen(options, handed_down);
    process.handed_down = handed_down;
    process.log = options->config.log;
    process.log_arg = options->config.log_arg;
    raise_descriptor_limit();
    (void)signal(SIGPIPE, SIG_IGN); /* a log pipe that nobody reads is no reason to die */
    kvs_status status = signals_begin(&signals, err);
    if (status != KVS_OK)
        return status;
    options->config.ready = tell_ready;
    options->config.flags |= KVS_SERVER_OPEN_LATE;
    (void)notify_send("STATUS=opening the store");
    status = kvs_server_new(&options->config, &server, err);
    atomic_store(&process.server, server);
    if (status == KVS_OK)
        status = kvs_server_run(server, err);
    signals_end(&signals);
    kvs_server_free(server);
    return status;
}

static kvs_status list_plugins(const struct options *options, struct kvs_error *err)
{
    struct plugin_dirs dirs;
    kvs_status status =
        plugin_dirs_init(&dirs, options->config.plugin_dirs, options->config.plugin_dir_count);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "out of memory");
    status = plugin_list_print(&dirs, stdout, err);
    plugin_dirs_deinit(&dirs);
    return status;
}

static kvs_status check(const struct options *options, struct kvs_error *err)
{
    kvs_status status = kvs_server_check(&options->config, err);
    if (status == KVS_OK)
        (void)puts("the configuration is good");
    return status;
}

/* ret_lost: left alone, or true when a store was salvaged in part. */
static kvs_status act(struct options *options, char **argv, bool *ret_lost, struct kvs_error *err)
{
    switch (options->action) {
    case OPTIONS_HELP:
        (void)fputs(options->help, stdout);
        return KVS_OK;
    case OPTIONS_VERSION:
        (void)printf("kvs-server %s\n", KVS_VERSION);
        return KVS_OK;
    case OPTIONS_LIST_PLUGINS:
        return list_plugins(options, err);
    case OPTIONS_VERIFY:
        return maintenance_verify(&options->config, err);
    case OPTIONS_REPAIR:
        return maintenance_repair(&options->config, options->repair_target, ret_lost, err);
    case OPTIONS_CHECK:
        return check(options, err);
    case OPTIONS_SERVE:
    default:
        return serve(options, argv, err);
    }
}

/* What this status says of flags, settings and what they name: it is wrong, is not there, may not be used, or does
   not belong together. Trying again does not help. */
static bool is_misuse(kvs_status status)
{
    return status == KVS_INVALID || status == KVS_MISSING || status == KVS_DENIED ||
           status == KVS_INCOMPATIBLE;
}

int main(int argc, char **argv)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct options options;
    char **given = g_strdupv(argv);
    kvs_status status = options_parse(&options, &argc, &argv, &error);
    bool lost = false;
    if (status == KVS_OK)
        status = act(&options, given, &lost, &error);
    options_deinit(&options);
    g_strfreev(given);
    if (status == KVS_OK && fflush(stdout) != 0)
        status = kvs_error_set(&error, KVS_IO, errno, "cannot write to standard output: %s",
                               strerror(errno));
    if (status == KVS_OK)
        return 0;
    (void)fprintf(stderr, "kvs-server: %s\n",
                  message[0] != '\0' ? message : kvs_status_text(status));
    return is_misuse(status) ? EXIT_USAGE : lost ? EXIT_LOST : EXIT_FAILED;
}
