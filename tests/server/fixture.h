/* A server inside the test, on a thread of its own. */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include <pthread.h>

#include <kvs/server.h>

#include "protocol/native.h"
#include "support/program.h"
#include "support/support.h"
#include "support/wire.h"

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

#endif
