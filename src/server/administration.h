/*
 * What the server does for operators' commands: the calls of command/hooks.h, over its parts.
 */
#ifndef SERVER_ADMINISTRATION_H
#define SERVER_ADMINISTRATION_H

#include <pthread.h>
#include <stdbool.h>

#include <kvs/server.h>

#include "command/hooks.h"
#include "server/access.h"
#include "server/command_metrics.h"
#include "server/connection_set.h"
#include "server/limits.h"
#include "server/saving.h"
#include "server/slow_log.h"

struct administration {
    /* Constant while the server runs. */
    struct access *access;
    struct connection_set *connections;
    struct workers *workers;
    struct limits *limits;
    const struct store *store;
    struct log *log;
    const char *data_dir;
    uint32_t durability; /* KVS_DURABILITY_* */
    uint32_t threads;
    uint16_t port;
    void (*stop)(void *arg); /* begins to stop the server */
    void *stop_arg;

    /* Made by administration_init. */
    struct slow_log *slow_log;
    struct saving *saving;
    bool is_made;

    pthread_mutex_t lock;
    /* What commands had done at the last reset; guarded by lock. */
    struct command_metrics baseline;
};

/* Makes the slow log and the saving of checkpoints as config says. The constant fields are set by the
   caller before. KVS_OK or KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status administration_init(struct administration *administration,
                                            const struct kvs_server_config *config,
                                            struct store *store, struct kvs_error *err);
/* Waits for a checkpoint that is being written: before the store closes. May be called twice. */
void administration_end_saving(struct administration *administration);
/* Frees what administration_init made. A zeroed one is fine. */
void administration_deinit(struct administration *administration);

/* The hooks, whose arg is the struct administration. */
struct hooks administration_hooks(struct administration *administration);

#endif
