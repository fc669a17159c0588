/*
 * How long requests took, by command, and how long connections waited for a thread. Each thread that
 * serves has a struct command_metrics of its own, so that recording takes no lock; reading adds them up.
 *
 * The clock is read once per piece of input, not per request: what was received together is answered
 * together, so all its requests took from its arrival to its answer. Requests are noted while they
 * are served and recorded when that time is known.
 */
#ifndef SERVER_COMMAND_METRICS_H
#define SERVER_COMMAND_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/latency.h"

#define COMMAND_METRICS_NATIVE 64u  /* places for native commands: their numbers */
#define COMMAND_METRICS_RESP   256u /* places for Redis commands: their positions in the table */
#define COMMAND_METRICS_MAX    (COMMAND_METRICS_NATIVE + COMMAND_METRICS_RESP)
#define COMMAND_METRICS_NOTED  16u

struct command_metrics {
    /* Made at a command's first request; written by the thread (release), read by anybody (acquire:
       a reader sees a zeroed histogram). NULL: none yet, or no memory for it. */
    struct latency *_Atomic by_command[COMMAND_METRICS_MAX];
    struct latency queue_wait;

    /* The thread's own: what was served since the last record. */
    uint32_t noted_count;
    struct {
        uint32_t place;
        uint32_t times;
    } noted[COMMAND_METRICS_NOTED];
};

static inline uint32_t command_metrics_native(uint32_t id)
{
    return id < COMMAND_METRICS_NATIVE ? id : 0;
}

static inline uint32_t command_metrics_resp(uint32_t position)
{
    return COMMAND_METRICS_NATIVE + position;
}

/* Notes `times` requests that were answered. Never allocates; when there is no room left they count
   as the last command noted. */
static inline void command_metrics_note(struct command_metrics *metrics, uint32_t place,
                                        uint32_t times)
{
    uint32_t count = metrics->noted_count;
    if (count > 0 && (metrics->noted[count - 1].place == place || count == COMMAND_METRICS_NOTED)) {
        metrics->noted[count - 1].times += times;
        return;
    }
    metrics->noted[count].place = place;
    metrics->noted[count].times = times;
    metrics->noted_count = count + 1;
}

/* How many requests are noted. */
uint32_t command_metrics_noted(const struct command_metrics *metrics);

/* Records what was noted as having taken ns nanoseconds. */
void command_metrics_record(struct command_metrics *metrics, uint64_t ns);

/* Adds from's histograms to `to`, which is the caller's alone. KVS_NO_MEMORY is not told: what there
   is no memory for is missing in `to`. */
void command_metrics_add(struct command_metrics *to, const struct command_metrics *from);

/* Frees what it holds. */
void command_metrics_deinit(struct command_metrics *metrics);

#endif
