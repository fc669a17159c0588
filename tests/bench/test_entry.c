/* A load through TLS and with a password: the program against kvs-server, in both of its protocols. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "support/certificates.h"
#include "support/program.h"
#include "support/wire.h"

#define WORDS_MAX 32

struct world {
    struct server_process server;
    char *folder;
    char *data_dir;
    char *passwords;
    char *ca;
    char *client;
    char *client_key;
};

/* A file with a password; malloced. */
static char *write_password(const char *folder, const char *name, const char *line)
{
    char *path = path_join(folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
    (void)close(fd);
    return path;
}

static int begin(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    const struct certificate_order orders[] = {
        {.name = "ca", .is_ca = true},
        {.name = "server", .issuer = "ca", .alternatives = "IP:127.0.0.1"},
        {.name = "client", .issuer = "ca"},
    };
    assert_non_null(world);
    world->folder = temp_dir_new();
    world->data_dir = temp_dir_new();
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        certificate_make(world->folder, &orders[i]);
    world->passwords = write_password(world->folder, "passwords", "secret\n");
    world->ca = certificate_path(world->folder, "ca");
    world->client = certificate_path(world->folder, "client");
    world->client_key = certificate_key_path(world->folder, "client");
    _cleanup_(freep) char *pem = certificate_path(world->folder, "server");
    _cleanup_(freep) char *key = certificate_key_path(world->folder, "server");
    const char *const arguments[] = {"--addr",
                                     "tls:127.0.0.1:0",
                                     "--tls-cert",
                                     pem,
                                     "--tls-key",
                                     key,
                                     "--tls-client-ca",
                                     world->ca,
                                     "--password-file",
                                     world->passwords,
                                     "--sync",
                                     "none",
                                     NULL};
    char *log = NULL;
    if (!server_process_start(&world->server, world->data_dir, arguments, &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    server_process_stop(&world->server);
    temp_dir_free(world->folder);
    temp_dir_free(world->data_dir);
    free(world->passwords);
    free(world->ca);
    free(world->client);
    free(world->client_key);
    free(world);
    return 0;
}

/* Runs a small load with the further words. */
static struct program_result load(const struct world *world, const char *protocol,
                                  const char *const *words)
{
    char target[64];
    (void)snprintf(target, sizeof(target), "%s://127.0.0.1:%u", protocol, world->server.port);
    const char *argv[WORDS_MAX] = {getenv("KVS_TEST_BENCH"),
                                   "load",
                                   "--target",
                                   target,
                                   "--preload",
                                   "-k",
                                   "200",
                                   "-n",
                                   "2000",
                                   "-w",
                                   "0",
                                   "-P",
                                   "8",
                                   "-c",
                                   "4"};
    size_t count = 15;
    for (; *words != NULL; words++)
        argv[count++] = *words;
    assert_true(count < WORDS_MAX);
    return program_run(argv, NULL, 0);
}

static void expect_load(const struct world *world, const char *protocol, const char *const *words)
{
    struct program_result result = load(world, protocol, words);
    if (result.exit_status != 0)
        fail_msg("%s: %s", protocol, result.err);
    program_result_deinit(&result);
}

static void expect_refused(const struct world *world, const char *protocol,
                           const char *const *words, const char *reason)
{
    struct program_result result = load(world, protocol, words);
    assert_int_not_equal(result.exit_status, 0);
    if (strstr(result.err, reason) == NULL)
        fail_msg("'%s' is not in: %s", reason, result.err);
    program_result_deinit(&result);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TLS(world)                                                                                 \
    "--tls", "--ca", (world)->ca, "--cert", (world)->client, "--key", (world)->client_key

static void both_protocols_get_in(void **state)
{
    const struct world *world = *state;
    expect_load(world, "kvs", WORDS(TLS(world), "--password-file", world->passwords));
    expect_load(world, "resp", WORDS(TLS(world), "--password-file", world->passwords));
    assert_int_equal(setenv("KVS_PASSWORD", "secret", 1), 0);
    /* Replies of many TLS records, and more than a socket takes at once. */
    expect_load(world, "kvs", WORDS(TLS(world), "-d", "70000"));
    expect_load(world, "resp", WORDS(TLS(world), "-d", "70000"));
    assert_int_equal(unsetenv("KVS_PASSWORD"), 0);
}

static void who_may_not_get_in_is_told_why(void **state)
{
    const struct world *world = *state;
    _cleanup_(freep) char *wrong = write_password(world->folder, "wrong", "guess\n");
    expect_refused(world, "kvs", WORDS(TLS(world), "--password-file", wrong),
                   "refused the password");
    expect_refused(world, "resp", WORDS(TLS(world), "--password-file", wrong),
                   "refused the password: WRONGPASS");
    expect_refused(world, "resp", WORDS(TLS(world)), "NOAUTH");
    expect_refused(world, "kvs", WORDS("--tls", "--password-file", world->passwords),
                   "certificate");
    expect_refused(world, "kvs", WORDS("--ca", world->ca), "go with --tls");
    expect_refused(world, "kvs", WORDS("--tls", "--ca", wrong), wrong);
    expect_refused(world, "memcached", WORDS("--password-file", world->passwords),
                   "memcached servers take no password");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_protocols_get_in),
        cmocka_unit_test(who_may_not_get_in_is_told_why),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
