/* See opening.h. */
#include "server/opening.h"

#include <string.h>

#include "base/clock.h"

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
    struct server_state *state = arg;
    atomic_store_explicit(&state->load_total, total, memory_order_relaxed);
    atomic_store_explicit(&state->load_done, done, memory_order_relaxed);
}

static void *open_store(void *arg)
{
    struct opening *opening = arg;
    opening->status = store_open_prepared(opening->store, &opening->config, &opening->error);
    opening->done(opening->arg, opening->status);
    return NULL;
}

kvs_status opening_begin(struct opening *opening, struct kvs_error *err)
{
    opening->error = (struct kvs_error)KVS_ERROR_INIT(opening->message);
    opening->message[0] = '\0';
    atomic_store_explicit(&opening->state->load_started_ms, clock_unix_ms(), memory_order_relaxed);
    opening->config.progress = note_progress;
    opening->config.progress_arg = opening->state;
    int code = pthread_create(&opening->thread, NULL, open_store, opening);
    if (code != 0)
        return kvs_error_set(err, KVS_NO_MEMORY, code,
                             "cannot start the thread that opens the store: %s", strerror(code));
    opening->running = true;
    return KVS_OK;
}

kvs_status opening_end(struct opening *opening, struct kvs_error *err)
{
    if (!opening->running)
        return KVS_OK;
    (void)pthread_join(opening->thread, NULL);
    opening->running = false;
    if (opening->status != KVS_OK && err != NULL)
        return kvs_error_set(err, opening->status, opening->error.os_errno, "%s", opening->message);
    return opening->status;
}
