/*
 * The one way in for writes: a queue, and a leader who takes along all that is queued, commits it
 * and answers each. The leader is a caller, where that costs him no wait for the disk that he did
 * not ask for, or else the committer thread.
 */
#ifndef ENGINE_LMDB_WRITER_H
#define ENGINE_LMDB_WRITER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <kvs/engine.h>

#include "futex.h"
#include "group.h"

struct writer {
    struct group_context *group; /* constant */
    uint32_t gate_spins;         /* constant; how long set waits before it sleeps */

    _Alignas(64) _Atomic(struct kvs_batch *) queue; /* newest first; pushed by all */
    _Alignas(64) struct baton baton;                /* who holds it leads */

    atomic_bool asleep; /* the committer waits for wake; whoever sets it to false posts */
    atomic_uint paused; /* how many want the baton for long: nobody else begins to lead */
    atomic_bool stopping;
    sem_t wake;
    pthread_t committer;
    bool started;
};

/* Starts the committer; group outlives the writer. KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status writer_start(struct writer *writer, struct group_context *group,
                                     struct kvs_error *err);

/* Ends the committer. No write may be outstanding. Also when it was never started. */
void writer_stop(struct writer *writer);

/* As kvs_engine_ops.submit. */
KVS_MUST_USE kvs_status writer_submit(struct writer *writer, struct kvs_batch *batch);

/* One operation, and waits for it. Its status. */
KVS_MUST_USE kvs_status writer_call(struct writer *writer, struct kvs_op *op,
                                    struct kvs_error *err);

/* Makes the caller the leader, with no transaction under way, until writer_resume. Writes queue
   meanwhile. */
void writer_pause(struct writer *writer);
void writer_resume(struct writer *writer);

#endif
