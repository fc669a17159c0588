/* A connection's bytes over a plain socket, and what a layer changes. */
#include "support/support.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "server/transport.h"

#define FILLER_SIZE 65536u

static struct transport plain_pair(int *ret_peer)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *ret_peer = fds[1];
    return (struct transport){.fd = fds[0]};
}

static void a_plain_socket_is_used_as_it_is(void **state)
{
    (void)state;
    char bytes[8];
    int peer;
    struct transport transport = plain_pair(&peer);
    assert_int_equal(transport_read(&transport, bytes, sizeof(bytes)), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(transport_write(&transport, "hello", 5), 5);
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(write(peer, "abc", 3), 3);
    assert_int_equal(transport_read(&transport, bytes, sizeof(bytes)), 3);
    assert_true(transport_is_drained(&transport, 3, sizeof(bytes)));
    assert_false(transport_is_drained(&transport, sizeof(bytes), sizeof(bytes)));
    assert_int_equal(transport_wanted_events(&transport, false), POLLIN);
    assert_int_equal(transport_wanted_events(&transport, true), POLLOUT);
    (void)close(peer);
    assert_int_equal(transport_read(&transport, bytes, sizeof(bytes)), 0);
    assert_int_equal(transport_write(&transport, "x", 1), -1); /* and no SIGPIPE */
    assert_int_equal(errno, EPIPE);
    assert_true(transport_is_established(&transport));
    transport_deinit(&transport);
    (void)close(transport.fd);
}

static void a_full_socket_takes_part_then_none(void **state)
{
    (void)state;
    char filler[FILLER_SIZE];
    int peer;
    memset(filler, 'x', sizeof(filler));
    struct transport transport = plain_pair(&peer);
    while (transport_write(&transport, filler, sizeof(filler)) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
    (void)close(peer);
    (void)close(transport.fd);
}

/* The peer of a finished connection gets all that was sent and a clean end, although what it sent
   itself was not read. */
static void finishing_does_not_reset(void **state)
{
    (void)state;
    char bytes[8];
    int peer;
    struct transport transport = plain_pair(&peer);
    assert_int_equal(write(peer, "unread", 6), 6);
    assert_int_equal(transport_write(&transport, "last", 4), 4);
    transport_finish(&transport);
    (void)close(transport.fd);
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 4);
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 0);
    (void)close(peer);
}

/* ---- a layer ------------------------------------------------------------------------------ */

/* Counts its calls and moves one byte at a time. */
struct small_layer {
    unsigned ended;
    unsigned freed;
    bool drained;
};

static ssize_t small_read(struct transport *transport, void *to, size_t size)
{
    (void)size;
    return recv(transport->fd, to, 1, 0);
}

static ssize_t small_write(struct transport *transport, const void *from, size_t size)
{
    (void)size;
    return send(transport->fd, from, 1, MSG_NOSIGNAL);
}

static bool small_is_drained(const struct transport *transport)
{
    return ((struct small_layer *)transport->state)->drained;
}

static void small_end_output(struct transport *transport)
{
    ((struct small_layer *)transport->state)->ended++;
    assert_int_equal(send(transport->fd, "!", 1, MSG_NOSIGNAL), 1);
}

static short small_wanted_events(const struct transport *transport, bool to_write)
{
    (void)transport;
    return to_write ? POLLIN : POLLOUT; /* the other way round, as a layer may want it */
}

static bool small_is_established(const struct transport *transport)
{
    return ((struct small_layer *)transport->state)->ended > 0; /* of all things */
}

static void small_free(struct transport *transport)
{
    ((struct small_layer *)transport->state)->freed++;
}

static const struct transport_layer small = {
    .read = small_read,
    .write = small_write,
    .is_drained = small_is_drained,
    .end_output = small_end_output,
    .wanted_events = small_wanted_events,
    .is_established = small_is_established,
    .free = small_free,
};

static void a_layer_is_used_instead(void **state)
{
    (void)state;
    char bytes[8];
    int peer;
    struct small_layer layer = {0};
    struct transport transport = plain_pair(&peer);
    transport.layer = &small;
    transport.state = &layer;
    assert_int_equal(transport_write(&transport, "hello", 5), 1);
    assert_int_equal(write(peer, "abc", 3), 3);
    assert_int_equal(transport_read(&transport, bytes, sizeof(bytes)), 1);
    /* It knows whether there is more, whatever was asked for. */
    assert_false(transport_is_drained(&transport, 1, sizeof(bytes)));
    layer.drained = true;
    assert_true(transport_is_drained(&transport, sizeof(bytes), sizeof(bytes)));
    assert_int_equal(transport_wanted_events(&transport, true), POLLIN);
    assert_false(transport_is_established(&transport));
    transport_finish(&transport);
    assert_int_equal(layer.ended, 1);
    assert_true(transport_is_established(&transport));
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 2); /* the layer's end came through */
    assert_memory_equal(bytes, "h!", 2);
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 0);
    transport_deinit(&transport);
    transport_deinit(&transport);
    assert_int_equal(layer.freed, 1);
    (void)close(transport.fd);
    (void)close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_socket_is_used_as_it_is),
        cmocka_unit_test(a_full_socket_takes_part_then_none),
        cmocka_unit_test(finishing_does_not_reset),
        cmocka_unit_test(a_layer_is_used_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
