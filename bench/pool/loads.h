/*
 * What is asked of a pool. Each load makes a pool of its own, waits until it has settled, measures,
 * and ends it. Times are of the monotonic clock; switches are those of the whole process.
 */
#ifndef BENCH_POOL_LOADS_H
#define BENCH_POOL_LOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/histogram.h"
#include "pool/subject.h"

/* What one load used, per job. */
struct load_cost {
    double jobs_per_s;
    double wakeups;  /* of parked threads, as the pool counts them */
    double switches; /* context switches of the process */
    double cpu_ns;
    double fairness; /* jobs of the producer with the fewest over those of the one with the most */
};

/*
 * One thread spawns a job, waits until it has run, pauses, and so on: the time from before spawn to
 * the job's first instruction. pause_ns: 0 finds the worker still awake where the pool spins; some
 * milliseconds find everybody asleep.
 */
void load_latency(struct subject *subject, uint32_t threads, uint64_t pause_ns, uint32_t rounds,
                  struct histogram *ret_latency);

/* producers threads spawn jobs that take job_ns each, with at most a window of them unfinished. The
   jobs keep their CPU busy, or sleep: then there are more that block than threads. */
struct load_cost load_throughput(struct subject *subject, uint32_t threads, uint32_t producers,
                                 uint64_t job_ns, bool sleeps, uint64_t duration_ns);

/*
 * A server's way: the idle hook finds burst jobs of job_ns each, whenever it is called. Only for
 * pools that run the hook.
 */
struct load_cost load_events(struct subject *subject, uint32_t threads, uint32_t burst,
                             uint64_t job_ns, uint64_t duration_ns);

/*
 * All workers but one are held by a job; then an event comes in: the time until it is served. The
 * pool must find out that they are stuck. Only for pools that run the hook, of 2 threads or more.
 */
void load_stuck(struct subject *subject, uint32_t threads, uint32_t rounds,
                struct histogram *ret_latency);

/* Jobs that end their thread, and as many that do not: what one costs more than the other, in
   nanoseconds of wall-clock time. Only for pools that survive it. */
double load_loss(struct subject *subject, uint32_t threads, uint32_t jobs);

#endif
