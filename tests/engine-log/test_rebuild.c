/* Building the index from entries, against a model that remembers the newest record of each key. */
#include <stdlib.h>
#include <string.h>

#include "log_fixture.h"
#include "parallel.h"
#include "rebuild.h"
#include "support/support.h"

#define SEGMENT_BYTES (UINT64_C(8) << 20)
#define SHARD_BITS    8u
#define SEGMENTS_MAX  40u

/* The newest record of a key. */
struct newest {
    uint64_t sequence; /* 0: none */
    bool tombstone;
    uint32_t segment; /* its number */
    uint64_t offset;
    uint64_t bytes;
};

struct world {
    struct log_fixture *fixture;
    struct segment *segments[SEGMENTS_MAX];
    uint32_t count;
    struct newest *keys;
    uint32_t key_count;
    uint64_t sequence; /* the last one */
    uint64_t tombstone_bytes[SEGMENTS_MAX];
    uint64_t random;
};

static void world_init(struct world *world, uint32_t segments, uint32_t keys)
{
    *world = (struct world){.count = segments, .key_count = keys, .random = segments + keys + 1};
    world->fixture = log_fixture_new(SHARD_BITS);
    world->keys = calloc(keys, sizeof(world->keys[0]));
    assert_non_null(world->keys);
    for (uint32_t i = 0; i < segments; i++)
        world->segments[i] = log_fixture_segment(world->fixture, 3 + 7 * i, SEGMENT_BYTES);
}

static void world_deinit(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++)
        segment_free(world->segments[i]);
    free(world->keys);
    log_fixture_free(world->fixture);
}

static void put(struct world *world, uint32_t at, const struct record *record, uint32_t key)
{
    struct segment *segment = world->segments[at];
    uint64_t offset = log_fixture_append(segment, record, 1);
    uint64_t bytes = record_bytes(record->key.len, record->value.len);
    bool tombstone = record->kind == RECORD_TOMBSTONE;
    if (tombstone)
        world->tombstone_bytes[at] += bytes;
    if (record->sequence > world->keys[key].sequence)
        world->keys[key] =
            (struct newest){record->sequence, tombstone, segment->number, offset, bytes};
}

/* Writes records of random keys; segments are filled in any order, as after compaction. */
static void write_records(struct world *world, uint32_t records)
{
    char text[32];
    for (uint32_t i = 0; i < records; i++) {
        uint32_t at = (uint32_t)log_fixture_random(&world->random, world->count);
        uint32_t key = (uint32_t)log_fixture_random(&world->random, world->key_count);
        uint64_t sequence = ++world->sequence;
        struct record record =
            log_fixture_random(&world->random, 4) == 0
                ? log_fixture_tombstone(text, key, sequence)
                : log_fixture_record(text, key, sequence, log_fixture_random(&world->random, 60));
        put(world, at, &record, key);
    }
}

static void seal(struct world *world, uint32_t at)
{
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries;
    assert_status(KVS_OK,
                  footer_collect(world->segments[at], world->fixture->db->index,
                                 world->fixture->secret, false, &entries, &error.error),
                  &error);
    assert_status(KVS_OK, footer_write(world->segments[at], &entries, &error.error), &error);
    footer_entries_deinit(&entries);
    world->segments[at] = log_fixture_reopen(world->fixture, world->segments[at]);
}

static void rebuild(struct world *world, uint32_t threads)
{
    struct test_error error;
    test_error_init(&error);
    struct kvs_db *db = world->fixture->db;
    struct footer_entries entries[SEGMENTS_MAX];
    uint64_t sequence_max = 12345;
    log_fixture_new_index(world->fixture, SHARD_BITS);
    assert_status(KVS_OK,
                  rebuild_entries(db, world->segments, world->count, threads,
                                  world->fixture->secret, entries, &error.error),
                  &error);
    assert_status(KVS_OK,
                  rebuild_index(db, world->segments, entries, world->count, threads, &sequence_max,
                                &error.error),
                  &error);
    assert_int_equal(sequence_max, world->sequence);
    for (uint32_t i = 0; i < world->count; i++)
        footer_entries_deinit(&entries[i]);
}

/* True when the place is among the candidates of the key. */
static bool index_has(const struct index *index, uint64_t hash, uint64_t place)
{
    struct index_cursor cursor;
    uint64_t candidate;
    bool found = false;
    epoch_begin();
    index_cursor_begin(&cursor, index, hash);
    while ((candidate = index_cursor_next(&cursor)) != PLACE_NONE)
        found |= candidate == place;
    epoch_end();
    return found;
}

static void check_index(const struct world *world)
{
    const struct index *index = world->fixture->db->index;
    uint64_t live_bytes[SEGMENTS_MAX] = {0};
    uint64_t present = 0;
    for (uint32_t key = 0; key < world->key_count; key++) {
        const struct newest *newest = &world->keys[key];
        if (newest->sequence == 0 || newest->tombstone)
            continue;
        char text[32];
        struct record record = log_fixture_record(text, key, 1, 0);
        present++;
        live_bytes[(newest->segment - 3) / 7] += newest->bytes;
        assert_true(index_has(index, index_hash(index, record.key),
                              place_make(newest->segment, newest->offset)));
    }
    assert_int_equal(index_count(index), present); /* so there are no others */
    for (uint32_t i = 0; i < world->count; i++) {
        assert_int_equal(atomic_load(&world->segments[i]->live_bytes), live_bytes[i]);
        assert_int_equal(atomic_load(&world->segments[i]->tombstone_bytes),
                         world->tombstone_bytes[i]);
    }
}

/* ------------------------------------------------------------------------------------------- */

static void finds_the_newest_of_each_key(void **state)
{
    (void)state;
    const uint32_t segments[] = {1, 2, 5, 40};
    const uint32_t keys[] = {1, 50, 3000, 1000000};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            struct world world;
            world_init(&world, segments[i], keys[j]);
            write_records(&world, 20000);
            for (uint32_t at = 0; at < world.count; at++)
                if (at % 3 != 1)
                    seal(&world, at);
            for (uint32_t threads = 0; threads < 4; threads++) {
                rebuild(&world, threads);
                check_index(&world);
            }
            world_deinit(&world);
        }
    }
}

static void builds_nothing_from_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 3, 1);
    rebuild(&world, 2);
    check_index(&world);
    seal(&world, 1);
    rebuild(&world, 2);
    check_index(&world);
    uint32_t count = world.count;
    world.count = 0;
    rebuild(&world, 2);
    assert_int_equal(index_count(world.fixture->db->index), 0);
    world.count = count;
    world_deinit(&world);
}

/* A record and its copy have the same number: one of them counts, the first segment's. */
static void counts_a_copy_once(void **state)
{
    (void)state;
    struct world world;
    char text[32];
    world_init(&world, 3, 10);
    write_records(&world, 50);
    for (uint32_t key = 0; key < 10; key++) {
        struct record record = log_fixture_record(text, key, ++world.sequence, key);
        put(&world, 1, &record, key);
        (void)log_fixture_append(world.segments[2], &record, 1);
    }
    rebuild(&world, 2);
    check_index(&world);
    world_deinit(&world);
}

/* Keys whose 64 bits of hash are equal are different keys all the same. */
static void keeps_keys_with_equal_hashes_apart(void **state)
{
    struct world world;
    struct test_error error;
    test_error_init(&error);
    (void)state;
    world_init(&world, 2, 1);
    const uint64_t hash = UINT64_C(0x8123456789ABCDEF);
    const uint64_t upper = UINT64_C(7) << 32; /* the part of check that the table looks at first */
    struct footer_entry first[] = {
        {hash, 1, 5, 1000, 4},
        {hash, 2, 9, 1004, 4 | FOOTER_TOMBSTONE},
        {hash, upper + 1, 3, 1008, 4},
        {hash, upper + 2, 8, 1012, 4},
    };
    struct footer_entry second[] = {
        {hash, 1, 4, 2000, 4},
        {hash, 2, 7, 2004, 4},
        {hash, upper + 1, 6, 2008, 4},
        {hash + 1, 1, 2, 2012, 4},
    };
    struct footer_entries entries[] = {{first, 4, NULL}, {second, 4, NULL}};
    uint64_t sequence_max = 0;
    assert_status(KVS_OK,
                  rebuild_index(world.fixture->db, world.segments, entries, 2, 1, &sequence_max,
                                &error.error),
                  &error);
    const struct index *index = world.fixture->db->index;
    assert_int_equal(sequence_max, 9);
    assert_int_equal(index_count(index), 4);
    assert_true(index_has(index, hash, place_make(3, 8000)));
    assert_true(index_has(index, hash, place_make(3, 8096)));
    assert_true(index_has(index, hash, place_make(10, 16064)));
    assert_true(index_has(index, hash + 1, place_make(10, 16096)));
    assert_int_equal(atomic_load(&world.segments[0]->live_bytes), 64);
    assert_int_equal(atomic_load(&world.segments[1]->live_bytes), 64);
    assert_int_equal(atomic_load(&world.segments[0]->tombstone_bytes), 32);
    world_deinit(&world);
}

/* One shard with all keys: its table grows. */
static void takes_a_shard_of_any_size(void **state)
{
    struct world world;
    struct test_error error;
    test_error_init(&error);
    (void)state;
    world_init(&world, 1, 1);
    enum {
        COUNT = 100000
    };
    struct footer_entry *items = calloc(COUNT, sizeof(items[0]));
    assert_non_null(items);
    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = (struct footer_entry){(uint64_t)i * 977, i, i + 1, 1000 + 4 * i, 4};
    struct footer_entries entries = {items, COUNT, NULL};
    uint64_t sequence_max = 0;
    assert_status(KVS_OK,
                  rebuild_index(world.fixture->db, world.segments, &entries, 1, 2, &sequence_max,
                                &error.error),
                  &error);
    assert_int_equal(index_count(world.fixture->db->index), COUNT);
    for (uint32_t i = 0; i < COUNT; i += 17)
        assert_true(index_has(world.fixture->db->index, items[i].hash,
                              place_make(3, 8 * (uint64_t)items[i].offset)));
    free(items);
    world_deinit(&world);
}

/* ---- footers that are not there or damaged -------------------------------------------------- */

static void reads_frames_where_the_footer_is_damaged(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 3, 100);
    write_records(&world, 1000);
    for (uint32_t at = 0; at < 3; at++)
        seal(&world, at);
    struct segment *segment = world.segments[1];
    segment->memory[segment->end + 100] ^= 4;
    rebuild(&world, 2);
    check_index(&world);
    assert_int_equal(atomic_load(&world.fixture->logged[KVS_LOG_WARN]), 1);
    world_deinit(&world);
}

static void refuses_damaged_frames_without_a_footer(void **state)
{
    (void)state;
    struct world world;
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries[SEGMENTS_MAX];
    world_init(&world, 4, 100);
    write_records(&world, 1000);
    for (uint32_t at = 0; at < 4; at++)
        seal(&world, at);
    for (uint32_t at = 2; at < 4; at++) {
        struct segment *segment = world.segments[at];
        segment->memory[segment->end + 100] ^= 4;
        segment->memory[SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + RECORD_HEADER_BYTES] ^= 1;
    }
    for (uint32_t threads = 1; threads < 4; threads++) {
        assert_int_equal(rebuild_entries(world.fixture->db, world.segments, 4, threads,
                                         world.fixture->secret, entries, &error.error),
                         KVS_CORRUPT);
        assert_non_null(strstr(error.message, "00000017.seg offset 4096"));
    }
    world_deinit(&world);
}

/* ---- parallel_run --------------------------------------------------------------------------- */

struct tally {
    _Atomic uint32_t done[1000];
    _Atomic uint32_t worker_max;
};

static void count_task(void *arg, uint32_t worker, uint32_t task)
{
    struct tally *tally = arg;
    atomic_fetch_add(&tally->done[task], 1);
    uint32_t seen = atomic_load(&tally->worker_max);
    while (worker > seen && !atomic_compare_exchange_weak(&tally->worker_max, &seen, worker))
        continue;
}

static void runs_each_task_once(void **state)
{
    (void)state;
    const uint32_t threads[] = {0, 1, 2, 7, 1000};
    const uint32_t tasks[] = {0, 1, 3, 1000};
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < 4; j++) {
            struct tally tally = {0};
            parallel_run(threads[i], tasks[j], count_task, &tally);
            for (uint32_t task = 0; task < 1000; task++)
                assert_int_equal(tally.done[task], task < tasks[j]);
            assert_true(tally.worker_max < parallel_workers(threads[i], tasks[j]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_newest_of_each_key),
        cmocka_unit_test(builds_nothing_from_nothing),
        cmocka_unit_test(counts_a_copy_once),
        cmocka_unit_test(keeps_keys_with_equal_hashes_apart),
        cmocka_unit_test(takes_a_shard_of_any_size),
        cmocka_unit_test(reads_frames_where_the_footer_is_damaged),
        cmocka_unit_test(refuses_damaged_frames_without_a_footer),
        cmocka_unit_test(runs_each_task_once),
    };
    return cmocka_run_group_tests_name("engine-log/rebuild", tests, NULL, NULL);
}
