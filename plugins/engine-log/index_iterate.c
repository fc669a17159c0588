/*
 * Walking over the index: in groups of neighbouring keys (scan), and by shards (the snapshot).
 *
 * A scan goes in the order of (shard, tag), which no growth changes: a key's shard and tag are its
 * own, and the keys of one home bucket are those of a range of tags. A cursor names the shard and
 * the first tag that is still to be shown, and the shard bits that it was made with: after a
 * reopening with others it means the shard's beginning, as some keys then are shown again, none is
 * left out.
 */
#include "index_internal.h"

#define SCAN_TAGS     (UINT64_C(1) << INDEX_TAG_BITS)
#define SCAN_SHARD_AT (INDEX_TAG_BITS + 1)
#define SCAN_BITS_AT  (SCAN_SHARD_AT + INDEX_SHARD_BITS_MAX + 1)

struct scan_position {
    uint64_t shard;
    uint64_t tag; /* the first that is not shown yet; at most SCAN_TAGS */
};

static uint64_t scan_cursor(const struct index *index, struct scan_position at)
{
    return (uint64_t)index->shard_bits << SCAN_BITS_AT | at.shard << SCAN_SHARD_AT | at.tag;
}

static bool scan_position(const struct index *index, uint64_t cursor, struct scan_position *ret)
{
    uint64_t bits = cursor >> SCAN_BITS_AT;
    struct scan_position at = {
        .shard = (cursor & ((UINT64_C(1) << SCAN_BITS_AT) - 1)) >> SCAN_SHARD_AT,
        .tag = cursor & ((UINT64_C(1) << SCAN_SHARD_AT) - 1),
    };
    if (cursor == 0) {
        *ret = (struct scan_position){0, 0};
        return true;
    }
    if (bits < INDEX_SHARD_BITS_MIN || bits > INDEX_SHARD_BITS_MAX || at.tag > SCAN_TAGS ||
        at.shard >= UINT64_C(1) << bits)
        return false;
    if (bits != index->shard_bits) {
        at.tag = 0;
        at.shard = bits < index->shard_bits ? at.shard << (index->shard_bits - bits)
                                            : at.shard >> (bits - index->shard_bits);
    }
    *ret = at;
    return true;
}

/* Shows the keys of the home bucket of at->tag, from that tag on, and moves the tag behind them. */
static bool scan_group(uint64_t head, struct scan_position *at,
                       bool (*visit)(void *arg, uint64_t place), void *arg)
{
    const struct index_bucket *table = index_head_table(head);
    uint32_t buckets = index_head_buckets(head);
    uint32_t home = index_home(at->tag, buckets);
    uint32_t i = home;
    for (uint32_t left = buckets; left > 0; left--) {
        bool full = true;
        for (unsigned j = 0; j < INDEX_BUCKET_SLOTS; j++) {
            uint64_t slot = atomic_load_explicit(&table[i].slots[j], memory_order_acquire);
            uint64_t tag = slot >> PLACE_BITS;
            full = full && tag != 0;
            if (tag >= at->tag && index_home(tag, buckets) == home &&
                (slot & PLACE_MASK) != PLACE_NONE && !visit(arg, slot & PLACE_MASK))
                return false;
        }
        if (!full)
            break; /* T2: the bucket's keys go no further */
        if (++i == buckets)
            i = 0;
    }
    at->tag = (((uint64_t)home + 1) * SCAN_TAGS + buckets - 1) / buckets;
    return true;
}

bool index_scan_knows(const struct index *index, uint64_t cursor)
{
    struct scan_position at;
    return scan_position(index, cursor, &at);
}

bool index_scan(const struct index *index, uint64_t *cursor,
                bool (*visit)(void *arg, uint64_t place), void *arg)
{
    struct scan_position at;
    bool valid = scan_position(index, *cursor, &at);
    while (valid && at.shard < index->shard_count) {
        uint64_t head = atomic_load_explicit(&index->heads[at.shard], memory_order_acquire);
        if (at.tag < SCAN_TAGS && index_head_buckets(head) != 0) {
            *cursor = scan_cursor(index, at);
            if (scan_group(head, &at, visit, arg))
                *cursor = scan_cursor(index, at);
            return true;
        }
        at = (struct scan_position){at.shard + 1, 0};
    }
    *cursor = 0;
    return false;
}

/* ---- the snapshot ------------------------------------------------------------------------- */

size_t index_shard_copy(const struct index *index, uint32_t shard, uint64_t *ret_slots, size_t cap)
{
    uint64_t head = atomic_load_explicit(&index->heads[shard], memory_order_acquire);
    const struct index_bucket *table = index_head_table(head);
    size_t count = 0;
    for (uint32_t i = 0; i < index_head_buckets(head); i++) {
        for (unsigned j = 0; j < INDEX_BUCKET_SLOTS && count < cap; j++) {
            uint64_t slot = atomic_load_explicit(&table[i].slots[j], memory_order_acquire);
            if ((slot & PLACE_MASK) != PLACE_NONE)
                ret_slots[count++] = slot;
        }
    }
    return count;
}

uint64_t index_shard_size(struct index *index, uint32_t shard)
{
    struct index_stripe *stripe = index_stripe(index, shard);
    pthread_mutex_lock(&stripe->lock);
    uint64_t live = index->shards[shard].live;
    pthread_mutex_unlock(&stripe->lock);
    return live;
}

static kvs_status load_locked(struct index *index, uint32_t shard, const uint64_t *slots,
                              size_t count)
{
    struct index_shard *state = &index->shards[shard];
    uint32_t buckets = index_table_fit(count);
    if (count > index_table_slots(buckets))
        return KVS_NO_MEMORY;
    struct index_bucket *table = index_arena_alloc(&index->arena, shard, buckets);
    if (table == NULL)
        return KVS_NO_MEMORY;
    index_table_clear(table, buckets);
    for (size_t i = 0; i < count; i++)
        (void)index_table_put(table, buckets, slots[i], false);
    index_growth_publish(index, shard, table, buckets);
    state->live = (uint32_t)count;
    return KVS_OK;
}

kvs_status index_load_shard(struct index *index, uint32_t shard, const uint64_t *slots,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i] >> PLACE_BITS == 0 || (slots[i] & PLACE_MASK) == PLACE_NONE)
            return KVS_CORRUPT;
    if (count == 0)
        return KVS_OK;
    struct index_stripe *stripe = index_stripe(index, shard);
    pthread_mutex_lock(&stripe->lock);
    kvs_status status = KVS_INVALID;
    if (index->shards[shard].live == 0 && index->shards[shard].reserved == 0)
        status = load_locked(index, shard, slots, count);
    if (status == KVS_OK)
        (void)index_growth_note(index, shard, (int32_t)count, 0);
    pthread_mutex_unlock(&stripe->lock);
    return status;
}
