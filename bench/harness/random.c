/* See random.h. */
#include "harness/random.h"

#define GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15)

/* The state comes from a counter that is mixed, so no seed (0 included) gives the all-zero state in
   which xoshiro would stay for ever. */
void random_init(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += GOLDEN_RATIO;
        random->state[i] = random_mix(seed);
    }
}

void random_shuffle(struct random *random, uint32_t *order, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)random_below(random, i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}
