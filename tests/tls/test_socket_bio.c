/* OpenSSL's way to a socket: what comes through, what is tried again, and what ends it. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/socket_bio.h"

struct pair {
    int fd; /* below the BIO */
    int peer;
    BIO *bio;
};

static void begin(struct pair *pair)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *pair = (struct pair){.fd = fds[0], .peer = fds[1], .bio = socket_bio_new(fds[0])};
    assert_non_null(pair->bio);
}

static void end(struct pair *pair)
{
    (void)BIO_free(pair->bio);
    assert_true(fcntl(pair->fd, F_GETFD) >= 0); /* the socket is the caller's */
    (void)close(pair->fd);
    (void)close(pair->peer);
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct pair pair;
    char text[16] = "";
    size_t moved = 0;
    begin(&pair);
    assert_int_equal(BIO_write_ex(pair.bio, "hello", 5, &moved), 1);
    assert_int_equal(moved, 5);
    assert_int_equal(recv(pair.peer, text, sizeof(text), 0), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(send(pair.peer, "back", 4, 0), 4);
    assert_int_equal(BIO_read_ex(pair.bio, text, sizeof(text), &moved), 1);
    assert_int_equal(moved, 4);
    assert_memory_equal(text, "back", 4);
    assert_int_equal(BIO_flush(pair.bio), 1);
    end(&pair);
}

/* Only a read that asked for more than it got says that nothing is left. */
static void it_knows_when_the_socket_is_empty(void **state)
{
    (void)state;
    struct pair pair;
    char text[8];
    size_t moved = 0;
    begin(&pair);
    assert_false(socket_bio_is_drained(pair.bio));
    assert_int_equal(send(pair.peer, "12345678", 8, 0), 8);
    assert_int_equal(BIO_read_ex(pair.bio, text, 4, &moved), 1);
    assert_false(socket_bio_is_drained(pair.bio));
    assert_int_equal(BIO_read_ex(pair.bio, text, 4, &moved), 1);
    assert_false(socket_bio_is_drained(pair.bio));
    assert_int_equal(send(pair.peer, "9", 1, 0), 1);
    assert_int_equal(BIO_read_ex(pair.bio, text, 4, &moved), 1);
    assert_true(socket_bio_is_drained(pair.bio));
    end(&pair);
}

static void what_must_wait_is_tried_again(void **state)
{
    (void)state;
    struct pair pair;
    char block[4096] = "";
    size_t moved = 0;
    begin(&pair);
    assert_int_equal(BIO_read_ex(pair.bio, block, sizeof(block), &moved), 0);
    assert_true(BIO_should_retry(pair.bio) && BIO_should_read(pair.bio));
    assert_false(BIO_eof(pair.bio));
    while (BIO_write_ex(pair.bio, block, sizeof(block), &moved) == 1)
        assert_true(moved > 0);
    assert_true(BIO_should_retry(pair.bio) && BIO_should_write(pair.bio));
    end(&pair);
}

static void the_end_is_no_reason_to_try_again(void **state)
{
    (void)state;
    struct pair pair;
    char text[8];
    size_t moved = 0;
    begin(&pair);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    assert_int_equal(BIO_read_ex(pair.bio, text, sizeof(text), &moved), 0);
    assert_false(BIO_should_retry(pair.bio));
    assert_true(BIO_eof(pair.bio));
    end(&pair);
}

/* SIGPIPE would end this program. */
static void nobody_there_raises_no_signal(void **state)
{
    (void)state;
    struct pair pair;
    size_t moved = 0;
    void (*before)(int) = signal(SIGPIPE, SIG_DFL);
    begin(&pair);
    assert_int_equal(shutdown(pair.peer, SHUT_RDWR), 0);
    errno = 0;
    assert_int_equal(BIO_write_ex(pair.bio, "hello", 5, &moved), 0);
    assert_int_equal(errno, EPIPE);
    assert_false(BIO_should_retry(pair.bio));
    end(&pair);
    (void)signal(SIGPIPE, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(it_knows_when_the_socket_is_empty),
        cmocka_unit_test(what_must_wait_is_tried_again),
        cmocka_unit_test(the_end_is_no_reason_to_try_again),
        cmocka_unit_test(nobody_there_raises_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
