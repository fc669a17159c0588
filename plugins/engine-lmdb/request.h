/*
 * What the engine keeps in a batch of the host's between submit and completion, in engine_data:
 * the queue's link, and the outcome until it is told. Owned by whoever holds the batch: the one who
 * submits until it is queued, then the leader.
 */
#ifndef ENGINE_LMDB_REQUEST_H
#define ENGINE_LMDB_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>

enum { /* indices of engine_data */
    REQUEST_NEXT,
    REQUEST_STATUS,
    REQUEST_FAULTED, /* not NULL: err has the first fault */
    REQUEST_CALLER   /* set before it is queued: stands for the call that submitted it */
};

/* Tells one submission from another one of the same batch: where the submitting call's frame is. */
static inline const void *request_caller(const struct kvs_batch *batch)
{
    return batch->engine_data[REQUEST_CALLER];
}

static inline void request_set_caller(struct kvs_batch *batch, void *caller)
{
    batch->engine_data[REQUEST_CALLER] = caller;
}

static inline struct kvs_batch *request_next(const struct kvs_batch *batch)
{
    return batch->engine_data[REQUEST_NEXT];
}

static inline void request_set_next(struct kvs_batch *batch, struct kvs_batch *next)
{
    batch->engine_data[REQUEST_NEXT] = next;
}

static inline kvs_status request_status(const struct kvs_batch *batch)
{
    return (kvs_status)(intptr_t)batch->engine_data[REQUEST_STATUS];
}

static inline void request_set_status(struct kvs_batch *batch, kvs_status status)
{
    batch->engine_data[REQUEST_STATUS] = (void *)(intptr_t)status;
}

/* Before each attempt to apply the batch. */
static inline void request_clear_fault(struct kvs_batch *batch)
{
    batch->engine_data[REQUEST_FAULTED] = NULL;
}

/* The error to fill with a fault: the batch's for the first one, then NULL. */
static inline struct kvs_error *request_fault(struct kvs_batch *batch)
{
    if (batch->engine_data[REQUEST_FAULTED] != NULL)
        return NULL;
    batch->engine_data[REQUEST_FAULTED] = batch;
    return batch->err;
}

#endif
