/*
 * One thread of a load generator: it owns its share of the connections and drives them with one
 * epoll. Its phases, each called once and in this order by the thread itself; the fields may be read
 * by others when it has ended.
 */
#ifndef BENCH_LOAD_DRIVER_H
#define BENCH_LOAD_DRIVER_H

#include <stdatomic.h>

#include "load/link.h"

struct driver {
    const struct plan *plan;
    uint32_t number; /* 0 to plan->threads - 1 */
    /* Set by any driver that fails, read by all: then they end too. Relaxed: it only says so. */
    _Atomic bool *stop;

    struct link_kit kit;
    struct tally tally;
    struct draw draw;
    struct link *links; /* link_count; owned */
    uint32_t link_count;
    struct link **idle; /* idle_count links without a request; owned */
    uint32_t idle_count;
    uint32_t blocked_count; /* links that wait for their socket to take more */
    int epoll_fd;

    uint64_t idle_since_ns; /* open loop: when some link became idle after none was */

    bool preloading;
    uint64_t moved_ns;  /* when a socket last had something */
    uint64_t left;      /* requests that may still be begun, once they count */
    uint64_t due_count; /* open loop: requests that were begun */
    uint64_t late;      /* open loop: requests that were due and never begun */

    uint64_t cpu_begin_ns; /* of the thread: CPU time and clock when counting began and ended */
    uint64_t cpu_end_ns;
    uint64_t clock_begin_ns;
    uint64_t clock_end_ns;

    kvs_status status; /* the first fault, and why */
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};

/* Makes the thread's part of a plan; call it before the thread begins. Aborts without memory. */
void driver_init(struct driver *driver, const struct plan *plan, uint32_t number,
                 _Atomic bool *stop);
void driver_deinit(struct driver *driver);

void driver_connect(struct driver *driver);
void driver_preload(struct driver *driver); /* if the plan says so */
/* Until the end, and all replies: begins at once, counts from begin_ns to end_ns (UINT64_MAX: until
   plan->requests were made). */
void driver_run(struct driver *driver, uint64_t begin_ns, uint64_t end_ns);

#endif
