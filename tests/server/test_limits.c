/* Clients that take more than they may, over real sockets, for every pool: each is told, ended, and
   counted, and the others are served as if nothing were. */
#include "server/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "server/limits.h"

#define SHORT_MS    100u
#define CLIENTS_MAX 3u
#define LARGE       ((size_t)60000)
#define MANY_LARGE  64u
#define FLOOD       20000u /* replies, more than sockets and buffers hold */

typedef void (*limit_body)(struct fixture *fixture);

/* Runs body for each pool, with these limits. */
static void for_each_pool(const struct kvs_server_config *limits, limit_body body)
{
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        struct kvs_server_config config = *limits;
        config.engine = "test";
        config.pool = *pool;
        config.threads = 2;
        fixture_start_config(&fixture, &config);
        body(&fixture);
        fixture_stop(&fixture);
    }
}

static void send_text(int fd, const char *text)
{
    assert_true(send_all(fd, text, strlen(text)));
}

static void expect_text(int fd, const char *text)
{
    char received[256];
    size_t size = strlen(text);
    size_t have = 0;
    assert_true(size < sizeof(received));
    while (have < size) {
        ssize_t now = recv(fd, received + have, size - have, 0);
        if (now <= 0)
            fail_msg("the connection ended; expected %s", text);
        have += (size_t)now;
    }
    received[size] = '\0';
    assert_string_equal(received, text);
}

/* Somebody else is served. */
static void expect_service(const struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    send_text(fd, "set well 1\r\nget well\r\n");
    expect_text(fd, "+OK\r\n$1\r\n1\r\n");
    (void)close(fd);
}

/* ---- how many ----------------------------------------------------------------------------- */

static bool can_ping(void *arg)
{
    const struct fixture *fixture = arg;
    char reply[64];
    int fd = connect_to(fixture->port);
    send_text(fd, "ping\r\n");
    ssize_t size = recv(fd, reply, sizeof(reply) - 1, 0);
    (void)close(fd);
    return size == 7 && memcmp(reply, "+PONG\r\n", 7) == 0;
}

static void clients_body(struct fixture *fixture)
{
    int fds[CLIENTS_MAX];
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        fds[i] = connect_to(fixture->port);
        send_text(fds[i], "ping\r\n");
        expect_text(fds[i], "+PONG\r\n");
    }
    int fd = connect_to(fixture->port);
    expect_text(fd, "-ERR max number of clients reached\r\n");
    expect_closed(fd);
    (void)close(fd);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        send_text(fds[i], "ping\r\n");
        expect_text(fds[i], "+PONG\r\n");
        (void)close(fds[i]);
    }
    wait_until(can_ping, fixture);
    assert_true(fetch_stat(fixture->port, "clients_refused") >= 1);
}

static void further_clients_are_refused(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.clients_max = CLIENTS_MAX}, clients_body);
}

/* ---- how large ---------------------------------------------------------------------------- */

static void request_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    send_text(fd, "*3\r\n$4\r\nmset\r\n$1\r\na\r\n$100000\r\n");
    expect_text(fd, "-ERR Protocol error: too big request: more than the 50000 bytes that this "
                    "server takes\r\n");
    expect_closed(fd);
    (void)close(fd);
    expect_service(fixture);
}

static void large_requests_are_refused(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.request_max = 50000}, request_body);
}

static void reply_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    char head[64];
    _cleanup_(freep) char *value = malloc(LARGE + 2);
    memset(value, 'v', LARGE);
    memcpy(value + LARGE, "\r\n", 2);
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nset\r\n$1\r\nl\r\n$%zu\r\n", LARGE);
    send_text(fd, head);
    assert_true(send_all(fd, value, LARGE + 2));
    expect_text(fd, "+OK\r\n");
    send_text(fd, "mget l l l\r\nmget none none\r\nstrlen l\r\n");
    expect_text(fd, "-ERR the reply is over the limit of 100000 bytes\r\n*2\r\n$-1\r\n$-1\r\n"
                    ":60000\r\n");
    (void)close(fd);
    assert_int_equal(fetch_stat(fixture->port, "replies_refused"), 1);
    expect_service(fixture);
}

static void large_replies_are_refused(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.reply_max = 100000}, reply_body);
}

/* ---- how long ----------------------------------------------------------------------------- */

static void idle_body(struct fixture *fixture)
{
    int resp = connect_to(fixture->port);
    int native = connect_to(fixture->port);
    int silent = connect_to(fixture->port);
    send_text(resp, "ping\r\n");
    expect_text(resp, "+PONG\r\n");
    send_request(native, 1, REQUEST_PING, NULL, "x");
    expect_reply(native, 1, KVS_OK, "x");
    expect_text(resp, "-ERR the connection is closed: there was no request for 100 ms\r\n");
    expect_reply(native, 0, KVS_TIMEOUT,
                 "the connection is closed: there was no request for 100 ms");
    expect_closed(resp);
    expect_closed(native);
    expect_closed(silent); /* what it speaks is not known */
    (void)close(resp);
    (void)close(native);
    (void)close(silent);
    assert_true(fetch_stat(fixture->port, "idle_timeouts") >= 3);
    expect_service(fixture);
}

static void idle_clients_are_closed(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.idle_timeout_ms = SHORT_MS}, idle_body);
}

/* Sends single bytes until the server has had enough. False: it has. */
static bool has_ended(void *arg)
{
    int fd = *(const int *)arg;
    char byte;
    (void)send(fd, "x", 1, MSG_NOSIGNAL);
    ssize_t received = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return received >= 0;
}

static void trickle_body(struct fixture *fixture)
{
    int idle = connect_to(fixture->port);
    int fd = connect_to(fixture->port);
    send_text(idle, "ping\r\n");
    expect_text(idle, "+PONG\r\n");
    send_text(fd, "ping\r\n*2\r\n$3\r\nget\r\n$1000\r\n");
    expect_text(fd, "+PONG\r\n");
    wait_until(has_ended, &fd);
    expect_text(fd,
                "-ERR the connection is closed: the rest of a request took more than 100 ms\r\n");
    (void)close(fd);
    assert_int_equal(fetch_stat(fixture->port, "request_timeouts"), 1);
    assert_int_equal(fetch_stat(fixture->port, "idle_timeouts"), 0);
    /* Who has sent whole requests may be silent for as long as he likes. */
    send_text(idle, "ping\r\n");
    expect_text(idle, "+PONG\r\n");
    (void)close(idle);
    expect_service(fixture);
}

static void requests_in_drops_are_ended(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.request_timeout_ms = SHORT_MS}, trickle_body);
}

struct expected_stat {
    uint16_t port;
    const char *name;
    uint64_t value;
};

static bool has_stat(void *arg)
{
    const struct expected_stat *expected = arg;
    return fetch_stat(expected->port, expected->name) == expected->value;
}

/* One who asks for much and never reads: he is cut off while it is waited for him. */
static void reader_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    _cleanup_(freep) char *value = malloc(LARGE + 2);
    char head[64];
    memset(value, 'v', LARGE);
    memcpy(value + LARGE, "\r\n", 2);
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nset\r\n$1\r\nl\r\n$%zu\r\n", LARGE);
    send_text(fd, head);
    assert_true(send_all(fd, value, LARGE + 2));
    expect_text(fd, "+OK\r\n");
    for (unsigned i = 0; i < FLOOD; i++) {
        if (send(fd, "get l\r\n", 7, MSG_NOSIGNAL | MSG_DONTWAIT) != 7)
            break;
    }
    struct expected_stat cut = {fixture->port, "reader_timeouts", 1};
    wait_until(has_stat, &cut);
    struct expected_stat gone = {fixture->port, "connections", 1};
    wait_until(has_stat, &gone);
    (void)close(fd);
    expect_service(fixture);
}

static void those_who_never_read_are_cut_off(void **state)
{
    (void)state;
    for_each_pool(&(struct kvs_server_config){.reader_timeout_ms = SHORT_MS}, reader_body);
}

/* ---- the parts ---------------------------------------------------------------------------- */

#define MS UINT64_C(1000000)

/* A time begins anew with progress, and with nothing else. */
static void progress_gives_time(void **state)
{
    (void)state;
    struct limits limits = {.request_timeout_ns = 1000 * MS};
    struct limits_watch watch = {0};
    assert_false(limits_note(&limits, &watch, LIMITS_WAIT_REST, 0));
    uint64_t since = watch.since_ns;
    assert_int_not_equal(since, 0);
    watch.moved = LIMITS_PROGRESS - 1;
    (void)limits_note(&limits, &watch, LIMITS_WAIT_REST, 0);
    assert_int_equal(watch.since_ns, since);
    watch.moved = LIMITS_PROGRESS;
    (void)limits_note(&limits, &watch, LIMITS_WAIT_REST, 0);
    assert_true(watch.since_ns > since);
    assert_int_equal(watch.moved, 0);
    assert_false(limits_is_over(&limits, &watch, watch.since_ns + 999 * MS));
    assert_true(limits_is_over(&limits, &watch, watch.since_ns + 1000 * MS));
    assert_false(limits_is_over(&limits, &watch, watch.since_ns + 2000 * MS)); /* once */
    assert_int_equal(limits.request_timeouts, 1);
}

/* limits.c, I1: nobody is woken for nothing, and the first who presses wakes a sleeper. */
static void a_sleeper_is_woken_for_the_first(void **state)
{
    (void)state;
    struct limits limits = {.request_timeout_ns = 400 * MS};
    struct limits_watch one = {0};
    struct limits_watch other = {0};
    assert_int_equal(limits_next_sweep_ns(&limits), UINT64_MAX);
    limits.asleep = 1;
    assert_false(limits_note(&limits, &one, LIMITS_WAIT_REQUEST, 5));
    assert_true(limits_note(&limits, &one, LIMITS_WAIT_READER, 5));
    assert_int_equal(limits_next_sweep_ns(&limits), 100 * MS);
    assert_false(limits_note(&limits, &other, LIMITS_WAIT_REST, 5));
    assert_int_equal(limits.pressed, 2);
    assert_false(limits_note(&limits, &one, LIMITS_WAIT_REST, 5));
    assert_int_equal(limits.pressed, 2);
    (void)limits_note(&limits, &one, LIMITS_WAIT_NOT, 5);
    (void)limits_note(&limits, &other, LIMITS_WAIT_REQUEST, 5);
    assert_int_equal(limits.pressed, 0);
    assert_int_equal(limits_next_sweep_ns(&limits), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_gives_time),
        cmocka_unit_test(a_sleeper_is_woken_for_the_first),
        cmocka_unit_test(further_clients_are_refused),
        cmocka_unit_test(large_requests_are_refused),
        cmocka_unit_test(large_replies_are_refused),
        cmocka_unit_test(idle_clients_are_closed),
        cmocka_unit_test(requests_in_drops_are_ended),
        cmocka_unit_test(those_who_never_read_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
