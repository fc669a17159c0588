/* A client of libkvs and the fake server that it talks to, as most tests need them. */
#ifndef TESTS_CLIENT_PAIR_H
#define TESTS_CLIENT_PAIR_H

#include "support/support.h"

#include <kvs/client.h>

#include "client/fake_server.h"

struct pair {
    struct fake_server *server;
    struct kvs_client *client;
    struct test_error error; /* of pair_get and pair_ping */
};

/* Starts a fake with this script, and makes a client to it. */
void pair_init(struct pair *pair, fake_script_fn script, void *arg);
void pair_deinit(struct pair *pair);

/* A client to address; 0: the default timeout. */
struct kvs_client *pair_client_to(const char *address, uint64_t request_timeout_ms);

kvs_status pair_get(struct pair *pair, const char *key, struct kvs_bytes *ret_value);
kvs_status pair_ping(struct pair *pair);

void assert_bytes(struct kvs_bytes actual, const void *expected, size_t size);

#endif
