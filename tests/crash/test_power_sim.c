/*
 * Power loss, by simulation of the whole log engine (power_sim.h). Worlds of a fixed seed, so that a
 * change is compared with what was before, and of a new one, which is printed.
 *
 * KVS_TEST_SEED=N begins with that world, and leaves the fixed ones out; KVS_TEST_STATES=N goes on until so
 * many states were opened. KVS_TEST_REPEAT=N goes through each world N times: its choices are those of the
 * seed, but the engine's threads are scheduled anew each time, and so not every time comes to the
 * same states.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "power_sim.h"
#include "support/support.h"

#define STATES     1000u /* of each test */
#define FIXED_SEED 1u

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run_worlds(uint64_t seed)
{
    struct power_counts counts = {0};
    uint64_t states = number_of("KVS_TEST_STATES", STATES);
    uint64_t repeat = number_of("KVS_TEST_REPEAT", 1);
    if (repeat == 0)
        repeat = 1;
    print_message("KVS_TEST_SEED=%" PRIu64 "\n", seed);
    while (counts.states < states || counts.worlds % repeat != 0)
        power_world(seed + counts.worlds / repeat, &counts);
    print_message("%" PRIu64 " states in %" PRIu64 " worlds: %" PRIu64
                  " after a power loss while opening, %" PRIu64 " after a kill, %" PRIu64
                  " lives with failed syncs or a full disk, %" PRIu64 " checkpoints, %" PRIu64
                  " salvaged, %" PRIu64 " segments compacted\n",
                  counts.states, counts.worlds, counts.again, counts.kills, counts.failed_syncs,
                  counts.copies, counts.salvaged, counts.compacted);
}

static void test_fixed_worlds(void **state)
{
    (void)state;
    if (getenv("KVS_TEST_SEED") == NULL)
        run_worlds(FIXED_SEED);
}

static void test_new_worlds(void **state)
{
    (void)state;
    run_worlds(number_of("KVS_TEST_SEED", (uint64_t)time(NULL) * 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_worlds),
        cmocka_unit_test(test_new_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
