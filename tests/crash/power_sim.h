/*
 * Worlds: a store that lives, loses its machine's power or its process, lives again, and so on, all by
 * a seed; and at many moments of each life everything that a power loss could leave, opened and compared
 * with what was promised, with the power lost again in the middle of that.
 */
#ifndef TESTS_CRASH_POWER_SIM_H
#define TESTS_CRASH_POWER_SIM_H

#include <stdint.h>

/* What was looked at. */
struct power_counts {
    uint64_t worlds;
    uint64_t states;       /* that were opened */
    uint64_t again;        /* of them: after a power loss in the middle of an opening */
    uint64_t kills;        /* of them: after the end of the process only */
    uint64_t copies;       /* checkpoints that were opened */
    uint64_t salvaged;     /* stores that were brought back by a repair */
    uint64_t failed_syncs; /* lives in which a sync failed, or the disk was full */
    uint64_t compacted;    /* segments */
};

/* Runs one world; fails the test, after a message that names the seed, when something is wrong. */
void power_world(uint64_t seed, struct power_counts *counts);

#endif
