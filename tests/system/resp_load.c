/* See resp_load.h. */
#include "system/resp_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/support.h"

#define EVENTS_MAX 256
#define ROUND_SIZE 512u /* bytes that a round's commands take besides the value */
#define PORTS_AN_ADDRESS                                                                           \
    8000u /* connections from one source address, well below the ports it has */

/* One connection, and where its round stands. */
struct talker {
    int fd;
    unsigned round; /* rounds that are done */
    size_t sent;    /* bytes of the round's commands */
    size_t have;    /* bytes of its replies */
    char *commands; /* owned, as replies; terminated */
    size_t commands_size;
    char *replies;
    size_t replies_room;
};

static void fill_value(char *value, unsigned size, unsigned talker, unsigned round)
{
    int head = snprintf(value, size + 1, "%u/%u/", talker, round);
    assert_true(head > 0 && (unsigned)head < size);
    memset(value + head, 'a' + (int)(round % 26), size - (unsigned)head);
    value[size] = '\0';
}

/* Writes the next round's commands. */
static void begin_round(struct talker *talker, const struct resp_load *load, unsigned index)
{
    char value[4096];
    char key[32];
    char counter[32];
    assert_true(load->value_size < sizeof(value));
    fill_value(value, load->value_size, index, talker->round);
    int key_size = snprintf(key, sizeof(key), "talker:%u", index);
    int counter_size = snprintf(counter, sizeof(counter), "counter:%u", index % RESP_LOAD_COUNTERS);
    int size =
        snprintf(talker->commands, ROUND_SIZE + load->value_size,
                 "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%u\r\n%s\r\n"
                 "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n"
                 "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n"
                 "*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n",
                 key_size, key, load->value_size, value, key_size, key, counter_size, counter);
    assert_true(size > 0 && (unsigned)size < ROUND_SIZE + load->value_size);
    talker->commands_size = (size_t)size;
    talker->sent = 0;
    talker->have = 0;
}

/* Checks the replies as far as they have come. True: they are whole. */
static bool check_replies(struct talker *talker, const struct resp_load *load, unsigned index)
{
    char value[4096];
    char expected[4096 + 64];
    fill_value(value, load->value_size, index, talker->round);
    int size =
        snprintf(expected, sizeof(expected), "+OK\r\n$%u\r\n%s\r\n:", load->value_size, value);
    size_t fixed = (size_t)size;
    size_t both = talker->have < fixed ? talker->have : fixed;
    talker->replies[talker->have] = '\0';
    if (memcmp(talker->replies, expected, both) != 0)
        fail_msg("connection %u got '%s' instead of '%s'", index, talker->replies, expected);
    if (talker->have <= fixed)
        return false;
    char *end;
    unsigned long count = strtoul(talker->replies + fixed, &end, 10);
    size_t rest = talker->have - (size_t)(end - talker->replies);
    static const char last[] = "\r\n$-1\r\n";
    if (rest > sizeof(last) - 1 || memcmp(end, last, rest) != 0)
        fail_msg("connection %u got '%s'", index, talker->replies);
    if (rest < sizeof(last) - 1)
        return false;
    assert_true(count >= talker->round + 1u &&
                count <= (unsigned long)load->connections * load->rounds);
    return true;
}

static void send_some(struct talker *talker)
{
    while (talker->sent < talker->commands_size) {
        ssize_t sent = send(talker->fd, talker->commands + talker->sent,
                            talker->commands_size - talker->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            fail_msg("cannot send: %s", strerror(errno));
        talker->sent += (size_t)sent;
    }
}

/* Goes on with a connection as far as it gets. True: all its rounds are done. */
static bool go_on(struct talker *talker, const struct resp_load *load, unsigned index)
{
    for (;;) {
        send_some(talker);
        ssize_t received = recv(talker->fd, talker->replies + talker->have,
                                talker->replies_room - 1 - talker->have, 0);
        if (received < 0 && errno == EAGAIN)
            return false;
        if (received <= 0)
            fail_msg("connection %u ended in round %u: %s", index, talker->round,
                     received == 0 ? "closed" : strerror(errno));
        talker->have += (size_t)received;
        if (!check_replies(talker, load, index))
            continue;
        if (++talker->round == load->rounds)
            return true;
        begin_round(talker, load, index);
    }
}

static int open_connection(const struct resp_load *load, unsigned index)
{
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->port)};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / PORTS_AN_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail_msg("connection %u cannot be made: %s", index, strerror(errno));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void open_talker(struct talker *talker, const struct resp_load *load, unsigned index,
                        int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = index};
    talker->replies_room = load->value_size + 128;
    talker->commands = malloc(ROUND_SIZE + load->value_size);
    talker->replies = malloc(talker->replies_room);
    assert_true(talker->commands != NULL && talker->replies != NULL);
    talker->fd = open_connection(load, index);
    begin_round(talker, load, index);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, talker->fd, &event), 0);
}

static void close_talker(struct talker *talker)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* leaves no port waiting behind */
    (void)setsockopt(talker->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(talker->fd);
    free(talker->commands);
    free(talker->replies);
}

void resp_load_run(const struct resp_load *load)
{
    struct talker *talkers = calloc(load->connections, sizeof(*talkers));
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(talkers != NULL && epoll_fd >= 0);
    for (unsigned i = 0; i < load->connections; i++)
        open_talker(&talkers[i], load, i, epoll_fd);
    for (unsigned done = 0; done < load->connections;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, (int)support_wait_ms());
        if (count == 0)
            fail_msg("%u of %u connections are not served", load->connections - done,
                     load->connections);
        for (int i = 0; i < count; i++) {
            unsigned index = events[i].data.u32;
            if (talkers[index].round < load->rounds)
                done += go_on(&talkers[index], load, index);
        }
    }
    for (unsigned i = 0; i < load->connections; i++)
        close_talker(&talkers[i]);
    (void)close(epoll_fd);
    free(talkers);
}
