/*
 * The index: shards of hash tables, readers without locks.
 *
 * A hash's upper bits choose the shard, its lower 16 bits are the tag. A shard has one table, of
 * any number n of buckets; the search for a key begins at bucket tag * n / 2^16. So the slots of a
 * table, which hold tag and place, are all that is needed to build a table of another size, and no
 * record is ever read for it. The shards' number is fixed: shard and tag are all of the hash that
 * the index remembers, so a lookup meets another key's candidate with a chance of
 * keys / 2^(16 + shard bits): 1 in 107 at 10 million keys and 2^14 shards, 1 in 86 at 100 million
 * and 2^17.
 *
 * Files: index_inline.h the lookup; index_table.c one table; index_growth.c when and how tables are
 * replaced; index_arena.c their memory; index_iterate.c walking, snapshot; epoch.c grace periods.
 *
 * Threads: any. Readers are in a read section. Mutators hold the lock of their shard's stripe.
 *
 * Why a racing reader is safe. In brackets: where the code keeps it; what checks it (the tests of
 * races, tests/engine-log/test_index_races.c; the model, tests/engine-log/model, and which of the
 * model's rules it is).
 *
 * I1  Publication. A record is complete before its place is stored in a slot (release), a table is
 *     complete before its address is stored in a head (release). Readers load both with acquire.
 *     [index_table_put, index_replace, index_growth_publish; races: each reader looks into the
 *     record; model: UNWRITTEN, EARLY]
 *
 * I2  An entry swapped while a reader looks. A key that stays has its slot overwritten in one
 *     store; it is never removed and put elsewhere. A reader sees the old place or the new one, and
 *     the old one was right within its section.
 *     [index_replace; races: swapped keys are always found; model: MOVE]
 *
 * I3  An entry behind a full bucket. Within a published table no key ever moves, and a bucket that
 *     is full is never seen with an empty slot again (a removed key leaves its tag). So the search
 *     for a key that is there never stops in front of it.
 *     [index_table_put, index_remove; test_index: removed from a full bucket; model: UNFULL]
 *
 * I4  A table growing. A table that was replaced is never written again. A reader that still has it
 *     sees what was true when it was replaced, which was within its section, as each lookup loads
 *     the head anew.
 *     [heads and slots are only stored to under the shard's lock; races; model: LATE]
 *
 * I5  A table freed. Its memory is reused or unmapped a grace period after its head was replaced.
 *     [index_arena_leave; races, also under ASan and TSan; model: NOGRACE_TABLES]
 *
 * I6  A segment dropped. Each place shown was in a slot at some moment of the section; whoever
 *     replaced or removed it waits for a grace period before the record goes and the place is used
 *     again. So an old place that is compared within the section it was found in names the same
 *     record still, and replace and remove hit what was meant.
 *     [the caller's duty; races: places are poisoned after a grace period, then reused, and never
 *     seen; model: NOGRACE_PLACES, NOCOMPARE, NOSECTION]
 *
 * What it does not do: keep keys, read records, know segments.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "index_internal.h"

/* Fuzzers, which open thousands of tiny stores a minute, are built with few shards. */
#ifndef INDEX_SHARD_BITS_USUAL
#define INDEX_SHARD_BITS_USUAL 14u
#endif
#define SHORT_KEY  16u   /* bytes; XXH3 has a short way for these */
#define SHARD_KEYS 1024u /* expected keys of a shard, from which on there are more shards */

/* ---- making and freeing ------------------------------------------------------------------- */

uint32_t index_shard_bits_for(uint64_t keys)
{
    uint32_t bits = INDEX_SHARD_BITS_USUAL;
    while (bits < INDEX_SHARD_BITS_MAX && keys >> bits > SHARD_KEYS)
        bits++;
    return bits;
}

/* Zeroed memory that is touched only where it is used. */
static void *index_map(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static uint64_t index_heads_size(const struct index *index)
{
    return index->shard_count * sizeof(index->heads[0]);
}

static uint64_t index_shards_size(const struct index *index)
{
    return index->shard_count * sizeof(index->shards[0]);
}

/* XXH3's secret, from the store's: fixed here, as the library's own derivation has changed. */
static void index_derive_secret(uint8_t secret[INDEX_SECRET_SIZE], struct kvs_bytes from)
{
    for (uint64_t i = 0; i < INDEX_SECRET_SIZE / sizeof(uint64_t); i++) {
        XXH64_canonical_t part;
        XXH64_canonicalFromHash(&part, XXH3_64bits_withSeed(from.ptr, from.len, i));
        memcpy(secret + i * sizeof(part), &part, sizeof(part));
    }
}

static void index_init(struct index *index, const struct index_config *config)
{
    index->shard_bits =
        config->shard_bits != 0 ? config->shard_bits : index_shard_bits_for(config->expected_keys);
    index->shard_count = UINT32_C(1) << index->shard_bits;
    index->view.shard_shift = 64 - index->shard_bits;
    index_derive_secret(index->secret, config->secret);
    for (unsigned i = 0; i < INDEX_STRIPES; i++)
        pthread_mutex_init(&index->stripes[i].lock, NULL);
    pthread_mutex_init(&index->growth.lock, NULL);
    index_arena_init(&index->arena, config->epoch, config->memory_max_bytes);
}

kvs_status index_new(const struct index_config *config, struct index **ret_index,
                     struct kvs_error *err)
{
    assert(config->size == sizeof(*config));
    if (config->shard_bits != 0 &&
        (config->shard_bits < INDEX_SHARD_BITS_MIN || config->shard_bits > INDEX_SHARD_BITS_MAX))
        return kvs_error_set(err, KVS_INVALID, 0, "shard bits %u are not within %u to %u",
                             config->shard_bits, INDEX_SHARD_BITS_MIN, INDEX_SHARD_BITS_MAX);
    if (config->secret.len < INDEX_SECRET_MIN)
        return kvs_error_set(err, KVS_INVALID, 0, "the secret of the hash has less than %u bytes",
                             INDEX_SECRET_MIN);
    struct index *index = aligned_alloc(_Alignof(struct index), sizeof(*index));
    if (index == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the index");
    memset(index, 0, sizeof(*index));
    index_init(index, config);
    index->heads = index_map(index_heads_size(index));
    index->view.heads = index->heads;
    index->shards = index_map(index_shards_size(index));
    if (index->heads == NULL || index->shards == NULL) {
        kvs_status status = kvs_error_set(
            err, KVS_NO_MEMORY, 0, "no memory for the %u shards of the index", index->shard_count);
        index_free(index);
        return status;
    }
    *ret_index = index;
    return KVS_OK;
}

void index_free(struct index *index)
{
    if (index == NULL)
        return;
    index_arena_deinit(&index->arena);
    if (index->heads != NULL)
        (void)munmap(index->heads, index_heads_size(index));
    if (index->shards != NULL)
        (void)munmap(index->shards, index_shards_size(index));
    for (unsigned i = 0; i < INDEX_STRIPES; i++)
        pthread_mutex_destroy(&index->stripes[i].lock);
    pthread_mutex_destroy(&index->growth.lock);
    free(index);
}

/* By itself, so that hashing a short key saves no registers. */
static __attribute__((noinline)) uint64_t hash_long(const struct index *index, struct kvs_bytes key)
{
    return XXH3_64bits_withSecret(key.ptr, key.len, index->secret, INDEX_SECRET_SIZE);
}

uint64_t index_hash(const struct index *index, struct kvs_bytes key)
{
    if (key.len > SHORT_KEY)
        return hash_long(index, key);
    return XXH3_64bits_withSecret(key.ptr, key.len, index->secret, INDEX_SECRET_SIZE);
}

/* ---- figures ------------------------------------------------------------------------------ */

uint32_t index_shard_bits(const struct index *index)
{
    return index->shard_bits;
}

uint32_t index_shard_count(const struct index *index)
{
    return index->shard_count;
}

uint64_t index_count(const struct index *index)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < INDEX_STRIPES; i++)
        count += atomic_load_explicit(&index->stripes[i].live, memory_order_relaxed);
    return count;
}

uint64_t index_memory_bytes(struct index *index)
{
    struct index_arena_figures figures;
    index_arena_figures(&index->arena, &figures);
    return figures.held_bytes + index_heads_size(index) + index_shards_size(index) + sizeof(*index);
}

/* ---- lookups and changes ------------------------------------------------------------------ */

uint64_t index_first_slowly(const struct index *index, uint64_t hash)
{
    struct index_cursor cursor;
    index_cursor_begin(&cursor, index, hash);
    return index_cursor_next(&cursor);
}

bool index_find(const struct index *index, uint64_t hash, bool (*match)(void *arg, uint64_t place),
                void *arg, uint64_t *ret_place)
{
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE) {
        if (match(arg, place)) {
            *ret_place = place;
            return true;
        }
    }
    return false;
}

/* Adds a key to a shard that has room. The shard's lock is held. */
static bool index_put(struct index *index, uint32_t shard, uint64_t hash, uint64_t place)
{
    struct index_shard *state = &index->shards[shard];
    uint64_t head = atomic_load_explicit(&index->heads[shard], memory_order_relaxed);
    assert(place != PLACE_NONE && place <= PLACE_MASK);
    bool reused = index_table_put(index_head_table(head), index_head_buckets(head),
                                  index_slot(hash, place), state->removed != 0);
    state->live++;
    state->removed -= reused;
    return index_growth_note(index, shard, 1, -(int32_t)reused);
}

kvs_status index_insert(struct index *index, uint64_t hash, uint64_t place)
{
    uint32_t shard = index_shard_of(index, hash);
    pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
    pthread_mutex_lock(lock);
    kvs_status status = index_growth_room(index, shard, 1);
    bool balance = status == KVS_OK && index_put(index, shard, hash, place);
    pthread_mutex_unlock(lock);
    if (balance)
        index_growth_balance(index);
    return status;
}

kvs_status index_reserve(struct index *index, const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t shard = index_shard_of(index, hashes[i]);
        pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
        pthread_mutex_lock(lock);
        kvs_status status = index_growth_room(index, shard, 1);
        if (status == KVS_OK)
            index->shards[shard].reserved++;
        pthread_mutex_unlock(lock);
        if (status != KVS_OK) {
            index_unreserve(index, hashes, i);
            return status;
        }
    }
    return KVS_OK;
}

void index_unreserve(struct index *index, const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t shard = index_shard_of(index, hashes[i]);
        pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
        pthread_mutex_lock(lock);
        assert(index->shards[shard].reserved > 0);
        index->shards[shard].reserved--;
        pthread_mutex_unlock(lock);
    }
}

void index_insert_reserved(struct index *index, uint64_t hash, uint64_t place)
{
    uint32_t shard = index_shard_of(index, hash);
    pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
    pthread_mutex_lock(lock);
    assert(index->shards[shard].reserved > 0);
    index->shards[shard].reserved--;
    bool balance = index_put(index, shard, hash, place);
    pthread_mutex_unlock(lock);
    if (balance)
        index_growth_balance(index);
}

/* The slot of the shard, whose lock is held, that holds this place; or NULL. */
static _Atomic uint64_t *index_slot_of(struct index *index, uint32_t shard, uint64_t hash,
                                       uint64_t place, bool *ret_full)
{
    uint64_t head = atomic_load_explicit(&index->heads[shard], memory_order_relaxed);
    struct index_bucket *table = index_head_table(head);
    uint32_t buckets = index_head_buckets(head);
    uint32_t at = index_home(index_tag(hash), buckets);
    for (uint32_t left = buckets; left > 0; left--) {
        uint32_t matches = index_bucket_match(&table[at], (uint16_t)index_tag(hash), ret_full);
        for (; matches != 0; matches &= matches - 1) {
            _Atomic uint64_t *slot = &table[at].slots[__builtin_ctz(matches)];
            if (atomic_load_explicit(slot, memory_order_relaxed) == index_slot(hash, place))
                return slot;
        }
        if (!*ret_full)
            return NULL;
        if (++at == buckets)
            at = 0;
    }
    return NULL;
}

bool index_replace(struct index *index, uint64_t hash, uint64_t old_place, uint64_t new_place)
{
    uint32_t shard = index_shard_of(index, hash);
    pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
    bool full;
    assert(new_place != PLACE_NONE && new_place <= PLACE_MASK);
    pthread_mutex_lock(lock);
    _Atomic uint64_t *slot = index_slot_of(index, shard, hash, old_place, &full);
    if (slot != NULL) /* I1, I2 */
        atomic_store_explicit(slot, index_slot(hash, new_place), memory_order_release);
    pthread_mutex_unlock(lock);
    return slot != NULL;
}

bool index_remove(struct index *index, uint64_t hash, uint64_t old_place)
{
    uint32_t shard = index_shard_of(index, hash);
    struct index_shard *state = &index->shards[shard];
    pthread_mutex_t *lock = &index_stripe(index, shard)->lock;
    bool balance = false;
    bool full;
    pthread_mutex_lock(lock);
    _Atomic uint64_t *slot = index_slot_of(index, shard, hash, old_place, &full);
    if (slot != NULL) {
        /* I3: what is behind a full bucket must stay to be found. */
        uint64_t left = full ? index_slot(hash, PLACE_NONE) : 0;
        atomic_store_explicit(slot, left, memory_order_release);
        state->live--;
        state->removed += full;
        balance = index_growth_note(index, shard, -1, full);
    }
    pthread_mutex_unlock(lock);
    if (balance)
        index_growth_balance(index);
    return slot != NULL;
}
