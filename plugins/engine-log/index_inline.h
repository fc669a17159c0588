/*
 * The hot part of a lookup, inline. Included by index.h only; see index.c for why it is safe.
 *
 * heads has a word per shard: the address of its table in the upper 48 bits, the table's buckets in
 * the lower 16 (0: no table). A bucket is a cache line of 8 slots. A slot is 0 (empty), or a tag in
 * the upper 16 bits (never 0) and a place in the lower 48 (0: the key was removed).
 */
#ifndef ENGINE_LOG_INDEX_INLINE_H
#define ENGINE_LOG_INDEX_INLINE_H

#if defined(__SSE2__) && !defined(EPOCH_TSAN)
#define INDEX_SSE2 1
#include <emmintrin.h>
#endif

#define INDEX_BUCKET_SLOTS 8u
#define INDEX_TABLE_BITS   16 /* of a head: the number of buckets */
#define INDEX_TABLE_MASK   ((UINT64_C(1) << INDEX_TABLE_BITS) - 1)
#define INDEX_TAG_BITS     16

struct index_bucket {
    /* Written by mutators under the shard's lock, with release; read by readers, with acquire, so
       that the record behind a place is seen as it was when the place was stored. */
    _Alignas(64) _Atomic uint64_t slots[INDEX_BUCKET_SLOTS];
};

/* The beginning of struct index; set once by index_new. */
struct index_view {
    /* Each head is written by mutators under its shard's lock, with release; read by readers with
       acquire, so that a new table is seen filled. */
    const _Atomic uint64_t *heads;
    uint32_t shard_shift; /* 64 - shard bits */
};

struct index_cursor {
    uint64_t head; /* of the shard, as it was when we began */
    const struct index_bucket *bucket;
    uint32_t left;    /* buckets not looked at yet */
    uint32_t matches; /* bit i: slot i of bucket had the tag when we looked */
    uint16_t tag;
    bool full; /* bucket had no empty slot: keys that belong here may be in the next one */
};

static inline uint64_t index_tag(uint64_t hash)
{
    uint64_t tag = hash & ((UINT64_C(1) << INDEX_TAG_BITS) - 1);
    return tag + (tag == 0);
}

static inline uint64_t index_slot(uint64_t hash, uint64_t place)
{
    return index_tag(hash) << PLACE_BITS | place;
}

static inline const struct index_view *index_view(const struct index *index)
{
    return (const struct index_view *)index;
}

static inline uint32_t index_shard_of(const struct index *index, uint64_t hash)
{
    return (uint32_t)(hash >> index_view(index)->shard_shift);
}

static inline struct index_bucket *index_head_table(uint64_t head)
{
    return (struct index_bucket *)(uintptr_t)(head >> INDEX_TABLE_BITS);
}

static inline uint32_t index_head_buckets(uint64_t head)
{
    return (uint32_t)(head & INDEX_TABLE_MASK);
}

/* The bucket where a search for the tag begins: the tag alone decides, for any number of buckets.
 */
static inline uint32_t index_home(uint64_t tag, uint32_t buckets)
{
    return (uint32_t)((tag * buckets) >> INDEX_TAG_BITS);
}

/* Bit i: slot i has the tag (0: is empty). The slots are not read at one moment, nor need they be:
   a slot that matters is loaded again. */
static inline uint32_t index_bucket_match(const struct index_bucket *bucket, uint16_t tag,
                                          bool *ret_full)
{
#ifdef INDEX_SSE2
    /* The tag is the upper half of the upper half of each slot: gather the upper halves, shift, and
       pack the eight tags into one register. */
    const __m128i *from = (const __m128i *)bucket;
    const __m128 a = _mm_castsi128_ps(_mm_load_si128(from));
    const __m128 b = _mm_castsi128_ps(_mm_load_si128(from + 1));
    const __m128 c = _mm_castsi128_ps(_mm_load_si128(from + 2));
    const __m128 d = _mm_castsi128_ps(_mm_load_si128(from + 3));
    const __m128i low = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    const __m128i high = _mm_castps_si128(_mm_shuffle_ps(c, d, _MM_SHUFFLE(3, 1, 3, 1)));
    const __m128i tags = _mm_packs_epi32(_mm_srai_epi32(low, 16), _mm_srai_epi32(high, 16));
    const __m128i same = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
    const __m128i empty = _mm_cmpeq_epi16(tags, _mm_setzero_si128());
    const uint32_t both = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(same, empty));
    *ret_full = both >> 8 == 0;
    return both & 0xff;
#else
    uint32_t same = 0;
    uint32_t empty = 0;
    for (unsigned i = 0; i < INDEX_BUCKET_SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&bucket->slots[i], memory_order_relaxed);
        same |= (uint32_t)(slot >> PLACE_BITS == tag) << i;
        empty |= (uint32_t)(slot >> PLACE_BITS == 0) << i;
    }
    *ret_full = empty == 0;
    return same;
#endif
}

static inline void index_cursor_begin(struct index_cursor *cursor, const struct index *index,
                                      uint64_t hash)
{
    const struct index_view *view = index_view(index);
    uint64_t head =
        atomic_load_explicit(&view->heads[hash >> view->shard_shift], memory_order_acquire);
    uint32_t buckets = index_head_buckets(head);
    uint64_t tag = index_tag(hash);
    cursor->head = head;
    cursor->bucket = index_head_table(head);
    cursor->left = buckets;
    cursor->tag = (uint16_t)tag;
    cursor->matches = 0;
    cursor->full = false;
    if (__builtin_expect(buckets != 0, 1)) { /* else there is no table to count from */
        cursor->bucket += index_home(tag, buckets);
        cursor->matches = index_bucket_match(cursor->bucket, cursor->tag, &cursor->full);
    }
}

static inline uint64_t index_cursor_next(struct index_cursor *cursor)
{
    for (;;) {
        while (cursor->matches != 0) {
            unsigned i = (unsigned)__builtin_ctz(cursor->matches);
            cursor->matches &= cursor->matches - 1;
            uint64_t slot = atomic_load_explicit(&cursor->bucket->slots[i], memory_order_acquire);
            /* It may have changed since we compared tags. */
            if (slot >> PLACE_BITS == cursor->tag && (slot & PLACE_MASK) != PLACE_NONE)
                return slot & PLACE_MASK;
        }
        if (!cursor->full || --cursor->left == 0)
            return PLACE_NONE;
        const struct index_bucket *first = index_head_table(cursor->head);
        if (++cursor->bucket == first + index_head_buckets(cursor->head))
            cursor->bucket = first;
        cursor->matches = index_bucket_match(cursor->bucket, cursor->tag, &cursor->full);
    }
}

/* index_first() with a cursor. */
uint64_t index_first_slowly(const struct index *index, uint64_t hash);

static inline uint64_t index_first(const struct index *index, uint64_t hash)
{
    const struct index_view *view = index_view(index);
    uint64_t head =
        atomic_load_explicit(&view->heads[hash >> view->shard_shift], memory_order_acquire);
    uint32_t buckets = index_head_buckets(head);
    if (__builtin_expect(buckets == 0, 0))
        return PLACE_NONE;
    uint64_t tag = index_tag(hash);
    const struct index_bucket *bucket = index_head_table(head) + index_home(tag, buckets);
    bool full;
    uint32_t matches = index_bucket_match(bucket, (uint16_t)tag, &full);
    if (__builtin_expect(matches != 0, 1)) {
        uint64_t slot =
            atomic_load_explicit(&bucket->slots[__builtin_ctz(matches)], memory_order_acquire);
        uint64_t place = slot ^ tag << PLACE_BITS;
        if (__builtin_expect(place - 1 < PLACE_MASK,
                             1)) /* the tag is still it, and a place is there */
            return place;
    } else if (!full) {
        return PLACE_NONE;
    }
    return index_first_slowly(index, hash);
}

static inline void index_prefetch(const struct index *index, uint64_t hash)
{
    const struct index_view *view = index_view(index);
    uint64_t head =
        atomic_load_explicit(&view->heads[hash >> view->shard_shift], memory_order_acquire);
    /* In bytes: where there is no table yet there is nothing to count from, and no harm in asking. */
    __builtin_prefetch((const void *)((uintptr_t)index_head_table(head) +
                                      index_home(index_tag(hash), index_head_buckets(head)) *
                                          sizeof(struct index_bucket)));
}

#endif
