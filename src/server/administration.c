/* See administration.h. */
#include "server/administration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <kvs/engine.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "server/worker.h"

#define VALUE_SIZE 4200u /* of a setting's text: a path at most */
#define NS_PER_US  UINT64_C(1000)

/* ---- clients ------------------------------------------------------------------------------ */

static enum authentication authenticate(void *arg, struct kvs_bytes user, struct kvs_bytes password)
{
    return access_authenticate(((struct administration *)arg)->access, user, password);
}

static bool needs_password(void *arg)
{
    return access_needs_password(((const struct administration *)arg)->access);
}

static void visit_clients(void *arg, void (*visit)(void *visit_arg, struct client *client),
                          void *visit_arg)
{
    connection_set_visit_clients(((struct administration *)arg)->connections, visit, visit_arg);
}

static bool kill_client(void *arg, uint64_t id)
{
    return connection_set_cut_client(((struct administration *)arg)->connections, id);
}

/* ---- settings ----------------------------------------------------------------------------- */

/* A setting under the name that Redis has for it. */
struct setting {
    const char *name;
    void (*format)(const struct administration *administration, char value[VALUE_SIZE]);
    /* NULL: only a restart changes it. KVS_OK or KVS_INVALID. */
    kvs_status (*change)(struct administration *administration, const char *value,
                         struct kvs_error *err);
};

static kvs_status invalid(struct kvs_error *err, const char *name, const char *value,
                          const char *wanted)
{
    return kvs_error_set(err, KVS_INVALID, 0, "%s '%s' is no %s", name, value, wanted);
}

static void format_slower_than(const struct administration *administration, char value[VALUE_SIZE])
{
    uint64_t us = slow_log_threshold_us(administration->slow_log);
    if (us == UINT64_MAX)
        (void)snprintf(value, VALUE_SIZE, "-1");
    else
        (void)snprintf(value, VALUE_SIZE, "%" PRIu64, us);
}

static kvs_status change_slower_than(struct administration *administration, const char *value,
                                     struct kvs_error *err)
{
    int64_t us;
    if (!text_parse_i64(value, &us))
        return invalid(err, "slowlog-log-slower-than", value, "number of microseconds");
    slow_log_set_threshold(administration->slow_log, us < 0 ? UINT64_MAX : (uint64_t)us);
    return KVS_OK;
}

static void format_slow_length(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(value, VALUE_SIZE, "%" PRIu32, slow_log_length_max(administration->slow_log));
}

static kvs_status change_slow_length(struct administration *administration, const char *value,
                                     struct kvs_error *err)
{
    uint64_t length;
    if (!text_parse_u64(value, &length) || length > SLOW_LOG_LENGTH_MAX)
        return invalid(err, "slowlog-max-len", value, "number of entries up to 65536");
    return slow_log_set_length(administration->slow_log, (uint32_t)length);
}

/* Redis' levels, and ours. */
static const struct {
    const char *redis;
    const char *ours;
} levels[] = {{"debug", "debug"}, {"verbose", "debug"}, {"notice", "info"}, {"warning", "warn"},
              {"info", "info"},   {"warn", "warn"},     {"error", "error"}};

static void format_log_level(const struct administration *administration, char value[VALUE_SIZE])
{
    const char *name = log_enabled(administration->log, KVS_LOG_DEBUG)  ? "debug"
                       : log_enabled(administration->log, KVS_LOG_INFO) ? "notice"
                                                                        : "warning";
    (void)snprintf(value, VALUE_SIZE, "%s", name);
}

static kvs_status change_log_level(struct administration *administration, const char *value,
                                   struct kvs_error *err)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        uint32_t level;
        if (strcasecmp(value, levels[i].redis) == 0 && log_level_parse(levels[i].ours, &level)) {
            log_set_level(administration->log, level);
            return KVS_OK;
        }
    }
    return invalid(err, "loglevel", value, "level: use debug, verbose, notice or warning");
}

static void format_clients_max(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(
        value, VALUE_SIZE, "%" PRIu64,
        atomic_load_explicit(&administration->limits->clients_max, memory_order_relaxed));
}

static kvs_status change_clients_max(struct administration *administration, const char *value,
                                     struct kvs_error *err)
{
    uint64_t count;
    if (!text_parse_u64(value, &count))
        return invalid(err, "maxclients", value, "number of clients");
    atomic_store_explicit(&administration->limits->clients_max, count, memory_order_relaxed);
    return KVS_OK;
}

static void format_timeout(const struct administration *administration, char value[VALUE_SIZE])
{
    uint64_t ns =
        atomic_load_explicit(&administration->limits->idle_timeout_ns, memory_order_relaxed);
    (void)snprintf(value, VALUE_SIZE, "%" PRIu64, ns / NS_PER_S);
}

static kvs_status change_timeout(struct administration *administration, const char *value,
                                 struct kvs_error *err)
{
    uint64_t seconds;
    if (!text_parse_u64(value, &seconds) || seconds > INT32_MAX)
        return invalid(err, "timeout", value, "number of seconds");
    atomic_store_explicit(&administration->limits->idle_timeout_ns, seconds * NS_PER_S,
                          memory_order_relaxed);
    return KVS_OK;
}

static void format_value_max(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(value, VALUE_SIZE, "%" PRIu32, administration->store->limits.value_max);
}

static void format_threads(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(value, VALUE_SIZE, "%" PRIu32, administration->threads);
}

static void format_sync(const struct administration *administration, char value[VALUE_SIZE])
{
    const char *name = administration->durability == KVS_DURABILITY_ALWAYS     ? "always"
                       : administration->durability == KVS_DURABILITY_INTERVAL ? "everysec"
                                                                               : "no";
    (void)snprintf(value, VALUE_SIZE, "%s", name);
}

static void format_dir(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(value, VALUE_SIZE, "%s", administration->data_dir);
}

static void format_port(const struct administration *administration, char value[VALUE_SIZE])
{
    (void)snprintf(value, VALUE_SIZE, "%u", administration->port);
}

static const struct setting settings[] = {
    {"slowlog-log-slower-than", format_slower_than, change_slower_than},
    {"slowlog-max-len", format_slow_length, change_slow_length},
    {"loglevel", format_log_level, change_log_level},
    {"appendfsync", format_sync, NULL},
    {"dir", format_dir, NULL},
    {"port", format_port, NULL},
    {"maxclients", format_clients_max, change_clients_max},
    {"timeout", format_timeout, change_timeout},
    {"proto-max-bulk-len", format_value_max, NULL},
    {"io-threads", format_threads, NULL},
};

static void visit_settings(void *arg,
                           void (*visit)(void *visit_arg, const char *name, const char *value),
                           void *visit_arg)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char value[VALUE_SIZE];
        settings[i].format(arg, value);
        visit(visit_arg, settings[i].name, value);
    }
}

static kvs_status change_setting(void *arg, const char *name, const char *value,
                                 struct kvs_error *err)
{
    struct administration *administration = arg;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcasecmp(settings[i].name, name) != 0)
            continue;
        if (settings[i].change == NULL)
            return kvs_error_set(err, KVS_UNSUPPORTED, 0, "only a restart changes '%s'", name);
        kvs_status status = settings[i].change(administration, value, err);
        if (status == KVS_OK)
            log_info(administration->log, "a client set %s to %s", name, value);
        return status;
    }
    return KVS_MISSING;
}

/* ---- figures ------------------------------------------------------------------------------ */

static void show_slow_log(void *arg, uint64_t count_max,
                          void (*visit)(void *visit_arg, const struct slow_entry *entry),
                          void *visit_arg)
{
    slow_log_visit(((struct administration *)arg)->slow_log, count_max, visit, visit_arg);
}

static uint64_t length_of_slow_log(void *arg)
{
    return slow_log_length(((struct administration *)arg)->slow_log);
}

static void forget_slow_log(void *arg)
{
    slow_log_reset(((struct administration *)arg)->slow_log);
}

/* Calls and time of a command; those of the baseline are taken off. */
static void figures_at(const struct command_metrics *metrics, uint32_t place, uint64_t *ret_calls,
                       uint64_t *ret_ns)
{
    const struct latency *latency =
        atomic_load_explicit(&metrics->by_command[place], memory_order_acquire);
    *ret_calls = latency != NULL ? latency_count(latency) : 0;
    *ret_ns = latency != NULL ? atomic_load_explicit(&latency->sum_ns, memory_order_relaxed) : 0;
}

static void command_figures(void *arg, uint32_t index, struct command_figures *ret)
{
    struct administration *administration = arg;
    uint32_t place = command_metrics_resp(index);
    uint64_t calls_before;
    uint64_t ns_before;
    memset(ret, 0, sizeof(*ret));
    uint64_t ns = 0;
    workers_measure_one(administration->workers, place, &ret->calls, &ns);
    (void)pthread_mutex_lock(&administration->lock);
    figures_at(&administration->baseline, place, &calls_before, &ns_before);
    (void)pthread_mutex_unlock(&administration->lock);
    ret->calls -= calls_before;
    ret->total_us = (ns - ns_before) / NS_PER_US;
}

static void reset_stats(void *arg)
{
    struct administration *administration = arg;
    struct command_metrics *now = calloc(1, sizeof(*now));
    if (now == NULL)
        return; /* the figures go on as they are */
    workers_measure(administration->workers, now);
    (void)pthread_mutex_lock(&administration->lock);
    command_metrics_deinit(&administration->baseline);
    for (uint32_t i = 0; i < COMMAND_METRICS_MAX; i++) {
        struct latency *latency = atomic_load(&now->by_command[i]);
        atomic_store(&administration->baseline.by_command[i], latency);
    }
    (void)pthread_mutex_unlock(&administration->lock);
    free(now);
}

/* ---- saving and stopping ------------------------------------------------------------------ */

static kvs_status save(void *arg, bool in_background, struct kvs_error *err)
{
    return saving_save(((struct administration *)arg)->saving, in_background, err);
}

static void get_save_state(void *arg, struct save_state *ret)
{
    saving_state(((struct administration *)arg)->saving, ret);
}

static kvs_status shut_down(void *arg, uint32_t flags, struct kvs_error *err)
{
    const struct administration *administration = arg;
    if ((flags & SHUT_DOWN_SAVE) != 0) {
        kvs_status status = saving_save(administration->saving, false, err);
        if (status != KVS_OK)
            return status;
    }
    log_info(administration->log, "a client asks the server to stop");
    administration->stop(administration->stop_arg);
    return KVS_OK;
}

/* ------------------------------------------------------------------------------------------- */

kvs_status administration_init(struct administration *administration,
                               const struct kvs_server_config *config, struct store *store,
                               struct kvs_error *err)
{
    uint32_t keep = config->checkpoint_keep != 0 ? config->checkpoint_keep : SAVING_KEEP_DEFAULT;
    (void)pthread_mutex_init(&administration->lock, NULL);
    administration->is_made = true;
    administration->slow_log = slow_log_new(
        config->slow_log_threshold_us != 0 ? config->slow_log_threshold_us : SLOW_LOG_DEFAULT_US,
        config->slow_log_length != 0 ? config->slow_log_length : SLOW_LOG_DEFAULT_LENGTH);
    administration->saving = saving_new(store, config->checkpoint_dir,
                                        keep != UINT32_MAX ? keep : 0, administration->log);
    return administration->slow_log != NULL && administration->saving != NULL
               ? KVS_OK
               : kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
}

void administration_end_saving(struct administration *administration)
{
    saving_free(TAKE(administration->saving));
}

void administration_deinit(struct administration *administration)
{
    if (!administration->is_made)
        return;
    administration_end_saving(administration);
    slow_log_free(administration->slow_log);
    command_metrics_deinit(&administration->baseline);
    (void)pthread_mutex_destroy(&administration->lock);
}

struct hooks administration_hooks(struct administration *administration)
{
    return (struct hooks){
        .arg = administration,
        .authenticate = authenticate,
        .needs_password = needs_password,
        .visit_clients = visit_clients,
        .kill_client = kill_client,
        .visit_settings = visit_settings,
        .change_setting = change_setting,
        .reset_stats = reset_stats,
        .visit_slow_log = show_slow_log,
        .slow_log_length = length_of_slow_log,
        .slow_log_reset = forget_slow_log,
        .command_figures = command_figures,
        .save = save,
        .save_state = get_save_state,
        .shut_down = shut_down,
    };
}
