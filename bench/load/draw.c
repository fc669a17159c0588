/*
 * See draw.h. Thread t of n has the keys t, t + n, t + 2n ... in order, and inserts behind the
 * plan's keys in the same manner, so that no two threads insert the same key and none needs to ask
 * another. A zipf draw costs logarithms, so a table of them is made ahead and read round and round.
 */
#include "load/draw.h"

#include <glib.h>
#include <stdlib.h>

#include "harness/zipf.h"

#define RANK_COUNT (1u << 20)

static uint64_t share_below(double percent)
{
    return (uint64_t)(percent / 100 * 4294967296.0 + 0.5);
}

/* Ages: rank 0, the latest, is drawn most. */
static uint32_t *age_draws(const struct plan *plan, uint64_t seed)
{
    uint32_t *ages = g_new(uint32_t, RANK_COUNT);
    struct random random;
    struct zipf zipf;
    random_init(&random, seed);
    zipf_init(&zipf, plan->keys, plan->exponent);
    for (uint32_t i = 0; i < RANK_COUNT; i++)
        ages[i] = (uint32_t)zipf_next(&zipf, &random);
    return ages;
}

void draw_init(struct draw *draw, const struct plan *plan, uint32_t thread)
{
    const struct plan_mix *mix = &plan->mix;
    uint64_t seed = random_mix(plan->seed + 1 + thread);
    *draw = (struct draw){
        .plan = plan,
        .gets_below = share_below(mix->gets),
        .sets_below = share_below(mix->gets + mix->sets),
        .changes_below = share_below(mix->gets + mix->sets + mix->changes),
        .thread = thread,
        .sequential = thread,
    };
    random_init(&draw->random, seed);
    if (plan->distribution == PLAN_ZIPF)
        draw->ranks = zipf_draws(plan->keys, plan->exponent, seed, RANK_COUNT);
    else if (plan->distribution == PLAN_LATEST)
        draw->ranks = age_draws(plan, seed);
}

void draw_deinit(struct draw *draw)
{
    free(draw->ranks);
    *draw = (struct draw){0};
}

bool draw_preload(struct draw *draw, uint64_t *ret_index)
{
    if (draw->sequential >= draw->plan->keys)
        return false;
    *ret_index = draw->sequential;
    draw->sequential += draw->plan->threads;
    return true;
}

void draw_rewind(struct draw *draw)
{
    draw->sequential = draw->thread;
}

/* The key of an age: this thread's own inserts first, then the plan's keys from the last to the
   first. */
static uint64_t key_of_age(const struct draw *draw, uint64_t age)
{
    const struct plan *plan = draw->plan;
    if (age < draw->inserted)
        return plan->keys + draw->thread + (draw->inserted - 1 - age) * plan->threads;
    return plan->keys - 1 - (age - draw->inserted);
}

static uint64_t next_key(struct draw *draw)
{
    const struct plan *plan = draw->plan;
    switch (plan->distribution) {
    case PLAN_SEQUENTIAL: {
        uint64_t index;
        if (!draw_preload(draw, &index)) {
            draw_rewind(draw);
            (void)draw_preload(draw, &index); /* there are as many keys as threads (plan_check) */
        }
        return index;
    }
    case PLAN_ZIPF:
        return draw->ranks[draw->rank_at++ % RANK_COUNT];
    case PLAN_LATEST:
        return key_of_age(draw, draw->ranks[draw->rank_at++ % RANK_COUNT]);
    default:
        return random_below(&draw->random, plan->keys);
    }
}

enum draw_kind draw_next(struct draw *draw, uint64_t *ret_index)
{
    if (draw->plan->mix.gets >= 100 || draw->plan->mix.sets >= 100) {
        *ret_index = next_key(draw);
        return draw->plan->mix.gets >= 100 ? DRAW_GET : DRAW_SET;
    }
    uint64_t chance = random_next(&draw->random) >> 32;
    enum draw_kind kind = chance < draw->gets_below      ? DRAW_GET
                          : chance < draw->sets_below    ? DRAW_SET
                          : chance < draw->changes_below ? DRAW_CHANGE
                                                         : DRAW_INSERT;
    *ret_index = kind == DRAW_INSERT
                     ? draw->plan->keys + draw->thread + draw->inserted++ * draw->plan->threads
                     : next_key(draw);
    return kind;
}
