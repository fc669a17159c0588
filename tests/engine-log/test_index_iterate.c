/* Walking over the index: scans and the snapshot. */
#include <stdlib.h>

#include "index_world.h"
#include "support/support.h"

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
        bool more = index_scan(world->index, &cursor, world_show, world);
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
    assert_true(index_scan_knows(world.index, 0) && index_scan_knows(world.index, cursor));
    assert_false(index_scan_knows(world.index, UINT64_MAX));
    assert_int_equal(world_scan(&world, cursor, UINT32_MAX), 0);
    world_check_shown(&world, 0, 1);
    for (unsigned i = 0; i < 2000; i++) {
        cursor = random_next(&world.random);
        if (!index_scan_knows(world.index, cursor))
            assert_false(index_scan(world.index, &cursor, refuse, NULL));
        while (index_scan(world.index, &cursor, world_show, &world))
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
