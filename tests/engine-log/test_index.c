/* The index on one thread, against a model. */
#include <string.h>

#include "base/bytes.h"
#include "index_world.h"
#include "support/support.h"

#define HASH_OF_NOTHING UINT64_C(0xE441586FD54D322A)
#define HASH_OF_16      UINT64_C(0x163D8DA31D02CD0B)
#define HASH_OF_300     UINT64_C(0xB06F50D97CD65485)

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
    assert_false(index_scan(world.index, &cursor, world_show, &world));
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

/* ---- no memory ---------------------------------------------------------------------------- */

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
    /* So many that some of them, and not just one, are of that shard, whichever it is. */
    for (uint32_t gone = 0; gone < 10000; gone++)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_colliding_tags),
        cmocka_unit_test(test_one_tag_for_all),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refuses_bad_configurations),
        cmocka_unit_test(test_hash_never_changes),
        cmocka_unit_test(test_shard_bits),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_removed_from_a_full_bucket),
        cmocka_unit_test(test_tag_zero),
        cmocka_unit_test(test_largest_place),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_reservations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
