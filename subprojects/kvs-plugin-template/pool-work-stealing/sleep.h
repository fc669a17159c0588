/*
 * How workers without work go to sleep, so that no job is left lying while one sleeps, and no more
 * of them are woken than are of use.
 *
 * A worker is busy, searching (awake, looking through the queues) or parked. While one searches
 * nobody wakes another: it will find the job. When the last one that searched has found something,
 * and there is more, it wakes the next. So a burst of jobs wakes workers one after the other, for
 * as long as there is something left to find; and a single job wakes one.
 *
 * Why no wake-up is lost. Whoever adds a job does   A1: add the job    A2: read state
 * A worker that gives up does                       B1: change state   B2: look for jobs
 * and all four are sequentially consistent. In the one order that they have, either A2 comes after
 * B1: then the adder sees that the worker is parked, and wakes it. Or B1 comes after A2: then
 * B2 comes after A1, and the worker finds the job. The same holds for a last searcher that found
 * something else: its B1 lowers the count of searchers, and B2 looks whether there is more.
 */
#ifndef SLEEP_H
#define SLEEP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sleep {
    /* Workers parked (upper half) and searching (lower half). One word, so that both change as one
       step; sequentially consistent. Claiming a parked worker moves it from one half to the other
       before it knows. */
    _Atomic uint64_t state;
    _Atomic uint64_t wakeups; /* permits given; relaxed, a figure */

    pthread_mutex_t lock;
    pthread_cond_t permit_given;
    uint64_t permits; /* guarded by lock: claims that no parked worker has noticed yet */
    bool closed;      /* guarded by lock */
};

void sleep_init(struct sleep *sleep);
void sleep_deinit(struct sleep *sleep);

/* Called by a worker that begins to search, and by a searching one that found a job: true if it was
   the last that searched, and so must look whether there is more, and wake the next. */
void sleep_begin_search(struct sleep *sleep);
bool sleep_end_search(struct sleep *sleep);

/* How many search; for a searcher that asks itself whether it is the only one. */
uint32_t sleep_searching(struct sleep *sleep);

/*
 * Parks a searching worker until it is woken. has_work(arg) is B2 above. True: it searches again.
 * False: closed; it is neither parked nor searching any more.
 */
bool sleep_park(struct sleep *sleep, bool (*has_work)(void *arg), void *arg);

/* Wakes one parked worker if there is one and nobody searches. After a job was added. */
void sleep_wake_one(struct sleep *sleep);

/* Wakes all, for good. */
void sleep_close(struct sleep *sleep);

#endif
