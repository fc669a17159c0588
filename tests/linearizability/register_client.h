/*
 * A client that does operations of history.h on a server, over the Redis protocol and one blocking
 * socket. Not thread-safe; one a thread.
 */
#ifndef TESTS_LINEARIZABILITY_REGISTER_CLIENT_H
#define TESTS_LINEARIZABILITY_REGISTER_CLIENT_H

#include "linearizability/history.h"

struct register_client {
    int fd;
    size_t start; /* of what was received and not yet read */
    size_t end;
    char buffer[4096];
};

/* Connects to 127.0.0.1:port. False: nobody listens there any more. */
bool register_client_open(struct register_client *client, uint16_t port);
void register_client_close(struct register_client *client);

enum register_result {
    REGISTER_DONE,    /* `seen` and the times are filled in */
    REGISTER_NOTHING, /* it surely changed nothing and saw nothing worth keeping: forget it */
    REGISTER_UNKNOWN, /* the connection broke: returned_ns is TIME_NEVER_NS */
};

/* Does the operation (kind and value) on the key, and fills the rest in. COMPARE_SET becomes an EXCHANGE
   in a transaction (MULTI) under a condition (WATCH): WATCH goes by the value, which may have been
   another in between, so what it compared with is not known here. */
enum register_result register_client_do(struct register_client *client, const char *key,
                                        struct operation *operation);

#endif
