/* See fixture.h. */
#include "server/fixture.h"

#include <stdlib.h>
#include <string.h>

static void *run_server(void *arg)
{
    struct fixture *fixture = arg;
    struct test_error error;
    test_error_init(&error);
    fixture->run_status = kvs_server_run(fixture->server, &error.error);
    if (fixture->run_status != KVS_OK)
        print_error("kvs_server_run: %s\n", error.message);
    return NULL;
}

static void log_quietly(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (getenv("KVS_TEST_LOG") != NULL)
        print_message("[%u] %s\n", level, message);
}

void fixture_start_config(struct fixture *fixture, struct kvs_server_config *config)
{
    struct test_error error;
    test_error_init(&error);
    memset(fixture, 0, sizeof(*fixture));
    fixture->data_dir = temp_dir_new();
    config->size = (uint32_t)sizeof(*config);
    config->address = "127.0.0.1:0";
    config->data_dir = fixture->data_dir;
    config->plugin_dirs = test_plugin_dirs()->paths;
    config->plugin_dir_count = test_plugin_dirs()->count;
    if (config->log == NULL)
        config->log = log_quietly;
    config->log_level = KVS_LOG_DEBUG;
    assert_status(KVS_OK, kvs_server_new(config, &fixture->server, &error.error), &error);
    fixture->port = kvs_server_port(fixture->server);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
}

void fixture_start(struct fixture *fixture, const char *pool, uint32_t threads,
                   const char *const *engine_options)
{
    struct kvs_server_config config = {
        .engine = "test",
        .pool = pool,
        .threads = threads,
        .engine_options = engine_options,
    };
    while (engine_options != NULL && engine_options[config.engine_option_count] != NULL)
        config.engine_option_count++;
    fixture_start_config(fixture, &config);
}

void fixture_stop(struct fixture *fixture)
{
    kvs_server_stop(fixture->server);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    assert_int_equal(fixture->run_status, KVS_OK);
    kvs_server_free(fixture->server);
    temp_dir_free(fixture->data_dir);
}

const char *const *fixture_pools(void)
{
    static const char *const names[] = {"inline", "naive", "shared-queue", "glib"};
    static const char *found[sizeof(names) / sizeof(names[0]) + 1];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct plugin *plugin;
        if (plugin_open(test_plugin_dirs(), KVS_PLUGIN_POOL, names[i], &plugin, NULL) != KVS_OK)
            continue;
        found[count++] = names[i];
        plugin_free(plugin);
    }
    found[count] = NULL;
    return found;
}
