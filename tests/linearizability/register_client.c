/* See register_client.h. An answer that is none of those expected fails the test. */
#include "linearizability/register_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/support.h"

#define LINE_SIZE 256u
#define NIL       -1

bool register_client_open(struct register_client *client, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->start = client->end = 0;
    assert_true(client->fd >= 0);
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        int on = 1;
        (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return true;
    }
    register_client_close(client);
    return false;
}

void register_client_close(struct register_client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
}

/* ---- replies ------------------------------------------------------------------------------ */

static bool receive(struct register_client *client)
{
    if (client->start == client->end)
        client->start = client->end = 0;
    assert_true(client->end < sizeof(client->buffer));
    ssize_t received =
        recv(client->fd, client->buffer + client->end, sizeof(client->buffer) - client->end, 0);
    if (received <= 0)
        return false;
    client->end += (size_t)received;
    return true;
}

/* Reads a line without its end. False: the connection broke. */
static bool read_line(struct register_client *client, char line[LINE_SIZE])
{
    size_t size = 0;
    for (;;) {
        if (client->start == client->end && !receive(client))
            return false;
        char next = client->buffer[client->start++];
        if (next == '\n')
            break;
        assert_true(size < LINE_SIZE - 1);
        line[size++] = next;
    }
    assert_true(size > 0 && line[size - 1] == '\r');
    line[size - 1] = '\0';
    return true;
}

/* A reply: an integer, OK (0), a value of ours (its number), or NIL. */
static bool read_reply(struct register_client *client, long *ret)
{
    char line[LINE_SIZE];
    if (!read_line(client, line))
        return false;
    switch (line[0]) {
    case ':':
        *ret = strtol(line + 1, NULL, 10);
        return true;
    case '+':
        *ret = 0;
        return true;
    case '$':
        if (line[1] == '-') {
            *ret = NIL;
            return true;
        }
        if (!read_line(client, line))
            return false;
        *ret = strtol(line, NULL, 10);
        return true;
    default:
        fail_msg("unexpected reply: %s", line);
        return false;
    }
}

KVS_PRINTF(2, 3)
static bool send_line(struct register_client *client, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return send(client->fd, line, (size_t)size, MSG_NOSIGNAL) == size;
}

/* ---- operations --------------------------------------------------------------------------- */

static enum register_result broke(struct operation *operation)
{
    operation->returned_ns = TIME_NEVER_NS;
    return operation->kind == OPERATION_GET ? REGISTER_NOTHING : REGISTER_UNKNOWN;
}

static uint32_t value_of(long reply)
{
    return reply == NIL ? VALUE_ABSENT : (uint32_t)reply;
}

/* One command, whose reply says everything. */
static bool send_simple(struct register_client *client, const char *key,
                        const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_GET:
        return send_line(client, "GET %s\r\n", key);
    case OPERATION_SET:
        return send_line(client, "SET %s %u\r\n", key, operation->value);
    case OPERATION_REMOVE:
        return send_line(client, "DEL %s\r\n", key);
    case OPERATION_SET_ABSENT:
        return send_line(client, "SETNX %s %u\r\n", key, operation->value);
    case OPERATION_EXCHANGE:
    case OPERATION_COMPARE_SET:
    default:
        return send_line(client, "GETSET %s %u\r\n", key, operation->value);
    }
}

/* The reply to EXEC of a GET and a SET. False: the connection broke. */
static bool read_exec(struct register_client *client, bool *ret_done, long *ret_before)
{
    char line[LINE_SIZE];
    long ok;
    if (!read_line(client, line))
        return false;
    *ret_done = strcmp(line, "*2") == 0;
    if (!*ret_done) {
        assert_string_equal(line, "*-1");
        return true;
    }
    return read_reply(client, ret_before) && read_reply(client, &ok);
}

/* WATCH, and an exchange in a transaction that fails if the key is another by then. That it was not
   done says nothing about one moment. */
static enum register_result watched_exchange(struct register_client *client, const char *key,
                                             struct operation *operation)
{
    long reply;
    bool done;
    operation->kind = OPERATION_EXCHANGE;
    if (!send_line(client, "WATCH %s\r\nGET %s\r\n", key, key) || !read_reply(client, &reply) ||
        !read_reply(client, &reply))
        return REGISTER_NOTHING;
    operation->called_ns = clock_now_ns();
    if (!send_line(client, "MULTI\r\nGET %s\r\nSET %s %u\r\nEXEC\r\n", key, key,
                   operation->value) ||
        !read_reply(client, &reply) || !read_reply(client, &reply) || !read_reply(client, &reply) ||
        !read_exec(client, &done, &reply))
        return broke(operation);
    operation->returned_ns = clock_now_ns();
    operation->seen = value_of(reply);
    return done ? REGISTER_DONE : REGISTER_NOTHING;
}

enum register_result register_client_do(struct register_client *client, const char *key,
                                        struct operation *operation)
{
    long reply;
    if (operation->kind == OPERATION_COMPARE_SET)
        return watched_exchange(client, key, operation);
    operation->called_ns = clock_now_ns();
    if (!send_simple(client, key, operation) || !read_reply(client, &reply))
        return broke(operation);
    operation->returned_ns = clock_now_ns();
    operation->seen = operation->kind == OPERATION_SET ? 0 : value_of(reply);
    return REGISTER_DONE;
}
