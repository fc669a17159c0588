/*
 * Growth and shrinking: which table is replaced, when, and how.
 *
 * A table is replaced as a whole, a pass over a few hundred slots, by one that has room again. Two
 * things ask for it:
 *   - a shard that is full must make room at once (index_growth_room);
 *   - the balance of the whole (index_growth_balance): every so many changes somebody looks whether
 *     the index is too dense, too sparse, has too many removed keys or too much garbage, and if so
 *     moves the tables of the oldest region of memory on to the newest, each at the size that suits
 *     it now. So while keys are added, a slow wave runs through all shards for ever: at each moment
 *     they have loads between that after a move and a little more, the sum of memory per key hardly
 *     changes, regions empty one after the other, and no call does more than a few moves.
 *
 * Locks, in order: growth.lock (one mover at a time; only ever tried), a stripe's, the arena's.
 */
#include "index_internal.h"

#define GROWTH_MOVES   4u  /* by one call of the balance */
#define GROWTH_LOAD    74u /* percent of all slots in use, from which on tables are moved */
#define GROWTH_REMOVED 6u  /* percent of all slots with a removed key, likewise */
#define GROWTH_GARBAGE 10u /* percent of the regions that may be garbage */
#define GROWTH_RETIRED 10u /* percent of the regions that may wait for a grace period */
#define GROWTH_SPARE   (UINT64_C(256) << 10) /* bytes of either that are always fine */

bool index_growth_note(struct index *index, uint32_t shard, int32_t live, int32_t removed)
{
    struct index_stripe *stripe = index_stripe(index, shard);
    struct index_growth *growth = &index->growth;
    uint64_t sum = atomic_load_explicit(&stripe->live, memory_order_relaxed);
    atomic_store_explicit(&stripe->live, sum + (uint64_t)(int64_t)live, memory_order_relaxed);
    stripe->live_change += live;
    stripe->removed_change += removed;
    stripe->changes += live > 1 ? (uint32_t)live : 1;
    if (stripe->changes < INDEX_GROWTH_EVERY)
        return false;
    atomic_fetch_add_explicit(&growth->live, stripe->live_change, memory_order_relaxed);
    atomic_fetch_add_explicit(&growth->removed, stripe->removed_change, memory_order_relaxed);
    stripe->live_change = 0;
    stripe->removed_change = 0;
    stripe->changes = 0;
    return true;
}

void index_growth_publish(struct index *index, uint32_t shard, struct index_bucket *table,
                          uint32_t buckets)
{
    struct index_shard *state = &index->shards[shard];
    uint64_t old = atomic_load_explicit(&index->heads[shard], memory_order_relaxed);
    uint64_t new = buckets == 0 ? 0 : (uint64_t)(uintptr_t)table << INDEX_TABLE_BITS | buckets;
    atomic_store_explicit(&index->heads[shard], new, memory_order_release);
    index_stripe(index, shard)->removed_change -= (int32_t)state->removed;
    state->removed = 0;
    if (index_head_buckets(old) != 0)
        index_arena_leave(&index->arena, index_head_table(old), index_head_buckets(old));
}

/* Gives a shard, whose lock is held, a table of so many buckets. */
static kvs_status growth_move(struct index *index, uint32_t shard, uint32_t buckets)
{
    uint64_t old = atomic_load_explicit(&index->heads[shard], memory_order_relaxed);
    struct index_bucket *table = NULL;
    if (buckets != 0) {
        table = index_arena_alloc(&index->arena, shard, buckets);
        if (table == NULL)
            return KVS_NO_MEMORY;
        index_table_clear(table, buckets);
        index_table_copy(table, buckets, index_head_table(old), index_head_buckets(old));
    }
    index_growth_publish(index, shard, table, buckets);
    return KVS_OK;
}

kvs_status index_growth_room(struct index *index, uint32_t shard, uint64_t extra)
{
    const struct index_shard *state = &index->shards[shard];
    uint64_t head = atomic_load_explicit(&index->heads[shard], memory_order_relaxed);
    uint32_t buckets = index_head_buckets(head);
    uint64_t keys = state->live + state->reserved + extra;
    if (keys + state->removed <= index_table_limit(buckets))
        return KVS_OK;
    uint32_t wanted = index_table_fit(keys);
    if (keys <= index_table_slots(wanted) && growth_move(index, shard, wanted) == KVS_OK)
        return KVS_OK;
    /* No memory: denser than we like is still right, as long as there are slots. */
    return keys <= index_table_slots(buckets) ? KVS_OK : KVS_NO_MEMORY;
}

/* ---- the balance -------------------------------------------------------------------------- */

static uint64_t growth_sum(const _Atomic int64_t *sum)
{
    int64_t value = atomic_load_explicit(sum, memory_order_relaxed);
    return value > 0 ? (uint64_t)value : 0;
}

/* After a quarter of the keys has gone, all tables that exist now are moved once. */
static bool growth_shrinks(struct index_growth *growth, const struct index_arena_figures *figures,
                           uint64_t live)
{
    uint64_t below = live / 4 * 3;
    if (growth->shrink_below < below)
        growth->shrink_below = below;
    if (live < growth->shrink_below) {
        growth->shrink_below = below;
        growth->shrink_until = figures->next_number;
    }
    return figures->oldest_number < growth->shrink_until;
}

static bool growth_is_more_than(uint64_t bytes, uint64_t percent, uint64_t of_bytes)
{
    return bytes > GROWTH_SPARE && (bytes - GROWTH_SPARE) * 100 > of_bytes * percent;
}

static bool growth_is_due(struct index *index)
{
    struct index_arena_figures figures;
    index_arena_figures(&index->arena, &figures);
    /* While much is waiting for a grace period, moving more tables would only add to it. Denser
       tables are slower, not wrong, and those that are full still grow. */
    if (growth_is_more_than(figures.retired_bytes, GROWTH_RETIRED, figures.region_bytes))
        return false;
    uint64_t live = growth_sum(&index->growth.live);
    uint64_t removed = growth_sum(&index->growth.removed);
    uint64_t slots = figures.table_bytes / sizeof(uint64_t);
    return growth_shrinks(&index->growth, &figures, live) ||
           (live + removed) * 100 > slots * GROWTH_LOAD || removed * 100 > slots * GROWTH_REMOVED ||
           growth_is_more_than(figures.garbage_bytes, GROWTH_GARBAGE, figures.region_bytes);
}

/* Moves the oldest table on. False: there is none, or no memory. */
static bool growth_move_oldest(struct index *index)
{
    struct index_table_ref oldest;
    if (!index_arena_oldest(&index->arena, index->heads, &oldest))
        return false;
    bool done = true;
    pthread_mutex_t *lock = &index_stripe(index, oldest.shard)->lock;
    pthread_mutex_lock(lock);
    uint64_t head = atomic_load_explicit(&index->heads[oldest.shard], memory_order_relaxed);
    if (index_head_table(head) == oldest.table) {
        const struct index_shard *state = &index->shards[oldest.shard];
        uint64_t keys = (uint64_t)state->live + state->reserved;
        done = growth_move(index, oldest.shard, keys == 0 ? 0 : index_table_fit(keys)) == KVS_OK;
    }
    pthread_mutex_unlock(lock);
    return done;
}

void index_growth_balance(struct index *index)
{
    if (pthread_mutex_trylock(&index->growth.lock) != 0)
        return; /* somebody is at it */
    for (unsigned i = 0; i < GROWTH_MOVES && growth_is_due(index); i++)
        if (!growth_move_oldest(index))
            break;
    pthread_mutex_unlock(&index->growth.lock);
}
