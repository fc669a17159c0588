/* TLS with the real programs: the flags of both, new certificates by SIGHUP, and somebody else's client. */
#include "support/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "support/certificates.h"
#include "system/expect.h"
#include "system/run_client.h"

struct world {
    struct server_process server; /* its address is the one with TLS, without "tls:" */
    char *folder;
    char *data_dir;
    char *ca;
};

static void world_start(struct world *world, const char *const *more)
{
    const char *arguments[16] = {"--addr", "tls:127.0.0.1:0", "--tls-cert"};
    size_t count = 3;
    const struct certificate_order orders[] = {
        {.name = "ca", .is_ca = true},
        {.name = "server", .issuer = "ca", .alternatives = "IP:127.0.0.1,DNS:kvs.test"},
        {.name = "client", .issuer = "ca"},
        {.name = "other-ca", .is_ca = true},
    };
    world->folder = temp_dir_new();
    world->data_dir = temp_dir_new();
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        certificate_make(world->folder, &orders[i]);
    world->ca = certificate_path(world->folder, "ca");
    char *pem = certificate_path(world->folder, "server");
    char *key = certificate_key_path(world->folder, "server");
    arguments[count++] = pem;
    arguments[count++] = "--tls-key";
    arguments[count++] = key;
    for (; *more != NULL; more++)
        arguments[count++] = *more;
    char *log = NULL;
    if (!server_process_start(&world->server, world->data_dir, arguments, &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
    assert_int_equal(strncmp(world->server.address, "tls:", 4), 0);
    memmove(world->server.address, world->server.address + 4,
            strlen(world->server.address + 4) + 1);
    free(pem);
    free(key);
}

static void world_stop(struct world *world)
{
    server_process_stop(&world->server);
    free(world->ca);
    temp_dir_free(world->folder);
    temp_dir_free(world->data_dir);
}

static void expect_error(const struct world *world, const char *const *words, const char *part)
{
    struct program_result result = run_client(&world->server, words, bytes_of(NULL, 0));
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, part);
    program_result_deinit(&result);
}

static void the_client_has_flags_for_it(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, WORDS(NULL));
    char *other = certificate_path(world.folder, "other-ca");
    expect_client(&world.server, WORDS("--tls", "--ca", world.ca, "set", "key", "value"), 0, "",
                  "");
    expect_client(&world.server, WORDS("--tls", "--insecure", "get", "key"), 0, "value\n", "");
    expect_client(&world.server,
                  WORDS("--tls", "--ca", world.ca, "--server-name", "kvs.test", "get", "key"), 0,
                  "value\n", "");
    char *with_prefix = NULL; /* as the server writes it */
    assert_true(asprintf(&with_prefix, "tls:%s", world.server.address) > 0);
    expect_client(&world.server, WORDS("--addr", with_prefix, "--ca", world.ca, "get", "key"), 0,
                  "value\n", "");
    free(with_prefix);
    expect_error(&world, WORDS("--tls", "--ca", other, "get", "key"), "certificate");
    expect_error(&world, WORDS("--tls", "--ca", world.ca, "--server-name", "x.test", "get", "key"),
                 "hostname mismatch");
    expect_error(&world, WORDS("get", "key"), "this address speaks TLS");
    struct program_result result =
        run_client(&world.server, WORDS("--ca", world.ca, "get", "key"), bytes_of(NULL, 0));
    assert_int_equal(result.exit_status, 2);
    expect_in(result.err, "add --tls");
    program_result_deinit(&result);
    free(other);
    world_stop(&world);
}

static void clients_show_certificates(void **state)
{
    (void)state;
    struct world world;
    char *folder = temp_dir_new();
    world_start(&world, WORDS(NULL));
    char *pem = certificate_path(world.folder, "client");
    char *key = certificate_key_path(world.folder, "client");
    /* The CA is made with the world, so the server that asks for it is a second one. */
    struct server_process server;
    char *server_pem = certificate_path(world.folder, "server");
    char *server_key = certificate_key_path(world.folder, "server");
    assert_true(server_process_start(&server, folder,
                                     WORDS("--addr", "tls:127.0.0.1:0", "--tls-cert", server_pem,
                                           "--tls-key", server_key, "--tls-client-ca", world.ca),
                                     NULL, NULL));
    memmove(server.address, server.address + 4, strlen(server.address + 4) + 1);
    expect_client(&server,
                  WORDS("--tls", "--ca", world.ca, "--cert", pem, "--key", key, "set", "k", "v"), 0,
                  "", "");
    struct program_result result =
        run_client(&server, WORDS("--tls", "--ca", world.ca, "get", "k"), bytes_of(NULL, 0));
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "certificate required");
    program_result_deinit(&result);
    server_process_stop(&server);
    free(server_pem);
    free(server_key);
    free(pem);
    free(key);
    temp_dir_free(folder);
    world_stop(&world);
}

static bool trusts_other(void *arg)
{
    struct world *world = arg;
    char *other = certificate_path(world->folder, "other-ca");
    struct program_result result =
        run_client(&world->server, WORDS("--tls", "--ca", other, "ping"), bytes_of(NULL, 0));
    bool trusted = result.exit_status == 0;
    program_result_deinit(&result);
    free(other);
    return trusted;
}

static void a_new_certificate_needs_no_restart(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, WORDS(NULL));
    const struct certificate_order renewed = {
        .name = "server", .issuer = "other-ca", .alternatives = "IP:127.0.0.1"};
    assert_false(trusts_other(&world));
    certificate_make(world.folder, &renewed);
    assert_int_equal(kill(world.server.pid, SIGHUP), 0);
    wait_until(trusts_other, &world);
    world_stop(&world);
}

/* With a password, too: both protocols, one address. */
static void redis_cli_speaks_tls(void **state)
{
    (void)state;
    struct world world;
    if (access("/usr/bin/redis-cli", X_OK) != 0)
        skip();
    assert_int_equal(setenv("KVS_PASSWORD", "secret", 1), 0);
    world_start(&world, WORDS(NULL));
    expect_client(&world.server, WORDS("--tls", "--ca", world.ca, "set", "key", "value"), 0, "",
                  "");
    const char *port = strrchr(world.server.address, ':') + 1;
    struct program_result result =
        program_run(WORDS("/usr/bin/redis-cli", "--tls", "--cacert", world.ca, "-p", port, "-3",
                          "--no-auth-warning", "-a", "secret", "get", "key"),
                    NULL, 0);
    assert_string_equal(result.out, "value\n");
    assert_int_equal(result.exit_status, 0);
    program_result_deinit(&result);
    world_stop(&world);
}

static int kill_leftovers(void **state)
{
    (void)state;
    (void)unsetenv("KVS_PASSWORD");
    program_kill_leftovers();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_client_has_flags_for_it, kill_leftovers),
        cmocka_unit_test_teardown(clients_show_certificates, kill_leftovers),
        cmocka_unit_test_teardown(a_new_certificate_needs_no_restart, kill_leftovers),
        cmocka_unit_test_teardown(redis_cli_speaks_tls, kill_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
