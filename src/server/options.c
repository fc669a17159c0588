/*
 * See options.h. GLib's option parser does the reading, config_file.c adds what a file says; what is
 * left here is checking values. The flags are two tables: those that set something, which a file may
 * set too, and those that say what to do.
 */
#include "server/options.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "server/config_file.h"

#define INTERVAL_PREFIX   "interval:"
#define PASSWORD_VARIABLE "KVS_PASSWORD"

/* What GLib fills in, before it is checked. */
struct raw {
    gchar *threads;
    gchar *sync;
    gchar *log_level;
    gchar *log_format;
    gchar *checkpoint_keep;
    gchar *slow_log_length;
    gchar *slow_log_us;
    gchar *backlog;
    gchar *key_max;
    gchar *value_max;
    gchar *socket_mode;
    gchar *login_timeout;
    gchar *clients_max;
    gchar *request_max;
    gchar *reply_max;
    gchar *idle_timeout;
    gchar *request_timeout;
    gchar *reader_timeout;
    gchar *config_file;
    gboolean no_auth;
    gboolean socket_no_auth;
    gboolean tls_client_optional;
    gboolean check_config;
    gboolean list_plugins;
    gboolean verify;
    gboolean version;
    gboolean help;
};

static kvs_status parse_sync(struct kvs_server_config *config, const char *text,
                             struct kvs_error *err)
{
    if (strcmp(text, "always") == 0) {
        config->durability = KVS_DURABILITY_ALWAYS;
        return KVS_OK;
    }
    if (strcmp(text, "none") == 0) {
        config->durability = KVS_DURABILITY_NONE;
        return KVS_OK;
    }
    uint64_t interval_ms;
    if (g_str_has_prefix(text, INTERVAL_PREFIX) &&
        text_parse_u64(text + strlen(INTERVAL_PREFIX), &interval_ms) && interval_ms > 0 &&
        interval_ms <= UINT32_MAX) {
        config->durability = KVS_DURABILITY_INTERVAL;
        config->sync_interval_ms = interval_ms;
        return KVS_OK;
    }
    return kvs_error_set(err, KVS_INVALID, 0,
                         "--sync '%s' is not known: use always, none, or interval:MS with MS at "
                         "least 1, as interval:1000",
                         text);
}

/* Reads a count from 1 to UINT32_MAX, with k and m where bytes is set. Absent text: leaves ret. */
static kvs_status parse_count(const char *flag, const char *text, bool bytes, uint64_t *ret,
                              struct kvs_error *err)
{
    uint64_t value;
    if (text == NULL)
        return KVS_OK;
    bool good = bytes ? text_parse_bytes(text, &value) : text_parse_u64(text, &value);
    if (!good || value == 0 || value > UINT32_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "%s '%s' is no positive number%s", flag, text,
                             bytes ? " of bytes, as 4096 or 64k" : "");
    *ret = value;
    return KVS_OK;
}

/* Reads a duration of at least 1 ms. Absent text: leaves ret. */
static kvs_status parse_timeout(const char *flag, const char *text, uint64_t *ret_ms,
                                struct kvs_error *err)
{
    uint64_t ns;
    if (text == NULL)
        return KVS_OK;
    if (!text_parse_duration(text, &ns) || ns < NS_PER_MS || ns / NS_PER_MS > UINT32_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "%s '%s' is no time: write it as 500ms or 10s",
                             flag, text);
    *ret_ms = ns / NS_PER_MS;
    return KVS_OK;
}

static kvs_status parse_mode(const char *text, uint32_t *ret, struct kvs_error *err)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (*end != '\0' || mode == 0 || mode > 0777 || !g_ascii_isdigit(text[0]))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "--socket-mode '%s' is no file mode: use octal digits, as 600 or 660",
                             text);
    *ret = (uint32_t)mode;
    return KVS_OK;
}

/* As parse_count, where one word means without end. */
static kvs_status parse_count_or(const char *flag, const char *text, const char *word,
                                 uint64_t endless, uint64_t *ret, struct kvs_error *err)
{
    if (text == NULL || strcmp(text, word) != 0)
        return parse_count(flag, text, false, ret, err);
    *ret = endless;
    return KVS_OK;
}

static kvs_status check_operation(struct kvs_server_config *config, const struct raw *raw,
                                  struct kvs_error *err)
{
    uint64_t keep = 0;
    uint64_t length = 0;
    kvs_status status =
        parse_count_or("--checkpoint-keep", raw->checkpoint_keep, "all", UINT32_MAX, &keep, err);
    if (status == KVS_OK)
        status = parse_count("--slow-log-length", raw->slow_log_length, false, &length, err);
    if (status == KVS_OK)
        status = parse_count_or("--slow-log-us", raw->slow_log_us, "never", UINT64_MAX,
                                &config->slow_log_threshold_us, err);
    config->checkpoint_keep = (uint32_t)keep;
    config->slow_log_length = (uint32_t)length;
    return status;
}

static kvs_status check_client_limits(struct kvs_server_config *config, const struct raw *raw,
                                      struct kvs_error *err)
{
    kvs_status status =
        parse_count("--clients-max", raw->clients_max, false, &config->clients_max, err);
    if (status == KVS_OK)
        status = parse_count("--request-max", raw->request_max, true, &config->request_max, err);
    if (status == KVS_OK)
        status = parse_count("--reply-max", raw->reply_max, true, &config->reply_max, err);
    if (status == KVS_OK)
        status = parse_timeout("--idle-timeout", raw->idle_timeout, &config->idle_timeout_ms, err);
    if (status == KVS_OK)
        status = parse_timeout("--request-timeout", raw->request_timeout,
                               &config->request_timeout_ms, err);
    if (status == KVS_OK)
        status =
            parse_timeout("--reader-timeout", raw->reader_timeout, &config->reader_timeout_ms, err);
    return status;
}

static kvs_status check(struct options *options, const struct raw *raw, struct kvs_error *err)
{
    struct kvs_server_config *config = &options->config;
    uint64_t threads = 0;
    uint64_t backlog = 0;
    kvs_status status = raw->sync != NULL ? parse_sync(config, raw->sync, err) : KVS_OK;
    if (status == KVS_OK)
        status = parse_count("--threads", raw->threads, false, &threads, err);
    if (status == KVS_OK)
        status = parse_count("--backlog", raw->backlog, false, &backlog, err);
    if (status == KVS_OK)
        status = parse_count("--key-max", raw->key_max, true, &config->key_max, err);
    if (status == KVS_OK)
        status = parse_count("--value-max", raw->value_max, true, &config->value_max, err);
    if (status == KVS_OK)
        status =
            parse_timeout("--login-timeout", raw->login_timeout, &config->login_timeout_ms, err);
    if (status == KVS_OK)
        status = check_client_limits(config, raw, err);
    config->no_auth = raw->no_auth;
    config->socket_no_auth = raw->socket_no_auth;
    config->tls_client_optional = raw->tls_client_optional;
    if (status == KVS_OK && raw->socket_mode != NULL)
        status = parse_mode(raw->socket_mode, &config->socket_mode, err);
    if (status == KVS_OK && raw->log_level != NULL &&
        !log_level_parse(raw->log_level, &config->log_level))
        status = kvs_error_set(err, KVS_INVALID, 0,
                               "--log-level '%s' is not known: use error, warn, info or debug",
                               raw->log_level);
    if (status == KVS_OK && raw->log_format != NULL &&
        !log_format_parse(raw->log_format, &options->log_format))
        status = kvs_error_set(err, KVS_INVALID, 0,
                               "--log-format '%s' is not known: use auto, text, json or journald",
                               raw->log_format);
    if (status == KVS_OK)
        status = check_operation(config, raw, err);
    config->threads = (uint32_t)threads;
    config->backlog = (uint32_t)backlog;
    return status;
}

static void connect_config(struct options *options)
{
    struct kvs_server_config *config = &options->config;
    config->size = (uint32_t)sizeof(*config);
    config->address = options->address;
    config->log = log_sink_of(options->log_format);
    config->metrics_address = options->metrics_address;
    config->checkpoint_dir = options->checkpoint_dir;
    config->engine = options->engine;
    config->pool = options->pool;
    config->data_dir = options->data_dir;
    config->password_file = options->password_file;
    config->tls_cert = options->tls_cert;
    config->tls_key = options->tls_key;
    config->tls_client_ca = options->tls_client_ca;
    config->password = getenv(PASSWORD_VARIABLE);
    config->listen = (const char *const *)options->listen;
    config->plugin_dirs = (const char *const *)options->plugin_dirs;
    config->engine_options = (const char *const *)options->engine_options;
    config->pool_options = (const char *const *)options->pool_options;
    if (options->listen != NULL)
        config->listen_count = g_strv_length(options->listen);
    if (options->plugin_dirs != NULL)
        config->plugin_dir_count = g_strv_length(options->plugin_dirs);
    if (options->engine_options != NULL)
        config->engine_option_count = g_strv_length(options->engine_options);
    if (options->pool_options != NULL)
        config->pool_option_count = g_strv_length(options->pool_options);
}

static kvs_status parse(struct options *options, struct raw *raw, int *argc, char ***argv,
                        struct kvs_error *err)
{
    const GOptionEntry settings[] = {
        {"addr", 'a', 0, G_OPTION_ARG_STRING, &options->address,
         "Listen here; port 0: any free one (127.0.0.1:4000)", "IP:PORT"},
        {"listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->listen,
         "Listen here too: IP:PORT, unix:PATH or fd:N, with tls: in front for TLS; may be repeated",
         "ADDRESS"},
        {"socket-mode", 0, 0, G_OPTION_ARG_STRING, &raw->socket_mode,
         "Permissions of the files of Unix sockets (600)", "MODE"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options->password_file,
         "Clients must give one of the passwords in FILE, one a line; KVS_PASSWORD in the "
         "environment is another",
         "FILE"},
        {"no-auth", 0, 0, G_OPTION_ARG_NONE, &raw->no_auth,
         "Without a password, listen where other machines reach it all the same", NULL},
        {"socket-no-auth", 0, 0, G_OPTION_ARG_NONE, &raw->socket_no_auth,
         "No password on Unix sockets: their permissions decide", NULL},
        {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_cert,
         "The certificate for tls: addresses, with its chain (PEM)", "FILE"},
        {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_key, "Its key (PEM)", "FILE"},
        {"tls-client-ca", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_client_ca,
         "TLS clients must show a certificate of this CA (PEM)", "FILE"},
        {"tls-client-optional", 0, 0, G_OPTION_ARG_NONE, &raw->tls_client_optional,
         "TLS clients without a certificate may come in, too", NULL},
        {"login-timeout", 0, 0, G_OPTION_ARG_STRING, &raw->login_timeout,
         "Cut off who has not given a password, or not begun TLS, within this time (10s)", "TIME"},
        {"clients-max", 0, 0, G_OPTION_ARG_STRING, &raw->clients_max,
         "Most connections at a time (as many as there are descriptors)", "N"},
        {"request-max", 0, 0, G_OPTION_ARG_STRING, &raw->request_max,
         "Largest request of the Redis protocol (128m)", "BYTES"},
        {"reply-max", 0, 0, G_OPTION_ARG_STRING, &raw->reply_max,
         "Most that one client is sent at once (256m)", "BYTES"},
        {"idle-timeout", 0, 0, G_OPTION_ARG_STRING, &raw->idle_timeout,
         "Close connections without a request for this time (never)", "TIME"},
        {"request-timeout", 0, 0, G_OPTION_ARG_STRING, &raw->request_timeout,
         "Close connections that take longer for 64 KiB of a request (60s)", "TIME"},
        {"reader-timeout", 0, 0, G_OPTION_ARG_STRING, &raw->reader_timeout,
         "Close connections that take longer to read 64 KiB of replies (60s)", "TIME"},
        {"engine", 'e', 0, G_OPTION_ARG_STRING, &options->engine,
         "Storage engine (the one that made the data; log on a first run)", "NAME"},
        {"pool", 'p', 0, G_OPTION_ARG_STRING, &options->pool, "Thread pool (shared-queue)", "NAME"},
        {"threads", 't', 0, G_OPTION_ARG_STRING, &raw->threads,
         "Threads of the pool (the CPUs that this process may use)", "N"},
        {"data-dir", 'd', 0, G_OPTION_ARG_FILENAME, &options->data_dir,
         "Where the data are; made if missing (kvs-data)", "DIR"},
        {"sync", 's', 0, G_OPTION_ARG_STRING, &raw->sync,
         "What an acknowledged write survives: always (power loss), interval:MS (kill -9; power "
         "loss after MS), none (kill -9) (always)",
         "MODE"},
        {"plugin-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->plugin_dirs,
         "Look for plugins here first; may be repeated", "DIR"},
        {"engine-opt", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->engine_options,
         "An option of the engine; may be repeated", "K=V"},
        {"pool-opt", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->pool_options,
         "An option of the pool; may be repeated", "K=V"},
        {"key-max", 0, 0, G_OPTION_ARG_STRING, &raw->key_max, "Largest key (64k, the most)",
         "BYTES"},
        {"value-max", 0, 0, G_OPTION_ARG_STRING, &raw->value_max, "Largest value (64m, the most)",
         "BYTES"},
        {"backlog", 0, 0, G_OPTION_ARG_STRING, &raw->backlog,
         "Connections that may wait to be accepted (4096)", "N"},
        {"checkpoint-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->checkpoint_dir,
         "Where SAVE and BGSAVE write checkpoints, a new folder each (they are refused)", "DIR"},
        {"checkpoint-keep", 0, 0, G_OPTION_ARG_STRING, &raw->checkpoint_keep,
         "How many checkpoints stay; older ones are removed; or all (2)", "N"},
        {"slow-log-us", 0, 0, G_OPTION_ARG_STRING, &raw->slow_log_us,
         "Keep requests that take at least so many microseconds in the slow log, or never (10000)",
         "US"},
        {"slow-log-length", 0, 0, G_OPTION_ARG_STRING, &raw->slow_log_length,
         "How many of them (128)", "N"},
        {"metrics-addr", 0, 0, G_OPTION_ARG_STRING, &options->metrics_address,
         "Serve figures for Prometheus, /health and /ready over HTTP here (nowhere)", "IP:PORT"},
        {"log-level", 'l', 0, G_OPTION_ARG_STRING, &raw->log_level,
         "error, warn, info or debug (info)", "LEVEL"},
        {"log-format", 0, 0, G_OPTION_ARG_STRING, &raw->log_format,
         "text, json, journald, or auto: journald where stderr is the journal, else text (auto)",
         "FORMAT"},
        {.long_name = NULL},
    };
    const GOptionEntry actions[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &raw->config_file,
         "Read settings from this file; flags win", "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &raw->check_config,
         "Check flags, configuration file and plugins, and exit", NULL},
        {"list-plugins", 0, 0, G_OPTION_ARG_NONE, &raw->list_plugins,
         "Show every plugin found with its options, and exit", NULL},
        {"verify", 0, 0, G_OPTION_ARG_NONE, &raw->verify,
         "Check every byte of the stopped store in the data directory, and exit", NULL},
        {"repair", 0, 0, G_OPTION_ARG_FILENAME, &options->repair_dir,
         "Salvage the stopped store into the new directory DIR, and exit", "DIR"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &raw->version, "Show the version, and exit", NULL},
        {"help", 'h', 0, G_OPTION_ARG_NONE, &raw->help, "Show this, and exit", NULL},
        {.long_name = NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    g_option_context_set_summary(
        context, "A durable key/value server whose storage engine and thread pool are plugins.");
    g_option_context_add_main_entries(context, settings, NULL);
    g_option_context_add_main_entries(context, actions, NULL);
    /* GLib's own -h goes through the locale, and is lost unnoticed when the disk is full. */
    g_option_context_set_help_enabled(context, FALSE);
    if (!g_option_context_parse(context, argc, argv, &error))
        return kvs_error_set(err, KVS_INVALID, 0, "%s; see kvs-server --help", error->message);
    if (raw->help)
        options->help = g_option_context_get_help(context, TRUE, NULL);
    else if (*argc > 1)
        return kvs_error_set(err, KVS_INVALID, 0, "unexpected argument '%s'; see kvs-server --help",
                             (*argv)[1]);
    if (raw->verify && options->repair_dir != NULL)
        return kvs_error_set(err, KVS_INVALID, 0, "choose one of --verify and --repair");
    const struct config_file_lists lists = {&options->engine_options, &options->pool_options};
    if (raw->config_file != NULL) {
        kvs_status status = config_file_apply(raw->config_file, settings, &lists, err);
        if (status != KVS_OK)
            return status;
    }
    return check(options, raw, err);
}

kvs_status options_parse(struct options *options, int *argc, char ***argv, struct kvs_error *err)
{
    struct raw raw = {0};
    memset(options, 0, sizeof(*options));
    kvs_status status = parse(options, &raw, argc, argv, err);
    connect_config(options);
    options->repair_target = options->repair_dir;
    options->action = options->help != NULL         ? OPTIONS_HELP
                      : raw.version                 ? OPTIONS_VERSION
                      : raw.list_plugins            ? OPTIONS_LIST_PLUGINS
                      : raw.check_config            ? OPTIONS_CHECK
                      : raw.verify                  ? OPTIONS_VERIFY
                      : options->repair_dir != NULL ? OPTIONS_REPAIR
                                                    : OPTIONS_SERVE;
    g_free(raw.threads);
    g_free(raw.sync);
    g_free(raw.log_level);
    g_free(raw.log_format);
    g_free(raw.checkpoint_keep);
    g_free(raw.slow_log_length);
    g_free(raw.slow_log_us);
    g_free(raw.backlog);
    g_free(raw.key_max);
    g_free(raw.value_max);
    g_free(raw.socket_mode);
    g_free(raw.login_timeout);
    g_free(raw.clients_max);
    g_free(raw.request_max);
    g_free(raw.reply_max);
    g_free(raw.idle_timeout);
    g_free(raw.request_timeout);
    g_free(raw.reader_timeout);
    g_free(raw.config_file);
    return status;
}

void options_add_listen(struct options *options, char *const *listen)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    for (char *const *each = options->listen; each != NULL && *each != NULL; each++)
        g_strv_builder_add(all, *each);
    for (; *listen != NULL; listen++)
        g_strv_builder_add(all, *listen);
    g_strfreev(options->listen);
    options->listen = g_strv_builder_end(all);
    options->config.listen = (const char *const *)options->listen;
    options->config.listen_count = g_strv_length(options->listen);
}

void options_deinit(struct options *options)
{
    g_free(options->address);
    g_free(options->metrics_address);
    g_free(options->checkpoint_dir);
    g_free(options->engine);
    g_free(options->pool);
    g_free(options->data_dir);
    g_free(options->repair_dir);
    g_free(options->password_file);
    g_free(options->tls_cert);
    g_free(options->tls_key);
    g_free(options->tls_client_ca);
    g_free(options->help);
    g_strfreev(options->listen);
    g_strfreev(options->plugin_dirs);
    g_strfreev(options->engine_options);
    g_strfreev(options->pool_options);
    memset(options, 0, sizeof(*options));
}
