/* See check.h. */
#include "crash/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "support/program.h"

#define RECEIVE_SIZE 65536u
#define TEXT_SIZE    2048u

/* The reading side of a connection over the Redis protocol. */
struct replies {
    int fd;
    struct buffer in;
};

static void receive_more(struct replies *replies)
{
    assert_int_equal(buffer_reserve(&replies->in, RECEIVE_SIZE), KVS_OK);
    ssize_t size = recv(replies->fd, replies->in.data + replies->in.end, RECEIVE_SIZE, 0);
    if (size <= 0)
        fail_msg("the server closed the connection of the check");
    buffer_commit(&replies->in, (size_t)size);
}

/* Takes the next line, without its end; it lives until the next call. */
static char *take_line(struct replies *replies)
{
    static char line[1024];
    const char *end;
    while (buffer_size(&replies->in) == 0 ||
           (end = memchr(buffer_content(&replies->in), '\n', buffer_size(&replies->in))) == NULL)
        receive_more(replies);
    size_t size = (size_t)(end - (const char *)buffer_content(&replies->in)) + 1;
    assert_true(size >= 2 && size <= sizeof(line));
    memcpy(line, buffer_content(&replies->in), size);
    line[size - 2] = '\0';
    buffer_consume(&replies->in, size);
    return line;
}

/* The number behind the kind of a reply. */
static long take_number(struct replies *replies, char kind)
{
    const char *line = take_line(replies);
    if (line[0] != kind)
        fail_msg("the reply is '%s', a '%c' was expected", line, kind);
    return strtol(line + 1, NULL, 10);
}

/* The next size bytes with the end behind them; they live until the next call. */
static struct kvs_bytes take_bytes(struct replies *replies, size_t size)
{
    while (buffer_size(&replies->in) < size + 2)
        receive_more(replies);
    struct kvs_bytes bytes = bytes_of(buffer_content(&replies->in), size);
    buffer_consume(&replies->in, size + 2);
    return bytes;
}

static struct replies replies_open(uint16_t port)
{
    return (struct replies){.fd = connect_to(port)};
}

static void replies_close(struct replies *replies)
{
    (void)close(replies->fd);
    buffer_deinit(&replies->in);
}

char *ask(uint16_t port, const char *command)
{
    struct replies replies = replies_open(port);
    assert_true(send_all(replies.fd, command, strlen(command)));
    assert_true(send_all(replies.fd, "\r\n", 2));
    char *line = strdup(take_line(&replies));
    replies_close(&replies);
    return line;
}

/* ---- values ------------------------------------------------------------------------------- */

static void send_mget(int fd, uint32_t writer)
{
    char name[LEDGER_NAME_MAX];
    struct buffer out = {0};
    char head[32];
    int size = snprintf(head, sizeof(head), "*%u\r\n$4\r\nMGET\r\n", LEDGER_KEYS + 1);
    assert_int_equal(buffer_append(&out, head, (size_t)size), KVS_OK);
    for (uint32_t key = 0; key < LEDGER_KEYS; key++) {
        struct kvs_bytes bytes = ledger_name(name, writer, key);
        size = snprintf(head, sizeof(head), "$%u\r\n", (unsigned)bytes.len);
        assert_int_equal(buffer_append(&out, head, (size_t)size), KVS_OK);
        assert_int_equal(buffer_append(&out, bytes.ptr, bytes.len), KVS_OK);
        assert_int_equal(buffer_append(&out, "\r\n", 2), KVS_OK);
    }
    assert_true(send_all(fd, buffer_content(&out), buffer_size(&out)));
    buffer_deinit(&out);
}

static void find_values(const struct ledger *ledger, struct replies *replies, uint32_t writer,
                        struct ledger_found *found)
{
    found->before_ms = clock_unix_ms();
    send_mget(replies->fd, writer);
    assert_int_equal(take_number(replies, '*'), LEDGER_KEYS);
    for (uint32_t key = 0; key < LEDGER_KEYS; key++) {
        long size = take_number(replies, '$');
        found->versions[key] = 0;
        if (size < 0)
            continue;
        struct kvs_bytes value = take_bytes(replies, (size_t)size);
        if (!ledger_read_value(ledger, writer, key, value, &found->versions[key]))
            fail_msg("writer %u, key %u: %ld bytes that were never sent: %.*s...", writer, key,
                     size, size < 40 ? (int)size : 40, (const char *)value.ptr);
    }
    found->after_ms = clock_unix_ms();
}

/* ---- the list of keys --------------------------------------------------------------------- */

/* No key may be there that nobody sent. Those that expire meanwhile make counting useless. */
static void check_names(struct replies *replies)
{
    assert_true(send_all(replies->fd, "KEYS *\r\n", 8));
    for (long left = take_number(replies, '*'); left > 0; left--) {
        char expected[LEDGER_NAME_MAX];
        char name[LEDGER_NAME_MAX] = "";
        unsigned writer = LEDGER_WRITERS;
        unsigned key = LEDGER_KEYS;
        long size = take_number(replies, '$');
        struct kvs_bytes found = take_bytes(replies, (size_t)size);
        memcpy(name, found.ptr, (size_t)size < sizeof(name) ? (size_t)size : sizeof(name) - 1);
        (void)sscanf(name, "writer:%u:key:%u", &writer, &key);
        if (writer >= LEDGER_WRITERS || key >= LEDGER_KEYS ||
            !bytes_equal(found, ledger_name(expected, writer, key)))
            fail_msg("there is a key '%s', which was never sent", name);
    }
}

static bool has_loaded(void *arg)
{
    char *reply = ask(*(const uint16_t *)arg, "GET nothing");
    bool loads = strncmp(reply, "-LOADING", 8) == 0;
    free(reply);
    return !loads;
}

void check_store(struct ledger *ledger, uint16_t port)
{
    static struct ledger_found found;
    char text[TEXT_SIZE];
    wait_until(has_loaded, &port);
    struct replies replies = replies_open(port);
    for (uint32_t writer = 0; writer < LEDGER_WRITERS; writer++) {
        find_values(ledger, &replies, writer, &found);
        if (!ledger_settle(ledger, writer, &found, text, sizeof(text)))
            fail_msg("%s", text);
    }
    check_names(&replies);
    replies_close(&replies);
}
