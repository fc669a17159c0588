/*
 * The server over real sockets, for every pool, on an engine whose timing the test decides:
 * pipelines and their order, half-sent frames, malformed ones, slow readers, waiting writes, jobs
 * that end their thread, stopping.
 */
#include "server/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

#define PIPELINE     2000u
#define MANY         300u
#define LARGE        ((size_t)3000000)
#define FLOOD_GETS   64u
#define PARKED_COUNT 100u

/* Runs body for each pool: with the engine answering at once, and later. */
static void for_each_pool(void (*body)(struct fixture *fixture))
{
    static const char *const later[] = {"later=yes", NULL};
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        fixture_start(&fixture, *pool, 2, NULL);
        body(&fixture);
        fixture_stop(&fixture);
        fixture_start(&fixture, *pool, 2, later);
        body(&fixture);
        fixture_stop(&fixture);
    }
}

static void basic_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    send_request(fd, 1, REQUEST_PING, NULL, "hello");
    expect_reply(fd, 1, KVS_OK, "hello");
    send_request(fd, 2, REQUEST_GET, "a", NULL);
    expect_reply(fd, 2, KVS_NOT_FOUND, "");
    send_request(fd, 3, REQUEST_SET, "a", "1");
    expect_reply(fd, 3, KVS_OK, "");
    send_request(fd, 4, REQUEST_GET, "a", NULL);
    expect_reply(fd, 4, KVS_OK, "1");
    send_request(fd, 5, REQUEST_SET, "a", "");
    expect_reply(fd, 5, KVS_OK, "");
    send_request(fd, 6, REQUEST_GET, "a", NULL);
    expect_reply(fd, 6, KVS_OK, "");
    send_request(fd, 7, REQUEST_REMOVE, "a", NULL);
    expect_reply(fd, 7, KVS_OK, "");
    send_request(fd, 8, REQUEST_REMOVE, "a", NULL);
    expect_reply(fd, 8, KVS_NOT_FOUND, "");
    send_request(fd, 9, REQUEST_GET, "rot13", NULL);
    expect_reply(fd, 9, KVS_CORRUPT, "this key is corrupt for the test");
    send_request(fd, 10, REQUEST_HELLO, NULL, NULL);
    expect_reply(fd, 10, KVS_OK, NULL);
    (void)close(fd);
}

static void every_command_is_answered(void **state)
{
    (void)state;
    for_each_pool(basic_body);
}

/* Sets and gets of the same keys, all sent before anything is read: each get sees the set before
   it, and replies come in order. */
static void pipeline_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    uint8_t *frames = malloc((size_t)PIPELINE * 2 * 64);
    size_t size = 0;
    char key[16];
    char value[16];
    for (unsigned i = 0; i < PIPELINE; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i % 7);
        (void)snprintf(value, sizeof(value), "v%u", i);
        size +=
            put_request(frames + size, i, REQUEST_SET, bytes_of_text(key), bytes_of_text(value));
        if (i % 3 == 0)
            size += put_request(frames + size, PIPELINE + i, REQUEST_GET, bytes_of_text(key),
                                (struct kvs_bytes){NULL, 0});
    }
    assert_true(send_all(fd, frames, size));
    for (unsigned i = 0; i < PIPELINE; i++) {
        expect_reply(fd, i, KVS_OK, "");
        (void)snprintf(value, sizeof(value), "v%u", i);
        if (i % 3 == 0)
            expect_reply(fd, PIPELINE + i, KVS_OK, value);
    }
    free(frames);
    (void)close(fd);
}

static void pipelines_keep_their_order(void **state)
{
    (void)state;
    for_each_pool(pipeline_body);
}

static void trickle_body(struct fixture *fixture)
{
    uint8_t frame[128];
    size_t size =
        put_request(frame, 7, REQUEST_SET, bytes_of_text("trickle"), bytes_of_text("drop"));
    int fd = connect_to(fixture->port);
    for (size_t i = 0; i < size; i++) {
        assert_true(send_all(fd, frame + i, 1));
        /* Others are served while this one trickles. */
        if (i % 8 == 0) {
            int other = connect_to(fixture->port);
            send_request(other, i, REQUEST_PING, NULL, "x");
            expect_reply(other, i, KVS_OK, "x");
            (void)close(other);
        }
    }
    expect_reply(fd, 7, KVS_OK, "");
    /* Half a frame, and then the end: nothing happens to anybody. */
    assert_true(send_all(fd, frame, size / 2));
    (void)close(fd);
}

static void frames_may_come_in_pieces(void **state)
{
    (void)state;
    for_each_pool(trickle_body);
}

static void broken_body(struct fixture *fixture)
{
    struct received broken;
    int fd = connect_to(fixture->port);
    assert_true(send_all(fd, "\xC7GET / HTTP/1.0\r\n\r\n", 19));
    assert_true(receive_reply(fd, &broken));
    assert_int_equal(broken.head.status, KVS_UNSUPPORTED);
    free(broken.body);
    expect_closed(fd);
    (void)close(fd);

    /* An unknown command and an oversized key are refused, and the connection goes on. */
    fd = connect_to(fixture->port);
    send_request(fd, 1, 200, NULL, NULL);
    expect_reply(fd, 1, KVS_UNSUPPORTED, NULL);
    char *key = malloc(NATIVE_KEY_MAX + 2);
    memset(key, 'k', NATIVE_KEY_MAX + 1);
    key[NATIVE_KEY_MAX + 1] = '\0';
    send_request(fd, 2, REQUEST_GET, key, NULL);
    expect_reply(fd, 2, KVS_TOO_LARGE, "a key of 65537 bytes is over the limit of 65536 bytes");
    send_request(fd, 3, REQUEST_SET, key, "v");
    expect_reply(fd, 3, KVS_TOO_LARGE, NULL);
    key[NATIVE_KEY_MAX] = '\0';
    send_request(fd, 4, REQUEST_SET, key, "v");
    expect_reply(fd, 4, KVS_OK, "");
    send_request(fd, 5, REQUEST_GET, key, NULL);
    expect_reply(fd, 5, KVS_OK, "v");
    send_request(fd, 6, REQUEST_GET, "", NULL);
    expect_reply(fd, 6, KVS_INVALID, NULL);
    free(key);

    /* A length beyond every limit: refused before its bytes are read, then closed. */
    uint8_t header[NATIVE_HEADER_SIZE] = {
        NATIVE_MAGIC_REQUEST, NATIVE_VERSION, REQUEST_SET, 0, 0xFF, 0xFF, 0xFF, 0xFF};
    store_le64(header + 8, 77);
    assert_true(send_all(fd, header, sizeof(header)));
    expect_reply(fd, 77, KVS_TOO_LARGE, NULL);
    expect_closed(fd);
    (void)close(fd);

    /* The server is as well as before. */
    basic_body(fixture);
}

static void malformed_input_harms_nobody(void **state)
{
    (void)state;
    for_each_pool(broken_body);
}

/* A client that asks for much and reads nothing costs a bounded amount, and others are served. */
static void slow_reader_body(struct fixture *fixture)
{
    char *value = malloc(LARGE + 1);
    memset(value, 'v', LARGE);
    value[LARGE] = '\0';
    int slow = connect_to(fixture->port);
    send_request(slow, 0, REQUEST_SET, "large", value);
    expect_reply(slow, 0, KVS_OK, "");
    for (unsigned i = 1; i <= FLOOD_GETS; i++)
        send_request(slow, i, REQUEST_GET, "large", NULL);
    basic_body(fixture);
    for (unsigned i = 1; i <= FLOOD_GETS; i++)
        expect_reply(slow, i, KVS_OK, value);
    (void)close(slow);
    free(value);
}

static void slow_readers_stop_nobody(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        fixture_start(&fixture, *pool, 1, NULL);
        slow_reader_body(&fixture);
        fixture_stop(&fixture);
    }
}

static void many_body(struct fixture *fixture)
{
    int fds[MANY];
    char key[16];
    for (unsigned i = 0; i < MANY; i++)
        fds[i] = connect_to(fixture->port);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof(key), "many%u", i);
        send_request(fds[i], i, REQUEST_SET, key, key);
    }
    for (unsigned i = 0; i < MANY; i++)
        expect_reply(fds[i], i, KVS_OK, "");
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof(key), "many%u", MANY - 1 - i);
        send_request(fds[i], i, REQUEST_GET, key, NULL);
        expect_reply(fds[i], i, KVS_OK, key);
    }
    assert_true(fetch_stat(fixture->port, "connections") >= MANY);
    for (unsigned i = 0; i < MANY; i++)
        (void)close(fds[i]);
}

static void more_connections_than_threads(void **state)
{
    (void)state;
    for_each_pool(many_body);
}

/* ---- writes that wait --------------------------------------------------------------------- */

static char *gate_option(const char *path)
{
    char *option = NULL;
    if (asprintf(&option, "gate=%s", path) < 0)
        abort();
    return option;
}

/* While no write gets to the disk, more writing connections than threads hold up no read. */
static void waiting_writes_hold_no_thread(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        char *dir = temp_dir_new();
        char *gate = path_join(dir, "gate");
        char *option = gate_option(gate);
        const char *const options[] = {"later=yes", option, NULL};
        struct fixture fixture;
        int writers[PARKED_COUNT];
        fixture_start(&fixture, *pool, 2, options);
        for (unsigned i = 0; i < PARKED_COUNT; i++) {
            writers[i] = connect_to(fixture.port);
            send_request(writers[i], i, REQUEST_SET, "gated", "v");
            send_request(writers[i], 1000 + i, REQUEST_GET, "gated", NULL);
        }
        int reader = connect_to(fixture.port);
        for (unsigned i = 0; i < MANY; i++) {
            send_request(reader, i, REQUEST_GET, "absent", NULL);
            expect_reply(reader, i, KVS_NOT_FOUND, "");
        }
        int open_gate = open(gate, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(open_gate >= 0);
        for (unsigned i = 0; i < PARKED_COUNT; i++) {
            expect_reply(writers[i], i, KVS_OK, "");
            expect_reply(writers[i], 1000 + i, KVS_OK, "v");
            (void)close(writers[i]);
        }
        (void)close(open_gate);
        (void)close(reader);
        fixture_stop(&fixture);
        free(option);
        free(gate);
        temp_dir_free(dir);
    }
}

/* ---- threads that end --------------------------------------------------------------------- */

#define LOST_JOBS 20u

/* The pool counts a loss about when the connection closes, which may be a moment later. */
static bool losses_are_counted(void *arg)
{
    return fetch_stat(*(uint16_t *)arg, "pool_jobs_lost") == LOST_JOBS;
}

static void a_lost_job_costs_its_connection_only(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        if (strcmp(*pool, "inline") == 0) {
            print_message("inline: skipped, its jobs run in the thread of kvs_server_run\n");
            continue;
        }
        fixture_start(&fixture, *pool, 2, NULL);
        for (unsigned i = 0; i < LOST_JOBS; i++) {
            int fd = connect_to(fixture.port);
            send_request(fd, i, REQUEST_GET, "panic", NULL);
            expect_closed(fd);
            (void)close(fd);
        }
        basic_body(&fixture);
        wait_until(losses_are_counted, &fixture.port);
        fixture_stop(&fixture);
    }
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void what_was_received_is_answered(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        char *dir = temp_dir_new();
        char *gate = path_join(dir, "gate");
        char *option = gate_option(gate);
        const char *const options[] = {"later=yes", option, NULL};
        struct fixture fixture;
        fixture_start(&fixture, *pool, 2, options);
        int idle = connect_to(fixture.port);
        int fd = connect_to(fixture.port);
        send_request(fd, 1, REQUEST_PING, NULL, "x");
        expect_reply(fd, 1, KVS_OK, "x");
        for (unsigned i = 0; i < 10; i++)
            send_request(fd, i, REQUEST_SET, "late", "v");
        send_request(fd, 10, REQUEST_GET, "late", NULL);
        kvs_server_stop(fixture.server);
        (void)close(open(gate, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        for (unsigned i = 0; i < 10; i++)
            expect_reply(fd, i, KVS_OK, "");
        expect_reply(fd, 10, KVS_OK, "v");
        expect_closed(fd);
        expect_closed(idle);
        (void)close(fd);
        (void)close(idle);
        fixture_stop(&fixture);
        free(option);
        free(gate);
        temp_dir_free(dir);
    }
}

/* Somebody who never reads does not keep the server from stopping. */
static void a_stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        struct kvs_server_config config = {
            .engine = "test", .pool = *pool, .threads = 2, .drain_timeout_ms = 50};
        fixture_start_config(&fixture, &config);
        char *value = malloc(LARGE + 1);
        memset(value, 'v', LARGE);
        value[LARGE] = '\0';
        int fd = connect_to(fixture.port);
        send_request(fd, 0, REQUEST_SET, "large", value);
        expect_reply(fd, 0, KVS_OK, "");
        for (unsigned i = 1; i <= FLOOD_GETS; i++)
            send_request(fd, i, REQUEST_GET, "large", NULL);
        fixture_stop(&fixture);
        (void)close(fd);
        free(value);
    }
}

static void a_server_may_be_freed_without_running(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct test_error error;
        struct kvs_server *server;
        char *data_dir = temp_dir_new();
        struct kvs_server_config config = {
            .size = sizeof(config),
            .address = "[::1]:0",
            .engine = "test",
            .pool = *pool,
            .data_dir = data_dir,
            .plugin_dirs = test_plugin_dirs()->paths,
            .plugin_dir_count = test_plugin_dirs()->count,
            .log_level = KVS_LOG_ERROR,
        };
        test_error_init(&error);
        assert_status(KVS_OK, kvs_server_new(&config, &server, &error.error), &error);
        assert_true(kvs_server_port(server) != 0);
        kvs_server_free(server);
        temp_dir_free(data_dir);
    }
}

static void two_servers_in_one_process(void **state)
{
    (void)state;
    struct fixture one;
    struct fixture two;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        fixture_start(&one, *pool, 2, NULL);
        fixture_start(&two, *pool, 1, NULL);
        basic_body(&one);
        basic_body(&two);
        fixture_stop(&one);
        basic_body(&two);
        fixture_stop(&two);
    }
}

/* GLib keeps the record of a GThreadPool that lost a thread: see plugins/pool-glib/pool.h. */
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:g_thread_pool_new\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_answered),
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(frames_may_come_in_pieces),
        cmocka_unit_test(malformed_input_harms_nobody),
        cmocka_unit_test(slow_readers_stop_nobody),
        cmocka_unit_test(more_connections_than_threads),
        cmocka_unit_test(waiting_writes_hold_no_thread),
        cmocka_unit_test(a_lost_job_costs_its_connection_only),
        cmocka_unit_test(what_was_received_is_answered),
        cmocka_unit_test(a_stop_does_not_wait_for_ever),
        cmocka_unit_test(a_server_may_be_freed_without_running),
        cmocka_unit_test(two_servers_in_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
