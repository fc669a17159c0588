/* Drawing what the next request is: which command, and for which key. Belongs to one thread. */
#ifndef BENCH_LOAD_DRAW_H
#define BENCH_LOAD_DRAW_H

#include "harness/random.h"
#include "load/plan.h"

/* What a request is for. */
enum draw_kind {
    DRAW_GET = 0,
    DRAW_SET = 1,
    DRAW_CHANGE = 2, /* a get that a set of the same key follows */
    DRAW_INSERT = 3, /* a set of a new key */
};

struct draw {
    const struct plan *plan;
    struct random random;
    uint64_t gets_below; /* of 2^32: shares of the mix, one on top of the other */
    uint64_t sets_below;
    uint64_t changes_below;
    uint32_t *ranks; /* drawn ahead: scattered keys (zipf) or ages (latest); owned */
    uint32_t rank_at;
    uint64_t thread;
    uint64_t sequential; /* the next key in order */
    uint64_t inserted;   /* keys by this thread */
};

/* thread of plan->threads. Aborts without memory. */
void draw_init(struct draw *draw, const struct plan *plan, uint32_t thread);
void draw_deinit(struct draw *draw);

/* The next request: its kind, and its key's index (data.h). */
enum draw_kind draw_next(struct draw *draw, uint64_t *ret_index);

/* The next key of this thread's share of all keys in order; false after the last one. */
bool draw_preload(struct draw *draw, uint64_t *ret_index);
/* Begins the order anew, behind the preload. */
void draw_rewind(struct draw *draw);

#endif
