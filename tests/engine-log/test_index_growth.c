/* How the index grows and shrinks: its memory, and how far a lookup has to look. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "index_world.h"
#include "support/support.h"

#define SHARD_JUST_GROWN 564u /* keys at which a shard that grows alone gets a larger table */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_per_key),
        cmocka_unit_test(test_memory_shrinks),
        cmocka_unit_test(test_memory_beside_a_long_section),
        cmocka_unit_test(test_memory_of_uneven_growth),
        cmocka_unit_test(test_lookups_stay_short),
        cmocka_unit_test(test_memory_is_steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
