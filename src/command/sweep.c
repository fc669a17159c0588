/*
 * See sweep.h.
 *
 * A pass is a walk over the whole store in pieces of PIECE_KEYS, with pauses in between so that it
 * leaves the core to others. While many keys of a piece had expired, the next piece follows
 * soon: what expires fast is removed fast. After a pass the sweeper knows when the next key expires,
 * of those that it saw and those that were set since, and rests until then.
 *
 * I1  A key is removed only if it still holds the value that expired (removal.h).
 * I2  The store's expiry_due_ms is taken before a pass begins. A write that lowered it before, and
 *     arrives in the engine when the pass is there already, is missed by that pass: so what was
 *     taken still counts for the next one, and only two passes in a row without anything that
 *     expires let the sweeper rest for good.
 */
#include "command/sweep.h"

#include <string.h>

#include "command/value.h"

#define PIECE_KEYS    512u                /* at most, ... */
#define PIECE_BYTES   ((uint64_t)1 << 20) /* ... and about so much to read */
#define PAUSE_MS      20                  /* between pieces */
#define BUSY_PAUSE_MS 2                   /* after a piece with many expired keys */
#define REST_MS       1000                /* between passes, at least */
#define LAST_REST_MS  60000 /* before the pass that makes sure that there is nothing more */
#define FAULT_REST_MS 60000

void sweep_init(struct sweep *sweep, struct store *store)
{
    memset(sweep, 0, sizeof(*sweep));
    sweep->store = store;
}

void sweep_deinit(struct sweep *sweep)
{
    walk_deinit(&sweep->walk);
    removal_deinit(&sweep->removal);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t noted_ms(const struct sweep *sweep)
{
    return atomic_load_explicit(&sweep->store->expiry_due_ms, memory_order_relaxed);
}

int64_t sweep_due_ms(const struct sweep *sweep)
{
    if (sweep->running)
        return sweep->rest_ms;
    int64_t due_ms = earlier(sweep->due_ms, noted_ms(sweep));
    return due_ms == INT64_MAX ? due_ms : later(due_ms, sweep->rest_ms);
}

static void begin_pass(struct sweep *sweep)
{
    atomic_store_explicit(&sweep->store->expiry_seen, true, memory_order_relaxed);
    sweep->noted_ms = /* I2 */
        atomic_exchange_explicit(&sweep->store->expiry_due_ms, INT64_MAX, memory_order_release);
    walk_restart(&sweep->walk);
    sweep->left = 0;
    sweep->due_ms = INT64_MAX;
    sweep->running = true;
}

static int32_t look(void *arg, struct kvs_bytes key, struct kvs_bytes stored)
{
    struct sweep *sweep = arg;
    struct value value = value_decode(stored);
    sweep->piece_keys++;
    sweep->piece_bytes += key.len + stored.len;
    if (value.expires_at_ms == VALUE_NEVER)
        return 0;
    if (!value_is_expired(&value, sweep->now_ms)) {
        sweep->left++;
        if (value.expires_at_ms < sweep->due_ms)
            sweep->due_ms = value.expires_at_ms;
        return 0;
    }
    sweep->piece_expired++;
    /* Without memory it is left for another pass. */
    return removal_add(&sweep->removal, key, &stored) != KVS_OK || removal_is_full(&sweep->removal);
}

static void add(_Atomic uint64_t *figure, uint64_t count)
{
    (void)atomic_fetch_add_explicit(figure, count, memory_order_relaxed);
}

static void end_pass(struct sweep *sweep)
{
    sweep->running = false;
    sweep->rest_ms = sweep->now_ms + REST_MS;
    add(&sweep->figures.passes, 1);
    atomic_store_explicit(&sweep->figures.expiring_keys, sweep->left, memory_order_relaxed);
    if (sweep->noted_ms > sweep->now_ms)
        sweep->due_ms = earlier(sweep->due_ms, sweep->noted_ms); /* I2 */
    if (earlier(sweep->due_ms, noted_ms(sweep)) != INT64_MAX) {
        sweep->empty_passes = 0;
    } else if (++sweep->empty_passes == 1) { /* I2 */
        sweep->due_ms = sweep->now_ms + LAST_REST_MS;
    } else {
        atomic_store_explicit(&sweep->store->expiry_seen, false, memory_order_relaxed);
    }
}

/* How many keys to look at: an engine may read a value whole to show it, so fewer where those of the last
   piece were large. */
static uint64_t piece_limit(const struct sweep *sweep)
{
    uint64_t limit =
        sweep->piece_bytes > 0 ? sweep->piece_keys * PIECE_BYTES / sweep->piece_bytes : PIECE_KEYS;
    return limit == 0 ? 1 : limit < PIECE_KEYS ? limit : PIECE_KEYS;
}

kvs_status sweep_piece(struct sweep *sweep, struct kvs_tls *tls, int64_t now_ms,
                       struct kvs_error *err)
{
    uint64_t removed = 0;
    if (!sweep->running)
        begin_pass(sweep);
    sweep->now_ms = now_ms;
    uint64_t limit = piece_limit(sweep);
    sweep->piece_keys = sweep->piece_expired = sweep->piece_bytes = 0;
    kvs_status status = walk_step(&sweep->walk, sweep->store, tls, limit, 0, look, sweep, err);
    if (status == KVS_OK)
        status = removal_run(&sweep->removal, sweep->store, tls, &removed, err); /* I1 */
    add(&sweep->figures.seen_keys, sweep->piece_keys);
    add(&sweep->figures.expired_keys, removed);
    if (status != KVS_OK) {
        sweep->running = false;
        sweep->due_ms = sweep->rest_ms = now_ms + FAULT_REST_MS;
    } else if (sweep->walk.ended) {
        end_pass(sweep);
    } else {
        bool busy = sweep->piece_expired * 8 > sweep->piece_keys;
        sweep->rest_ms = now_ms + (busy ? BUSY_PAUSE_MS : PAUSE_MS);
    }
    return status;
}
