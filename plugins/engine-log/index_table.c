/*
 * One table: buckets of eight slots, a key in its home bucket or, where that was full, in the first
 * one behind it that was not.
 *
 * Invariants, while a table is published:
 * T1  A key is never moved within a table.
 * T2  A bucket that is full once stays full: a key removed from a full bucket leaves its tag.
 *     So whoever meets an empty slot need not look further.
 */
#include <assert.h>
#include <string.h>

#include "index_internal.h"

/* 5.5 keys per bucket, rounded to the nearest, which never fills more slots than there are. */
uint32_t index_table_fit(uint64_t keys)
{
    uint64_t buckets = (keys * 4 + 11) / 22;
    if (buckets == 0)
        return 1;
    return buckets < INDEX_TABLE_MAX ? (uint32_t)buckets : (uint32_t)INDEX_TABLE_MAX;
}

void index_table_clear(struct index_bucket *table, uint32_t buckets)
{
    for (uint32_t i = 0; i < buckets; i++)
        for (unsigned j = 0; j < INDEX_BUCKET_SLOTS; j++)
            atomic_store_explicit(&table[i].slots[j], 0, memory_order_relaxed);
}

/* The first slot without a key, or -1. */
static int bucket_free_slot(const struct index_bucket *bucket, bool reuse)
{
    bool full;
    uint32_t empty = index_bucket_match(bucket, 0, &full);
    if (!full)
        return __builtin_ctz(empty);
    for (unsigned i = 0; reuse && i < INDEX_BUCKET_SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&bucket->slots[i], memory_order_relaxed);
        if ((slot & PLACE_MASK) == PLACE_NONE)
            return (int)i;
    }
    return -1;
}

bool index_table_put(struct index_bucket *table, uint32_t buckets, uint64_t slot, bool reuse)
{
    uint32_t at = index_home(slot >> PLACE_BITS, buckets);
    for (uint32_t left = buckets; left > 0; left--) {
        int i = bucket_free_slot(&table[at], reuse);
        if (i >= 0) {
            _Atomic uint64_t *to = &table[at].slots[i];
            bool reused = reuse && atomic_load_explicit(to, memory_order_relaxed) != 0;
            atomic_store_explicit(to, slot, memory_order_release); /* I1 */
            return reused;
        }
        if (++at == buckets)
            at = 0;
    }
    assert(!"index_table_put: the table is full");
    return false;
}

void index_table_copy(struct index_bucket *to, uint32_t to_buckets, const struct index_bucket *from,
                      uint32_t from_buckets)
{
    for (uint32_t i = 0; i < from_buckets; i++) {
        for (unsigned j = 0; j < INDEX_BUCKET_SLOTS; j++) {
            uint64_t slot = atomic_load_explicit(&from[i].slots[j], memory_order_relaxed);
            if ((slot & PLACE_MASK) != PLACE_NONE)
                (void)index_table_put(to, to_buckets, slot, false);
        }
    }
}
