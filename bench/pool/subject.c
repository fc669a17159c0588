/* See subject.h. */
#include "pool/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kvs_status subject_open(struct subject *subject, const struct plugin_dirs *dirs, const char *name,
                        const char *const *options, uint32_t count, struct kvs_error *err)
{
    memset(subject, 0, sizeof(*subject));
    log_init(&subject->log, KVS_LOG_WARN, NULL, NULL);
    kvs_status status = plugin_open(dirs, KVS_PLUGIN_POOL, name, &subject->plugin, err);
    if (status != KVS_OK)
        return status;
    struct plugin_host_config config = {
        .plugin = subject->plugin, .log = &subject->log, .options = options, .option_count = count};
    status = plugin_host_new(&config, &subject->host, err);
    if (status != KVS_OK) {
        subject_close(subject);
        return status;
    }
    subject->ops = &subject->plugin->ops.pool;
    return KVS_OK;
}

void subject_close(struct subject *subject)
{
    plugin_host_free(subject->host);
    plugin_free(subject->plugin);
    memset(subject, 0, sizeof(*subject));
}

static void subject_check(kvs_status status, const struct kvs_error *err, const char *what)
{
    if (status == KVS_OK)
        return;
    (void)fprintf(stderr, "bench-pool: %s: %s: %s\n", what, kvs_status_text(status), err->msg);
    exit(EXIT_FAILURE);
}

void subject_begin(struct subject *subject, uint32_t threads, const struct kvs_pool_config *hooks)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct kvs_pool_config config = {.size = (uint32_t)sizeof(config),
                                     .threads = threads,
                                     .host = plugin_host_services(subject->host)};
    if (hooks != NULL) {
        config.arg = hooks->arg;
        config.idle = hooks->idle;
        config.wake_idle = hooks->wake_idle;
    }
    subject_check(subject->ops->create(&config, &subject->pool, &error), &error,
                  "cannot make a pool");
}

void subject_end(struct subject *subject)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    subject_check(subject->ops->shutdown(subject->pool, KVS_POOL_DRAIN, &error), &error,
                  "cannot end a pool");
    subject->ops->destroy(subject->pool);
    subject->pool = NULL;
}

struct kvs_pool_stats subject_stats(struct subject *subject)
{
    struct kvs_pool_stats stats = {.size = (uint32_t)sizeof(stats)};
    if (subject->ops->stats != NULL)
        subject->ops->stats(subject->pool, &stats);
    return stats;
}
