/* Logging in, over real sockets and for every pool: what a stranger may do, for how long, how often. */
#include "server/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "server/access.h"

#define PASSWORD "open sesame"

static void start(struct fixture *fixture, const char *pool, struct kvs_server_config *config)
{
    config->engine = "test";
    config->pool = pool;
    config->threads = 2;
    if (config->password == NULL && config->password_file == NULL)
        config->password = PASSWORD;
    fixture_start_config(fixture, config);
}

static void for_each_pool(void (*body)(struct fixture *fixture))
{
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct kvs_server_config config = {0};
        struct fixture fixture;
        start(&fixture, *pool, &config);
        body(&fixture);
        fixture_stop(&fixture);
    }
}

static void strangers_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    send_request(fd, 1, REQUEST_PING, NULL, "hello");
    expect_reply(fd, 1, KVS_OK, "hello");
    send_request(fd, 2, REQUEST_HELLO, NULL, NULL);
    expect_reply(fd, 2, KVS_OK, NULL);
    send_request(fd, 3, REQUEST_GET, "key", NULL);
    expect_reply(fd, 3, KVS_DENIED, NULL);
    send_request(fd, 4, REQUEST_SET, "key", "stranger's");
    expect_reply(fd, 4, KVS_DENIED, NULL);
    send_request(fd, 5, REQUEST_REMOVE, "key", NULL);
    expect_reply(fd, 5, KVS_DENIED, NULL);
    send_request(fd, 6, REQUEST_STATS, NULL, NULL);
    expect_reply(fd, 6, KVS_DENIED, NULL);
    send_request(fd, 7, REQUEST_AUTH, NULL, "open");
    expect_reply(fd, 7, KVS_DENIED, "the password is wrong");
    send_request(fd, 8, REQUEST_GET, "key", NULL);
    expect_reply(fd, 8, KVS_DENIED, NULL);
    send_request(fd, 9, REQUEST_AUTH, NULL, PASSWORD);
    expect_reply(fd, 9, KVS_OK, "");
    send_request(fd, 10, REQUEST_GET, "key", NULL);
    expect_reply(fd, 10, KVS_NOT_FOUND, ""); /* the stranger's set did nothing */
    (void)close(fd);
}

static void strangers_may_only_log_in(void **state)
{
    (void)state;
    for_each_pool(strangers_body);
}

/* A pipeline that begins with the password is served whole. */
static void pipeline_body(struct fixture *fixture)
{
    uint8_t frames[512];
    size_t size = 0;
    const struct kvs_bytes none = {NULL, 0};
    int fd = connect_to(fixture->port);
    size += put_request(frames + size, 1, REQUEST_SET, bytes_of_text("k"), bytes_of_text("no"));
    size += put_request(frames + size, 2, REQUEST_AUTH, none, bytes_of_text(PASSWORD));
    size += put_request(frames + size, 3, REQUEST_SET, bytes_of_text("k"), bytes_of_text("yes"));
    size += put_request(frames + size, 4, REQUEST_GET, bytes_of_text("k"), none);
    assert_true(send_all(fd, frames, size));
    expect_reply(fd, 1, KVS_DENIED, NULL);
    expect_reply(fd, 2, KVS_OK, "");
    expect_reply(fd, 3, KVS_OK, "");
    expect_reply(fd, 4, KVS_OK, "yes");
    (void)close(fd);
}

static void a_pipeline_may_begin_with_the_password(void **state)
{
    (void)state;
    for_each_pool(pipeline_body);
}

static void large_body(struct fixture *fixture)
{
    struct received reply;
    uint8_t header[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    /* The frame's size alone is too much: no memory is taken for what a stranger announces. */
    struct request request = {.id = 1,
                              .command = REQUEST_SET,
                              .key = bytes_of_text("k"),
                              .value = {NULL, NATIVE_VALUE_MAX}};
    int fd = connect_to(fixture->port);
    uint32_t size = native_encode_request(header, &request);
    assert_true(send_all(fd, header, size));
    assert_true(receive_reply(fd, &reply));
    assert_int_equal(reply.head.status, KVS_DENIED);
    free(reply.body);
    expect_closed(fd);
    (void)close(fd);
}

static void strangers_get_no_memory(void **state)
{
    (void)state;
    for_each_pool(large_body);
}

static void guessing_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    for (uint64_t attempt = 1; attempt <= ACCESS_ATTEMPTS_MAX; attempt++) {
        send_request(fd, attempt, REQUEST_AUTH, NULL, "guess");
        expect_reply(fd, attempt, KVS_DENIED, "the password is wrong");
    }
    expect_closed(fd);
    (void)close(fd);
}

static void who_guesses_is_closed(void **state)
{
    (void)state;
    for_each_pool(guessing_body);
}

/* A stranger is closed after the time for logging in; who logged in stays. */
static void time_runs_out_for_strangers(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct kvs_server_config config = {.login_timeout_ms = 50};
        struct fixture fixture;
        start(&fixture, *pool, &config);
        int in = connect_to(fixture.port);
        send_request(in, 1, REQUEST_AUTH, NULL, PASSWORD);
        expect_reply(in, 1, KVS_OK, "");
        int silent = connect_to(fixture.port);
        int halting = connect_to(fixture.port);
        send_request(halting, 1, REQUEST_PING, NULL, NULL);
        expect_reply(halting, 1, KVS_OK, "");
        expect_closed(silent);
        expect_closed(halting);
        send_request(in, 2, REQUEST_PING, NULL, "still there");
        expect_reply(in, 2, KVS_OK, "still there");
        (void)close(in);
        (void)close(silent);
        (void)close(halting);
        fixture_stop(&fixture);
    }
}

/* ---- the Redis protocol ------------------------------------------------------------------- */

/* Sends a line (or several), and checks what comes back, all of it. */
static void talk(int fd, const char *line, const char *expected)
{
    char *text = calloc(1, strlen(expected) + 1);
    assert_true(send_all(fd, line, strlen(line)));
    assert_true(receive_all(fd, text, strlen(expected)));
    assert_string_equal(text, expected);
    free(text);
}

#define NO_AUTH "-NOAUTH Authentication required.\r\n"
#define WRONG   "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static void resp_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    talk(fd, "GET k\r\n", NO_AUTH);
    talk(fd, "SET k v\r\n", NO_AUTH);
    talk(fd, "AUTH open\r\n", WRONG);
    talk(fd, "AUTH somebody \"" PASSWORD "\"\r\n", WRONG);
    talk(fd, "GET k\r\n", NO_AUTH);
    talk(fd, "AUTH default \"" PASSWORD "\"\r\nGET k\r\n", "+OK\r\n$-1\r\n");
    talk(fd, "RESET\r\n", "+RESET\r\n");
    talk(fd, "GET k\r\n", NO_AUTH); /* as at the start */
    talk(fd, "AUTH \"" PASSWORD "\"\r\nGET k\r\n", "+OK\r\n$-1\r\n");
    (void)close(fd);
    fd = connect_to(fixture->port);
    talk(fd, "HELLO 3 AUTH default wrong\r\n", WRONG);
    talk(fd, "HELLO 3 AUTH default \"" PASSWORD "\"\r\n", "%7\r\n");
    (void)close(fd);
}

static void resp_clients_log_in(void **state)
{
    (void)state;
    for_each_pool(resp_body);
}

static void resp_guessing_body(struct fixture *fixture)
{
    int fd = connect_to(fixture->port);
    for (unsigned attempt = 1; attempt <= ACCESS_ATTEMPTS_MAX; attempt++)
        talk(fd, attempt % 2 == 0 ? "AUTH guess\r\n" : "HELLO 2 AUTH default guess\r\n", WRONG);
    expect_closed(fd);
    (void)close(fd);
    fd = connect_to(fixture->port);
    send_request(fd, 1, REQUEST_AUTH, NULL, PASSWORD);
    expect_reply(fd, 1, KVS_OK, "");
    struct received reply;
    send_request(fd, 2, REQUEST_STATS, NULL, NULL);
    assert_true(receive_reply(fd, &reply));
    assert_non_null(strstr(reply.body, "wrong_passwords 5\n"));
    free(reply.body);
    (void)close(fd);
}

static void resp_clients_who_guess_are_closed(void **state)
{
    (void)state;
    for_each_pool(resp_guessing_body);
}

/* ---- Unix sockets ------------------------------------------------------------------------- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void unix_sockets_need_it_unless_told_otherwise(void **state)
{
    (void)state;
    for (unsigned trusted = 0; trusted < 2; trusted++) {
        char *folder = temp_dir_new();
        char *path = path_join(folder, "s");
        char *text = NULL;
        assert_true(asprintf(&text, "unix:%s", path) > 0);
        struct kvs_server_config config = {
            .listen = (const char *const[]){text}, .listen_count = 1, .socket_no_auth = trusted};
        struct fixture fixture;
        start(&fixture, "shared-queue", &config);
        int fd = connect_unix(path);
        send_request(fd, 1, REQUEST_GET, "key", NULL);
        expect_reply(fd, 1, trusted ? KVS_NOT_FOUND : KVS_DENIED, NULL);
        int tcp = connect_to(fixture.port);
        send_request(tcp, 1, REQUEST_GET, "key", NULL);
        expect_reply(tcp, 1, KVS_DENIED, NULL);
        (void)close(tcp);
        (void)close(fd);
        fixture_stop(&fixture);
        free(text);
        free(path);
        temp_dir_free(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_may_only_log_in),
        cmocka_unit_test(a_pipeline_may_begin_with_the_password),
        cmocka_unit_test(strangers_get_no_memory),
        cmocka_unit_test(who_guesses_is_closed),
        cmocka_unit_test(time_runs_out_for_strangers),
        cmocka_unit_test(resp_clients_log_in),
        cmocka_unit_test(resp_clients_who_guess_are_closed),
        cmocka_unit_test(unix_sockets_need_it_unless_told_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
