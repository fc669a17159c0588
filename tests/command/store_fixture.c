/* See store_fixture.h. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_engine.h"

const char *const *store_fixture_kinds(void)
{
    static const char *kinds[8];
    static const char *const real[] = {"log", "log-always", "lmdb", "lmdb-always"};
    unsigned count = 0;
    kinds[count++] = "memory";
    kinds[count++] = "memory-one-writer";
    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        struct plugin *plugin;
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(real[i], "-"), real[i]);
        if (plugin_open(test_plugin_dirs(), KVS_PLUGIN_ENGINE, name, &plugin, NULL) != KVS_OK)
            continue;
        plugin_free(plugin);
        kinds[count++] = real[i];
    }
    kinds[count] = NULL;
    return kinds;
}

static void sink(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (getenv("KVS_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%u %s\n", level, message);
}

/* plugin is there or the engine is a simple one. */
static void open_store(struct store_fixture *fixture, const struct kvs_engine_ops *simple)
{
    static const struct request_limits limits = {.key_max = 65536, .value_max = 64 << 20};
    struct test_error error;
    struct kvs_engine_config config = {.size = sizeof(config),
                                       .flags = KVS_OPEN_CREATE,
                                       .durability = fixture->durability,
                                       .data_dir = fixture->dir};
    test_error_init(&error);
    if (fixture->plugin != NULL) {
        struct plugin_host_config host = {.plugin = fixture->plugin, .log = &fixture->log};
        assert_status(KVS_OK, plugin_host_new(&host, &fixture->host, &error.error), &error);
        config.host = plugin_host_services(fixture->host);
    }
    const struct kvs_engine_ops *engine =
        fixture->plugin != NULL ? &fixture->plugin->ops.engine : simple;
    assert_status(KVS_OK, store_open(&fixture->store, engine, &config, &limits, &error.error),
                  &error);
}

void store_fixture_open(struct store_fixture *fixture, const char *kind)
{
    struct test_error error;
    char name[16];
    test_error_init(&error);
    memset(fixture, 0, sizeof(*fixture));
    log_init(&fixture->log, KVS_LOG_DEBUG, sink, NULL);
    if (strncmp(kind, "memory", 6) == 0) {
        open_store(fixture, kind[6] == '\0' ? &memory_engine_ops : &memory_engine_one_writer_ops);
        return;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(kind, "-"), kind);
    assert_status(
        KVS_OK,
        plugin_open(test_plugin_dirs(), KVS_PLUGIN_ENGINE, name, &fixture->plugin, &error.error),
        &error);
    fixture->dir = temp_dir_new();
    fixture->durability = strchr(kind, '-') != NULL ? KVS_DURABILITY_ALWAYS : KVS_DURABILITY_NONE;
    open_store(fixture, NULL);
}

static void close_store(struct store_fixture *fixture)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, store_close(&fixture->store, &error.error), &error);
    if (fixture->host != NULL)
        plugin_host_free(fixture->host);
    fixture->host = NULL;
}

void store_fixture_reopen(struct store_fixture *fixture)
{
    assert_non_null(fixture->plugin);
    close_store(fixture);
    open_store(fixture, NULL);
}

void store_fixture_close(struct store_fixture *fixture)
{
    close_store(fixture);
    if (fixture->plugin != NULL)
        plugin_free(fixture->plugin);
    temp_dir_free(fixture->dir);
}
