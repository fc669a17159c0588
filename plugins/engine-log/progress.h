/*
 * Saying how far a start has come: to the host if it asked for that (kvs_db.progress), and in the log, where
 * it is a line a second at most, and none for a short one.
 */
#ifndef ENGINE_LOG_PROGRESS_H
#define ENGINE_LOG_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

#include "store.h"

enum progress_part { /* of opening, as the host is told */
    PROGRESS_NONE,
    PROGRESS_WHOLE,
    PROGRESS_FIRST_HALF,
    PROGRESS_SECOND_HALF,
};

struct progress {
    const struct kvs_db *db;
    const char *what; /* is being done: "building the index" */
    uint64_t total;   /* steps */
    enum progress_part part;
    /* Changed by any thread, relaxed: only for the log. */
    _Atomic uint64_t done;
    _Atomic uint64_t logged_ns; /* when; at first when it began */
};

void progress_begin(struct progress *progress, const struct kvs_db *db, const char *what,
                    uint64_t total, enum progress_part part);

/* One step was done. Any thread. Where db is NULL nothing is said. */
void progress_step(struct progress *progress);

#endif
