/*
 * The queue for jobs that come from outside of the pool, where no deque is the caller's own, and
 * for those that did not fit into one. First in, first out; any thread; a lock that is held for a
 * copy.
 */
#ifndef INJECTOR_H
#define INJECTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/pool.h>

struct injector {
    pthread_mutex_t lock;
    struct kvs_job *ring; /* owned; guarded by lock, as are the next three */
    uint64_t capacity;    /* a power of two, or 0 */
    uint64_t head;        /* index of the oldest, modulo capacity */
    bool closed;

    /* Written with lock held, read without: sequentially consistent, so that a push comes before
       the pusher's look at who sleeps (sleep.h). */
    _Atomic uint64_t count;
};

void injector_init(struct injector *injector);
void injector_deinit(struct injector *injector);

/* Adds all of count jobs or none. KVS_OK; KVS_CLOSED; KVS_BUSY when the ring cannot grow. */
KVS_MUST_USE kvs_status injector_push(struct injector *injector, const struct kvs_job *jobs,
                                      uint64_t count);

/* Takes up to max of the oldest jobs; returns how many. An empty one is noticed without the lock.
 */
uint64_t injector_take(struct injector *injector, struct kvs_job *jobs, uint64_t max);

/* From its return on every push gives KVS_CLOSED, and all that were accepted can be seen. */
void injector_close(struct injector *injector);

static inline uint64_t injector_count(struct injector *injector)
{
    return atomic_load_explicit(&injector->count, memory_order_seq_cst);
}

#endif
