/* The services that an instance gets, tried on the good engine of the shelf and on one whose
   options are made up here. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/host.h"

struct journal {
    char last[LOG_LINE_MAX];
    uint32_t level;
    unsigned count;
};

static void write_journal(void *arg, uint32_t level, const char *message)
{
    struct journal *journal = arg;
    (void)snprintf(journal->last, sizeof(journal->last), "%s", message);
    journal->level = level;
    journal->count++;
}

static const struct kvs_option options[] = {
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_BYTES,
     .name = "cache",
     .default_value = "64k",
     .range = "4k..1g",
     .help = "memory for nothing"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_STRING,
     .flags = KVS_OPTION_REQUIRED,
     .name = "where",
     .help = "a place"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_ENUM,
     .name = "mode",
     .default_value = "fast",
     .range = "fast|safe",
     .help = "how"},
    {.size = sizeof(struct kvs_option),
     .type = KVS_OPTION_I64,
     .name = "shift",
     .default_value = "-3",
     .help = "by how much"},
};

static const struct kvs_plugin descriptor = {
    .size = sizeof(descriptor),
    .options = options,
    .option_stride = sizeof(options[0]),
    .option_count = sizeof(options) / sizeof(options[0]),
};

static const struct kvs_plugin bare_descriptor = {.size = sizeof(bare_descriptor)};

static char plugin_name[] = "made-up";

static const struct plugin plugin = {
    .kind = KVS_PLUGIN_ENGINE, .name = plugin_name, .descriptor = &descriptor};

static const struct plugin bare_plugin = {
    .kind = KVS_PLUGIN_POOL, .name = plugin_name, .descriptor = &bare_descriptor};

static struct journal journal;
static struct log journal_log;

static int setup(void **state)
{
    (void)state;
    journal = (struct journal){.level = 0};
    log_init(&journal_log, KVS_LOG_INFO, write_journal, &journal);
    return 0;
}

static kvs_status host_with(const struct plugin *of, const char *const *settings, uint32_t count,
                            struct plugin_host **ret_host, struct test_error *error)
{
    struct plugin_host_config config = {
        .plugin = of, .log = &journal_log, .options = settings, .option_count = count};
    test_error_init(error);
    return plugin_host_new(&config, ret_host, &error->error);
}

static struct plugin_host *good_host(void)
{
    static const char *const settings[] = {"where=here"};
    struct plugin_host *host = NULL;
    struct test_error error;
    assert_status(KVS_OK, host_with(&plugin, settings, 1, &host, &error), &error);
    return host;
}

static struct kvs_option_value value_of(const struct plugin_host *host, const char *name)
{
    const struct kvs_host *services = plugin_host_services(host);
    struct kvs_option_value value = {.size = sizeof(value)};
    assert_int_equal(services->config_get(services, name, &value), KVS_OK);
    return value;
}

static void values_are_what_was_set_or_the_default(void **state)
{
    (void)state;
    /* A later one wins; a value may be empty, and may hold '='. */
    char first[] = "cache=8k";
    const char *const settings[] = {first, "cache=16k", "where=", "where=a=b"};
    struct plugin_host *host = NULL;
    struct test_error error;
    assert_status(KVS_OK, host_with(&plugin, settings, 4, &host, &error), &error);
    memset(first, 'x', sizeof(first) - 1);
    assert_int_equal(value_of(host, "cache").u64, 16384);
    assert_string_equal(value_of(host, "cache").text, "16k");
    assert_string_equal(value_of(host, "where").text, "a=b");
    assert_int_equal(value_of(host, "mode").u64, 0);
    assert_string_equal(value_of(host, "mode").text, "fast");
    assert_int_equal(value_of(host, "mode").type, KVS_OPTION_ENUM);
    assert_int_equal(value_of(host, "shift").i64, -3);
    plugin_host_free(host);
    plugin_host_free(NULL);
}

static void config_get_respects_name_and_size(void **state)
{
    (void)state;
    struct plugin_host *host = good_host();
    const struct kvs_host *services = plugin_host_services(host);
    struct kvs_option_value value = {.size = sizeof(value), .u64 = 77, .text = "untouched"};
    assert_int_equal(services->config_get(services, "unknown", &value), KVS_MISSING);
    assert_int_equal(value.u64, 77);
    value.size = offsetof(struct kvs_option_value, text);
    assert_int_equal(services->config_get(services, "cache", &value), KVS_OK);
    assert_int_equal(value.u64, 65536);
    assert_int_equal(value.size, offsetof(struct kvs_option_value, text));
    assert_string_equal(value.text, "untouched");
    plugin_host_free(host);
}

static void assert_refused(const struct plugin *of, const char *setting, const char *words)
{
    const char *const settings[] = {"where=here", setting};
    struct plugin_host *host = NULL;
    struct test_error error;
    assert_status(KVS_INVALID, host_with(of, settings, 2, &host, &error), &error);
    assert_null(host);
    if (strstr(error.message, words) == NULL)
        fail_msg("'%s' is not in: %s", words, error.message);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    assert_refused(&plugin, "cache", "engine 'made-up': 'cache' is not NAME=VALUE");
    assert_refused(&plugin, "", "'' is not NAME=VALUE");
    assert_refused(&plugin, "=8k", "not NAME=VALUE");
    assert_refused(&plugin, "cach=8k", "no option 'cach'; its options: cache, where, mode, shift");
    assert_refused(&plugin, "caches=8k", "no option 'caches'");
    assert_refused(&plugin, "cache=8q", "option 'cache': '8q' is not a number of bytes");
    assert_refused(&plugin, "cache=1", "out of its range 4k..1g");
    assert_refused(&plugin, "cache=", "'' is not a number of bytes");
    assert_refused(&plugin, "mode=slow", "'slow' is not one of fast|safe");
    assert_refused(&bare_plugin, "cache=8k",
                   "pool 'made-up': no option 'where'; its options: none");
}

static void missing_required_option_is_refused(void **state)
{
    (void)state;
    struct plugin_host *host = NULL;
    struct test_error error;
    assert_status(KVS_INVALID, host_with(&plugin, NULL, 0, &host, &error), &error);
    assert_non_null(strstr(error.message, "'where' is required: set it with --engine-opt where="));
    assert_null(host);
}

static void log_lines_carry_the_plugins_name(void **state)
{
    (void)state;
    struct plugin_host *host = good_host();
    const struct kvs_host *services = plugin_host_services(host);
    services->log(services, KVS_LOG_WARN, "first\nsecond");
    assert_string_equal(journal.last, "engine made-up: first second");
    assert_int_equal(journal.level, KVS_LOG_WARN);
    services->log(services, KVS_LOG_DEBUG, "not of interest");
    assert_int_equal(journal.count, 1);
    assert_int_equal(services->log_enabled(services, KVS_LOG_INFO), 1);
    assert_int_equal(services->log_enabled(services, KVS_LOG_DEBUG), 0);
    services->log(services, 0, "a level that is none");
    assert_int_equal(journal.level, KVS_LOG_ERROR);
    plugin_host_free(host);
}

static void remember_fatal(void *arg, const char *message)
{
    *(char **)arg = strdup(message);
}

static void fatal_is_logged_and_passed_on(void **state)
{
    (void)state;
    char *message = NULL;
    struct plugin_host *host = NULL;
    struct plugin_host_config config = {.plugin = &bare_plugin,
                                        .log = &journal_log,
                                        .fatal = remember_fatal,
                                        .fatal_arg = &message};
    assert_int_equal(plugin_host_new(&config, &host, NULL), KVS_OK);
    const struct kvs_host *services = plugin_host_services(host);
    services->fatal(services, "the disk is gone");
    assert_string_equal(journal.last, "pool made-up: the disk is gone");
    assert_int_equal(journal.level, KVS_LOG_ERROR);
    assert_non_null(message);
    assert_non_null(strstr(message, "the disk is gone"));
    free(message);
    plugin_host_free(host);

    config.fatal = NULL;
    assert_int_equal(plugin_host_new(&config, &host, NULL), KVS_OK);
    services = plugin_host_services(host);
    services->fatal(services, "nobody asks");
    assert_string_equal(journal.last, "pool made-up: nobody asks");
    plugin_host_free(host);
}

static void count_figures(void *arg, const char *name, uint64_t value)
{
    uint64_t *seen = arg;
    if (strcmp(name, "things") == 0)
        *seen = value;
}

static void services_are_complete(void **state)
{
    (void)state;
    struct plugin_host *host = good_host();
    const struct kvs_host *services = plugin_host_services(host);
    uint32_t id = 99;
    uint64_t seen = 0;
    assert_int_equal(services->size, sizeof(*services));
    assert_int_equal(services->abi_major, KVS_ABI_MAJOR);
    assert_int_equal(services->metric_register(services, KVS_METRIC_COUNTER, "things", "h", &id),
                     KVS_OK);
    services->metric_add(services, id, 4);
    services->metric_observe(services, id, 4); /* of another kind: ignored */
    plugin_host_visit_metrics(host, count_figures, &seen);
    assert_int_equal(seen, 4);
    uint64_t before = services->now_ns(services);
    assert_true(services->now_ns(services) >= before && before > 0);
    assert_null(services->get_extension(services, "kvs.anything/1"));
    plugin_host_free(host);
}

/* The message of an engine that does not open reaches whoever opened it. */
static void failing_open_passes_its_message_through(void **state)
{
    (void)state;
    const char *const paths[] = {getenv("KVS_TEST_SHELF")};
    struct plugin_dirs dirs = {paths, 1};
    struct plugin *good = NULL;
    struct plugin_host *host = NULL;
    struct test_error error;
    static const char *const settings[] = {"refuse=somebody else has it"};
    test_error_init(&error);
    assert_status(KVS_OK, plugin_open(&dirs, KVS_PLUGIN_ENGINE, "good", &good, &error.error),
                  &error);
    assert_status(KVS_OK, host_with(good, settings, 1, &host, &error), &error);
    struct kvs_engine_config config = {
        .size = sizeof(config), .data_dir = "/nonexistent", .host = plugin_host_services(host)};
    struct kvs_db *db = NULL;
    assert_status(KVS_LOCKED, good->ops.engine.open(&config, &db, &error.error), &error);
    assert_string_equal(error.message, "somebody else has it");
    assert_int_equal(error.error.os_errno, 11);
    plugin_host_free(host);
    assert_status(KVS_OK, host_with(good, NULL, 0, &host, &error), &error);
    config.host = plugin_host_services(host);
    assert_status(KVS_OK, good->ops.engine.open(&config, &db, &error.error), &error);
    assert_status(KVS_OK, good->ops.engine.close(db, &error.error), &error);
    plugin_host_free(host);
    plugin_free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_are_what_was_set_or_the_default, setup),
        cmocka_unit_test_setup(config_get_respects_name_and_size, setup),
        cmocka_unit_test_setup(wrong_settings_are_refused, setup),
        cmocka_unit_test_setup(missing_required_option_is_refused, setup),
        cmocka_unit_test_setup(log_lines_carry_the_plugins_name, setup),
        cmocka_unit_test_setup(fatal_is_logged_and_passed_on, setup),
        cmocka_unit_test_setup(services_are_complete, setup),
        cmocka_unit_test_setup(failing_open_passes_its_message_through, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
