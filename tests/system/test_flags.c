/* What kvs-server's flags do to a server that serves. */
#include "system/matrix.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/expect.h"
#include "system/limits.h"
#include "system/run_client.h"

#define ARGUMENTS_MAX 48
#define MANY_THREADS  7u

/* Starts kvs-server with exactly these words. */
static void start_with(struct server_process *server, const char *const *words)
{
    const char *argv[ARGUMENTS_MAX] = {program_server()};
    size_t count = 1;
    char *log = NULL;
    for (; *words != NULL; words++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *words;
    }
    if (!server_process_start_argv(server, argv, &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
    free(log);
}

static bool has_engine(const char *name)
{
    for (const char *const *each = matrix_engines(); *each != NULL; each++) {
        if (strcmp(*each, name) == 0)
            return true;
    }
    return false;
}

/* ---- address ------------------------------------------------------------------------------ */

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return works;
}

static void ipv6_is_served(const struct pair *pair)
{
    struct server_process server;
    if (!has_ipv6()) {
        print_message("skipped: this machine has no IPv6\n");
        return;
    }
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, WORDS("--addr", "[::1]:0"));
    assert_int_equal(strncmp(server.address, "[::1]:", 6), 0);
    client_set(&server, "key", "over IPv6");
    client_expect(&server, "key", "over IPv6");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- defaults and short forms ------------------------------------------------------------- */

static bool default_port_is_free(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(4000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return is_free;
}

/* Without a word: 127.0.0.1:4000, engine log, pool shared-queue, always, ./kvs-data. */
static void defaults_are_as_documented(const struct pair *pair)
{
    struct server_process server;
    char *log = NULL;
    char *cwd = temp_dir_new();
    char *data_dir = path_join(cwd, "kvs-data");
    /* An engine only where this build has not the default one. */
    const char *const argv[] = {
        "/usr/bin/env", "-C", cwd, program_server(), has_engine("log") ? NULL : "--engine",
        pair->engine,   NULL};
    if (!default_port_is_free()) {
        print_message("skipped: somebody uses port 4000\n");
    } else if (!server_process_start_argv(&server, argv, &log, NULL)) {
        if (strstr(log, "the port is in use") == NULL) /* taken since we looked */
            fail_msg("kvs-server did not start: %s", log);
        free(log);
    } else {
        assert_string_equal(server.address, "127.0.0.1:4000");
        expect_in_log(&server, ", pool shared-queue ");
        expect_in_log(&server, ", sync always, ");
        expect_in_log(&server, data_dir);
        if (has_engine("log"))
            expect_in_log(&server, "; engine log ");
        const char *const ping[] = {program_client(), "ping", NULL};
        struct program_result result = program_run(ping, NULL, 0);
        assert_string_equal(result.out, "PONG\n");
        program_result_deinit(&result);
        server_process_stop(&server);
    }
    free(data_dir);
    temp_dir_free(cwd);
}

static void short_forms_work(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    char part[128];
    start_with(&server, WORDS("-a", "127.0.0.1:0", "-e", pair->engine, "-p", pair->pool, "-t", "3",
                              "-d", data_dir, "-s", "interval:75", "-l", "info"));
    (void)snprintf(part, sizeof(part), "; engine %s ", pair->engine);
    expect_in_log(&server, part);
    (void)snprintf(part, sizeof(part), ", pool %s ", pair->pool);
    expect_in_log(&server, part);
    expect_in_log(&server, ", sync interval:75, ");
    expect_in_log(&server, data_dir);
    client_set(&server, "key", "value");
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

static void the_log_engine_is_also_called_kvs(const struct pair *pair)
{
    struct server_process server;
    if (!has_engine("log")) {
        print_message("skipped: this build has no log engine\n");
        return;
    }
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, WORDS("--engine", "kvs"));
    expect_in_log(&server, "; engine log ");
    client_set(&server, "key", "value");
    server_process_stop(&server);
    pair_start(&server, &(struct pair){"log", pair->pool}, data_dir, NULL);
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    pair_start(&server, &(struct pair){"kvs", pair->pool}, data_dir, NULL);
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- threads, sync, log ------------------------------------------------------------------- */

/* The threads of a server that was told to have that many; what the log says in *ret_words. */
static unsigned threads_with(const struct pair *pair, const char *threads, bool *ret_bounded)
{
    struct server_process server;
    char words[32];
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, WORDS("--threads", threads));
    expect_client(&server, WORDS("ping"), 0, "PONG\n", "");
    unsigned count = process_thread_count(server.pid);
    char *log = server_process_log(&server);
    (void)snprintf(words, sizeof(words), ", threads %s,", threads);
    *ret_bounded = strstr(log, words) != NULL;
    if (!*ret_bounded && strstr(log, ", threads one per connection,") == NULL &&
        strstr(log, ", threads 1 (the caller's),") == NULL)
        fail_msg("the log does not say how many threads there are:\n%s", log);
    free(log);
    server_process_stop(&server);
    temp_dir_free(data_dir);
    return count;
}

static void threads_are_as_many_as_asked_for(const struct pair *pair)
{
    bool bounded;
    char many[16];
    (void)snprintf(many, sizeof(many), "%u", MANY_THREADS);
    unsigned one = threads_with(pair, "1", &bounded);
    unsigned seven = threads_with(pair, many, &bounded);
    if (bounded)
        assert_int_equal(seven - one, MANY_THREADS - 1);
    else
        assert_true(seven <= one + 1); /* a naive pool's thread may still be ending */
}

static void each_durability_is_said_and_serves(const struct pair *pair)
{
    static const char *const modes[] = {"always", "interval:1", "interval:60000", "none"};
    char *data_dir = temp_dir_new();
    char part[64];
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct server_process server;
        pair_start(&server, pair, data_dir, WORDS("--sync", modes[i]));
        (void)snprintf(part, sizeof(part), ", sync %s, ", modes[i]);
        expect_in_log(&server, part);
        if (i > 0)
            client_expect(&server, "mode", modes[i - 1]);
        client_set(&server, "mode", modes[i]);
        server_process_stop(&server);
    }
    temp_dir_free(data_dir);
}

static void debug_logs_each_connection(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, WORDS("--log-level", "debug"));
    expect_client(&server, WORDS("ping"), 0, "PONG\n", "");
    expect_in_log(&server, "accepted a connection");
    server_process_stop(&server);
    pair_start(&server, pair, data_dir, NULL);
    expect_client(&server, WORDS("ping"), 0, "PONG\n", "");
    char *log = server_process_log(&server);
    assert_null(strstr(log, "accepted a connection"));
    free(log);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* Binds a free port, which so stays free for a server (SO_REUSEADDR, nobody listens). */
static int reserve_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static bool answers(void *arg)
{
    struct program_result result = run_client(arg, WORDS("ping"), (struct kvs_bytes){NULL, 0});
    bool answered = result.exit_status == 0;
    program_result_deinit(&result);
    return answered;
}

/* At level error a server that has nothing to complain about says nothing, to its end. */
static void quiet_servers_are_quiet(const struct pair *pair)
{
    struct server_process server;
    uint16_t port;
    struct stat info;
    char address[32];
    char *data_dir = temp_dir_new();
    int reserved = reserve_port(&port);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    server_process_spawn(&server, WORDS(program_server(), "--addr", address, "--data-dir", data_dir,
                                        "--engine", pair->engine, "--pool", pair->pool,
                                        "--log-level", "error"));
    (void)snprintf(server.address, sizeof(server.address), "%s", address);
    wait_until(answers, &server);
    int log_fd = open(server.log_path, O_RDONLY | O_CLOEXEC);
    server_process_stop(&server);
    assert_int_equal(fstat(log_fd, &info), 0);
    assert_int_equal(info.st_size, 0);
    (void)close(log_fd);
    (void)close(reserved);
    temp_dir_free(data_dir);
}

/* ---- options of plugins ------------------------------------------------------------------- */

/* Adds "--KIND-opt NAME=DEFAULT" for each option of the plugin that has a default. */
static size_t add_defaults(const char *listing, const char *kind, const char *plugin,
                           char *words[ARGUMENTS_MAX], size_t count)
{
    char head[128];
    char flag[32];
    (void)snprintf(head, sizeof(head), "%s %s ", kind, plugin);
    (void)snprintf(flag, sizeof(flag), "--%s-opt", kind);
    const char *at = strstr(listing, head);
    assert_non_null(at);
    const char *end = strstr(at, "\n\n");
    const char *name = strstr(at, flag);
    while (name != NULL && (end == NULL || name < end)) {
        const char *next = strstr(name + 1, flag);
        const char *value = strstr(name, "\n        default ");
        name += strlen(flag) + 1;
        if (value != NULL && (next == NULL || value < next) && (end == NULL || value < end)) {
            value += strlen("\n        default ");
            size_t size = strcspn(value, ",\n");
            if (strncmp(value, "empty", size) == 0)
                size = 0;
            assert_true(count + 2 < ARGUMENTS_MAX);
            words[count++] = strdup(flag);
            assert_true(asprintf(&words[count++], "%.*s=%.*s", (int)strcspn(name, "="), name,
                                 (int)size, value) > 0);
        }
        name = next;
    }
    return count;
}

/* What --list-plugins says of the options can be given back, word for word. */
static void listed_defaults_are_accepted(const struct pair *pair)
{
    struct server_process server;
    char *words[ARGUMENTS_MAX] = {NULL};
    char *data_dir = temp_dir_new();
    struct program_result listing =
        program_run((const char *const[]){program_server(), "--list-plugins", NULL}, NULL, 0);
    size_t count = add_defaults(listing.out, "engine", pair->engine, words, 0);
    count = add_defaults(listing.out, "pool", pair->pool, words, count);
    pair_start_plain(&server, pair, data_dir, (const char *const *)words);
    client_set(&server, "key", "value");
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    for (size_t i = 0; i < count; i++)
        free(words[i]);
    program_result_deinit(&listing);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(ipv6_is_served, MATRIX_POOLS),
        MATRIX_TEST(defaults_are_as_documented, MATRIX_ONCE),
        MATRIX_TEST(short_forms_work, MATRIX_PAIRS),
        MATRIX_TEST(the_log_engine_is_also_called_kvs, MATRIX_ONCE),
        MATRIX_TEST(threads_are_as_many_as_asked_for, MATRIX_POOLS),
        MATRIX_TEST(each_durability_is_said_and_serves, MATRIX_ENGINES),
        MATRIX_TEST(debug_logs_each_connection, MATRIX_POOLS),
        MATRIX_TEST(quiet_servers_are_quiet, MATRIX_ONCE),
        MATRIX_TEST(listed_defaults_are_accepted, MATRIX_PAIRS),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
