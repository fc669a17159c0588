/* Two sides of TLS over a pair of sockets, in one thread, which also shows that neither ever blocks. */
#include "support/certificates.h"
#include "support/support.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/tls_stream.h"

struct side {
    int fd;
    SSL_CTX *context;
    struct tls_stream stream;
};

struct world {
    char *folder;
    struct side server;
    struct side client;
};

/* A client that trusts the CA of this name. */
static void begin(struct world *world, const char *trusted)
{
    static const struct certificate_order orders[] = {
        {.name = "ca", .is_ca = true},
        {.name = "other-ca", .is_ca = true},
        {.name = "server", .issuer = "ca", .alternatives = "DNS:kvs.test"},
    };
    int fds[2];
    *world = (struct world){.folder = temp_dir_new()};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        certificate_make(world->folder, &orders[i]);
    char *pem = certificate_path(world->folder, "server");
    char *key = certificate_key_path(world->folder, "server");
    char *ca = certificate_path(world->folder, trusted);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    world->server.fd = fds[0];
    world->client.fd = fds[1];
    world->server.context = SSL_CTX_new(TLS_server_method());
    world->client.context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(world->server.context, pem), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(world->server.context, key, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_load_verify_file(world->client.context, ca), 1);
    SSL_CTX_set_verify(world->client.context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_num_tickets(world->server.context, 0);
    SSL_CTX_set_read_ahead(world->server.context, 1); /* as the real ones do */
    SSL_CTX_set_read_ahead(world->client.context, 1);
    assert_int_equal(
        tls_stream_init(&world->server.stream, world->server.context, world->server.fd, true),
        KVS_OK);
    assert_int_equal(
        tls_stream_init(&world->client.stream, world->client.context, world->client.fd, false),
        KVS_OK);
    free(pem);
    free(key);
    free(ca);
}

static void hang_up(struct side *side)
{
    if (side->fd >= 0)
        (void)close(side->fd);
    side->fd = -1;
}

static void end(struct world *world)
{
    struct side *sides[] = {&world->server, &world->client};
    for (size_t i = 0; i < 2; i++) {
        tls_stream_deinit(&sides[i]->stream);
        tls_stream_deinit(&sides[i]->stream);
        SSL_CTX_free(sides[i]->context);
        hang_up(sides[i]);
    }
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next connection */
    temp_dir_free(world->folder);
}

/* Goes on with both handshakes as long as one has something to do. */
static void shake_hands(struct world *world)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!world->client.stream.broken)
            (void)tls_stream_handshake(&world->client.stream);
        if (!world->server.stream.broken)
            (void)tls_stream_handshake(&world->server.stream);
    }
}

static void begin_established(struct world *world)
{
    begin(world, "ca");
    shake_hands(world);
    assert_true(tls_stream_is_established(&world->client.stream));
    assert_true(tls_stream_is_established(&world->server.stream));
}

static void expect_read(struct side *side, const char *expected)
{
    char text[64];
    assert_int_equal(tls_stream_read(&side->stream, text, sizeof(text)), strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
}

static void expect_fault(ssize_t result, int expected_errno)
{
    int error = errno;
    assert_int_equal(result, -1);
    assert_int_equal(error, expected_errno);
}

static void write_text(struct side *side, const char *text)
{
    assert_int_equal(tls_stream_write(&side->stream, text, strlen(text)), strlen(text));
}

static void what_waits_says_for_what(void **state)
{
    (void)state;
    struct world world;
    char byte;
    begin(&world, "ca");
    assert_int_equal(world.server.stream.wanted, POLLIN);
    assert_int_equal(world.client.stream.wanted, POLLOUT);
    expect_fault(tls_stream_read(&world.server.stream, &byte, 1), EAGAIN);
    assert_int_equal(world.server.stream.wanted, POLLIN);
    /* It has said hello, and waits. */
    expect_fault(tls_stream_write(&world.client.stream, "x", 1), EAGAIN);
    assert_int_equal(world.client.stream.wanted, POLLIN);
    assert_false(tls_stream_is_established(&world.client.stream));
    shake_hands(&world);
    assert_true(tls_stream_is_established(&world.client.stream));
    assert_int_equal(tls_stream_handshake(&world.client.stream), 0);
    static char block[65536];
    ssize_t written;
    do
        written = tls_stream_write(&world.server.stream, block, sizeof(block));
    while (written > 0);
    expect_fault(written, EAGAIN);
    assert_int_equal(world.server.stream.wanted, POLLOUT);
    end(&world);
}

static void texts_go_both_ways(void **state)
{
    (void)state;
    struct world world;
    begin_established(&world);
    assert_true(tls_stream_is_quiet(&world.client.stream));
    write_text(&world.server, "hello");
    assert_false(tls_stream_is_quiet(&world.client.stream));
    expect_read(&world.client, "hello");
    assert_true(tls_stream_is_quiet(&world.client.stream));
    assert_true(tls_stream_is_drained(&world.client.stream));
    write_text(&world.client, "a question");
    char part[2];
    assert_int_equal(tls_stream_read(&world.server.stream, part, 2), 2);
    assert_false(tls_stream_is_drained(&world.server.stream)); /* the rest of the record */
    expect_read(&world.server, "question");
    expect_fault(tls_stream_read(&world.server.stream, part, 1), EAGAIN);
    assert_string_equal(world.server.stream.reason, "");
    end(&world);
}

static void a_good_bye_is_the_end(void **state)
{
    (void)state;
    struct world world;
    char byte;
    begin_established(&world);
    write_text(&world.server, "last");
    tls_stream_end_output(&world.server.stream);
    assert_false(tls_stream_is_quiet(&world.client.stream));
    expect_read(&world.client, "last");
    assert_int_equal(tls_stream_read(&world.client.stream, &byte, 1), 0);
    assert_false(tls_stream_is_quiet(&world.client.stream));
    write_text(&world.client, "still there?"); /* the other direction goes on */
    expect_read(&world.server, "still there?");
    end(&world);
}

static void going_without_one_is_the_end_too(void **state)
{
    (void)state;
    struct world world;
    char byte;
    begin_established(&world);
    hang_up(&world.server);
    assert_int_equal(tls_stream_read(&world.client.stream, &byte, 1), 0);
    end(&world);
    begin(&world, "ca");
    hang_up(&world.client);
    expect_fault(tls_stream_handshake(&world.server.stream), ECONNRESET);
    end(&world);
}

/* I2; and SIGPIPE would end this program. */
static void what_was_received_can_be_read_when_nothing_can_be_sent(void **state)
{
    (void)state;
    struct world world;
    void (*before)(int) = signal(SIGPIPE, SIG_DFL);
    begin_established(&world);
    write_text(&world.server, "why not");
    hang_up(&world.server);
    expect_fault(tls_stream_write(&world.client.stream, "x", 1), EPIPE);
    assert_true(world.client.stream.deaf);
    assert_false(world.client.stream.broken);
    expect_fault(tls_stream_write(&world.client.stream, "x", 1), EPIPE);
    tls_stream_end_output(&world.client.stream);
    expect_read(&world.client, "why not");
    end(&world);
    (void)signal(SIGPIPE, before);
}

static void strangers_are_told_why(void **state)
{
    (void)state;
    struct world world;
    char byte;
    begin(&world, "other-ca");
    shake_hands(&world);
    assert_true(world.client.stream.broken);
    assert_non_null(strstr(world.client.stream.reason, "the peer's certificate: "));
    assert_true(world.server.stream.broken);
    assert_non_null(strstr(world.server.stream.reason, "unknown ca"));
    /* Nothing brings it back (I2). */
    expect_fault(tls_stream_read(&world.client.stream, &byte, 1), EPROTO);
    expect_fault(tls_stream_write(&world.client.stream, "x", 1), EPROTO);
    expect_fault(tls_stream_handshake(&world.client.stream), EPROTO);
    assert_false(tls_stream_is_quiet(&world.client.stream));
    tls_stream_end_output(&world.client.stream);
    end(&world);
}

static void garbage_breaks_it(void **state)
{
    (void)state;
    static const char garbage[] = "GET / HTTP/1.1\r\n\r\n";
    struct world world;
    begin(&world, "ca");
    assert_true(send(world.client.fd, garbage, sizeof(garbage), 0) > 0);
    expect_fault(tls_stream_handshake(&world.server.stream), EPROTO);
    assert_true(world.server.stream.reason[0] != '\0');
    end(&world);
    begin_established(&world);
    assert_true(send(world.client.fd, garbage, sizeof(garbage), 0) > 0);
    char byte;
    expect_fault(tls_stream_read(&world.server.stream, &byte, 1), EPROTO);
    assert_true(world.server.stream.reason[0] != '\0');
    end(&world);
}

/* I1 */
static void errors_of_others_are_not_its_own(void **state)
{
    (void)state;
    struct world world;
    char byte;
    begin_established(&world);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    expect_fault(tls_stream_read(&world.client.stream, &byte, 1), EAGAIN);
    assert_false(world.client.stream.broken);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    write_text(&world.client, "x");
    expect_read(&world.server, "x");
    end(&world);
}

static void failures_are_explained_by_their_first_cause(void **state)
{
    (void)state;
    char text[64];
    ERR_raise(ERR_LIB_SYS, ENOENT);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    tls_explain(text, sizeof(text));
    assert_string_equal(text, "No such file or directory");
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    tls_explain(text, sizeof(text));
    assert_string_equal(text, "bad length");
    tls_explain(text, 8);
    assert_string_equal(text, "error 0");
    tls_stream_deinit(&(struct tls_stream){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_says_for_what),
        cmocka_unit_test(texts_go_both_ways),
        cmocka_unit_test(a_good_bye_is_the_end),
        cmocka_unit_test(going_without_one_is_the_end_too),
        cmocka_unit_test(what_was_received_can_be_read_when_nothing_can_be_sent),
        cmocka_unit_test(strangers_are_told_why),
        cmocka_unit_test(garbage_breaks_it),
        cmocka_unit_test(errors_of_others_are_not_its_own),
        cmocka_unit_test(failures_are_explained_by_their_first_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
