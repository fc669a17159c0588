#include <stdlib.h>

#include "base/bytes.h"
#include "index_world.h"
#include "support/support.h"

uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t random_below(struct world *world, uint64_t bound)
{
    return (random_next(&world->random) >> 32) % bound;
}

uint64_t hash_good(const struct world *world, uint32_t key)
{
    return index_hash(world->index, bytes_of(&key, sizeof(key)));
}

/* Few shards and very few tags: long runs of equal tags in neighbouring buckets. */
uint64_t hash_weak(const struct world *world, uint32_t key)
{
    (void)world;
    return (uint64_t)(key % 3) << 62 | (key % 7 == 0 ? 0xFFFF : (key % 5) * 0x3000);
}

/* All keys in one shard with one tag. */
uint64_t hash_same(const struct world *world, uint32_t key)
{
    (void)world;
    (void)key;
    return UINT64_C(0x1234567890ABCDEF);
}

struct index *index_make(struct epoch *epoch, uint32_t shard_bits, uint64_t memory_max_bytes)
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

void world_init(struct world *world, uint32_t shard_bits, uint32_t keys, uint64_t places,
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

void world_deinit(struct world *world)
{
    index_free(world->index);
    epoch_free(world->epoch);
    free(world->place);
    free(world->owner);
}

uint64_t world_new_place(struct world *world, uint32_t key)
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

uint64_t world_find(struct world *world, uint32_t key)
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

void world_insert(struct world *world, uint32_t key)
{
    uint64_t place = world_new_place(world, key);
    assert_int_equal(index_insert(world->index, world->hash(world, key), place), KVS_OK);
    world->place[key] = place;
    world->present++;
}

void world_replace(struct world *world, uint32_t key)
{
    uint64_t place = world_new_place(world, key);
    uint64_t hash = world->hash(world, key);
    assert_true(index_replace(world->index, hash, world->place[key], place));
    assert_false(index_replace(world->index, hash, world->place[key], place));
    world->place[key] = place;
}

void world_remove(struct world *world, uint32_t key)
{
    uint64_t hash = world->hash(world, key);
    assert_true(index_remove(world->index, hash, world->place[key]));
    assert_false(index_remove(world->index, hash, world->place[key]));
    world->place[key] = 0;
    world->present--;
}

void world_check_all(struct world *world)
{
    assert_int_equal(index_count(world->index), world->present);
    for (uint32_t key = 0; key < world->keys; key++)
        assert_int_equal(world_find(world, key), world->place[key]);
}

void world_churn(struct world *world, unsigned steps)
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

bool world_show(void *arg, uint64_t place)
{
    struct world *world = arg;
    assert_true(place > 0 && place < world->next_place);
    world->matched++;
    world->owner[place] |= SHOWN;
    return true;
}
