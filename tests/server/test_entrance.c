/* What an operator is told about where the server listens. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "server/entrance.h"

static char logged[4096];

static void keep_log(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    size_t size = strlen(logged);
    (void)snprintf(logged + size, sizeof(logged) - size, "%s\n", message);
}

static void make(struct entrance *entrance, struct settings *settings,
                 struct kvs_server_config *config, const struct log *log)
{
    struct test_error error;
    test_error_init(&error);
    memset(entrance, 0, sizeof(*entrance));
    config->size = (uint32_t)sizeof(*config);
    assert_status(KVS_OK, settings_check(settings, config, &error.error), &error);
    assert_status(KVS_OK, entrance_init(entrance, settings, log, &error.error), &error);
}

static void passwords_without_tls_are_warned_of(void **state)
{
    (void)state;
    static const char *const listen[] = {"0.0.0.0:4000", "127.0.0.1:4001", "unix:/s"};
    struct kvs_server_config config = {.listen = listen, .listen_count = 3, .password = "x"};
    struct entrance entrance;
    struct settings settings;
    struct log log;
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    logged[0] = '\0';
    make(&entrance, &settings, &config, &log);
    entrance_log_advice(&entrance, &log);
    assert_non_null(strstr(logged, "cross the network as they are at 0.0.0.0:4000"));
    assert_non_null(strstr(logged, "tls:0.0.0.0:4000"));
    assert_null(strstr(logged, "4001"));
    entrance_deinit(&entrance);
    entrance_deinit(&entrance);
    logged[0] = '\0';
    config.listen_count = 0;
    make(&entrance, &settings, &config, &log);
    entrance_log_advice(&entrance, &log);
    assert_string_equal(logged, "");
    entrance_deinit(&entrance);
}

static void other_addresses_are_noticed(void **state)
{
    (void)state;
    static const char *const one[] = {"127.0.0.1:0", "fd:3", "tls:fd:4"};
    static const char *const other[] = {"127.0.0.1:0", "fd:3", "fd:4"};
    struct kvs_server_config config = {.listen = one, .listen_count = 2};
    struct entrance entrance;
    struct settings settings;
    struct log log;
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    make(&entrance, &settings, &config, &log);
    assert_false(entrance_is_elsewhere(&entrance, &settings));
    config.listen_count = 3;
    assert_int_equal(settings_check(&settings, &config, NULL), KVS_OK);
    assert_true(entrance_is_elsewhere(&entrance, &settings));
    config.listen_count = 2;
    config.address = "127.0.0.1:0";
    assert_int_equal(settings_check(&settings, &config, NULL), KVS_OK);
    assert_true(entrance_is_elsewhere(&entrance, &settings));
    config = (struct kvs_server_config){.size = sizeof(config), .listen = other, .listen_count = 2};
    assert_int_equal(settings_check(&settings, &config, NULL), KVS_OK);
    assert_false(entrance_is_elsewhere(&entrance, &settings));
    entrance_deinit(&entrance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_without_tls_are_warned_of),
        cmocka_unit_test(other_addresses_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
