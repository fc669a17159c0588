/* A server's configuration, checked and with its defaults in place. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <kvs/server.h>

#include "base/address.h"
#include "protocol/request.h"
#include "server/access.h"
#include "server/tls_server.h"

struct settings {
    struct kvs_server_config copy;          /* what an older caller did not know is zero */
    const struct kvs_server_config *config; /* the copy */
    struct address metrics_address;         /* size 0: none */
    const char *engine;
    const char *pool;
    const char *data_dir;
    uint32_t durability;
    struct request_limits limits;
    uint32_t socket_mode;
    uint64_t login_timeout_ms;
    /* Of clients: 0 means no limit. */
    uint64_t clients_max;
    uint64_t request_max;
    uint64_t reply_max;
    uint64_t idle_timeout_ms;
    uint64_t request_timeout_ms;
    uint64_t reader_timeout_ms;
    struct access_config access;
    struct tls_config tls;
};

/*
 * Reads a configuration, whose pointers *settings then shares; config may be an older, shorter one.
 * What only opening something can tell is not checked here. KVS_OK, KVS_INVALID, KVS_INCOMPATIBLE. *settings
 * must stay where it is.
 */
KVS_MUST_USE kvs_status settings_check(struct settings *settings,
                                       const struct kvs_server_config *config,
                                       struct kvs_error *err);

#endif
