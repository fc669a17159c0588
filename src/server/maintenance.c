/* See maintenance.h. The data directory is locked as by a server, so a served store is refused; nothing
   in it is changed. */
#include "server/maintenance.h"

#include <stdio.h>
#include <string.h>

#include <kvs/engine.h>

#include "base/log.h"
#include "command/copy_dir.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "server/data_dir.h"

#define DEFAULT_DATA_DIR "kvs-data"

/* A store that is looked at: its directory and its engine. A zeroed one can be let go. */
struct subject {
    struct log log;
    struct plugin_dirs dirs;
    struct data_dir dir;
    struct plugin *plugin;
    struct plugin_host *host;
};

static void report_line(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    (void)printf("%s\n", message);
}

static void subject_deinit(struct subject *subject)
{
    plugin_host_free(subject->host);
    plugin_free(subject->plugin);
    data_dir_close(&subject->dir);
    plugin_dirs_deinit(&subject->dirs);
}

/* engine_is_known: as for data_dir_open_stopped(). */
static kvs_status subject_init(struct subject *subject, const struct kvs_server_config *config,
                               bool engine_is_known, struct kvs_error *err)
{
    const char *path = config->data_dir != NULL ? config->data_dir : DEFAULT_DATA_DIR;
    memset(subject, 0, sizeof(*subject));
    log_init(&subject->log, config->log_level != 0 ? config->log_level : KVS_LOG_INFO, config->log,
             config->log_arg);
    if (plugin_dirs_init(&subject->dirs, config->plugin_dirs, config->plugin_dir_count) != KVS_OK)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    kvs_status status = data_dir_open_stopped(&subject->dir, path, engine_is_known, err);
    if (status != KVS_OK)
        return status;
    status = plugin_open(&subject->dirs, KVS_PLUGIN_ENGINE,
                         config->engine != NULL ? config->engine : subject->dir.engine,
                         &subject->plugin, err);
    if (status != KVS_OK)
        return status;
    status =
        data_dir_check_engine(subject->dir.path, subject->dir.engine, subject->plugin->name, err);
    if (status != KVS_OK)
        return status;
    struct plugin_host_config host_config = {
        .plugin = subject->plugin,
        .log = &subject->log,
        .options = config->engine_options,
        .option_count = config->engine_option_count,
    };
    return plugin_host_new(&host_config, &subject->host, err);
}

static struct kvs_engine_config engine_config(const struct subject *subject)
{
    return (struct kvs_engine_config){
        .size = (uint32_t)sizeof(struct kvs_engine_config),
        .flags = KVS_OPEN_READ_ONLY,
        .durability = KVS_DURABILITY_ALWAYS,
        .data_dir = subject->dir.path,
        .host = plugin_host_services(subject->host),
    };
}

static kvs_status verify(const struct subject *subject, struct kvs_error *err)
{
    const struct kvs_engine_ops *engine = &subject->plugin->ops.engine;
    if (engine->verify == NULL)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "engine %s cannot verify a store",
                             subject->plugin->name);
    struct kvs_engine_config config = engine_config(subject);
    kvs_status status = engine->verify(&config, report_line, NULL, err);
    if (status == KVS_OK)
        (void)printf("%s: sound\n", subject->dir.path);
    return status;
}

kvs_status maintenance_verify(const struct kvs_server_config *config, struct kvs_error *err)
{
    struct subject subject;
    kvs_status status = subject_init(&subject, config, false, err);
    if (status == KVS_OK)
        status = verify(&subject, err);
    subject_deinit(&subject);
    return status;
}

static kvs_status repair(const struct subject *subject, const char *target, bool *ret_lost,
                         struct kvs_error *err)
{
    const struct kvs_engine_ops *engine = &subject->plugin->ops.engine;
    if (engine->repair == NULL)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                             "engine %s cannot repair a store: bring it back from a backup",
                             subject->plugin->name);
    struct copy_dir fresh;
    kvs_status status = copy_dir_begin(&fresh, target, subject->plugin->name, err);
    if (status != KVS_OK)
        return status;
    struct kvs_engine_config config = engine_config(subject);
    kvs_status repaired = engine->repair(&config, target, report_line, NULL, err);
    if (repaired != KVS_OK && repaired != KVS_CORRUPT) {
        copy_dir_abandon(&fresh);
        return repaired;
    }
    status = copy_dir_finish(&fresh, err);
    if (status != KVS_OK)
        return status;
    (void)printf("%s: salvaged into %s\n", subject->dir.path, target);
    *ret_lost = repaired == KVS_CORRUPT;
    return repaired;
}

kvs_status maintenance_repair(const struct kvs_server_config *config, const char *target,
                              bool *ret_lost, struct kvs_error *err)
{
    struct subject subject;
    kvs_status status = subject_init(&subject, config, config->engine != NULL, err);
    if (status == KVS_OK)
        status = repair(&subject, target, ret_lost, err);
    subject_deinit(&subject);
    return status;
}
