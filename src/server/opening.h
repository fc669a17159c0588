/*
 * Opening the store on a thread of its own, so that the server can answer "loading" meanwhile.
 */
#ifndef SERVER_OPENING_H
#define SERVER_OPENING_H

#include <pthread.h>
#include <stdbool.h>

#include <kvs/engine.h>

#include "command/store.h"
#include "server/state.h"

struct opening {
    /* Set by the caller before opening_begin; good until opening_end. */
    struct store *store;             /* prepared */
    struct kvs_engine_config config; /* progress is filled in here */
    struct server_state *state;      /* gets the progress */
    /* Called on the thread once the store is open, or could not be opened (status < 0). */
    void (*done)(void *arg, kvs_status status);
    void *arg;

    /* Private. */
    pthread_t thread;
    bool running;
    kvs_status status; /* the thread's, until it was joined */
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};

/* KVS_OK, or KVS_NO_MEMORY: there is no thread. */
KVS_MUST_USE kvs_status opening_begin(struct opening *opening, struct kvs_error *err);

/* Waits for the end: KVS_OK, or why the store is not open. One that did not begin is fine. */
kvs_status opening_end(struct opening *opening, struct kvs_error *err);

#endif
