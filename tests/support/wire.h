/*
 * A client's side of the native protocol over a plain socket, which can do what a well-behaved
 * client does not. Whatever goes wrong fails the test.
 */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvs/types.h>

#include "protocol/native.h"

/* Sends one request. */
void send_request(int fd, uint64_t id, uint32_t command, const char *key, const char *value);
/* Writes one request's bytes to `to`; returns how many. */
size_t put_request(uint8_t *to, uint64_t id, uint32_t command, struct kvs_bytes key,
                   struct kvs_bytes value);

struct received {
    struct native_reply head;
    char *body; /* malloced, terminated */
};
/* Receives one reply; false when the connection ends instead. */
bool receive_reply(int fd, struct received *ret);
/* Receives one reply and checks it; body NULL: whatever it is. */
void expect_reply(int fd, uint64_t id, kvs_status status, const char *body);
/* Checks that the server closes the connection now. */
void expect_closed(int fd);

/* The value of a figure in the server's stats. */
uint64_t fetch_stat(uint16_t port, const char *name);

#endif
