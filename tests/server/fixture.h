/*
 * A server inside the test, on a thread of its own, and a client's side of the native protocol that
 * can do what a well-behaved client does not.
 */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include <pthread.h>

#include <kvs/server.h>

#include "protocol/native.h"
#include "support/program.h"
#include "support/support.h"

struct fixture {
    struct kvs_server *server;
    pthread_t thread;
    kvs_status run_status; /* of kvs_server_run, once stopped */
    char *data_dir;
    uint16_t port;
};

/* Starts a server with this pool, threads and engine options (NULL-terminated; may be NULL) on the
   test engine, in a new data directory. */
void fixture_start(struct fixture *fixture, const char *pool, uint32_t threads,
                   const char *const *engine_options);
/* The same with any configuration; address, data directory and plugin folders are filled in. */
void fixture_start_config(struct fixture *fixture, struct kvs_server_config *config);
/* Stops it, checks that it stopped well, removes the data. */
void fixture_stop(struct fixture *fixture);

/* Every pool plugin that this build has; NULL-terminated. */
const char *const *fixture_pools(void);

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
