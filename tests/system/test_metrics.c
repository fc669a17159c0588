/* Figures and health over HTTP, from the real server. */
#include "support/program.h"
#include "support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/wire.h"

struct world {
    char *dir;
    struct server_process server;
    uint16_t metrics_port;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->dir = temp_dir_new();
    const char *const arguments[] = {"--metrics-addr", "127.0.0.1:0", "--sync", "none", NULL};
    char *log = NULL;
    if (!server_process_start(&world->server, world->dir, arguments, &log, NULL)) {
        bool is_missing = strstr(log, "built without libmicrohttpd") != NULL;
        if (is_missing)
            print_message("skipped: this build is without libmicrohttpd\n");
        else
            fail_msg("%s", log);
        free(log);
        *state = world;
        return 0;
    }
    log = server_process_log(&world->server);
    const char *line = strstr(log, "metrics on port ");
    unsigned port = 0;
    assert_non_null(line);
    assert_int_equal(sscanf(line, "metrics on port %u", &port), 1);
    world->metrics_port = (uint16_t)port;
    free(log);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    program_kill_leftovers();
    temp_dir_free(world->dir);
    free(world);
    return 0;
}

/* Sends one request and returns all of the answer, malloced. */
static char *ask(const struct world *world, const char *method, const char *path)
{
    char request[256];
    size_t size = 0;
    size_t cap = 1 << 20;
    char *answer = malloc(cap);
    int fd = connect_to(world->metrics_port);
    assert_non_null(answer);
    (void)snprintf(request, sizeof(request),
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    assert_true(send_all(fd, request, strlen(request)));
    for (;;) {
        ssize_t received = recv(fd, answer + size, cap - size - 1, 0);
        assert_true(received >= 0);
        if (received == 0)
            break;
        size += (size_t)received;
    }
    answer[size] = '\0';
    (void)close(fd);
    return answer;
}

static void expect(const struct world *world, const char *method, const char *path,
                   const char *status, const char *content)
{
    char *answer = ask(world, method, path);
    if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, content) == NULL)
        fail_msg("%s %s: neither '%s' nor '%s' in:\n%s", method, path, status, content, answer);
    free(answer);
}

/* Engines name their own figures; all others are explained. */
static void expect_explained(const char *metrics)
{
    char head[256];
    for (const char *line = strstr(metrics, "\nkvs_"); line != NULL;
         line = strstr(line + 1, "\nkvs_")) {
        int size = (int)strcspn(line + 1, "{ ");
        if (memchr(line + 1, '{', (size_t)size + 1) != NULL ||
            strncmp(line + 1, "kvs_engine_", strlen("kvs_engine_")) == 0)
            continue;
        (void)snprintf(head, sizeof(head), "\n# TYPE %.*s ", size, line + 1);
        if (strstr(metrics, head) == NULL && strstr(head, "_seconds_") == NULL)
            fail_msg("nothing explains %.*s", size, line + 1);
    }
}

static void what_happened_is_counted(void **state)
{
    struct world *world = *state;
    if (world->metrics_port == 0)
        skip();
    int fd = connect_to(world->server.port);
    for (uint64_t i = 0; i < 3; i++) {
        send_request(fd, i, REQUEST_SET, "key", "value");
        expect_reply(fd, i, KVS_OK, NULL);
    }
    send_request(fd, 9, REQUEST_GET, "key", "");
    expect_reply(fd, 9, KVS_OK, "value");
    expect(world, "GET", "/metrics", "HTTP/1.1 200", "\nkvs_requests_total 4\n");
    expect(world, "GET", "/metrics", "HTTP/1.1 200",
           "\nkvs_command_duration_seconds_count{protocol=\"native\",command=\"set\"} 3\n");
    expect(world, "GET", "/metrics", "HTTP/1.1 200",
           "\nkvs_command_duration_seconds_count{protocol=\"native\",command=\"get\"} 1\n");
    expect(world, "GET", "/metrics", "HTTP/1.1 200", "kvs_build_info{version=\"");
    expect(world, "GET", "/metrics", "HTTP/1.1 200", "\nkvs_engine_keys 1\n");
    expect(world, "GET", "/metrics", "HTTP/1.1 200", "\nkvs_queue_wait_seconds_count ");
    expect(world, "GET", "/metrics", "HTTP/1.1 200", "\nkvs_pool_queue_wait_p99_ns ");
    char *metrics = ask(world, "GET", "/metrics");
    expect_explained(metrics);
    free(metrics);
    (void)close(fd);
    assert_true(fetch_stat(world->server.port, "pool_queue_wait_p99_ns") > 0);
    server_process_stop(&world->server);
}

static void health_and_readiness(void **state)
{
    struct world *world = *state;
    if (world->metrics_port == 0)
        skip();
    expect(world, "GET", "/health", "HTTP/1.1 200", "\r\n\r\nok\n");
    expect(world, "GET", "/ready", "HTTP/1.1 200", "\r\n\r\nready\n");
    server_process_stop(&world->server);
}

static void other_requests_are_refused(void **state)
{
    struct world *world = *state;
    if (world->metrics_port == 0)
        skip();
    expect(world, "GET", "/", "HTTP/1.1 404", "/metrics");
    expect(world, "POST", "/metrics", "HTTP/1.1 405", "Allow: GET");
    expect(world, "HEAD", "/health", "HTTP/1.1 200", "Content-Length: 3");
    server_process_stop(&world->server);
}

static void an_address_in_use_is_an_error(void **state)
{
    struct world *world = *state;
    if (world->metrics_port == 0)
        skip();
    char address[32];
    char *dir = temp_dir_new();
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", world->metrics_port);
    const char *const arguments[] = {"--metrics-addr", address, NULL};
    struct server_process second;
    char *log = NULL;
    int status = 0;
    assert_false(server_process_start(&second, dir, arguments, &log, &status));
    assert_int_equal(status, 1);
    assert_non_null(strstr(log, address));
    free(log);
    temp_dir_free(dir);
    server_process_stop(&world->server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_happened_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_and_readiness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_requests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_in_use_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
