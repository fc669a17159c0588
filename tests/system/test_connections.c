/* Many connections, and difficult ones, on the real server: 10,000 idle ones beside those that work,
   a burst of connects, half-sent frames, slow readers, no descriptors left. */
#include "system/matrix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "support/wire.h"
#include "system/expect.h"
#include "system/limits.h"
#include "system/run_client.h"

#define IDLE              10000u
#define IDLE_THREADS      1000u /* where each connection has a thread of its own */
#define IDLE_BATCH        500u
#define IDLE_MEMORY       ((uint64_t)4096)  /* bytes that an idle connection may cost */
#define THREAD_MEMORY     ((uint64_t)65536) /* the same with a thread of its own */
#define BURST             1000u
#define WORKING           20u
#define ROUNDS            20u
#define HALVES            200u
#define SLOW              8u
#define SLOW_GETS         40u
#define SLOW_VALUE        ((size_t)1 << 20)
#define SLOW_MEMORY       ((uint64_t)64 << 20)
#define FEW_DESCRIPTORS   "100"
#define TOO_MANY          200u
#define DESCRIPTORS_SPARE 200u

/* Closes with a reset, which leaves no port waiting behind. */
static void cut(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(fd);
}

/* Sends a ping on each connection, then receives the replies. */
static void ping_all(const int *fds, unsigned count, const char *text)
{
    for (unsigned i = 0; i < count; i++)
        send_request(fds[i], i, REQUEST_PING, NULL, text);
    for (unsigned i = 0; i < count; i++)
        expect_reply(fds[i], i, KVS_OK, text);
}

/* Connections that do what connections are for, in turns with each other. */
static void work(const struct server_process *server)
{
    int fds[WORKING];
    char key[32];
    char value[32];
    for (unsigned i = 0; i < WORKING; i++)
        fds[i] = connect_to(server->port);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < WORKING; i++) {
            (void)snprintf(key, sizeof(key), "work %u", i);
            (void)snprintf(value, sizeof(value), "round %u", round);
            send_request(fds[i], 2 * round, REQUEST_SET, key, value);
            send_request(fds[i], 2 * round + 1, REQUEST_GET, key, NULL);
        }
        for (unsigned i = 0; i < WORKING; i++) {
            expect_reply(fds[i], 2 * round, KVS_OK, "");
            expect_reply(fds[i], 2 * round + 1, KVS_OK, value);
        }
    }
    for (unsigned i = 0; i < WORKING; i++)
        (void)close(fds[i]);
}

/* ---- idle ones ---------------------------------------------------------------------------- */

static bool has_thread_per_connection(const struct server_process *server)
{
    char *log = server_process_log(server);
    bool has = strstr(log, ", threads one per connection,") != NULL;
    free(log);
    return has;
}

struct open_connections {
    uint16_t port;
    uint64_t count;
};

static bool are_open(void *arg)
{
    const struct open_connections *expected = arg;
    return fetch_stat(expected->port, "connections") == expected->count;
}

static void idle_connections_cost_little(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    if (!raise_descriptor_limit(IDLE + DESCRIPTORS_SPARE))
        return;
    pair_start(&server, pair, data_dir, WORDS("--threads", "2"));
    work(&server);
    bool threads = has_thread_per_connection(&server);
    unsigned count = threads ? IDLE_THREADS : IDLE;
    unsigned threads_before = process_thread_count(server.pid);
    uint64_t memory_before = process_memory_bytes(server.pid);
    int *fds = calloc(count, sizeof(*fds));
    for (unsigned i = 0; i < count; i += IDLE_BATCH) {
        for (unsigned n = i; n < i + IDLE_BATCH; n++)
            fds[n] = connect_to(server.port);
        ping_all(fds + i, IDLE_BATCH, "are you there?");
    }
    struct open_connections all = {server.port, count + 1}; /* and the one that asks */
    wait_until(are_open, &all);
    work(&server);
    client_set(&server, "key", "beside idle ones");
    client_expect(&server, "key", "beside idle ones");
    if (!threads)
        assert_true(process_thread_count(server.pid) <= threads_before + 1);
    uint64_t memory = process_memory_bytes(server.pid);
    uint64_t each = memory > memory_before ? (memory - memory_before) / count : 0;
    print_message("an idle connection costs %u bytes\n", (unsigned)each);
    if (!built_with_sanitizer() && each > (threads ? THREAD_MEMORY : IDLE_MEMORY))
        fail_msg("that is more than the limit");

    ping_all(fds, count, "still there?");
    for (unsigned i = 0; i < count; i++)
        cut(fds[i]);
    all.count = 1;
    wait_until(are_open, &all);
    client_expect(&server, "key", "beside idle ones");
    server_process_stop(&server);
    free(fds);
    temp_dir_free(data_dir);
}

/* ---- a burst ------------------------------------------------------------------------------ */

static int begin_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        assert_int_equal(errno, EINPROGRESS);
    return fd;
}

/* Waits for the connection, which must be made, and lets the socket block again. */
static void finish_connect(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    assert_int_equal(poll(&ready, 1, (int)support_wait_ms()), 1);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    assert_int_equal(error, 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

/* While the server does not run for a moment, connections queue; none is refused or reset. */
static void a_burst_of_connects_is_not_refused(const struct pair *pair)
{
    struct server_process server;
    int fds[BURST];
    int stopped;
    if (!raise_descriptor_limit(BURST + DESCRIPTORS_SPARE))
        return;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, WORDS("--threads", "2"));
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(server.pid, &stopped, WUNTRACED), server.pid);
    for (unsigned i = 0; i < BURST; i++)
        fds[i] = begin_connect(server.port);
    for (unsigned i = 0; i < BURST; i++)
        finish_connect(fds[i]);
    for (unsigned i = 0; i < BURST; i++)
        send_request(fds[i], i, REQUEST_PING, NULL, "all at once");
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    for (unsigned i = 0; i < BURST; i++)
        expect_reply(fds[i], i, KVS_OK, "all at once");
    for (unsigned i = 0; i < BURST; i++)
        cut(fds[i]);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- difficult ones ----------------------------------------------------------------------- */

/* Many more connections than threads, each in the middle of a frame; others are served. */
static void half_sent_frames_hold_nobody_up(const struct pair *pair)
{
    struct server_process server;
    int fds[HALVES];
    uint8_t frame[64];
    char *data_dir = temp_dir_new();
    size_t size = put_request(frame, 9, REQUEST_SET, bytes_of_text("half"), bytes_of_text("whole"));
    pair_start(&server, pair, data_dir, WORDS("--threads", "2"));
    for (unsigned i = 0; i < HALVES; i++) {
        fds[i] = connect_to(server.port);
        assert_true(send_all(fds[i], frame, 1 + i % (size - 1)));
    }
    work(&server);
    expect_client(&server, WORDS("get", "half"), 0, "Key not found\n", "");
    /* A third goes on, a third ends in the middle, a third is reset. */
    for (unsigned i = 0; i < HALVES; i++) {
        size_t sent = 1 + i % (size - 1);
        if (i % 3 == 0) {
            assert_true(send_all(fds[i], frame + sent, size - sent));
            expect_reply(fds[i], 9, KVS_OK, "");
        } else if (i % 3 == 1) {
            assert_int_equal(shutdown(fds[i], SHUT_WR), 0);
            expect_closed(fds[i]);
        }
        cut(fds[i]);
    }
    work(&server);
    client_expect(&server, "half", "whole");
    struct open_connections none = {server.port, 1};
    wait_until(are_open, &none);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* More who ask for much and read nothing than there are threads: others are served, and the server
   does not keep for them what they do not take. */
static void slow_readers_cost_little(const struct pair *pair)
{
    struct server_process server;
    int fds[SLOW];
    char *data_dir = temp_dir_new();
    char *value = malloc(SLOW_VALUE + 1);
    memset(value, 'v', SLOW_VALUE);
    value[SLOW_VALUE] = '\0';
    pair_start(&server, pair, data_dir, WORDS("--threads", "2"));
    client_set_bytes(&server, "large", bytes_of(value, SLOW_VALUE));
    work(&server);
    uint64_t memory_before = process_memory_bytes(server.pid);
    for (unsigned i = 0; i < SLOW; i++) {
        fds[i] = connect_to(server.port);
        for (unsigned n = 0; n < SLOW_GETS; n++)
            send_request(fds[i], n, REQUEST_GET, "large", NULL);
    }
    work(&server);
    uint64_t memory = process_memory_bytes(server.pid);
    if (!built_with_sanitizer() && memory > memory_before + SLOW_MEMORY)
        fail_msg("%u slow readers cost %llu bytes", SLOW,
                 (unsigned long long)(memory - memory_before));
    for (unsigned i = 0; i < SLOW; i++) {
        for (unsigned n = 0; n < SLOW_GETS; n++)
            expect_reply(fds[i], n, KVS_OK, i % 2 == 0 ? value : NULL);
        (void)close(fds[i]);
    }
    server_process_stop(&server);
    free(value);
    temp_dir_free(data_dir);
}

/* Some who ask for much are gone before it comes. */
static void vanishing_readers_harm_nobody(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    char *value = calloc(1, SLOW_VALUE);
    pair_start(&server, pair, data_dir, WORDS("--threads", "2"));
    client_set_bytes(&server, "large", bytes_of(value, SLOW_VALUE));
    for (unsigned i = 0; i < SLOW * 4; i++) {
        int fd = connect_to(server.port);
        for (unsigned n = 0; n < SLOW_GETS; n++)
            send_request(fd, n, REQUEST_GET, "large", NULL);
        cut(fd);
    }
    work(&server);
    struct open_connections none = {server.port, 1};
    wait_until(are_open, &none);
    server_process_stop(&server);
    free(value);
    temp_dir_free(data_dir);
}

/* ---- no descriptors left ------------------------------------------------------------------ */

static bool says_why(void *arg)
{
    char *log = server_process_log(arg);
    bool says = strstr(log, "limit of open files") != NULL;
    free(log);
    return says;
}

/* With more connections than descriptors those that are in go on, the others wait until these end;
   the server says what is the matter. */
static void without_descriptors_connections_wait(const struct pair *pair)
{
    struct server_process server;
    int fds[TOO_MANY];
    char *log = NULL;
    char *data_dir = temp_dir_new();
    const char *const argv[] = {"/usr/bin/prlimit",
                                "--nofile=" FEW_DESCRIPTORS ":" FEW_DESCRIPTORS,
                                program_server(),
                                "--addr",
                                "127.0.0.1:0",
                                "--data-dir",
                                data_dir,
                                "--engine",
                                pair->engine,
                                "--pool",
                                pair->pool,
                                "--threads",
                                "2",
                                NULL};
    if (!server_process_start_argv(&server, argv, &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
    for (unsigned i = 0; i < TOO_MANY; i++) {
        fds[i] = connect_to(server.port);
        send_request(fds[i], 1, REQUEST_PING, NULL, "first");
    }
    wait_until(says_why, &server);
    for (unsigned i = 0; i < TOO_MANY; i++) {
        expect_reply(fds[i], 1, KVS_OK, "first");
        send_request(fds[i], 2, REQUEST_SET, "key", "value");
        expect_reply(fds[i], 2, KVS_OK, "");
        (void)close(fds[i]);
    }
    work(&server);
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(idle_connections_cost_little, MATRIX_PAIRS),
        MATRIX_TEST(a_burst_of_connects_is_not_refused, MATRIX_PAIRS),
        MATRIX_TEST(half_sent_frames_hold_nobody_up, MATRIX_PAIRS),
        MATRIX_TEST(slow_readers_cost_little, MATRIX_PAIRS),
        MATRIX_TEST(vanishing_readers_harm_nobody, MATRIX_PAIRS),
        MATRIX_TEST(without_descriptors_connections_wait, MATRIX_PAIRS),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
