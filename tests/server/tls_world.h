/* A server that speaks TLS, on a thread of the test, with certificates of its own, and what talks to it. */
#ifndef TESTS_SERVER_TLS_WORLD_H
#define TESTS_SERVER_TLS_WORLD_H

#include <kvs/client.h>

#include "server/fixture.h"
#include "support/certificates.h"

#define TLS_LOG_MAX 65536u

struct tls_world {
    struct fixture fixture; /* its port is the one without TLS */
    char *folder;           /* of the certificates: ca, server, client; other-ca, other-client */
    char *address;          /* the one with TLS, without "tls:" */
    uint16_t port;
    char *ca;
    char *server_pem;
    char *server_key;
    pthread_mutex_t lock;
    char log[TLS_LOG_MAX]; /* guarded by lock */
    size_t log_size;       /* likewise */
};

/* Makes the certificates and starts a server on pool. What config says of TLS wins over the usual. */
void tls_world_start(struct tls_world *world, const char *pool, struct kvs_server_config *config);
void tls_world_stop(struct tls_world *world);

/* True when the log has this part; how often. */
unsigned tls_world_logged(struct tls_world *world, const char *part);

/* A client with TLS that trusts the CA. config (may be NULL) adds to that. */
struct kvs_client *tls_world_client(struct tls_world *world,
                                    const struct kvs_client_config *config);

#endif
