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
#include "base/clock.h"
#include "protocol/native.h"
#include "protocol/native_body.h"
#include "support/program.h"

#define NATIVE_EACH   5u   /* one connection in so many speaks the native protocol */
#define EXPIRY_MAX_MS 300u /* how long an expiring key lives at most */
#define COMMAND_BATCH 8u
#define REPLY_MAX     4096u

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

static void put(struct writers *writers, const void *bytes, size_t size)
{
    if (size > 0 && buffer_append(&writers->out, bytes, size) != KVS_OK)
        abort();
}

/* ---- what is sent ------------------------------------------------------------------------- */

/* Fewer than below, from 0. */
static uint32_t draw(struct writers *writers, uint32_t below)
{
    return (uint32_t)rand_r(&writers->seed) % below;
}

static struct ledger_change choose_change(struct writers *writers, uint32_t number)
{
    struct ledger_writer *writer = &writers->ledger->writers[number];
    uint32_t kind = draw(writers, 10);
    struct ledger_change change = {.key = draw(writers, writers->ledger->key_limit)};
    if (kind < 2) /* a removal */
        return change;
    change.to.version = ++writer->last_version;
    if (kind < 4)
        change.to.expires_ms = clock_unix_ms() + 1 + draw(writers, EXPIRY_MAX_MS);
    return change;
}

static struct ledger_step choose_step(struct writers *writers, uint32_t number)
{
    struct ledger_step step = {.count = 1};
    if (draw(writers, 3) == 0)
        step.count += draw(writers, LEDGER_CHANGES);
    for (uint32_t i = 0; i < step.count; i++)
        step.changes[i] = choose_change(writers, number);
    return step;
}

static void put_argument(struct writers *writers, struct kvs_bytes argument)
{
    char head[24];
    put(writers, head,
        (size_t)snprintf(head, sizeof(head), "$%llu\r\n", (unsigned long long)argument.len));
    put(writers, argument.ptr, argument.len);
    put(writers, "\r\n", 2);
}

static void put_head(struct writers *writers, uint32_t arguments, const char *command)
{
    char head[24];
    put(writers, head, (size_t)snprintf(head, sizeof(head), "*%u\r\n", arguments));
    put_argument(writers, bytes_of_text(command));
}

static void put_key_value(struct writers *writers, uint32_t number,
                          const struct ledger_change *change)
{
    static uint8_t value[LEDGER_VALUE_MAX];
    char name[LEDGER_NAME_MAX];
    put_argument(writers, ledger_name(name, number, change->key));
    if (change->to.version != 0)
        put_argument(writers, ledger_value(value, number, change->key, change->to.version));
}

static void put_command(struct writers *writers, uint32_t number,
                        const struct ledger_change *change)
{
    char time[24];
    if (change->to.version == 0) {
        put_head(writers, 2, "DEL");
        put_key_value(writers, number, change);
    } else if (change->to.expires_ms == 0) {
        put_head(writers, 3, "SET");
        put_key_value(writers, number, change);
    } else {
        put_head(writers, 5, "SET");
        put_key_value(writers, number, change);
        put_argument(writers, bytes_of_text("PXAT"));
        (void)snprintf(time, sizeof(time), "%lld", (long long)change->to.expires_ms);
        put_argument(writers, bytes_of_text(time));
    }
}

static bool only_plain_sets(const struct ledger_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        if (step->changes[i].to.version == 0 || step->changes[i].to.expires_ms != 0)
            return false;
    }
    return true;
}

/* Returns the lines of its replies. */
static uint32_t put_resp(struct writers *writers, uint32_t number, const struct ledger_step *step)
{
    if (step->count == 1) {
        put_command(writers, number, &step->changes[0]);
        return 1;
    }
    bool is_mset = only_plain_sets(step);
    if (is_mset)
        put_head(writers, 1 + 2 * step->count, "MSET");
    else
        put_head(writers, 1, "MULTI");
    for (uint32_t i = 0; i < step->count; i++) {
        if (is_mset)
            put_key_value(writers, number, &step->changes[i]);
        else
            put_command(writers, number, &step->changes[i]);
    }
    if (is_mset)
        return 1;
    put_head(writers, 1, "EXEC");
    return 2 + 2 * step->count; /* OK, a QUEUED each, the array, a reply each */
}

static void put_native_operation(struct writers *writers, uint32_t number,
                                 const struct ledger_change *change, struct buffer *body)
{
    static uint8_t bytes[LEDGER_VALUE_MAX];
    char name[LEDGER_NAME_MAX];
    struct kvs_bytes key = ledger_name(name, number, change->key);
    bool is_set = change->to.version != 0;
    struct kvs_bytes value =
        is_set ? ledger_value(bytes, number, change->key, change->to.version) : bytes_of(bytes, 0);
    uint8_t head[NATIVE_BATCH_OP_SIZE] = {is_set ? 1 : 2, 0,
                                          change->to.expires_ms != 0 ? NATIVE_EXPIRES_AT : 0};
    store_le32(head + 4, (uint32_t)key.len);
    store_le32(head + 8, (uint32_t)value.len);
    store_le64(head + 16, (uint64_t)change->to.expires_ms);
    if (buffer_append(body, head, sizeof(head)) != KVS_OK ||
        buffer_append(body, key.ptr, key.len) != KVS_OK ||
        (value.len > 0 && buffer_append(body, value.ptr, value.len) != KVS_OK))
        abort();
    (void)writers;
}

/* Returns the number of replies. */
static uint32_t put_native(struct writers *writers, uint32_t number, const struct ledger_step *step)
{
    struct buffer body = {0};
    uint8_t head[NATIVE_HEADER_SIZE] = {NATIVE_MAGIC_REQUEST, NATIVE_VERSION, COMMAND_BATCH};
    if (native_put_u32(&body, NATIVE_BATCH_ALL_OR_NONE) != KVS_OK ||
        native_put_u32(&body, step->count) != KVS_OK)
        abort();
    for (uint32_t i = 0; i < step->count; i++)
        put_native_operation(writers, number, &step->changes[i], &body);
    struct kvs_bytes bytes = bytes_of(buffer_content(&body), buffer_size(&body));
    store_le32(head + 4, (uint32_t)bytes.len);
    put(writers, head, sizeof(head));
    put(writers, bytes.ptr, bytes.len);
    buffer_deinit(&body);
    return 1;
}

static void close_connection(struct connection *connection)
{
    (void)close(connection->fd);
    connection->fd = -1;
}

static void send_steps(struct writers *writers, struct connection *connection)
{
    struct ledger_writer *writer = &writers->ledger->writers[connection->number];
    uint32_t count = 1 + draw(writers, LEDGER_STEPS);
    buffer_truncate(&writers->out, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_step step = choose_step(writers, connection->number);
        ledger_begin(writer, &step);
        connection->replies[i] = connection->is_native
                                     ? put_native(writers, connection->number, &step)
                                     : put_resp(writers, connection->number, &step);
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
