/* kvs-server's command line. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>

#include "server/options.h"

#define ARGUMENTS_MAX 64

static kvs_status parse(struct options *options, const char *const *arguments,
                        struct test_error *error)
{
    const char *argv[ARGUMENTS_MAX] = {"kvs-server"};
    int argc = 1;
    for (; *arguments != NULL; arguments++)
        argv[argc++] = *arguments;
    union {
        const char **from;
        char **to;
    } list = {argv};
    test_error_init(error);
    return options_parse(options, &argc, &list.to, &error->error);
}

static void no_arguments_mean_the_defaults(void **state)
{
    (void)state;
    struct options options;
    struct test_error error;
    assert_status(KVS_OK, parse(&options, (const char *const[]){NULL}, &error), &error);
    assert_int_equal(options.action, OPTIONS_SERVE);
    assert_null(options.config.address);
    assert_null(options.config.engine);
    assert_null(options.config.pool);
    assert_null(options.config.data_dir);
    assert_int_equal(options.config.threads, 0);
    assert_int_equal(options.config.durability, 0);
    options_deinit(&options);
}

static const char *const every_flag[] = {"--addr=[::1]:5000",
                                         "--engine=lmdb",
                                         "--pool=glib",
                                         "--threads=7",
                                         "--data-dir=/x",
                                         "--sync=interval:250",
                                         "--plugin-dir",
                                         "/p1",
                                         "--plugin-dir",
                                         "/p2",
                                         "--engine-opt",
                                         "a=1",
                                         "--pool-opt",
                                         "b=2",
                                         "--log-level",
                                         "debug",
                                         "--key-max=1k",
                                         "--value-max=2m",
                                         "--backlog=77",
                                         "--listen=unix:/s",
                                         "--listen=fd:3",
                                         "--socket-mode=660",
                                         "--password-file=/f",
                                         "--no-auth",
                                         "--socket-no-auth",
                                         "--login-timeout=1500ms",
                                         "--tls-cert=/c",
                                         "--tls-key=/k",
                                         "--tls-client-ca=/a",
                                         "--tls-client-optional",
                                         NULL};

static void every_flag_reaches_the_configuration(void **state)
{
    (void)state;
    struct options options;
    struct test_error error;
    assert_status(KVS_OK, parse(&options, every_flag, &error), &error);
    const struct kvs_server_config *config = &options.config;
    assert_string_equal(config->address, "[::1]:5000");
    assert_string_equal(config->engine, "lmdb");
    assert_string_equal(config->pool, "glib");
    assert_int_equal(config->threads, 7);
    assert_string_equal(config->data_dir, "/x");
    assert_int_equal(config->durability, KVS_DURABILITY_INTERVAL);
    assert_int_equal(config->sync_interval_ms, 250);
    assert_int_equal(config->plugin_dir_count, 2);
    assert_string_equal(config->plugin_dirs[1], "/p2");
    assert_int_equal(config->engine_option_count, 1);
    assert_string_equal(config->engine_options[0], "a=1");
    assert_int_equal(config->pool_option_count, 1);
    assert_string_equal(config->pool_options[0], "b=2");
    assert_int_equal(config->log_level, KVS_LOG_DEBUG);
    assert_int_equal(config->key_max, 1024);
    assert_int_equal(config->value_max, 2 << 20);
    assert_int_equal(config->backlog, 77);
    assert_int_equal(config->listen_count, 2);
    assert_string_equal(config->listen[0], "unix:/s");
    assert_int_equal(config->socket_mode, 0660);
    assert_string_equal(config->password_file, "/f");
    assert_null(config->password);
    assert_int_equal(config->no_auth, 1);
    assert_int_equal(config->socket_no_auth, 1);
    assert_int_equal(config->login_timeout_ms, 1500);
    assert_string_equal(config->tls_cert, "/c");
    assert_string_equal(config->tls_key, "/k");
    assert_string_equal(config->tls_client_ca, "/a");
    assert_int_equal(config->tls_client_optional, 1);
    char more[] = "fd:4";
    options_add_listen(&options, (char *const[]){more, NULL});
    assert_int_equal(config->listen_count, 3);
    assert_string_equal(config->listen[1], "fd:3");
    assert_string_equal(config->listen[2], "fd:4");
    options_deinit(&options);
}

static void the_environment_gives_a_password(void **state)
{
    (void)state;
    struct options options;
    struct test_error error;
    assert_int_equal(setenv("KVS_PASSWORD", "open sesame", 1), 0);
    assert_status(KVS_OK, parse(&options, (const char *const[]){NULL}, &error), &error);
    assert_string_equal(options.config.password, "open sesame");
    options_deinit(&options);
    assert_int_equal(unsetenv("KVS_PASSWORD"), 0);
}

static void actions(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        enum options_action action;
    } cases[] = {
        {"-V", OPTIONS_VERSION},
        {"--version", OPTIONS_VERSION},
        {"-h", OPTIONS_HELP},
        {"--help", OPTIONS_HELP},
        {"--list-plugins", OPTIONS_LIST_PLUGINS},
        {"--check-config", OPTIONS_CHECK},
        {"--verify", OPTIONS_VERIFY},
        {"--repair=/new", OPTIONS_REPAIR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        struct test_error error;
        assert_status(KVS_OK, parse(&options, (const char *const[]){cases[i].flag, NULL}, &error),
                      &error);
        assert_int_equal(options.action, cases[i].action);
        options_deinit(&options);
    }
}

static void what_is_wrong_is_quoted(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"--sync=sometimes", NULL, "sometimes"},
        {"--sync=interval:0", NULL, "interval:0"},
        {"--sync=interval:", NULL, "interval:"},
        {"--sync=interval:1s", NULL, "interval:1s"},
        {"--threads=0", NULL, "'0'"},
        {"--threads=-1", NULL, "'-1'"},
        {"--threads=many", NULL, "many"},
        {"--threads=5000000000", NULL, "5000000000"},
        {"--log-level=loud", NULL, "loud"},
        {"--key-max=0", NULL, "--key-max"},
        {"--value-max=x", NULL, "--value-max"},
        {"--backlog=x", NULL, "--backlog"},
        {"--socket-mode=8", NULL, "'8'"},
        {"--login-timeout=0", NULL, "--login-timeout '0'"},
        {"--login-timeout=soon", NULL, "soon"},
        {"--socket-mode=1777", NULL, "1777"},
        {"--socket-mode=-1", NULL, "-1"},
        {"--frobnicate", NULL, "--frobnicate"},
        {"extra", NULL, "extra"},
        {"--addr", NULL, "--addr"},
        {"--verify", "--repair=/x", "--repair"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        struct test_error error;
        assert_status(
            KVS_INVALID,
            parse(&options, (const char *const[]){cases[i][0], cases[i][1], NULL}, &error), &error);
        if (strstr(error.message, cases[i][2]) == NULL)
            fail_msg("'%s' is not in: %s", cases[i][2], error.message);
        options_deinit(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_arguments_mean_the_defaults),
        cmocka_unit_test(every_flag_reaches_the_configuration),
        cmocka_unit_test(the_environment_gives_a_password),
        cmocka_unit_test(actions),
        cmocka_unit_test(what_is_wrong_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
