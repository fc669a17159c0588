/*
 * kvs-server: the command line around libkvs-server. What belongs to the process and not to a
 * server is here: signals, limits, exit status (0: stopped in order, 1: failed, 2: wrong command
 * line).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <kvs/server.h>
#include <kvs/version.h>

#include "plugin/list.h"
#include "plugin/loader.h"
#include "server/maintenance.h"
#include "server/options.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* The server that signals stop. Written before the handlers are set; handlers only read it. */
static struct kvs_server *signalled;

static void stop_on_signal(int signal_number)
{
    (void)signal_number;
    kvs_server_stop(signalled);
}

static void handle_signals(struct kvs_server *server)
{
    signalled = server;
    struct sigaction action = {.sa_handler = stop_on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    /* A second Ctrl-C ends a stop that takes too long. */
    action.sa_flags |= (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
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

static kvs_status serve(const struct options *options, struct kvs_error *err)
{
    struct kvs_server *server = NULL;
    raise_descriptor_limit();
    (void)signal(SIGPIPE, SIG_IGN); /* a log pipe that nobody reads is no reason to die */
    kvs_status status = kvs_server_new(&options->config, &server, err);
    if (status != KVS_OK)
        return status;
    handle_signals(server);
    status = kvs_server_run(server, err);
    /* A signal from here on has nothing to stop. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
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

static kvs_status act(const struct options *options, struct kvs_error *err)
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
        return maintenance_repair(&options->config, options->repair_target, err);
    case OPTIONS_CHECK:
        return check(options, err);
    case OPTIONS_SERVE:
    default:
        return serve(options, err);
    }
}

int main(int argc, char **argv)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct options options;
    kvs_status status = options_parse(&options, &argc, &argv, &error);
    bool usage_is_wrong = status != KVS_OK;
    if (status == KVS_OK)
        status = act(&options, &error);
    options_deinit(&options);
    if (status == KVS_OK && fflush(stdout) != 0)
        status = kvs_error_set(&error, KVS_IO, errno, "cannot write to standard output: %s",
                               strerror(errno));
    if (status == KVS_OK)
        return 0;
    (void)fprintf(stderr, "kvs-server: %s\n",
                  message[0] != '\0' ? message : kvs_status_text(status));
    return usage_is_wrong ? EXIT_USAGE : EXIT_FAILED;
}
