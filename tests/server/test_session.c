/*
 * The Redis protocol over real sockets, for every pool, on an engine that answers at once and later:
 * order in pipelines and groups, requests in pieces, transactions, what others change in between
 * (session.c, I1 to I3; session_resp.c, I1 and I2; session_run.c, I1 and I2).
 */
#include "server/fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define PIPELINE     600u
#define MANY_KEYS    500u
#define COUNTERS     8u
#define COUNTS       50u
#define LARGE        ((size_t)1000000)
#define LARGE_GETS   8u
#define REQUEST_ROOM 96u /* bytes of one small request and more */

/* Runs body for each pool: with the engine answering at once, and later. */
static void for_each_pool(void (*body)(const struct fixture *fixture))
{
    static const char *const later[] = {"later=yes", NULL};
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        for (unsigned i = 0; i < 2; i++) {
            struct fixture fixture;
            fixture_start(&fixture, *pool, 2, i == 0 ? NULL : later);
            body(&fixture);
            fixture_stop(&fixture);
        }
    }
}

static void send_text(int fd, const char *text)
{
    assert_true(send_all(fd, text, strlen(text)));
}

/* Receives as many bytes as text has, which must be those. */
static void expect_bytes(int fd, const char *text, size_t size)
{
    _cleanup_(freep) char *received = malloc(size + 1);
    size_t have = 0;
    while (have < size) {
        ssize_t now = recv(fd, received + have, size - have, 0);
        if (now <= 0)
            fail_msg("the connection ended after %zu bytes; expected %s", have, text);
        have += (size_t)now;
    }
    received[size] = '\0';
    if (memcmp(received, text, size) != 0)
        fail_msg("received %.200s\nexpected %.200s", received, text);
}

static void expect_text(int fd, const char *text)
{
    expect_bytes(fd, text, strlen(text));
}

static void exchange(int fd, const char *request, const char *reply)
{
    send_text(fd, request);
    expect_text(fd, reply);
}

static int begin(const struct fixture *fixture)
{
    return connect_to(fixture->port);
}

/* Text that is put together piece by piece. */
struct text {
    char *bytes;
    size_t size;
    size_t cap;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    if (text->cap - text->size < REQUEST_ROOM) {
        text->cap = text->cap * 2 + 4 * REQUEST_ROOM;
        text->bytes = realloc(text->bytes, text->cap);
        assert_non_null(text->bytes);
    }
    va_start(arguments, format);
    text->size +=
        (size_t)vsnprintf(text->bytes + text->size, text->cap - text->size, format, arguments);
    va_end(arguments);
}

/* ---- pipelines ---------------------------------------------------------------------------- */

/* All kinds that are grouped, mixed, and one that is run between them: each read sees the writes
   before it, replies come in order. */
static void pipeline_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    struct text requests = {0};
    struct text replies = {0};
    for (unsigned i = 0; i < PIPELINE; i++) {
        add(&requests, "*3\r\n$3\r\nSET\r\n$2\r\nk%u\r\n$3\r\n%03u\r\n", i % 7, i % 1000);
        add(&replies, "+OK\r\n");
        if (i % 3 == 0) {
            add(&requests, "get k%u\r\nget none\r\n", i % 7);
            add(&replies, "$3\r\n%03u\r\n$-1\r\n", i % 1000);
        }
        if (i % 5 == 0) {
            add(&requests, "mset a %u b %u\r\nmget a none b\r\n", i, i + 1);
            add(&replies, "+OK\r\n*3\r\n");
            char number[16];
            (void)snprintf(number, sizeof(number), "%u", i);
            add(&replies, "$%zu\r\n%s\r\n$-1\r\n", strlen(number), number);
            (void)snprintf(number, sizeof(number), "%u", i + 1);
            add(&replies, "$%zu\r\n%s\r\n", strlen(number), number);
        }
        if (i % 11 == 0) {
            add(&requests, "del k%u\r\ndel k%u\r\nstrlen a\r\nnonsense\r\n", i % 7, i % 7);
            add(&replies, ":1\r\n:0\r\n");
            add(&requests, "\r\n"); /* a blank line is nothing */
            add(&replies, ":%d\r\n", i / 5 * 5 < 10 ? 1 : i / 5 * 5 < 100 ? 2 : 3);
            add(&replies, "-ERR unknown command 'nonsense', with args beginning with: \r\n");
        }
    }
    assert_true(send_all(fd, requests.bytes, requests.size));
    expect_bytes(fd, replies.bytes, replies.size);
    free(requests.bytes);
    free(replies.bytes);
    (void)close(fd);
}

static void pipelines_keep_their_order(void **state)
{
    (void)state;
    for_each_pool(pipeline_body);
}

/* More keys than a group usually takes, in one request. */
static void many_keys_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    struct text request = {0};
    struct text reply = {0};
    add(&request, "*%u\r\n$4\r\nmset\r\n", 2 * MANY_KEYS + 1);
    for (unsigned i = 0; i < MANY_KEYS; i++)
        add(&request, "$4\r\n%04u\r\n$5\r\nv%04u\r\n", i, i);
    add(&request, "*%u\r\n$4\r\nmget\r\n", MANY_KEYS + 1);
    add(&reply, "+OK\r\n*%u\r\n", MANY_KEYS);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        add(&request, "$4\r\n%04u\r\n", i);
        add(&reply, "$5\r\nv%04u\r\n", i);
    }
    assert_true(send_all(fd, request.bytes, request.size));
    expect_bytes(fd, reply.bytes, reply.size);
    free(request.bytes);
    free(reply.bytes);
    (void)close(fd);
}

static void requests_may_have_many_keys(void **state)
{
    (void)state;
    for_each_pool(many_keys_body);
}

/* session.c, I2: more replies than the output takes, to one who reads late. */
static void large_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    char head[64];
    _cleanup_(freep) char *value = malloc(LARGE + 2);
    memset(value, 'v', LARGE);
    memcpy(value + LARGE, "\r\n", 2);
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nset\r\n$5\r\nlarge\r\n$%zu\r\n", LARGE);
    send_text(fd, head);
    assert_true(send_all(fd, value, LARGE + 2));
    expect_text(fd, "+OK\r\n");
    for (unsigned i = 0; i < LARGE_GETS; i++)
        send_text(fd, "get none\r\nget large\r\n");
    (void)snprintf(head, sizeof(head), "$-1\r\n$%zu\r\n", LARGE);
    for (unsigned i = 0; i < LARGE_GETS; i++) {
        expect_text(fd, head);
        expect_bytes(fd, value, LARGE + 2);
    }
    (void)close(fd);
}

static void large_replies_wait_for_their_reader(void **state)
{
    (void)state;
    for_each_pool(large_body);
}

/* session_resp.c, I1: arguments with quotes are not in the input. */
static void quotes_body(const struct fixture *fixture)
{
    int one = begin(fixture);
    int other = begin(fixture);
    for (unsigned i = 0; i < 20; i++) {
        send_text(one, "set 'a key' \"its\\x20value\"\r\nset b 'x y'\r\nget 'a key'\r\nget b\r\n");
        send_text(other, "append 'c d' \"\\x41\"\r\nset b2 \"q r\"\r\n");
        expect_text(one, "+OK\r\n+OK\r\n$9\r\nits value\r\n$3\r\nx y\r\n");
        char reply[32];
        (void)snprintf(reply, sizeof(reply), ":%u\r\n+OK\r\n", i + 1);
        expect_text(other, reply);
    }
    exchange(one, "getrange 'c d' 0 2\r\nget b2\r\n", "$3\r\nAAA\r\n$3\r\nq r\r\n");
    (void)close(one);
    (void)close(other);
}

static void quoted_arguments_stay_whole(void **state)
{
    (void)state;
    for_each_pool(quotes_body);
}

/* ---- what is not as it should be ---------------------------------------------------------- */

static void pieces_body(const struct fixture *fixture)
{
    static const char requests[] = "*3\r\n$3\r\nSET\r\n$1\r\np\r\n$10\r\n0123456789\r\n"
                                   "*2\r\n$3\r\nGET\r\n$1\r\np\r\nGET p\r\n";
    int fd = begin(fixture);
    for (size_t i = 0; i < sizeof(requests) - 1; i++)
        assert_true(send_all(fd, requests + i, 1));
    expect_text(fd, "+OK\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n");
    /* Half a request, and then the end. */
    assert_true(send_all(fd, requests, 20));
    (void)close(fd);
}

static void requests_may_come_in_pieces(void **state)
{
    (void)state;
    for_each_pool(pieces_body);
}

static void errors_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    exchange(fd, "get\r\n", "-ERR wrong number of arguments for 'get' command\r\n");
    exchange(fd, "mset a 1 b\r\n", "-ERR wrong number of arguments for 'mset' command\r\n");
    exchange(fd, "set a 1 nonsense\r\n", "-ERR syntax error\r\n");
    exchange(fd, "get ''\r\nset '' 1\r\n", "$-1\r\n-ERR a key has at least 1 byte\r\n");
    exchange(fd, "get rot13\r\n", "-ERR this key is corrupt for the test\r\n");
    exchange(fd, "ping\r\n", "+PONG\r\n");
    exchange(fd, "set a 1\r\nmget a rot13\r\n",
             "+OK\r\n*2\r\n$1\r\n1\r\n-ERR this key is corrupt for the test\r\n");
    /* What follows a protocol error is not served. */
    exchange(fd, "*2\r\n$3\r\nGET\r\n$x\r\nset a 2\r\n",
             "-ERR Protocol error: invalid bulk length\r\n");
    expect_closed(fd);
    (void)close(fd);

    fd = begin(fixture);
    exchange(fd, "quit\r\nset a 3\r\n", "+OK\r\n");
    expect_closed(fd);
    (void)close(fd);

    fd = begin(fixture);
    exchange(fd, "get a\r\n", "$1\r\n1\r\n");
    (void)close(fd);
}

static void errors_are_told_and_only_some_end_it(void **state)
{
    (void)state;
    for_each_pool(errors_body);
}

/* Pages can make browsers send requests here, with lines of their choice behind the first ones. */
static void http_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    send_text(fd, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nset hacked 1\r\n\r\n");
    expect_text(fd, "-ERR wrong number of arguments for 'get' command\r\n-ERR unknown command "
                    "'Host:'");
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
    fd = begin(fixture);
    send_text(fd, "POST / HTTP/1.1\r\nset hacked 1\r\n");
    expect_text(fd, "-ERR unknown command 'POST'");
    (void)close(fd);
    fd = begin(fixture);
    exchange(fd, "get hacked\r\n", "$-1\r\n");
    (void)close(fd);
}

static void browsers_get_nowhere(void **state)
{
    (void)state;
    for_each_pool(http_body);
}

/* ---- transactions ------------------------------------------------------------------------- */

static void multi_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    exchange(fd, "set n 1\r\n", "+OK\r\n");
    exchange(fd, "multi\r\nincr n\r\nset a 1\r\nget a\r\nincr a\r\nset a 1 nonsense\r\nexec\r\n",
             "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
             "*5\r\n:2\r\n+OK\r\n$1\r\n1\r\n:2\r\n-ERR syntax error\r\n");
    exchange(fd, "mget n a\r\n", "*2\r\n$1\r\n2\r\n$1\r\n2\r\n");
    exchange(fd, "multi\r\nset n 9\r\ndiscard\r\nget n\r\n",
             "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n2\r\n");
    exchange(fd, "multi\r\nexec\r\n", "+OK\r\n*0\r\n");
    /* One that cannot be collected spoils it. */
    exchange(fd, "multi\r\nset n 9\r\nget\r\nexec\r\nget n\r\n",
             "+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'get' command\r\n"
             "-EXECABORT Transaction discarded because of previous errors.\r\n$1\r\n2\r\n");
    exchange(fd, "multi\r\nmulti\r\nwatch n\r\nset n 3\r\nexec\r\n",
             "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not "
             "allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    exchange(fd, "exec\r\ndiscard\r\n",
             "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
    /* It ends with the connection. */
    exchange(fd, "multi\r\nset n 4\r\n", "+OK\r\n+QUEUED\r\n");
    (void)close(fd);
    fd = begin(fixture);
    exchange(fd, "get n\r\n", "$1\r\n3\r\n");
    (void)close(fd);
}

static void transactions_are_collected_and_done(void **state)
{
    (void)state;
    for_each_pool(multi_body);
}

static void watch_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    int other = begin(fixture);
    exchange(fd, "set w 1\r\nwatch w none\r\n", "+OK\r\n+OK\r\n");
    exchange(other, "set w 2\r\n", "+OK\r\n");
    exchange(fd, "multi\r\nset x 1\r\nexec\r\nget x\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n$-1\r\n");
    /* What was watched is forgotten by then. */
    exchange(fd, "multi\r\nset x 1\r\nexec\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    /* A key that comes to be is changed too, and so is one that goes. */
    exchange(fd, "watch none\r\n", "+OK\r\n");
    exchange(other, "set none 1\r\n", "+OK\r\n");
    exchange(fd, "multi\r\nset x 2\r\nexec\r\nwatch none\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n+OK\r\n");
    exchange(other, "del none\r\n", ":1\r\n");
    exchange(fd, "multi\r\nset x 2\r\nexec\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n");
    /* Unchanged, unwatched, and changed back: it is done. */
    exchange(fd, "watch w\r\nmulti\r\nset x 3\r\nexec\r\nwatch w\r\nunwatch\r\n",
             "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n+OK\r\n");
    exchange(other, "set w 3\r\n", "+OK\r\n");
    exchange(fd, "multi\r\nset x 4\r\nexec\r\nwatch w\r\n",
             "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n");
    exchange(other, "set w 4\r\nset w 3\r\n", "+OK\r\n+OK\r\n");
    exchange(fd, "multi\r\nset x 5\r\nexec\r\nget x\r\n",
             "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\n5\r\n");
    (void)close(fd);
    (void)close(other);
}

static void watched_keys_must_not_change(void **state)
{
    (void)state;
    for_each_pool(watch_body);
}

/* session_run.c: several count in one key at once, alone and in transactions. None is lost, and each
   number is given once. */
static void counter_body(const struct fixture *fixture)
{
    int fds[COUNTERS];
    bool seen[COUNTERS * COUNTS + 1] = {false};
    for (unsigned i = 0; i < COUNTERS; i++)
        fds[i] = begin(fixture);
    for (unsigned n = 0; n < COUNTS; n++) {
        for (unsigned i = 0; i < COUNTERS; i++)
            send_text(fds[i], i % 2 == 0 ? "incr n\r\n" : "multi\r\nincr n\r\nexec\r\n");
        for (unsigned i = 0; i < COUNTERS; i++) {
            char reply[16];
            if (i % 2 == 1)
                expect_text(fds[i], "+OK\r\n+QUEUED\r\n*1\r\n");
            expect_text(fds[i], ":");
            size_t size = 0;
            do
                assert_int_equal(recv(fds[i], reply + size, 1, 0), 1);
            while (reply[size++] != '\n');
            unsigned value = (unsigned)strtoul(reply, NULL, 10);
            assert_true(value >= 1 && value <= COUNTERS * COUNTS && !seen[value]);
            seen[value] = true;
        }
    }
    char last[32];
    (void)snprintf(last, sizeof(last), "$3\r\n%u\r\n", COUNTERS * COUNTS);
    exchange(fds[0], "get n\r\n", last);
    for (unsigned i = 0; i < COUNTERS; i++)
        (void)close(fds[i]);
}

static void counting_together_loses_nothing(void **state)
{
    (void)state;
    for_each_pool(counter_body);
}

/* Reads in groups, writes in groups, commands of their own, errors: none is answered until ON. After
   SKIP only the next one is not. What Redis 7.0 answers to the same was compared with this. */
static void mute_body(const struct fixture *fixture)
{
    int fd = begin(fixture);
    exchange(
        fd,
        "PING a\r\nCLIENT REPLY OFF\r\nSET k 1\r\nSET k 2\r\nGET k\r\nGET k\r\nMGET k k\r\n"
        "INCR n\r\nNOSUCH\r\nGET\r\nMULTI\r\nSET m 1\r\nEXEC\r\nCLIENT REPLY SKIP\r\nSCAN 0\r\n"
        "CLIENT REPLY ON\r\nGET k\r\nGET m\r\n",
        "$1\r\na\r\n+OK\r\n$1\r\n2\r\n$1\r\n1\r\n");
    exchange(fd,
             "CLIENT REPLY SKIP\r\nGET k\r\nGET k\r\nCLIENT REPLY SKIP\r\nSET k 3\r\nSET k 4\r\n"
             "CLIENT REPLY SKIP\r\nMGET k k\r\nCLIENT REPLY SKIP\r\nDEL k\r\nDEL k\r\n"
             "CLIENT REPLY SKIP\r\nINCR n\r\nINCR n\r\nCLIENT REPLY SKIP\r\nNOSUCH\r\nPING b\r\n",
             "$1\r\n2\r\n+OK\r\n:0\r\n:3\r\n$1\r\nb\r\n");
    exchange(fd,
             "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING c\r\nPING d\r\n"
             "CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY x\r\n"
             "CLIENT REPLY x\r\nCLIENT REPLY SKIP\r\n\r\nPING e\r\n",
             "$1\r\nd\r\n+OK\r\n-ERR syntax error\r\n$1\r\ne\r\n");
    exchange(fd,
             "CLIENT REPLY SKIP\r\nRESET\r\nCLIENT REPLY OFF\r\nRESET\r\n"
             "MULTI\r\nCLIENT REPLY SKIP\r\nPING\r\nEXEC\r\nPING f\r\nPING g\r\n",
             "+RESET\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n$1\r\ng\r\n");
    send_text(fd, "CLIENT REPLY OFF\r\nPING\r\n*x\r\n");
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0); /* closed, without a word */
    (void)close(fd);
}

static void who_wants_no_replies_gets_none(void **state)
{
    (void)state;
    for_each_pool(mute_body);
}

/* Both protocols at once, on the same keys. */
static void both_body(const struct fixture *fixture)
{
    int resp = begin(fixture);
    int native = begin(fixture);
    exchange(resp, "set both resp\r\n", "+OK\r\n");
    send_request(native, 1, REQUEST_GET, "both", NULL);
    expect_reply(native, 1, KVS_OK, "resp");
    send_request(native, 2, REQUEST_SET, "both", "native");
    expect_reply(native, 2, KVS_OK, "");
    exchange(resp, "get both\r\n", "$6\r\nnative\r\n");
    (void)close(resp);
    (void)close(native);
}

static void both_protocols_share_the_port(void **state)
{
    (void)state;
    for_each_pool(both_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(requests_may_have_many_keys),
        cmocka_unit_test(large_replies_wait_for_their_reader),
        cmocka_unit_test(quoted_arguments_stay_whole),
        cmocka_unit_test(requests_may_come_in_pieces),
        cmocka_unit_test(errors_are_told_and_only_some_end_it),
        cmocka_unit_test(browsers_get_nowhere),
        cmocka_unit_test(transactions_are_collected_and_done),
        cmocka_unit_test(watched_keys_must_not_change),
        cmocka_unit_test(counting_together_loses_nothing),
        cmocka_unit_test(who_wants_no_replies_gets_none),
        cmocka_unit_test(both_protocols_share_the_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
