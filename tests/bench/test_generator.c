/* The load generator against real servers: kvs-server, and redis-server where it is installed. */
#include "support/support.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "load/generator.h"
#include "support/program.h"
#include "support/wire.h"

#define KEYS 500u

static struct plan plan_for(const char *protocol, uint16_t port, const char *mix)
{
    struct test_error error;
    _cleanup_(freep) char *text = g_strdup_printf("%s://127.0.0.1:%u", protocol, port);
    struct plan plan = {
        .threads = 1,
        .connections = 5,
        .pipeline = 4,
        .keys = KEYS,
        .value_size = 100,
        .exponent = 0.99,
        .seed = 1,
        .requests = 3000,
        .preload = true,
    };
    test_error_init(&error);
    assert_status(KVS_OK, endpoint_parse(text, false, &plan.endpoint, &error.error), &error);
    assert_status(KVS_OK, plan_mix_parse(mix, &plan.mix, &error.error), &error);
    plan.distribution = plan.mix.distribution;
    return plan;
}

static struct generator_outcome *run(const struct plan *plan, kvs_status expected)
{
    struct test_error error;
    struct generator_outcome *outcome = calloc(1, sizeof(*outcome));
    test_error_init(&error);
    assert_status(expected, generator_run(plan, outcome, &error.error), &error);
    return outcome;
}

static void expect_clean(const struct generator_outcome *outcome, uint64_t requests)
{
    assert_int_equal(outcome->errors, 0);
    assert_string_equal(outcome->error_text, "");
    assert_int_equal(outcome->wrong, 0);
    assert_int_equal(outcome->replies, requests);
    assert_int_equal(outcome->latency.count, requests);
    assert_true(outcome->requests_per_s > 0);
    assert_true(outcome->latency.min > 0);
}

/* Every mix, closed and open loop, with one and several threads, against one server. */
static void expect_all_loads(const char *protocol, uint16_t port, pid_t pid)
{
    static const char *const mixes[] = {"set", "get", "1:3", "a", "d", "f"};
    for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
        struct plan plan = plan_for(protocol, port, mixes[i]);
        plan.pid = pid;
        plan.threads = 1 + (uint32_t)i % 2;
        plan.rate = i >= 3 ? 1000000 : 0;
        plan.value_size = i == 1 ? 5 : 100;            /* also values without a stamp */
        plan.warm_up_ns = i == 2 ? 20 * NS_PER_MS : 0; /* what began before does not count */
        _cleanup_(freep) struct generator_outcome *outcome = run(&plan, KVS_OK);
        /* Each read of a change is followed by its write, but for those at the end. */
        if (strcmp(mixes[i], "f") == 0)
            assert_true(outcome->set_latency.count > 500 && outcome->replies >= plan.requests);
        else
            expect_clean(outcome, plan.requests);
        if (strcmp(mixes[i], "d") != 0) /* its inserts may be read before they are there */
            assert_int_equal(outcome->misses, 0);
        assert_true(outcome->has_server);
        assert_true(outcome->server.resident_bytes > 0);
    }
}

static void every_load_runs_against_our_server(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    struct server_process server;
    static const char *const arguments[] = {"--sync", "none", NULL};
    assert_true(server_process_start(&server, dir, arguments, NULL, NULL));
    expect_all_loads("kvs", server.port, server.pid);

    struct plan plan = plan_for("kvs", server.port, "1:1"); /* by time, with a warm-up */
    plan.requests = 0;
    plan.warm_up_ns = 20 * NS_PER_MS;
    plan.duration_ns = 50 * NS_PER_MS;
    _cleanup_(freep) struct generator_outcome *timed = run(&plan, KVS_OK);
    assert_true(timed->replies > 0);
    assert_float_equal(timed->wall_ns, (double)plan.duration_ns, 1);
    assert_int_equal(timed->wrong + timed->errors + timed->misses, 0);

    plan.rate = 100000000; /* nobody serves so many */
    _cleanup_(freep) struct generator_outcome *overloaded = run(&plan, KVS_OK);
    assert_true(overloaded->overloaded && overloaded->late > 0);
    server_process_stop(&server);
    temp_dir_free(dir);
}

static void large_values_and_deep_pipelines_come_through(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    struct server_process server;
    static const char *const arguments[] = {"--sync", "none", NULL};
    assert_true(server_process_start(&server, dir, arguments, NULL, NULL));
    struct plan plan = plan_for("kvs", server.port, "1:1");
    plan.keys = 16;
    plan.requests = 200;
    plan.value_size = 300000; /* more than a receive buffer, and than a socket takes at once */
    plan.pipeline = 16;
    _cleanup_(freep) struct generator_outcome *outcome = run(&plan, KVS_OK);
    expect_clean(outcome, 200);
    server_process_stop(&server);
    temp_dir_free(dir);
}

static void wrong_and_refused_replies_are_counted(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    struct server_process server;
    static const char *const arguments[] = {"--sync", "none", "--value-max", "100", NULL};
    assert_true(server_process_start(&server, dir, arguments, NULL, NULL));
    struct plan plan = plan_for("kvs", server.port, "get");
    plan.preload = false;
    _cleanup_(freep) struct generator_outcome *empty = run(&plan, KVS_OK);
    assert_int_equal(empty->misses, 3000);
    assert_int_equal(empty->wrong, 0);

    /* A value of the right size that this load did not write. */
    char key[DATA_KEY_SIZE + 1] = "";
    char value[101] = "";
    const struct data data = {plan.seed, plan.keys, plan.value_size};
    data_key(&data, 7, (uint8_t *)key);
    memset(value, 'x', 100);
    int fd = connect_to(server.port);
    send_request(fd, 1, REQUEST_SET, key, value);
    expect_reply(fd, 1, KVS_OK, NULL);
    (void)close(fd);
    plan.distribution = PLAN_SEQUENTIAL;
    _cleanup_(freep) struct generator_outcome *wrong = run(&plan, KVS_OK);
    assert_int_equal(wrong->wrong, 3000 / KEYS);

    plan.value_size = 101;
    plan.preload = true;
    plan.mix.gets = 0;
    plan.mix.sets = 100;
    _cleanup_(freep) struct generator_outcome *refused = run(&plan, KVS_OK);
    assert_int_equal(refused->errors, 3000 + KEYS);
    assert_non_null(strstr(refused->error_text, "100"));
    server_process_stop(&server);
    temp_dir_free(dir);
}

static void a_server_that_does_not_fit_ends_the_load(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    struct server_process server;
    assert_true(server_process_start(&server, dir, NULL, NULL, NULL));
    struct plan plan = plan_for("memcached", server.port, "get");
    struct test_error error;
    struct generator_outcome *outcome = calloc(1, sizeof(*outcome));
    test_error_init(&error);
    kvs_status status = generator_run(&plan, outcome, &error.error);
    assert_true(status == KVS_PROTOCOL || status == KVS_NETWORK); /* it may close before we read */
    uint16_t port = server.port;
    server_process_stop(&server);
    plan = plan_for("kvs", port, "get");
    plan.threads = 2;
    assert_status(KVS_NETWORK, generator_run(&plan, outcome, &error.error), &error);
    assert_non_null(strstr(error.message, "cannot connect"));
    free(outcome);
    temp_dir_free(dir);
}

/* A port that is free now. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void die_with_parent(gpointer data)
{
    (void)data;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool accepts(void *arg)
{
    const uint16_t *port = arg;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return connected;
}

/* Runs all loads against a server program that is told its port; skips where it is missing. */
static void expect_foreign(const char *program, const char *protocol, const char *const *options)
{
    _cleanup_(freep) char *path = g_find_program_in_path(program);
    if (path == NULL) {
        print_message("no %s here: %s:// is not tried\n", program, protocol);
        skip();
    }
    char *dir = temp_dir_new();
    uint16_t port = free_port();
    _cleanup_(freep) char *port_text = g_strdup_printf("%u", port);
    const char *argv[16] = {path};
    size_t count = 1;
    for (; *options != NULL; options++)
        argv[count++] = strcmp(*options, "PORT") == 0 ? port_text : *options;
    GPid pid;
    assert_true(g_spawn_async(dir, (gchar **)(uintptr_t)argv, NULL,
                              G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
                              die_with_parent, NULL, &pid, NULL));
    wait_until(accepts, &port);
    expect_all_loads(protocol, port, pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    temp_dir_free(dir);
}

static void every_load_runs_against_redis(void **state)
{
    (void)state;
    static const char *const options[] = {"--port", "PORT",         "--bind", "127.0.0.1", "--save",
                                          "",       "--appendonly", "no",     NULL};
    expect_foreign("redis-server", "resp", options);
}

static void every_load_runs_against_memcached(void **state)
{
    (void)state;
    static const char *const options[] = {"-p", "PORT", "-l",     "127.0.0.1", "-U",
                                          "0",  "-u",   "nobody", NULL};
    expect_foreign("memcached", "memcached", options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_load_runs_against_our_server),
        cmocka_unit_test(large_values_and_deep_pipelines_come_through),
        cmocka_unit_test(wrong_and_refused_replies_are_counted),
        cmocka_unit_test(a_server_that_does_not_fit_ends_the_load),
        cmocka_unit_test(every_load_runs_against_redis),
        cmocka_unit_test(every_load_runs_against_memcached),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    program_kill_leftovers();
    return failed;
}
