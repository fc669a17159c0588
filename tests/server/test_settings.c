/* A server's configuration: what is filled in, what is refused, and callers who know only the beginning of it. */
#include "support/support.h"

#include <stddef.h>
#include <string.h>

#include <kvs/engine.h>

#include "server/settings.h"

static kvs_status check(struct settings *settings, const struct kvs_server_config *config,
                        struct test_error *error)
{
    test_error_init(error);
    return settings_check(settings, config, &error->error);
}

static void take(struct settings *settings, const struct kvs_server_config *config)
{
    struct test_error error;
    assert_status(KVS_OK, check(settings, config, &error), &error);
}

static void refuse(const struct kvs_server_config *config, const char *part)
{
    struct settings settings;
    struct test_error error;
    assert_status(KVS_INVALID, check(&settings, config, &error), &error);
    if (strstr(error.message, part) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, part);
}

static void what_is_not_said_has_its_default(void **state)
{
    (void)state;
    const struct kvs_server_config config = {.size = sizeof(config)};
    struct settings settings;
    take(&settings, &config);
    assert_null(settings.engine); /* the one that made the data */
    assert_string_equal(settings.pool, "shared-queue");
    assert_string_equal(settings.data_dir, "kvs-data");
    assert_int_equal(settings.durability, KVS_DURABILITY_ALWAYS);
    assert_int_equal(settings.limits.key_max, 65536);
    assert_int_equal(settings.limits.value_max, 67108864);
    assert_int_equal(settings.socket_mode, 0600);
    assert_int_equal(settings.login_timeout_ms, 10000);
    assert_int_equal(settings.clients_max, 0);
    assert_int_equal(settings.request_max, 134217728);
    assert_int_equal(settings.reply_max, 268435456);
    assert_int_equal(settings.idle_timeout_ms, 0);
    assert_int_equal(settings.request_timeout_ms, 60000);
    assert_int_equal(settings.reader_timeout_ms, 60000);
    assert_int_equal(settings.metrics_address.size, 0);
    assert_false(settings.access.no_auth);
    assert_null(settings.tls.certificate);
    assert_ptr_equal(settings.config, &settings.copy);
}

static void what_is_said_counts(void **state)
{
    (void)state;
    const struct kvs_server_config config = {
        .size = sizeof(config),
        .engine = "lmdb",
        .pool = "glib",
        .data_dir = "/d",
        .durability = KVS_DURABILITY_INTERVAL,
        .sync_interval_ms = 1,
        .key_max = 8,
        .value_max = 16,
        .socket_mode = 0660,
        .login_timeout_ms = 5,
        .clients_max = 1,
        .request_max = 2,
        .reply_max = 3,
        .idle_timeout_ms = 4,
        .request_timeout_ms = UINT64_MAX, /* no limit */
        .reader_timeout_ms = UINT64_MAX,
        .password_file = "/p",
        .no_auth = 1,
        .socket_no_auth = 1,
        .metrics_address = "127.0.0.1:9",
        .tls_cert = "/c",
        .tls_key = "/k",
        .tls_client_ca = "/a",
    };
    struct settings settings;
    take(&settings, &config);
    assert_string_equal(settings.engine, "lmdb");
    assert_string_equal(settings.pool, "glib");
    assert_string_equal(settings.data_dir, "/d");
    assert_int_equal(settings.durability, KVS_DURABILITY_INTERVAL);
    assert_int_equal(settings.limits.key_max, 8);
    assert_int_equal(settings.limits.value_max, 16);
    assert_int_equal(settings.socket_mode, 0660);
    assert_int_equal(settings.login_timeout_ms, 5);
    assert_int_equal(settings.clients_max, 1);
    assert_int_equal(settings.request_max, 2);
    assert_int_equal(settings.reply_max, 3);
    assert_int_equal(settings.idle_timeout_ms, 4);
    assert_int_equal(settings.request_timeout_ms, 0);
    assert_int_equal(settings.reader_timeout_ms, 0);
    assert_true(settings.metrics_address.size != 0);
    assert_string_equal(settings.access.password_file, "/p");
    assert_true(settings.access.no_auth && settings.access.socket_no_auth);
    assert_true(settings.access.client_certificates);
    assert_string_equal(settings.tls.certificate, "/c");
    assert_string_equal(settings.tls.key, "/k");
    assert_string_equal(settings.tls.client_ca, "/a");
    assert_false(settings.tls.client_optional);
}

/* Who may come without a certificate is not known by one. */
static void optional_certificates_let_nobody_in_by_themselves(void **state)
{
    (void)state;
    struct kvs_server_config config = {
        .size = sizeof(config), .tls_client_ca = "/a", .tls_client_optional = 1};
    struct settings settings;
    take(&settings, &config);
    assert_true(settings.tls.client_optional);
    assert_false(settings.access.client_certificates);
    config.tls_client_ca = NULL;
    refuse(&config, "--tls-client-ca");
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    const struct kvs_server_config mode = {.size = sizeof(mode), .durability = 4};
    const struct kvs_server_config interval = {.size = sizeof(interval),
                                               .durability = KVS_DURABILITY_INTERVAL};
    const struct kvs_server_config key = {.size = sizeof(key), .key_max = 65537};
    const struct kvs_server_config value = {.size = sizeof(value), .value_max = 67108865};
    const struct kvs_server_config permissions = {.size = sizeof(permissions),
                                                  .socket_mode = 010000};
    const struct kvs_server_config login = {.size = sizeof(login),
                                            .login_timeout_ms = (uint64_t)UINT32_MAX + 1};
    const struct kvs_server_config metrics = {.size = sizeof(metrics), .metrics_address = "here"};
    refuse(&mode, "durability mode 4");
    refuse(&interval, "at least 1 ms");
    refuse(&key, "at most 65536 bytes");
    refuse(&value, "at most 67108864");
    refuse(&permissions, "10000 is no mode");
    refuse(&login, "time to log in");
    refuse(&metrics, "'here'");
}

/* A program that was built against an older header: what lies behind its configuration is not looked at. */
static void older_callers_are_understood(void **state)
{
    (void)state;
    struct kvs_server_config config;
    struct settings settings;
    struct test_error error;
    memset(&config, 0xFF, sizeof(config));
    memset(&config, 0, offsetof(struct kvs_server_config, listen));
    config.size = offsetof(struct kvs_server_config, listen);
    config.pool = "naive";
    take(&settings, &config);
    assert_string_equal(settings.pool, "naive");
    assert_null(settings.copy.listen);
    assert_int_equal(settings.copy.listen_count, 0);
    assert_int_equal(settings.reply_max, 268435456);
    config.size--;
    assert_status(KVS_INCOMPATIBLE, check(&settings, &config, &error), &error);
    assert_non_null(strstr(error.message, "set its size"));
}

/* A newer one's: what this server does not know is not its business. */
static void newer_callers_are_understood(void **state)
{
    (void)state;
    struct {
        struct kvs_server_config known;
        uint64_t later[4];
    } config = {.known = {.size = sizeof(config), .data_dir = "/d"}, .later = {1, 2, 3, 4}};
    struct settings settings;
    take(&settings, &config.known);
    assert_string_equal(settings.data_dir, "/d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(what_is_said_counts),
        cmocka_unit_test(optional_certificates_let_nobody_in_by_themselves),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(older_callers_are_understood),
        cmocka_unit_test(newer_callers_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
