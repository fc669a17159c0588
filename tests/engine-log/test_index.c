/* The index on one thread, against a model: an array that says for each key where it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "index.h"
#include "support/support.h"

#define SECRET_TEXT      "sixteen or more bytes of secret"
#define HASH_OF_NOTHING  UINT64_C(0xE441586FD54D322A)
#define HASH_OF_16       UINT64_C(0x163D8DA31D02CD0B)
#define HASH_OF_300      UINT64_C(0xB06F50D97CD65485)
#define SHARD_JUST_GROWN 564u /* keys at which a shard that grows alone gets a larger table */
#define SHOWN            0x80000000u /* in owner: a scan has shown the place */

/* A store of numbered keys: key i is at place[i] or absent; owner says whose place it is. */
struct world {
    struct epoch *epoch;
    struct index *index;
    uint64_t (*hash)(const struct world *world, uint32_t key);
    uint32_t keys;       /* key numbers are below */
    uint64_t *place;     /* by key; 0: absent */
    uint32_t *owner;     /* by place: the key's number + 1 */
    uint64_t places;     /* of owner */
    uint64_t next_place; /* never reused */
    uint64_t present;
    uint64_t random;
    uint32_t match_key; /* what match() looks for */
    uint64_t matched;   /* candidates that match() was asked about */
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x9E3779B97F4A7C15);
}

static uint64_t random_below(struct world *world, uint64_t bound)
{
    return (random_next(&world->random) >> 32) % bound;
}

static uint64_t hash_good(const struct world *world, uint32_t key)
{
    return index_hash(world->index, bytes_of(&key, sizeof(key)));
}

/* Few shards and very few tags: long runs of equal tags in neighbouring buckets. */
static uint64_t hash_weak(const struct world *world, uint32_t key)
{
    (void)world;
    return (uint64_t)(key % 3) << 62 | (key % 7 == 0 ? 0xFFFF : (key % 5) * 0x3000);
}

/* All keys in one shard with one tag. */
static uint64_t hash_same(const struct world *world, uint32_t key)
{
    (void)world;
    (void)key;
    return UINT64_C(0x1234567890ABCDEF);
}

static struct index *index_make(struct epoch *epoch, uint32_t shard_bits, uint64_t memory_max_bytes)
{
    struct test_error error;
    test_error_init(&error);
    struct index_config config = {
        .size = sizeof(config),
        .shard_bits = shard_bits,
        .secret = bytes_of_text(SECRET_TEXT),
        .epoch = epoch,
        .memory_max_bytes = memory_max_bytes,
    };
    struct index *index = NULL;
    assert_status(KVS_OK, index_new(&config, &index, &error.error), &error);
    return index;
}

static void world_init(struct world *world, uint32_t shard_bits, uint32_t keys, uint64_t places,
                       uint64_t (*hash)(const struct world *, uint32_t))
{
    struct test_error error;
    test_error_init(&error);
    *world = (struct world){.hash = hash,
                            .keys = keys,
                            .places = places,
                            .next_place = 1,
                            .random = 88172645463325252u};
    assert_status(KVS_OK, epoch_new(&world->epoch, &error.error), &error);
    world->index = index_make(world->epoch, shard_bits, 0);
    world->place = calloc(keys, sizeof(world->place[0]));
    world->owner = calloc(places, sizeof(world->owner[0]));
    assert_true(world->place != NULL && world->owner != NULL);
}

static void world_deinit(struct world *world)
{
    index_free(world->index);
    epoch_free(world->epoch);
    free(world->place);
    free(world->owner);
}

static uint64_t world_new_place(struct world *world, uint32_t key)
{
    assert_true(world->next_place < world->places);
    world->owner[world->next_place] = key + 1;
    return world->next_place++;
}

static bool match(void *arg, uint64_t place)
{
    struct world *world = arg;
    world->matched++;
    assert_true(place != 0 && place < world->next_place);
    return world->owner[place] == world->match_key + 1;
}

/* The place of key as the index says, 0 if absent; by callback and by cursor. */
static uint64_t world_find(struct world *world, uint32_t key)
{
    uint64_t hash = world->hash(world, key);
    uint64_t found = 0;
    world->match_key = key;
    epoch_begin();
    index_prefetch(world->index, hash);
    bool is_there = index_find(world->index, hash, match, world, &found);
    assert_int_equal(is_there, found != 0);
    struct index_cursor cursor;
    uint64_t place;
    uint64_t by_cursor = 0;
    index_cursor_begin(&cursor, world->index, hash);
    while (by_cursor == 0 && (place = index_cursor_next(&cursor)) != PLACE_NONE)
        if (world->owner[place] == key + 1)
            by_cursor = place;
    epoch_end();
    assert_int_equal(found, by_cursor);
    return found;
}

static void world_insert(struct world *world, uint32_t key)
{
    uint64_t place = world_new_place(world, key);
    assert_int_equal(index_insert(world->index, world->hash(world, key), place), KVS_OK);
    world->place[key] = place;
    world->present++;
}

static void world_replace(struct world *world, uint32_t key)
{
    uint64_t place = world_new_place(world, key);
    uint64_t hash = world->hash(world, key);
    assert_true(index_replace(world->index, hash, world->place[key], place));
    assert_false(index_replace(world->index, hash, world->place[key], place));
    world->place[key] = place;
}

static void world_remove(struct world *world, uint32_t key)
{
    uint64_t hash = world->hash(world, key);
    assert_true(index_remove(world->index, hash, world->place[key]));
    assert_false(index_remove(world->index, hash, world->place[key]));
    world->place[key] = 0;
    world->present--;
}

static void world_check_all(struct world *world)
{
    assert_int_equal(index_count(world->index), world->present);
    for (uint32_t key = 0; key < world->keys; key++)
        assert_int_equal(world_find(world, key), world->place[key]);
}

/* Random changes with a growing, then a shrinking number of keys. */
static void world_churn(struct world *world, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        uint32_t key = (uint32_t)random_below(world, world->keys);
        bool growing = i < steps / 2;
        assert_int_equal(world_find(world, key), world->place[key]);
        if (world->place[key] == 0) {
            if (growing || random_below(world, 4) == 0)
                world_insert(world, key);
        } else if (random_below(world, growing ? 8 : 2) == 0) {
            world_remove(world, key);
        } else {
            world_replace(world, key);
        }
    }
}

static void test_random_operations(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 20000, 400000, hash_good);
    world_check_all(&world);
    for (unsigned round = 0; round < 3; round++) {
        world_churn(&world, 100000);
        world_check_all(&world);
    }
    world_deinit(&world);
}

static void test_colliding_tags(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 600, 100000, hash_weak);
    for (unsigned round = 0; round < 4; round++) {
        world_churn(&world, 5000);
        world_check_all(&world);
    }
    world_deinit(&world);
}

static void test_one_tag_for_all(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0, 300, 100000, hash_same);
    world_churn(&world, 4000);
    world_check_all(&world);
    world_deinit(&world);
}

/* ---- edges -------------------------------------------------------------------------------- */

static bool collect(void *arg, uint64_t place)
{
    struct world *world = arg;
    assert_true(place > 0 && place < world->next_place);
    world->matched++;
    world->owner[place] |= SHOWN;
    return true;
}

static void test_places(void **state)
{
    (void)state;
    uint64_t last = place_make((1u << PLACE_SEGMENT_BITS) - 1, (UINT64_C(1) << 31) - 8);
    assert_int_equal(last, PLACE_MASK);
    assert_int_equal(place_segment(last), (1u << PLACE_SEGMENT_BITS) - 1);
    assert_int_equal(place_offset_bytes(last), (UINT64_C(1) << 31) - 8);
    assert_int_equal(place_make(0, 8), 1);
    assert_int_equal(place_segment(place_make(77, 4096)), 77);
    assert_int_equal(place_offset_bytes(place_make(77, 4096)), 4096);
}

static void test_refuses_bad_configurations(void **state)
{
    (void)state;
    struct test_error error;
    test_error_init(&error);
    struct epoch *epoch = NULL;
    assert_status(KVS_OK, epoch_new(&epoch, &error.error), &error);
    struct index *index = NULL;
    struct index_config config = {
        .size = sizeof(config), .secret = bytes_of_text("too short"), .epoch = epoch};
    assert_int_equal(index_new(&config, &index, &error.error), KVS_INVALID);
    assert_non_null(strstr(error.message, "secret"));
    config.secret = bytes_of_text(SECRET_TEXT);
    config.shard_bits = INDEX_SHARD_BITS_MAX + 1;
    assert_int_equal(index_new(&config, &index, &error.error), KVS_INVALID);
    assert_non_null(strstr(error.message, "shard bits"));
    config.shard_bits = INDEX_SHARD_BITS_MIN - 1;
    assert_int_equal(index_new(&config, &index, NULL), KVS_INVALID);
    assert_null(index);
    epoch_free(epoch);
}

/* A hash is for ever: stores on disk depend on it. */
static void test_hash_never_changes(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0, 1, 2, hash_good);
    assert_int_equal(index_hash(world.index, bytes_of_text("")), HASH_OF_NOTHING);
    assert_int_equal(index_hash(world.index, bytes_of_text("a key of 16 byte")), HASH_OF_16);
    static const char zeroes[300];
    assert_int_equal(index_hash(world.index, bytes_of(zeroes, sizeof(zeroes))), HASH_OF_300);
    world_deinit(&world);
}

static void test_shard_bits(void **state)
{
    (void)state;
    assert_int_equal(index_shard_bits_for(0), 14);
    assert_int_equal(index_shard_bits_for(10000000), 14);
    assert_int_equal(index_shard_bits_for(100000000), 17);
    assert_int_equal(index_shard_bits_for(UINT64_MAX), INDEX_SHARD_BITS_MAX);
}

static void test_empty(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0, 2, 4, hash_good);
    assert_int_equal(world_find(&world, 0), 0);
    assert_false(index_replace(world.index, hash_good(&world, 0), 1, 2));
    assert_false(index_remove(world.index, hash_good(&world, 0), 1));
    assert_int_equal(index_count(world.index), 0);
    assert_true(index_memory_bytes(world.index) < 512 * 1024);
    uint64_t cursor = 0;
    uint64_t slot;
    epoch_begin();
    assert_false(index_scan(world.index, &cursor, collect, &world));
    assert_int_equal(index_shard_copy(world.index, 0, &slot, 1), 0);
    epoch_end();
    assert_int_equal(cursor, 0);
    assert_int_equal(index_shard_size(world.index, 0), 0);
    world_deinit(&world);
}

/* I3: what lies behind a full bucket stays to be found when that bucket loses keys. */
static void test_removed_from_a_full_bucket(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 40, 100, hash_same);
    for (uint32_t key = 0; key < 40; key++)
        world_insert(&world, key);
    for (uint32_t key = 0; key < 39; key++) {
        world_remove(&world, key);
        world_check_all(&world);
    }
    world_insert(&world, 0); /* into a slot that a removed key left */
    world_check_all(&world);
    world_deinit(&world);
}

/* The tag 0 does not exist: such hashes have tag 1, and are still told apart by their places. */
static uint64_t hash_tag_0_or_1(const struct world *world, uint32_t key)
{
    (void)world;
    return UINT64_C(0xABCD) << 48 | (key & 1);
}

static void test_tag_zero(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0, 30, 100, hash_tag_0_or_1);
    for (uint32_t key = 0; key < 30; key++)
        world_insert(&world, key);
    for (uint32_t key = 0; key < 30; key += 3)
        world_remove(&world, key);
    world_check_all(&world);
    world_deinit(&world);
}

static void test_largest_place(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0, 2, 4, hash_same);
    uint64_t hash = hash_same(&world, 0);
    assert_int_equal(index_insert(world.index, hash, PLACE_MASK), KVS_OK);
    assert_false(index_replace(world.index, hash, PLACE_MASK - 1, 1));
    assert_true(index_replace(world.index, hash, PLACE_MASK, 1));
    assert_true(index_replace(world.index, hash, 1, PLACE_MASK));
    assert_true(index_remove(world.index, hash, PLACE_MASK));
    world_deinit(&world);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Millions of steps on one thread: slow under ThreadSanitizer, and nothing for it to see. */
static void skip_under_tsan(void)
{
#ifdef EPOCH_TSAN
    skip();
#endif
}

static uint64_t resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    assert_int_equal(fclose(file), 0);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double bytes_per_key(const struct world *world)
{
    return (double)index_memory_bytes(world->index) / (double)world->present;
}

static void test_memory_per_key(void **state)
{
    (void)state;
    skip_under_tsan();
    enum {
        KEYS = 2000000
    };
    struct world world;
    world_init(&world, 0, KEYS, KEYS + 2, hash_good);
    memset(world.place, 1, KEYS * sizeof(world.place[0])); /* touch it all before we measure */
    memset(world.place, 0, KEYS * sizeof(world.place[0]));
    memset(world.owner, 0xFF, KEYS * sizeof(world.owner[0]));
    uint64_t resident_before = resident_bytes();
    for (uint32_t key = 0; key < KEYS; key++) {
        world_insert(&world, key);
        if (key >= KEYS / 2 && key % 4096 == 0)
            assert_true(bytes_per_key(&world) <= 16);
    }
    epoch_barrier(world.epoch);
    assert_true(bytes_per_key(&world) <= 14);
#if !defined(__SANITIZE_ADDRESS__) && !defined(EPOCH_TSAN)
    /* What it says is what it takes. */
    assert_true(resident_bytes() - resident_before <= index_memory_bytes(world.index) * 21 / 20);
#else
    (void)resident_before;
#endif
    world_check_all(&world);
    world_deinit(&world);
}

static void test_memory_shrinks(void **state)
{
    (void)state;
    skip_under_tsan();
    enum {
        KEYS = 1000000
    };
    struct world world;
    world_init(&world, 0, KEYS, 3 * KEYS, hash_good);
    for (uint32_t key = 0; key < KEYS; key++)
        world_insert(&world, key);
    uint64_t full = index_memory_bytes(world.index);
    for (uint32_t key = 0; key < KEYS / 2; key++)
        world_remove(&world, key);
    epoch_barrier(world.epoch);
    assert_true(index_memory_bytes(world.index) < full / 4 * 3);
    for (uint32_t key = KEYS / 2; key < KEYS; key++)
        if (key % 10 != 0)
            world_remove(&world, key);
    epoch_barrier(world.epoch);
    assert_true(index_memory_bytes(world.index) < full / 2);
    world_check_all(&world);
    world_deinit(&world);
}

/* Nothing is freed while a reader stays inside: then only tables that are full are replaced. */
static void test_memory_beside_a_long_section(void **state)
{
    (void)state;
    enum {
        KEYS = 400000
    };
    struct world world;
    world_init(&world, 10, KEYS, KEYS + 2, hash_good);
    epoch_begin();
    for (uint32_t key = 0; key < KEYS; key++)
        world_insert(&world, key);
    assert_true(bytes_per_key(&world) < 55);
    epoch_end();
    epoch_barrier(world.epoch);
    assert_true(bytes_per_key(&world) < 18);
    world_check_all(&world);
    world_deinit(&world);
}

/* Lets the reclaimer keep up, however busy the machine is. */
static void world_insert_calmly(struct world *world, uint32_t key)
{
    world_insert(world, key);
    if (key % 1024 == 0)
        epoch_barrier(world->epoch);
}

/* One shard after the other, each just after it has grown. */
static uint64_t hash_shard_by_shard(const struct world *world, uint32_t key)
{
    (void)world;
    return (uint64_t)(key / SHARD_JUST_GROWN) << 50 | key % SHARD_JUST_GROWN * 116;
}

/* Shards that grow out of turn leave holes between tables that stay: those are moved together. */
static void test_memory_of_uneven_growth(void **state)
{
    (void)state;
    enum {
        SHARDS = 400,
        KEYS = SHARDS * SHARD_JUST_GROWN
    };
    struct world world;
    world_init(&world, 14, KEYS, KEYS + 2, hash_shard_by_shard);
    uint64_t empty = index_memory_bytes(world.index);
    for (uint32_t key = 0; key < KEYS; key++)
        world_insert_calmly(&world, key);
    epoch_barrier(world.epoch);
    assert_true(index_memory_bytes(world.index) - empty <= UINT64_C(18) * KEYS);
    world_check_all(&world);
    world_deinit(&world);
}

/* While the index grows its tables never get so dense that lookups become long. */
static void test_lookups_stay_short(void **state)
{
    (void)state;
    enum {
        KEYS = 500000,
        LOOKUPS = 1000,
        EVERY = 10000
    };
    struct world world;
    world_init(&world, 10, KEYS, KEYS + 2, hash_good);
    for (uint32_t key = 0; key < KEYS; key++) {
        world_insert_calmly(&world, key);
        if (key < KEYS / 10 || key % EVERY != 0)
            continue;
        uint64_t buckets = 0;
        epoch_begin();
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            struct index_cursor cursor;
            index_cursor_begin(&cursor, world.index, hash_good(&world, KEYS + key + i));
            uint32_t all = cursor.left;
            while (index_cursor_next(&cursor) != PLACE_NONE)
                ;
            buckets += all - cursor.left + 1;
        }
        epoch_end();
        assert_true(buckets <= LOOKUPS * 2);
    }
    world_deinit(&world);
}

/* Keys that come and go at the same number leave nothing behind. */
static void test_memory_is_steady(void **state)
{
    (void)state;
    skip_under_tsan();
    enum {
        KEYS = 200000,
        ROUNDS = 4
    };
    struct world world;
    world_init(&world, 8, 2 * KEYS, (2 * ROUNDS + 2) * KEYS, hash_good);
    uint64_t highest = 0;
    for (uint32_t i = 0; i < 2 * ROUNDS * KEYS; i++) {
        uint32_t key = i % (2 * KEYS);
        world_insert(&world, key);
        if (i >= KEYS)
            world_remove(&world, (i - KEYS) % (2 * KEYS));
        uint64_t bytes = i % 1024 == 0 ? index_memory_bytes(world.index) : 0;
        highest = i > 2 * KEYS && bytes > highest ? bytes : highest;
    }
    assert_true(highest < UINT64_C(24) * KEYS);
    world_check_all(&world);
    world_deinit(&world);
}

/* False: no memory, not even when all that was retired is back. */
static bool world_try_insert(struct world *world, uint32_t key)
{
    uint64_t place = world_new_place(world, key);
    kvs_status status = index_insert(world->index, world->hash(world, key), place);
    for (unsigned i = 0; i < 3 && status == KVS_NO_MEMORY; i++) {
        epoch_barrier(world->epoch);
        status = index_insert(world->index, world->hash(world, key), place);
    }
    if (status != KVS_OK)
        return false;
    world->place[key] = place;
    world->present++;
    return true;
}

static void test_memory_limit(void **state)
{
    (void)state;
    enum {
        KEYS = 600000
    };
    struct world world;
    world_init(&world, 8, KEYS, 2 * KEYS, hash_good);
    index_free(world.index);
    world.index = index_make(world.epoch, 8, UINT64_C(4) << 20);
    uint32_t key = 0;
    while (key < KEYS && world_try_insert(&world, key))
        key++;
    assert_int_equal(index_insert(world.index, hash_good(&world, key), 1), KVS_NO_MEMORY);
    assert_in_range(key, 300000, KEYS - 1);
    assert_true(index_memory_bytes(world.index) < UINT64_C(5) << 20);
    world_check_all(&world);
    /* Room that was promised is there; room that is not cannot be promised. */
    uint64_t hashes[2] = {hash_good(&world, key), hash_good(&world, key)};
    assert_int_equal(index_reserve(world.index, hashes, 2), KVS_NO_MEMORY);
    for (uint32_t gone = 0; gone < 1000; gone++)
        world_remove(&world, gone);
    assert_int_equal(index_reserve(world.index, hashes, 2), KVS_OK);
    while (index_insert(world.index, hashes[0], world_new_place(&world, 0)) == KVS_OK)
        ;
    for (unsigned i = 0; i < 2; i++)
        index_insert_reserved(world.index, hashes[i], world_new_place(&world, 0));
    world_deinit(&world);
}

static void test_reservations(void **state)
{
    (void)state;
    enum {
        KEYS = 3000
    };
    struct world world;
    world_init(&world, 4, KEYS, 2 * KEYS, hash_good);
    uint64_t hashes[KEYS];
    for (uint32_t key = 0; key < KEYS; key++)
        hashes[key] = hash_good(&world, key);
    assert_int_equal(index_reserve(world.index, hashes, KEYS), KVS_OK);
    assert_int_equal(index_count(world.index), 0);
    index_unreserve(world.index, hashes, KEYS / 2);
    for (uint32_t key = KEYS / 2; key < KEYS; key++) {
        world.place[key] = world_new_place(&world, key);
        index_insert_reserved(world.index, hashes[key], world.place[key]);
        world.present++;
    }
    world_check_all(&world);
    world_deinit(&world);
}

/* ---- walking ------------------------------------------------------------------------------ */

/* Every key that was shown carries the mark; takes the marks away. */
static void world_check_shown(struct world *world, uint32_t first_key, uint32_t step)
{
    for (uint32_t key = first_key; key < world->keys; key += step)
        assert_true((world->owner[world->place[key]] & SHOWN) != 0);
    for (uint64_t place = 0; place < world->next_place; place++)
        world->owner[place] &= ~SHOWN;
}

static uint64_t world_scan(struct world *world, uint64_t cursor, unsigned groups)
{
    while (groups-- > 0) {
        epoch_begin();
        bool more = index_scan(world->index, &cursor, collect, world);
        epoch_end();
        assert_int_equal(more, cursor != 0);
        if (!more)
            return 0;
    }
    return cursor;
}

static void test_scan_shows_all_once(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 5000, 6000, hash_good);
    for (uint32_t key = 0; key < world.keys; key++)
        world_insert(&world, key);
    assert_int_equal(world_scan(&world, 0, UINT32_MAX), 0);
    assert_int_equal(world.matched, world.keys);
    world_check_shown(&world, 0, 1);
    world_deinit(&world);
}

static void test_scan_of_colliding_tags(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 500, 6000, hash_weak);
    for (uint32_t key = 0; key < world.keys; key++)
        world_insert(&world, key);
    assert_int_equal(world_scan(&world, 0, UINT32_MAX), 0);
    assert_int_equal(world.matched, world.keys);
    world_check_shown(&world, 0, 1);
    world_deinit(&world);
}

/* Even keys stay while odd ones are added and removed: every even key is shown. */
static void test_scan_survives_growth(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 40000, 2000000, hash_good);
    for (uint32_t key = 0; key < world.keys; key += 2)
        world_insert(&world, key);
    for (unsigned round = 0; round < 4; round++) {
        uint64_t cursor = 0;
        uint32_t odd = 1;
        do {
            cursor = world_scan(&world, cursor, 1 + (unsigned)random_below(&world, 3));
            for (unsigned i = 0; i < 40; i++, odd = (odd + 2) % world.keys) {
                if (round % 2 == 0 && world.place[odd] == 0)
                    world_insert(&world, odd);
                if (round % 2 != 0 && world.place[odd] != 0)
                    world_remove(&world, odd);
            }
        } while (cursor != 0);
        world_check_shown(&world, 0, 2);
    }
    world_deinit(&world);
}

/* The slots of one index, hashed with the same secret, in another one of other shard bits. */
static void world_reshard(struct world *world, uint32_t shard_bits)
{
    index_free(world->index);
    world->index = index_make(world->epoch, shard_bits, 0);
    for (uint32_t key = 0; key < world->keys; key++)
        assert_int_equal(index_insert(world->index, hash_good(world, key), world->place[key]),
                         KVS_OK);
}

static void test_scan_survives_other_shards(void **state)
{
    (void)state;
    static const uint32_t next_bits[] = {7, 5, 14, 4};
    struct world world;
    world_init(&world, 5, 20000, 30000, hash_good);
    for (uint32_t key = 0; key < world.keys; key++)
        world_insert(&world, key);
    for (unsigned i = 0; i < sizeof(next_bits) / sizeof(next_bits[0]); i++) {
        uint64_t cursor = world_scan(&world, 0, 700);
        assert_true(cursor != 0);
        world_reshard(&world, next_bits[i]);
        assert_int_equal(world_scan(&world, cursor, UINT32_MAX), 0);
        world_check_shown(&world, 0, 1);
    }
    world_deinit(&world);
}

static bool refuse(void *arg, uint64_t place)
{
    (void)arg;
    (void)place;
    return false;
}

static void test_scan_stopped_and_strange_cursors(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 1000, 2000, hash_good);
    for (uint32_t key = 0; key < world.keys; key++)
        world_insert(&world, key);
    uint64_t cursor = 0;
    assert_true(index_scan(world.index, &cursor, refuse, NULL));
    assert_true(cursor != 0); /* stopped is not the end */
    assert_int_equal(world_scan(&world, cursor, UINT32_MAX), 0);
    world_check_shown(&world, 0, 1);
    for (unsigned i = 0; i < 2000; i++) {
        cursor = random_next(&world.random);
        while (index_scan(world.index, &cursor, collect, &world))
            assert_true(cursor != 0);
        assert_int_equal(cursor, 0);
    }
    world_deinit(&world);
}

/* ---- the snapshot ------------------------------------------------------------------------- */

static void test_snapshot(void **state)
{
    (void)state;
    enum {
        KEYS = 50000
    };
    struct world world;
    world_init(&world, 6, KEYS, 4 * KEYS, hash_good);
    for (uint32_t key = 0; key < KEYS; key++)
        world_insert(&world, key);
    for (uint32_t key = 0; key < KEYS; key += 7)
        world_remove(&world, key);
    struct index *other = index_make(world.epoch, 6, 0);
    uint64_t *slots = malloc(KEYS * sizeof(slots[0]));
    assert_non_null(slots);
    for (uint32_t shard = 0; shard < index_shard_count(world.index); shard++) {
        size_t count = index_shard_copy(world.index, shard, slots, KEYS);
        assert_int_equal(count, index_shard_size(world.index, shard));
        assert_true(count > 1);
        assert_int_equal(index_shard_copy(world.index, shard, slots, 1), 1);
        assert_int_equal(index_shard_copy(world.index, shard, slots, KEYS), count);
        assert_int_equal(index_load_shard(other, shard, slots, count), KVS_OK);
        assert_int_equal(index_load_shard(other, shard, slots, count), KVS_INVALID);
    }
    free(slots);
    index_free(world.index);
    world.index = other;
    world_check_all(&world);
    world_churn(&world, 50000);
    world_check_all(&world);
    world_deinit(&world);
}

static void test_snapshot_refuses_bad_slots(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4, 10, 20, hash_good);
    uint64_t good = index_slot(UINT64_C(0x7777), 5);
    assert_int_equal(index_load_shard(world.index, 0, (uint64_t[]){good, 5}, 2), KVS_CORRUPT);
    assert_int_equal(index_load_shard(world.index, 0, (uint64_t[]){good, good & ~PLACE_MASK}, 2),
                     KVS_CORRUPT);
    assert_int_equal(index_shard_size(world.index, 0), 0);
    assert_int_equal(index_load_shard(world.index, 0, NULL, 0), KVS_OK);
    assert_int_equal(index_load_shard(world.index, 0, &good, 1), KVS_OK);
    assert_int_equal(index_count(world.index), 1);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refuses_bad_configurations),
        cmocka_unit_test(test_hash_never_changes),
        cmocka_unit_test(test_shard_bits),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_colliding_tags),
        cmocka_unit_test(test_one_tag_for_all),
        cmocka_unit_test(test_tag_zero),
        cmocka_unit_test(test_removed_from_a_full_bucket),
        cmocka_unit_test(test_largest_place),
        cmocka_unit_test(test_memory_per_key),
        cmocka_unit_test(test_memory_shrinks),
        cmocka_unit_test(test_memory_beside_a_long_section),
        cmocka_unit_test(test_memory_of_uneven_growth),
        cmocka_unit_test(test_lookups_stay_short),
        cmocka_unit_test(test_memory_is_steady),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_reservations),
        cmocka_unit_test(test_scan_shows_all_once),
        cmocka_unit_test(test_scan_of_colliding_tags),
        cmocka_unit_test(test_scan_survives_growth),
        cmocka_unit_test(test_scan_survives_other_shards),
        cmocka_unit_test(test_scan_stopped_and_strange_cursors),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_snapshot_refuses_bad_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
