/*
 * The sweeper's passes over a store: what expired is removed. Its thread is keyspace.c's; nothing
 * here waits but for the engine.
 */
#ifndef COMMAND_SWEEP_H
#define COMMAND_SWEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "command/removal.h"
#include "command/walk.h"

/* Written by the sweeper, read by all for statistics: relaxed. */
struct sweep_figures {
    _Atomic uint64_t expired_keys; /* removed */
    _Atomic uint64_t seen_keys;
    _Atomic uint64_t passes;
    _Atomic uint64_t expiring_keys; /* that the last pass saw and left */
};

struct sweep {
    struct store *store;
    struct walk walk;
    struct removal removal; /* of the piece at hand */
    struct sweep_figures figures;
    bool running;    /* in the middle of a pass */
    int64_t rest_ms; /* the moment before which nothing is done */
    /* Of the pass at hand, then of the last one. */
    uint64_t left;         /* keys that expire later */
    int64_t due_ms;        /* when the first of them does; INT64_MAX: none */
    int64_t noted_ms;      /* the store's expiry_due_ms as it was when the pass began */
    uint64_t empty_passes; /* in a row in which nothing that expires was seen or noted */
    /* Of the piece at hand. */
    int64_t now_ms;
    uint64_t piece_keys;
    uint64_t piece_expired;
    uint64_t piece_bytes; /* of the last one, until the next one begins */
};

void sweep_init(struct sweep *sweep, struct store *store);
void sweep_deinit(struct sweep *sweep);

/* The moment (Unix milliseconds) at which there is a piece to do; INT64_MAX: not before something that
   expires is set. */
int64_t sweep_due_ms(const struct sweep *sweep);

/*
 * Does one piece of a pass, beginning one when none is under way: looks at some hundred keys and
 * removes those that expired. KVS_OK, or a fault of the engine: the pass is then over, and another
 * one due after a while.
 */
KVS_MUST_USE kvs_status sweep_piece(struct sweep *sweep, struct kvs_tls *tls, int64_t now_ms,
                                    struct kvs_error *err);

#endif
