/*
 * See writers.h. A connection sends some steps in one go, waits until all are answered, and sends the
 * next ones. No reply has more than one line (RESP) or a small body (native), so replies are counted.
 */
#include "crash/writers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "crash/requests.h"
#include "protocol/native.h"
#include "support/program.h"

#define NATIVE_EACH 5u /* one connection in so many speaks the native protocol */
#define REPLY_MAX   4096u

struct connection {
    int fd; /* -1: closed */
    uint32_t number;
    bool is_native;
    uint32_t replies[LEDGER_STEPS]; /* still to come for each step under way */
    size_t size;                    /* of what was received and not yet taken */
    uint8_t received[REPLY_MAX];
};

struct writers {
    struct ledger *ledger;
    unsigned seed;
    struct buffer out;
    struct connection connections[LEDGER_WRITERS];
};

/* In this process nothing but the ledger tells what went wrong. */
static void end_with(struct writers *writers, const struct connection *connection, const char *what,
                     const void *text, size_t size)
{
    (void)snprintf(writers->ledger->failure, sizeof(writers->ledger->failure),
                   "writer %u: %s: %.*s", connection->number, what, (int)size, (const char *)text);
    _exit(1);
}

/* ---- what is sent ------------------------------------------------------------------------- */

static void close_connection(struct connection *connection)
{
    (void)close(connection->fd);
    connection->fd = -1;
}

static void send_steps(struct writers *writers, struct connection *connection)
{
    struct ledger_writer *writer = &writers->ledger->writers[connection->number];
    uint32_t count = 1 + (uint32_t)rand_r(&writers->seed) % LEDGER_STEPS;
    buffer_truncate(&writers->out, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_step step =
            request_choose(writers->ledger, connection->number, &writers->seed);
        ledger_begin(writer, &step);
        connection->replies[i] = connection->is_native
                                     ? request_put_native(&writers->out, connection->number, &step)
                                     : request_put_resp(&writers->out, connection->number, &step);
    }
    struct kvs_bytes bytes = bytes_of(buffer_content(&writers->out), buffer_size(&writers->out));
    if (!send_all(connection->fd, bytes.ptr, bytes.len))
        close_connection(connection);
}

/* ---- what is received --------------------------------------------------------------------- */

/* Bytes of the first reply that is whole, or 0. */
static size_t first_reply(struct writers *writers, const struct connection *connection)
{
    if (!connection->is_native) {
        const uint8_t *end = memchr(connection->received, '\n', connection->size);
        size_t size = end == NULL ? 0 : (size_t)(end - connection->received) + 1;
        if (size > 0 && connection->received[0] == '-')
            end_with(writers, connection, "error", connection->received, size);
        return size;
    }
    struct native_reply reply;
    if (connection->size < NATIVE_HEADER_SIZE)
        return 0;
    if (native_decode_reply(connection->received, &reply, NULL) != KVS_OK)
        end_with(writers, connection, "broken reply", "", 0);
    if (connection->size < NATIVE_HEADER_SIZE + reply.body_size)
        return 0;
    if (reply.status != KVS_OK)
        end_with(writers, connection, "error", connection->received + NATIVE_HEADER_SIZE,
                 reply.body_size);
    return NATIVE_HEADER_SIZE + reply.body_size;
}

static void take_replies(struct writers *writers, struct connection *connection)
{
    struct ledger_writer *writer = &writers->ledger->writers[connection->number];
    for (size_t size; (size = first_reply(writers, connection)) > 0;) {
        connection->size -= size;
        memmove(connection->received, connection->received + size, connection->size);
        if (writer->under_way_count == 0)
            end_with(writers, connection, "a reply too many", "", 0);
        if (--connection->replies[0] > 0)
            continue;
        memmove(connection->replies, connection->replies + 1,
                sizeof(connection->replies) - sizeof(connection->replies[0]));
        ledger_acknowledge(writer);
    }
}

static void serve(struct writers *writers, struct connection *connection)
{
    ssize_t size = recv(connection->fd, connection->received + connection->size,
                        sizeof(connection->received) - connection->size, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        close_connection(connection);
        return;
    }
    connection->size += (size_t)size;
    take_replies(writers, connection);
    if (writers->ledger->writers[connection->number].under_way_count == 0)
        send_steps(writers, connection);
}

/* ---- the process -------------------------------------------------------------------------- */

static int try_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void run(struct writers *writers, uint16_t port)
{
    for (uint32_t i = 0; i < LEDGER_WRITERS; i++) {
        struct connection *connection = &writers->connections[i];
        connection->number = i;
        connection->is_native = i % NATIVE_EACH == 0;
        connection->fd = try_connect(port);
        if (connection->fd >= 0)
            send_steps(writers, connection);
    }
    for (;;) {
        struct pollfd polled[LEDGER_WRITERS];
        uint32_t open = 0;
        for (uint32_t i = 0; i < LEDGER_WRITERS; i++) {
            polled[i] = (struct pollfd){.fd = writers->connections[i].fd, .events = POLLIN};
            open += polled[i].fd >= 0;
        }
        if (open == 0)
            return;
        if (poll(polled, LEDGER_WRITERS, -1) < 0 && errno != EINTR)
            abort();
        for (uint32_t i = 0; i < LEDGER_WRITERS; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0)
                serve(writers, &writers->connections[i]);
        }
    }
}

pid_t writers_start(struct ledger *ledger, uint16_t port, unsigned seed)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct writers *writers = calloc(1, sizeof(*writers));
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || writers == NULL)
        _exit(1);
    writers->ledger = ledger;
    writers->seed = seed;
    run(writers, port);
    _exit(0);
}

void writers_join(struct ledger *ledger, pid_t pid)
{
    int status = 0;
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    if (ledger->failure[0] != '\0')
        fail_msg("%s", ledger->failure);
    assert_int_equal(status, 0);
}
