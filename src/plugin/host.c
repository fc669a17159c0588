/*
 * See host.h. The services are plain functions over struct plugin_host, which they find behind
 * kvs_host.context. Values of options are read and checked once, at plugin_host_new, and constant
 * from then on; metrics look after themselves (metrics.h); the log is safe from any thread.
 */
#include "plugin/host.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "plugin/files.h"
#include "plugin/metrics.h"
#include "plugin/options.h"

struct plugin_host {
    /* Constant after plugin_host_new. */
    struct kvs_host services;
    const struct plugin *plugin;
    const struct log *log;
    struct kvs_option_value *values; /* one per declared option, in their order; owned */
    char **texts;                    /* the values' texts as they were set; owned; NULL: default */
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;

    struct metrics *metrics; /* owned */
};

static struct plugin_host *host_of(const struct kvs_host *services)
{
    return services->context;
}

/* "engine log: message", on one line whatever the plugin (or the data in its message) holds. */
static void host_format(const struct plugin_host *host, const char *message,
                        char line[LOG_LINE_MAX])
{
    (void)snprintf(line, LOG_LINE_MAX, "%s %s: %s", plugin_kind_text(host->plugin->kind),
                   host->plugin->name, message);
    for (char *at = line; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ')
            *at = ' ';
    }
}

static uint32_t known_level(uint32_t level)
{
    if (level < KVS_LOG_ERROR)
        return KVS_LOG_ERROR;
    return level > KVS_LOG_DEBUG ? (uint32_t)KVS_LOG_DEBUG : level;
}

static void host_log(const struct kvs_host *services, uint32_t level, const char *message)
{
    const struct plugin_host *host = host_of(services);
    char line[LOG_LINE_MAX];
    if (!log_enabled(host->log, known_level(level)))
        return;
    host_format(host, message, line);
    log_write(host->log, known_level(level), line);
}

static int32_t host_log_enabled(const struct kvs_host *services, uint32_t level)
{
    return log_enabled(host_of(services)->log, known_level(level)) ? 1 : 0;
}

static kvs_status host_config_get(const struct kvs_host *services, const char *name,
                                  struct kvs_option_value *ret)
{
    const struct plugin_host *host = host_of(services);
    uint32_t index;
    if (option_find(host->plugin->descriptor, name, strlen(name), &index) == NULL)
        return KVS_MISSING;
    struct kvs_option_value value = host->values[index];
    value.size = ret->size;
    memcpy(ret, &value, ret->size < sizeof(value) ? ret->size : sizeof(value));
    return KVS_OK;
}

static kvs_status host_metric_register(const struct kvs_host *services, uint32_t kind,
                                       const char *name, const char *help, uint32_t *ret_id)
{
    return metrics_register(host_of(services)->metrics, kind, name, help, ret_id);
}

static void host_metric_add(const struct kvs_host *services, uint32_t id, int64_t delta)
{
    metrics_add(host_of(services)->metrics, id, delta);
}

static void host_metric_observe(const struct kvs_host *services, uint32_t id, uint64_t value)
{
    metrics_observe(host_of(services)->metrics, id, value);
}

static uint64_t host_now_ns(const struct kvs_host *services)
{
    (void)services;
    return clock_now_ns();
}

static void host_fatal(const struct kvs_host *services, const char *message)
{
    const struct plugin_host *host = host_of(services);
    char line[LOG_LINE_MAX];
    host_format(host, message, line);
    log_write(host->log, KVS_LOG_ERROR, line);
    if (host->fatal != NULL)
        host->fatal(host->fatal_arg, line);
}

static const void *host_get_extension(const struct kvs_host *services, const char *id)
{
    (void)services;
    (void)id;
    return NULL;
}

/* The names of all options, for a message. */
static void list_options(const struct kvs_plugin *descriptor, char *text, size_t cap)
{
    size_t size = 0;
    (void)snprintf(text, cap, "none");
    for (uint32_t i = 0; i < descriptor->option_count && size < cap; i++) {
        int added = snprintf(text + size, cap - size, "%s%s", i > 0 ? ", " : "",
                             option_at(descriptor, i)->name);
        size += (size_t)added;
    }
}

/* Puts "engine 'log': " in front of a reason. */
static kvs_status report_option(const struct plugin *plugin, const char *reason,
                                struct kvs_error *err)
{
    return kvs_error_set(err, KVS_INVALID, 0, "%s '%s': %s", plugin_kind_text(plugin->kind),
                         plugin->name, reason);
}

/* Takes one "NAME=VALUE". */
static kvs_status host_set_option(struct plugin_host *host, const char *setting,
                                  struct kvs_error *err)
{
    const struct kvs_plugin *descriptor = host->plugin->descriptor;
    char reason[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error parse_error = KVS_ERROR_INIT(reason);
    size_t name_size = strcspn(setting, "=");
    if (name_size == 0 || setting[name_size] == '\0') {
        (void)snprintf(reason, sizeof(reason), "'%s' is not NAME=VALUE", setting);
        return report_option(host->plugin, reason, err);
    }
    uint32_t index;
    const struct kvs_option *option = option_find(descriptor, setting, name_size, &index);
    if (option == NULL) {
        char names[512];
        list_options(descriptor, names, sizeof(names));
        (void)snprintf(reason, sizeof(reason), "no option '%.*s'; its options: %s",
                       (int)(name_size < 64 ? name_size : 64), setting, names);
        return report_option(host->plugin, reason, err);
    }
    _cleanup_(freep) char *text = strdup(setting + name_size + 1);
    if (text == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the option '%s'", option->name);
    if (option_parse(option, text, &host->values[index], &parse_error) != KVS_OK)
        return report_option(host->plugin, reason, err);
    free(host->texts[index]);
    host->texts[index] = TAKE(text);
    return KVS_OK;
}

/* Gives each option that was not set its default. */
static kvs_status host_set_defaults(struct plugin_host *host, struct kvs_error *err)
{
    const struct kvs_plugin *descriptor = host->plugin->descriptor;
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        if (host->texts[i] != NULL)
            continue;
        if (option->default_value == NULL) {
            char reason[KVS_ERROR_MESSAGE_MAX];
            (void)snprintf(reason, sizeof(reason),
                           "the option '%s' is required: set it with --%s-opt %s=VALUE (%s)",
                           option->name, plugin_kind_text(host->plugin->kind), option->name,
                           option->help);
            return report_option(host->plugin, reason, err);
        }
        kvs_status status = option_parse(option, option->default_value, &host->values[i], err);
        if (status != KVS_OK)
            return status;
    }
    return KVS_OK;
}

static void host_init_services(struct plugin_host *host)
{
    host->services = (struct kvs_host){
        .size = (uint32_t)sizeof(struct kvs_host),
        .abi_major = KVS_ABI_MAJOR,
        .abi_minor = KVS_ABI_MINOR,
        .context = host,
        .log = host_log,
        .log_enabled = host_log_enabled,
        .config_get = host_config_get,
        .metric_register = host_metric_register,
        .metric_add = host_metric_add,
        .metric_observe = host_metric_observe,
        .now_ns = host_now_ns,
        .fatal = host_fatal,
        .get_extension = host_get_extension,
    };
}

static void plugin_host_freep(struct plugin_host **host)
{
    plugin_host_free(*host);
}

kvs_status plugin_host_new(const struct plugin_host_config *config, struct plugin_host **ret_host,
                           struct kvs_error *err)
{
    uint32_t count = config->plugin->descriptor->option_count;
    _cleanup_(plugin_host_freep) struct plugin_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a plugin's host");
    host->plugin = config->plugin;
    host->log = config->log;
    host->fatal = config->fatal;
    host->fatal_arg = config->fatal_arg;
    host_init_services(host);
    host->texts = calloc((size_t)count + 1, sizeof(*host->texts));
    host->values = calloc((size_t)count + 1, sizeof(*host->values));
    host->metrics = metrics_new();
    if (host->texts == NULL || host->values == NULL || host->metrics == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a plugin's host");
    for (uint32_t i = 0; i < config->option_count; i++) {
        kvs_status status = host_set_option(host, config->options[i], err);
        if (status != KVS_OK)
            return status;
    }
    kvs_status status = host_set_defaults(host, err);
    if (status == KVS_OK)
        *ret_host = TAKE(host);
    return status;
}

void plugin_host_free(struct plugin_host *host)
{
    if (host == NULL)
        return;
    for (uint32_t i = 0; host->texts != NULL && i < host->plugin->descriptor->option_count; i++)
        free(host->texts[i]);
    free(host->texts);
    free(host->values);
    metrics_free(host->metrics);
    free(host);
}

const struct kvs_host *plugin_host_services(const struct plugin_host *host)
{
    return &host->services;
}

void plugin_host_visit_metrics(const struct plugin_host *host, kvs_stat_fn visit, void *arg)
{
    metrics_visit(host->metrics, visit, arg);
}
