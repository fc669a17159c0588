/*
 * A server that does what its test says: a thread that accepts connections, one after the other,
 * and runs the test's script on each. Scripts run on that thread, so they must not use cmocka's
 * assertions; they wait for bytes or for the client to close, never for a time.
 */
#ifndef TESTS_CLIENT_FAKE_SERVER_H
#define TESTS_CLIENT_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/buffer.h"
#include "protocol/request.h"

struct fake_server;

/* One accepted connection. */
struct fake_connection {
    int fd;                /* blocking; closed by the server when the script returns */
    uint32_t index;        /* 0 for the first connection of this server */
    struct buffer input;   /* what was received and not consumed */
    uint64_t request_size; /* bytes of the request that fake_read_request showed last */
    struct fake_server *server;
};

typedef void (*fake_script_fn)(struct fake_connection *connection, void *arg);

/* Starts one on a free port of 127.0.0.1, or on this port. */
struct fake_server *fake_server_start(fake_script_fn script, void *arg);
struct fake_server *fake_server_start_at(uint16_t port, fake_script_fn script, void *arg);

/* Ends it: no more connections are accepted, and the one being served is cut off. NULL is fine. */
void fake_server_stop(struct fake_server *server);

const char *fake_server_address(const struct fake_server *server);
uint16_t fake_server_port(const struct fake_server *server);

/* How many connections were accepted, and how many whole requests were read, so far. */
uint32_t fake_server_connections(const struct fake_server *server);
uint32_t fake_server_requests(const struct fake_server *server);

/* ---- for scripts -------------------------------------------------------------------------- */

/* Reads a whole request, whose views live until the next call. False: the client closed. */
bool fake_read_request(struct fake_connection *connection, struct request *ret_request);

/* Reads a request's header only and leaves the rest unread. False: the client closed. */
bool fake_read_header(struct fake_connection *connection, uint64_t *ret_id);

/* Sends a reply with this body. A client that is gone is fine. */
void fake_reply(struct fake_connection *connection, uint64_t id, kvs_status status,
                const void *body, size_t size);
void fake_reply_text(struct fake_connection *connection, uint64_t id, kvs_status status,
                     const char *body);

/* Sends bytes as they are. False: the client closed. */
bool fake_write(struct fake_connection *connection, const void *bytes, size_t size);

/* Reads and forgets what comes until the client closes. */
void fake_wait_closed(struct fake_connection *connection);

/* A script that is a small key/value server of its own; arg is a struct fake_store. */
#define FAKE_STORE_ENTRIES 8u
struct fake_store {
    struct {
        struct buffer key;
        struct buffer value;
    } entries[FAKE_STORE_ENTRIES]; /* used by the server's thread; a free one has an empty key */
};
void fake_serve_store(struct fake_connection *connection, void *arg);
void fake_store_deinit(struct fake_store *store);

#endif
