/*
 * What a thread needs to serve connections of one server: the engine's per-thread state, spare
 * buffers, spare groups, counters. A thread gets its worker at first use and loses it when it
 * ends, so pools may start and end threads as they like.
 *
 * A worker is used by its own thread only; the counters may be read by others.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "command/store.h"
#include "protocol/resp.h"
#include "server/command_metrics.h"
#include "server/read_group.h"
#include "server/run.h"
#include "server/write_group.h"

#define BUFFER_STANDARD  ((size_t)16384)  /* bytes of a fresh connection buffer */
#define BUFFER_KEPT_MAX  ((size_t)262144) /* bytes of a buffer that is worth keeping as a spare */
#define SPARE_BUFFER_MAX 32u /* those of connections that wait for the engine come back in waves */

/* Written by the worker's thread, read by whoever asks for statistics; relaxed: they order nothing.
 */
struct worker_counters {
    _Atomic uint64_t requests;
    _Atomic uint64_t errors; /* replies with a negative status */
    _Atomic uint64_t bytes_received;
    _Atomic uint64_t bytes_sent;
};

struct worker {
    struct workers *workers;
    struct kvs_tls *tls; /* NULL where the engine wants none, or could give none */
    bool is_attached;    /* the engine was asked for it: the store is open */
    struct buffer spares[SPARE_BUFFER_MAX];
    uint32_t spare_count;
    struct write_group *write_groups;
    struct read_group *read_groups;
    struct run *runs;
    struct resp_arguments arguments; /* of the request that was decoded last */
    struct worker_counters counters;
    struct command_metrics metrics;
    struct worker *next; /* guarded by workers->lock */
    struct worker *previous;
};

/* All workers of one server. */
struct workers {
    pthread_key_t key;
    struct store *store;
    pthread_mutex_t lock;
    struct worker *first;                    /* guarded by lock */
    struct worker_counters finished;         /* of threads that ended; guarded by lock */
    struct command_metrics finished_metrics; /* the same */
};

/* store is prepared, perhaps open, and outlives the workers. KVS_OK, KVS_BUSY (no thread key to be had). */
KVS_MUST_USE kvs_status workers_init(struct workers *workers, struct store *store,
                                     struct kvs_error *err);
/* Frees the calling thread's worker too. All other threads that had one have ended. */
void workers_deinit(struct workers *workers);

/* The calling thread's worker, made at first use. NULL: out of memory. */
struct worker *worker_current(struct workers *workers);

/* Sums up the counters of all threads so far. */
void workers_count(struct workers *workers, struct worker_counters *ret);

/* Adds up the histograms of all threads so far into *ret, which is zeroed; free it with
   command_metrics_deinit. */
void workers_measure(struct workers *workers, struct command_metrics *ret);

/* Only how long connections waited for a thread. *ret is zeroed. */
void workers_measure_queue_wait(struct workers *workers, struct latency *ret);

/* Only the place of one command: how often it was answered, and in how many nanoseconds. */
void workers_measure_one(struct workers *workers, uint32_t place, uint64_t *ret_count,
                         uint64_t *ret_ns);

/* Takes a spare buffer, or makes one of BUFFER_STANDARD bytes. *buffer is empty without memory.
   KVS_NO_MEMORY: it stays so. */
KVS_MUST_USE kvs_status worker_take_buffer(struct worker *worker, struct buffer *buffer);
/* Takes an empty buffer's memory back; buffer is then without memory. */
void worker_give_buffer(struct worker *worker, struct buffer *buffer);

/* An empty group, or NULL: out of memory. */
struct write_group *worker_take_write_group(struct worker *worker);
void worker_give_write_group(struct worker *worker, struct write_group *group);
struct read_group *worker_take_read_group(struct worker *worker);
void worker_give_read_group(struct worker *worker, struct read_group *group);
struct run *worker_take_run(struct worker *worker);
void worker_give_run(struct worker *worker, struct run *run);

/* Adds to a counter of one's own worker. A plain read and write: nobody else writes it. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t delta)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + delta,
                          memory_order_relaxed);
}

/* Counts `times` requests that were answered, of the command at a place of command_metrics.h. */
static inline void worker_count_answered(struct worker *worker, uint32_t place, uint64_t times)
{
    counter_add(&worker->counters.requests, times);
    command_metrics_note(&worker->metrics, place, (uint32_t)times);
}

#endif
