/* What one thread of a load counts. */
#ifndef BENCH_LOAD_TALLY_H
#define BENCH_LOAD_TALLY_H

#include <stdbool.h>

#include "harness/histogram.h"
#include "load/wire.h"

#define TALLY_ERROR_MAX 160u

struct tally {
    /* What counts is between these two; set before the load begins. */
    uint64_t begin_ns;
    uint64_t end_ns; /* UINT64_MAX: until the load ends by itself */

    uint64_t replies[WIRE_COMMAND_COUNT]; /* that came in that time */
    uint64_t last_ns;                     /* the last of them */
    uint64_t misses;                      /* gets that found nothing, and... */
    uint64_t wrong;  /* ...gets that found something else than was set: always, like errors */
    uint64_t errors; /* replies that say that the server could not */
    uint64_t sends;  /* pipelines sent in that time */
    char error_text[TALLY_ERROR_MAX]; /* the first of them; terminated */

    /* Of requests that began, or were answered, in that time. */
    struct histogram latency[WIRE_COMMAND_COUNT];
    /* Open loop: how long a request that was due was not sent although a connection was idle: what
       the load generator itself adds to the latencies. */
    struct histogram lag;
};

static inline bool tally_counts(const struct tally *tally, uint64_t time_ns)
{
    return time_ns >= tally->begin_ns && time_ns < tally->end_ns;
}

/* Counts replies to requests of one command that began at start_ns. Where the end is a number of requests, those
   that began before the beginning do not count at all; where it is a time, they come and go. */
static inline void tally_replies(struct tally *tally, enum wire_command command, uint64_t count,
                                 uint64_t start_ns, uint64_t now_ns)
{
    bool begun_in_time = tally_counts(tally, start_ns);
    bool came_in_time = tally_counts(tally, now_ns);
    if (tally->end_ns == UINT64_MAX)
        came_in_time = begun_in_time;
    if (came_in_time) {
        tally->replies[command] += count;
        tally->last_ns = now_ns;
    }
    if (begun_in_time || came_in_time)
        histogram_record_many(&tally->latency[command], now_ns - start_ns, count);
}

/* Replies that came at once to requests that began at once: counted together. */
struct tally_run {
    uint64_t count;
    uint64_t start_ns;
    enum wire_command command;
};

/* Counts what was added. All of a run came at now_ns. */
static inline void tally_run_end(struct tally *tally, struct tally_run *run, uint64_t now_ns)
{
    if (run->count > 0)
        tally_replies(tally, run->command, run->count, run->start_ns, now_ns);
    run->count = 0;
}

static inline void tally_run_add(struct tally *tally, struct tally_run *run,
                                 enum wire_command command, uint64_t start_ns, uint64_t now_ns)
{
    if (command != run->command || start_ns != run->start_ns) {
        tally_run_end(tally, run, now_ns);
        run->command = command;
        run->start_ns = start_ns;
    }
    run->count++;
}

#endif
