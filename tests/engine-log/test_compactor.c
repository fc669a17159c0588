/*
 * Compaction while the store is used: the space it holds to, what it must not lose, and what readers see
 * meanwhile. Segments are 1 MiB, so that all of it happens with little data.
 */
#include "store_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "compactor.h"
#include "space.h"

#define KEYS        4000u
#define VALUE_BYTES 1000u
#define ROUNDS      5u

/* ---- space ---------------------------------------------------------------------------------- */

/* Bytes of frames for the live records, each in a frame of its own. */
static uint64_t live_frames(struct test_store *store)
{
    return test_store_stat(store, "live_bytes") +
           test_store_stat(store, "keys") * (uint64_t)FRAME_HEADER_BYTES;
}

static bool is_within_bound(void *arg)
{
    struct test_store *store = arg;
    uint64_t content = test_store_stat(store, "live_bytes") + test_store_stat(store, "dead_bytes");
    return content <= live_frames(store) * 3 / 2 + 3 * STORE_TEST_SEGMENT;
}

static void test_space_bound(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    uint64_t dice = 7;
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    for (uint64_t round = 0; round < ROUNDS * KEYS; round++)
        assert_int_equal(KVS_OK, put(&store, dice_next(&dice) % KEYS, 2, VALUE_BYTES));
    /* Nobody asked for it. */
    wait_until(is_within_bound, &store);
    assert_true(test_store_stat(&store, "compacted_segments") > 0);
    assert_int_equal(KEYS, test_store_stat(&store, "keys"));
    for (uint64_t key = 0; key < KEYS; key++)
        assert_in_range(version_of(&store, key), 1, 2);
    must_close_store(&store);
    temp_dir_free(dir);
}

static bool is_disk_within_bound(void *arg)
{
    struct test_store *store = arg;
    uint64_t live = test_store_stat(store, "keys") * (STORE_KEY_BYTES + VALUE_BYTES);
    return test_store_stat(store, "disk_bytes") <= live * 3 / 2 + 3 * STORE_TEST_SEGMENT;
}

/* ---- tombstones ----------------------------------------------------------------------------- */

#define COLD 3000u   /* keys that nobody touches but to remove some */
#define HOT  100000u /* and others */

/* An old segment that is all alive but for a few removed keys is not worth compacting, so their old
   records stay in it: their tombstones must stay as well, however often they are copied. */
static void test_tombstones_over_a_cold_base(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < COLD; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    for (uint64_t round = 0; round < 50; round++) {
        if (round == 10) /* in a segment that will be all dead but for them */
            for (uint64_t key = 0; key < COLD; key += 100)
                assert_int_equal(KVS_OK, del(&store, key));
        for (uint64_t key = 0; key < 200; key++)
            assert_int_equal(KVS_OK, put(&store, HOT + key, round, VALUE_BYTES));
    }
    wait_until(is_within_bound, &store);
    for (unsigned round = 0; round < 2; round++) {
        /* A copy has no snapshot, so its index is built from what is in the files. */
        struct test_store again;
        empty_folder(copy);
        assert_int_equal(KVS_OK, engine_log_ops.checkpoint(store.db, copy, NULL));
        must_open_store(&again, copy, KVS_DURABILITY_NONE);
        for (uint64_t key = 0; key < COLD; key++)
            assert_int_equal(key % 100 == 0 ? 0 : 1, version_of(&again, key));
        must_close_store(&again);
        if (round == 0) /* also where everything was copied once */
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
    }
    must_close_store(&store);
    temp_dir_free(copy);
    temp_dir_free(dir);
}

/* ---- what is read of a victim --------------------------------------------------------------- */

/* Where the key's record is. */
static uint64_t place_of(struct test_store *store, uint64_t key)
{
    uint8_t name[STORE_KEY_BYTES];
    struct record record;
    key_of(key, name);
    struct kvs_bytes bytes = {name, STORE_KEY_BYTES};
    epoch_begin();
    uint64_t place = store_find(store->db, index_hash(store->db->index, bytes), bytes, &record);
    epoch_end();
    assert_int_not_equal(PLACE_NONE, place);
    return place;
}

/* Changes a bit of the value of the record there. */
static void damage(struct test_store *store, uint64_t place)
{
    const struct segment *segment = segment_at(&store->db->table, place_segment(place));
    assert_true(segment->writable);
    segment->memory[place_offset_bytes(place) + RECORD_HEADER_BYTES + STORE_KEY_BYTES + 20] ^= 4;
}

/* Fills a store of three segments, of which key 5's record, dead in the first one, is damaged, and compacts
   it. removed: the first one has a tombstone, too. True: the first one went. */
static bool compact_with_damage(bool removed, bool live)
{
    struct test_store store;
    struct kvs_db *db;
    uint64_t version;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    db = store.db;
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    if (removed)
        assert_int_equal(KVS_OK, del(&store, 7));
    uint64_t place = place_of(&store, 5);
    assert_int_equal(0, place_segment(place));
    if (!live)
        assert_int_equal(KVS_OK, put(&store, 5, 2, VALUE_BYTES));
    damage(&store, place);
    for (uint64_t key = 100; key < 3000; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    for (uint64_t key = 50; key < 2500; key++)
        assert_int_equal(KVS_OK, put(&store, key, 2, VALUE_BYTES));
    assert_int_equal(KVS_OK, engine_log_ops.compact(db, NULL));
    assert_int_equal(live ? KVS_CORRUPT : KVS_OK, look(&store, 5, &version));
    for (uint64_t key = 0; key < 3000; key++) {
        if (key == 7 && removed)
            assert_int_equal(KVS_NOT_FOUND, look(&store, key, &version));
        else if (key != 5)
            assert_int_equal(key >= 50 && key < 2500 ? 2 : 1, version_of(&store, key));
    }
    bool stays = test_store_logged(&store, "it is not compacted");
    must_close_store(&store);
    temp_dir_free(dir);
    return !stays;
}

/* A victim is gone through by the index, and what is dead in it is not read; or, for its tombstones, by the
   file, and then all of it is checked. A damaged record that is alive stays where it is in both. */
static void test_damage_in_victims(void **state)
{
    (void)state;
    assert_true(compact_with_damage(false, false));
    assert_false(compact_with_damage(true, false));
    assert_false(compact_with_damage(false, true));
    assert_false(compact_with_damage(true, true));
}

static bool is_first_sealed(void *arg)
{
    return segment_at(&((struct test_store *)arg)->db->table, 0)->sealed != 0;
}

/* Gives the bytes of the first segment behind its frames, once it is sealed: so many of the keys in it are
   written again before. */
static uint64_t footer_after(uint64_t rewritten)
{
    struct test_store store;
    struct test_store again;
    uint64_t bytes;
    char *dir = temp_dir_new();
    char *copy = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    compactor_stop(store.db);
    for (uint64_t i = 0; i < 1500; i++) /* it has room for some 1000 */
        assert_int_equal(KVS_OK, put(&store, i % (1500 - rewritten), i, VALUE_BYTES));
    wait_until(is_first_sealed, &store);
    const struct segment *first = segment_at(&store.db->table, 0);
    assert_int_equal(KVS_OK, disk_file_size(first->file, &bytes, NULL));
    bytes -= first->end;
    /* A copy has no snapshot, so its index is built from the footers, or from the frames. */
    assert_int_equal(KVS_OK, engine_log_ops.checkpoint(store.db, copy, NULL));
    must_open_store(&again, copy, KVS_DURABILITY_NONE);
    for (uint64_t i = rewritten; i < 1500; i++)
        assert_int_equal(i, version_of(&again, i % (1500 - rewritten)));
    must_close_store(&again);
    must_close_store(&store);
    temp_dir_free(copy);
    temp_dir_free(dir);
    return bytes;
}

/* What will be emptied soon gets no footer. */
static void test_footer_of_what_is_dead(void **state)
{
    (void)state;
    assert_true(footer_after(0) > 0);
    assert_int_equal(0, footer_after(1450));
}

/* ---- readers -------------------------------------------------------------------------------- */

#define PAIRS    20u
#define VERSIONS 60u
#define BATCH    32u /* keys: a pair is the first and the last of one */
#define READERS  2u

struct reading {
    struct test_store *store;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic uint64_t faults; /* wrong or missing values, and halves of batches */
    _Atomic uint64_t reads;
};

static int32_t take_version(void *arg, uint64_t index, struct kvs_bytes value)
{
    uint64_t *versions = arg;
    /* No more than that, so that the two lookups follow each other closely. */
    memcpy(&versions[index], (const uint8_t *)value.ptr + 8, sizeof(versions[index]));
    return 0;
}

static kvs_status write_pair(struct test_store *store, uint64_t pair, uint64_t version)
{
    uint64_t keys[BATCH];
    for (unsigned i = 0; i < BATCH; i++)
        keys[i] = pair * BATCH + i;
    return put_batch(store, keys, BATCH, version, VALUE_BYTES);
}

/* A batch becomes visible at one moment, so the second key of a pair, when it is read after the first
   one, is at least as new. */
static bool read_pair(struct reading *reading, uint64_t pair)
{
    uint64_t versions[2] = {0, 0};
    uint8_t names[2][STORE_KEY_BYTES];
    struct kvs_lookup lookups[2];
    for (unsigned i = 0; i < 2; i++) {
        key_of(pair * BATCH + i * (BATCH - 1), names[i]);
        lookups[i] = (struct kvs_lookup){.key = {names[i], STORE_KEY_BYTES}};
    }
    struct kvs_get_many request = {.size = sizeof(request),
                                   .lookups = lookups,
                                   .lookup_count = 2,
                                   .visit = take_version,
                                   .arg = versions};
    return engine_log_ops.get_many(reading->store->db, NULL, &request) == KVS_OK &&
           lookups[0].status == KVS_OK && lookups[1].status == KVS_OK && versions[1] >= versions[0];
}

static void *reading_main(void *arg)
{
    struct reading *reading = arg;
    uint64_t dice = (uintptr_t)arg;
    while (!atomic_load(&reading->stop)) {
        uint64_t pair = dice_next(&dice) % PAIRS;
        uint64_t version;
        if (!read_pair(reading, pair) ||
            (pair == 0 && look(reading->store, BATCH / 2, &version) != KVS_OK))
            (void)atomic_fetch_add(&reading->faults, 1);
        (void)atomic_fetch_add(&reading->reads, 1);
    }
    return NULL;
}

static bool has_read(void *arg)
{
    return atomic_load(&((struct reading *)arg)->reads) > 1000;
}

static void test_readers_meanwhile(void **state)
{
    (void)state;
    struct test_store store;
    struct reading readings[READERS];
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t pair = 0; pair < PAIRS; pair++)
        assert_int_equal(KVS_OK, write_pair(&store, pair, 1));
    for (unsigned i = 0; i < READERS; i++) {
        readings[i] = (struct reading){.store = &store};
        assert_int_equal(0, pthread_create(&readings[i].thread, NULL, reading_main, &readings[i]));
    }
    for (uint64_t version = 2; version <= VERSIONS; version++)
        for (uint64_t pair = 0; pair < PAIRS; pair++)
            assert_int_equal(KVS_OK, write_pair(&store, pair, version));
    assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
    assert_true(test_store_stat(&store, "compacted_segments") > 3);
    for (unsigned i = 0; i < READERS; i++) {
        wait_until(has_read, &readings[i]);
        atomic_store(&readings[i].stop, true);
        assert_int_equal(0, pthread_join(readings[i].thread, NULL));
        assert_int_equal(0, readings[i].faults);
    }
    for (uint64_t key = 0; key < BATCH * PAIRS; key++)
        assert_int_equal(VERSIONS, version_of(&store, key));
    must_close_store(&store);
    temp_dir_free(dir);
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* On request the oldest goes first, each once, and none that is all alive; otherwise the one with the most
   in it that is dead, and none at all where little is. */
static void test_choice(void **state)
{
    (void)state;
    struct test_store store;
    struct space_choice choice;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    compactor_stop(store.db); /* the test chooses */
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    wait_until(test_store_keeper_is_idle, &store);
    assert_false(space_choose(store.db, false, &choice));
    space_mark_all(store.db);
    assert_false(space_choose(store.db, true, &choice));
    /* A little of the first one, most of the second. */
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(KVS_OK, put(&store, key, 2, VALUE_BYTES));
    for (uint64_t key = 1100; key < 1900; key++)
        assert_int_equal(KVS_OK, put(&store, key, 2, VALUE_BYTES));
    assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
    wait_until(test_store_keeper_is_idle, &store);
    space_mark_all(store.db);
    assert_true(space_choose(store.db, true, &choice));
    assert_int_equal(0, choice.victim->number);
    assert_int_not_equal(0, choice.oldest_birth); /* of the others: what came after */
    assert_true(space_choose(store.db, true, &choice));
    assert_int_equal(1, choice.victim->number);
    assert_int_equal(1, choice.oldest_birth); /* the first one is still there */
    for (uint64_t key = 1900; key < KEYS; key++)
        assert_int_equal(KVS_OK, del(&store, key));
    assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
    wait_until(test_store_keeper_is_idle, &store);
    assert_true(space_choose(store.db, false, &choice));
    assert_int_not_equal(0, choice.victim->number);
    must_close_store(&store);
    temp_dir_free(dir);
}

/* What is dead stays until its space is wanted, but for what is all dead. */
static void test_choice_waits(void **state)
{
    (void)state;
    struct test_store store;
    struct space_choice choice;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    compactor_stop(store.db);           /* the test chooses */
    for (uint64_t i = 0; i < 1800; i++) /* half of the first segment, and then the second */
        assert_int_equal(KVS_OK, put(&store, i < 1000 ? i : i - 500, 1, VALUE_BYTES));
    wait_until(test_store_keeper_is_idle, &store);
    assert_false(space_choose(store.db, false, &choice));
    for (uint64_t key = 0; key < 500; key++) /* and its other half */
        assert_int_equal(KVS_OK, put(&store, key, 2, VALUE_BYTES));
    wait_until(test_store_keeper_is_idle, &store);
    assert_true(space_choose(store.db, false, &choice));
    assert_int_equal(0, choice.victim->number);
    must_close_store(&store);
    temp_dir_free(dir);
}

/* The folder's files take what they may, also while everything is written again and again: beside keys and
   values only the records' own bytes, which values of this size make little of. */
static void test_disk_bound(void **state)
{
    (void)state;
    struct test_store store;
    uint64_t dice = 11;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(KVS_OK, put(&store, key, 1, VALUE_BYTES));
    for (uint64_t round = 0; round < ROUNDS * KEYS; round++)
        assert_int_equal(KVS_OK, put(&store, dice_next(&dice) % KEYS, 2, VALUE_BYTES));
    wait_until(is_disk_within_bound, &store);
    must_close_store(&store);
    temp_dir_free(dir);
}

/* Writers are slowed down when a large part is dead, and not before, nor while there is little. */
static void test_pace(void **state)
{
    (void)state;
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    compactor_stop(store.db);
    for (unsigned version = 1; version <= 4; version++) {
        for (uint64_t key = 0; key < KEYS / 2; key++)
            assert_int_equal(KVS_OK, put(&store, key, version, VALUE_BYTES));
        assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
        wait_until(test_store_keeper_is_idle, &store);
        space_set_pace(store.db);
        uint64_t pace_ns = test_store_stat(&store, "write_pace_ns_per_mib");
        if (version == 1)
            assert_int_equal(0, pace_ns);
        if (version == 4)
            assert_int_not_equal(0, pace_ns);
    }
    must_close_store(&store);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space_bound),
        cmocka_unit_test(test_tombstones_over_a_cold_base),
        cmocka_unit_test(test_readers_meanwhile),
        cmocka_unit_test(test_damage_in_victims),
        cmocka_unit_test(test_footer_of_what_is_dead),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_choice_waits),
        cmocka_unit_test(test_disk_bound),
        cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests_name("engine-log/compactor", tests, NULL, NULL);
}
