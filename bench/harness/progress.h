/*
 * One line that says what is being measured and how long it will still take. On a terminal it is
 * rewritten in place; elsewhere there is a line per block.
 */
#ifndef BENCH_HARNESS_PROGRESS_H
#define BENCH_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *out; /* NULL: silent */
    bool terminal;
    uint64_t begin_ns;
    double total_s;     /* the estimate for everything */
    double done_s;      /* of the estimate: blocks that have ended */
    double block_s;     /* of the estimate: the block that runs */
    double block_share; /* of the block that runs, done: 0 to 1 */
    const char *block;
    double shown_s; /* since begin, when the line was last drawn */
};

/* out may be NULL. total_s is the caller's estimate. */
void progress_init(struct progress *progress, FILE *out, double total_s);

/* The next block begins. Its name lives until progress_block_end. */
void progress_block_begin(struct progress *progress, const char *block, double estimate_s);
/* share of the block (0 to 1) is done; what is measured now. */
void progress_show(struct progress *progress, double share, const char *what);
void progress_block_end(struct progress *progress);

/* Seconds left: the estimate for the rest, corrected by how the part that is done compared with
   its own estimate. */
double progress_left_s(const struct progress *progress, double elapsed_s);

/* "1:05" or "0:07". */
#define PROGRESS_TIME_MAX 24u
void progress_format_time(double seconds, char text[PROGRESS_TIME_MAX]);

#endif
