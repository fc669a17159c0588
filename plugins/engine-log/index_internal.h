/* What the index's files share. See index.c for the whole. */
#ifndef ENGINE_LOG_INDEX_INTERNAL_H
#define ENGINE_LOG_INDEX_INTERNAL_H

#include <pthread.h>

#include "index.h"
#include "index_arena.h"

#define INDEX_STRIPES      64u /* locks; a shard's is the one of its number modulo this */
#define INDEX_SECRET_SIZE  192u
#define INDEX_TABLE_MAX    INDEX_TABLE_MASK /* buckets of one table */
#define INDEX_GROWTH_EVERY 16u /* changes of a stripe between two looks at the growth */

/* One shard, for its mutators; guarded by its stripe's lock. */
struct index_shard {
    uint32_t live;     /* slots with a place */
    uint32_t removed;  /* slots with a tag but no place */
    uint32_t reserved; /* inserts that are promised to succeed */
};

struct index_stripe {
    _Alignas(64) pthread_mutex_t lock;
    /* Written under the lock, relaxed; read by index_count, relaxed: only a sum. */
    _Atomic uint64_t live;
    /* Guarded by the lock: what the growth was not told yet. */
    int32_t live_change;
    int32_t removed_change;
    uint32_t changes;
};

/* What decides when tables are moved (index_growth.c). */
struct index_growth {
    pthread_mutex_t lock; /* of the one that moves tables; comes before a stripe's */
    /* Sums over all shards, a little late. Added to by mutators, relaxed; read under the lock,
       relaxed: they only decide when. */
    _Atomic int64_t live;
    _Atomic int64_t removed;
    /* Guarded by the lock. */
    uint64_t shrink_below; /* live keys */
    uint64_t shrink_until; /* a region's number */
};

struct index {
    /* Constant after index_new. */
    struct index_view view; /* first: index_inline.h */
    uint32_t shard_bits;
    uint32_t shard_count;
    _Atomic uint64_t *heads; /* as view.heads, for mutators */
    struct index_shard *shards;
    uint8_t secret[INDEX_SECRET_SIZE];

    struct index_stripe stripes[INDEX_STRIPES];
    struct index_growth growth;
    struct index_arena arena; /* its lock comes after a stripe's */
};

static inline struct index_stripe *index_stripe(struct index *index, uint32_t shard)
{
    return &index->stripes[shard % INDEX_STRIPES];
}

/* ---- index_table.c: one table, nothing of shards and locks ---------------------------------- */

/* Slots that a table may fill before it is time to grow, and those it has. */
static inline uint32_t index_table_limit(uint32_t buckets)
{
    return INDEX_BUCKET_SLOTS * buckets - buckets / 2;
}

static inline uint32_t index_table_slots(uint32_t buckets)
{
    return INDEX_BUCKET_SLOTS * buckets;
}

/* The number of buckets for so many keys; at most INDEX_TABLE_MAX. */
uint32_t index_table_fit(uint64_t keys);

/* Puts a slot into a table that has room; with reuse also where a removed key was. True: there. */
bool index_table_put(struct index_bucket *table, uint32_t buckets, uint64_t slot, bool reuse);

/* Empties the table, which no reader knows yet. */
void index_table_clear(struct index_bucket *table, uint32_t buckets);

/* Puts all keys of one table into another one, which no reader knows yet and has room. */
void index_table_copy(struct index_bucket *to, uint32_t to_buckets, const struct index_bucket *from,
                      uint32_t from_buckets);

/* ---- index_growth.c ------------------------------------------------------------------------- */

/*
 * Makes sure that the shard, whose lock is held, takes extra more keys besides the reserved ones.
 * KVS_OK, KVS_NO_MEMORY (nothing changed).
 */
KVS_MUST_USE kvs_status index_growth_room(struct index *index, uint32_t shard, uint64_t extra);

/* Replaces the table of a shard, whose lock is held, by one that has all its keys and no removed
   ones; buckets 0: by none. */
void index_growth_publish(struct index *index, uint32_t shard, struct index_bucket *table,
                          uint32_t buckets);

/* Notes a change of the numbers of a shard, whose lock is held. True: it is time to call
   index_growth_balance() after unlocking. */
bool index_growth_note(struct index *index, uint32_t shard, int32_t live, int32_t removed);

/* Moves a few tables if the balance asks for it. No lock is held. */
void index_growth_balance(struct index *index);

#endif
