/* See wire.h. */
#include "support/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "support/program.h"
#include "support/support.h"

size_t put_request(uint8_t *to, uint64_t id, uint32_t command, struct kvs_bytes key,
                   struct kvs_bytes value)
{
    struct request request = {.id = id, .command = command, .key = key, .value = value};
    size_t size = native_encode_request(to, &request);
    if (key.len > 0)
        memcpy(to + size, key.ptr, key.len);
    size += key.len;
    if (value.len > 0)
        memcpy(to + size, value.ptr, value.len);
    return size + value.len;
}

void send_request(int fd, uint64_t id, uint32_t command, const char *key, const char *value)
{
    struct kvs_bytes key_bytes = key != NULL ? bytes_of_text(key) : (struct kvs_bytes){NULL, 0};
    struct kvs_bytes value_bytes =
        value != NULL ? bytes_of_text(value) : (struct kvs_bytes){NULL, 0};
    uint8_t *frame = malloc(64 + key_bytes.len + value_bytes.len);
    size_t size = put_request(frame, id, command, key_bytes, value_bytes);
    assert_true(send_all(fd, frame, size));
    free(frame);
}

bool receive_reply(int fd, struct received *ret)
{
    uint8_t header[NATIVE_HEADER_SIZE];
    if (!receive_all(fd, header, sizeof(header)))
        return false;
    assert_int_equal(native_decode_reply(header, &ret->head, NULL), KVS_OK);
    ret->body = malloc((size_t)ret->head.body_size + 1);
    ret->body[ret->head.body_size] = '\0';
    if (receive_all(fd, ret->body, ret->head.body_size))
        return true;
    free(ret->body);
    return false;
}

void expect_reply(int fd, uint64_t id, kvs_status status, const char *body)
{
    struct received reply;
    assert_true(receive_reply(fd, &reply));
    assert_int_equal(reply.head.id, id);
    assert_int_equal(reply.head.status, status);
    if (body != NULL)
        assert_string_equal(reply.body, body);
    free(reply.body);
}

void expect_closed(int fd)
{
    char byte;
    ssize_t received;
    do
        received = recv(fd, &byte, 1, 0);
    while (received < 0 && errno == EINTR);
    if (received > 0)
        fail_msg("the server sent something instead of closing the connection");
    if (received < 0 && errno != ECONNRESET)
        fail_msg("the server did not close the connection: %s", strerror(errno));
}

uint64_t fetch_stat(uint16_t port, const char *name)
{
    struct received reply;
    char line[128];
    int fd = connect_to(port);
    send_request(fd, 1, REQUEST_STATS, NULL, NULL);
    assert_true(receive_reply(fd, &reply));
    (void)close(fd);
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(reply.body, line);
    if (at == NULL)
        fail_msg("no figure '%s' in stats:\n%s", name, reply.body);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    free(reply.body);
    return value;
}
