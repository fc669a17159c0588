/*
 * Is it faster or slower than before? Machines are noisy, and one run compared with another shows
 * a "significant" difference all too often; so a change is called only when all of this holds:
 *   D1 at least DECISION_ATTEMPTS attempts were made, each with samples of its own, and all agree;
 *   D2 in each the interval of the ratio excludes 1;
 *   D3 in each the change passes the threshold.
 * Anything else is "no change", which means: nothing that this machine could show today.
 */
#ifndef BENCH_HARNESS_DECISION_H
#define BENCH_HARNESS_DECISION_H

#include <stddef.h>

#include "harness/statistics.h"

#define DECISION_ATTEMPTS  3u
#define DECISION_THRESHOLD 0.05 /* the default: changes below 5 % are not called */

/* clang-format off */
enum verdict {
    VERDICT_NONE      = 0, /* nothing to compare with */
    VERDICT_UNDECIDED = 1, /* a change so far; further attempts must confirm it */
    VERDICT_NO_CHANGE = 2,
    VERDICT_FASTER    = 3,
    VERDICT_SLOWER    = 4
};
/* clang-format on */

/*
 * attempts[i].value is speed now / speed before, so above 1 is faster (for a figure where less is
 * better, hand in before / now). threshold is a share: 0.05 for 5 %.
 */
enum verdict decision_make(const struct ratio *attempts, size_t count, double threshold);

/* "faster", "no change", ...: a constant. */
const char *verdict_text(enum verdict verdict);

#endif
