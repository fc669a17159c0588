/* See relay.h. A piece is read only when the other side can take it, so that nothing is kept here and
   a side that does not read is felt by the other. */
#include "support/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/program.h"
#include "support/support.h"

#define PIECE_MAX 256u

/* Passes one piece on. False: the end. */
static bool pass(int from, int to, uint32_t size)
{
    char piece[PIECE_MAX];
    ssize_t received = recv(from, piece, size, 0);
    return received > 0 && send(to, piece, (size_t)received, MSG_NOSIGNAL) == received;
}

static void relay_between(int a, int b, uint32_t piece_max)
{
    uint32_t state = 1;
    for (;;) {
        struct pollfd can_read[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        struct pollfd can_write[2] = {{.fd = a, .events = POLLOUT}, {.fd = b, .events = POLLOUT}};
        if (poll(can_read, 2, -1) < 0 || poll(can_write, 2, 1000) < 0)
            return;
        state = state * 1664525u + 1013904223u;
        uint32_t size = 1 + (state >> 16) % piece_max;
        if (can_read[0].revents != 0 && can_write[1].revents != 0 && !pass(a, b, size))
            return;
        if (can_read[1].revents != 0 && can_write[0].revents != 0 && !pass(b, a, size))
            return;
    }
}

static void *run(void *arg)
{
    struct relay *relay = arg;
    const int on = 1;
    int a = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (a < 0)
        return NULL;
    int b = connect_to(relay->target);
    (void)setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    relay_between(a, b, relay->piece_max);
    (void)close(a);
    (void)close(b);
    return NULL;
}

void relay_start(struct relay *relay, uint16_t target, uint32_t piece_max)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_true(piece_max >= 1 && piece_max <= PIECE_MAX);
    *relay = (struct relay){.target = target, .piece_max = piece_max};
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(relay->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(relay->listener, 1), 0);
    assert_int_equal(getsockname(relay->listener, (struct sockaddr *)&address, &size), 0);
    relay->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&relay->thread, NULL, run, relay), 0);
}

void relay_stop(struct relay *relay)
{
    (void)shutdown(relay->listener, SHUT_RDWR); /* also if nobody came */
    assert_int_equal(pthread_join(relay->thread, NULL), 0);
    (void)close(relay->listener);
}
