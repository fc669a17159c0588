/* Snapshots of the index: what is written is loaded, and nothing else ever is. */
#include <stdlib.h>
#include <string.h>

#include "disk_faulty.h"
#include "log_fixture.h"
#include "snapshot.h"
#include "support/support.h"

#define SHARD_BITS 5u
#define SEGMENTS   5u

struct world {
    struct log_fixture *fixture;
    /* Only their numbers and figures count: no file is behind them. */
    struct segment *segments[SEGMENTS];
    uint64_t random;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->fixture = log_fixture_new(SHARD_BITS);
    world->random = 1;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct segment *segment = calloc(1, sizeof(*segment));
        assert_non_null(segment);
        segment->number = 40 - 7 * i;
        segment->generation = 1000 + i;
        atomic_store(&segment->end, 1000000 + 8 * i);
        atomic_store(&segment->live_bytes, 500 + i);
        atomic_store(&segment->tombstone_bytes, 50 + i);
        world->segments[i] = segment;
    }
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < SEGMENTS; i++)
        free(world->segments[i]);
    log_fixture_free(world->fixture);
    free(world);
    return 0;
}

static void insert_keys(struct world *world, uint32_t keys)
{
    for (uint32_t i = 0; i < keys; i++) {
        uint64_t hash = log_fixture_random(&world->random, UINT32_MAX) << 32 |
                        log_fixture_random(&world->random, UINT32_MAX);
        uint32_t number = 40 - 7 * (uint32_t)log_fixture_random(&world->random, SEGMENTS);
        uint64_t offset = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES +
                          8 * log_fixture_random(&world->random, 100000);
        assert_int_equal(index_insert(world->fixture->db->index, hash, place_make(number, offset)),
                         KVS_OK);
    }
}

static kvs_status write_snapshot(struct world *world, uint32_t segments, struct test_error *error)
{
    test_error_init(error);
    return snapshot_write(world->fixture->db->disk, world->fixture->db->index,
                          world->fixture->secret, world->segments, segments, 4711, &error->error);
}

/* Loads it into an index of its own, or NULL. */
static kvs_status load_with(struct world *world, struct kvs_bytes secret, uint32_t segments,
                            uint32_t threads, struct index **ret_index, uint64_t *ret_sequence,
                            struct test_error *error)
{
    test_error_init(error);
    struct index_config config = {
        .size = sizeof(config),
        .expected_keys = 1,
        .secret = secret,
        .epoch = world->fixture->db->epoch,
    };
    return snapshot_load(world->fixture->db, world->fixture->db->disk, &config, world->segments,
                         segments, threads, ret_index, ret_sequence, &error->error);
}

/* What loading says; frees what it gives. */
static kvs_status try_load(struct world *world, struct test_error *error)
{
    struct index *index = NULL;
    uint64_t sequence = 0;
    kvs_status status =
        load_with(world, world->fixture->secret, SEGMENTS, 1, &index, &sequence, error);
    assert_int_equal(status == KVS_OK, index != NULL);
    assert_int_equal(status == KVS_OK, sequence != 0);
    index_free(index);
    return status;
}

static int compare_slots(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t two = *(const uint64_t *)b;
    return (one > two) - (one < two);
}

static void check_same_shard(struct index *a, struct index *b, uint32_t shard)
{
    uint64_t size = index_shard_size(a, shard);
    assert_int_equal(size, index_shard_size(b, shard));
    uint64_t *one = calloc(size + 1, sizeof(one[0]));
    uint64_t *two = calloc(size + 1, sizeof(two[0]));
    assert_true(one != NULL && two != NULL);
    epoch_begin();
    assert_int_equal(index_shard_copy(a, shard, one, size), size);
    assert_int_equal(index_shard_copy(b, shard, two, size), size);
    epoch_end();
    qsort(one, size, sizeof(one[0]), compare_slots);
    qsort(two, size, sizeof(two[0]), compare_slots);
    assert_memory_equal(one, two, size * sizeof(one[0]));
    free(one);
    free(two);
}

static void check_same(struct index *a, struct index *b)
{
    assert_int_equal(index_shard_count(a), index_shard_count(b));
    for (uint32_t shard = 0; shard < index_shard_count(a); shard++)
        check_same_shard(a, b, shard);
}

/* ------------------------------------------------------------------------------------------- */

static void loads_what_was_written(void **state)
{
    struct world *world = *state;
    struct test_error error;
    const uint32_t bits[] = {4, 5, 6, 9};
    const uint32_t keys[] = {0, 1, 7, 20000};
    for (unsigned i = 0; i < 16; i++) {
        log_fixture_new_index(world->fixture, bits[i % 4]);
        insert_keys(world, keys[i / 4]);
        assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
        for (uint32_t threads = 0; threads < 4; threads++) {
            struct index *index = NULL;
            uint64_t sequence = 0;
            for (uint32_t j = 0; j < SEGMENTS; j++) {
                atomic_store(&world->segments[j]->live_bytes, 0);
                atomic_store(&world->segments[j]->tombstone_bytes, 0);
            }
            assert_status(KVS_OK,
                          load_with(world, world->fixture->secret, SEGMENTS, threads, &index,
                                    &sequence, &error),
                          &error);
            check_same(index, world->fixture->db->index);
            assert_int_equal(sequence, 4711);
            for (uint32_t j = 0; j < SEGMENTS; j++) {
                assert_int_equal(atomic_load(&world->segments[j]->live_bytes), 500 + j);
                assert_int_equal(atomic_load(&world->segments[j]->tombstone_bytes), 50 + j);
            }
            index_free(index);
        }
    }
}

static void loads_an_empty_store(void **state)
{
    struct world *world = *state;
    struct test_error error;
    struct index *index = NULL;
    uint64_t sequence = 0;
    assert_status(KVS_OK, write_snapshot(world, 0, &error), &error);
    assert_status(KVS_OK, load_with(world, world->fixture->secret, 0, 2, &index, &sequence, &error),
                  &error);
    assert_int_equal(index_count(index), 0);
    index_free(index);
    assert_int_equal(try_load(world, &error), KVS_INCOMPATIBLE);
}

/* A loaded index is used like any other. */
static void goes_on_after_loading(void **state)
{
    struct world *world = *state;
    struct test_error error;
    struct kvs_db *db = world->fixture->db;
    uint64_t sequence = 0;
    insert_keys(world, 3000);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    index_free(db->index);
    db->index = NULL;
    assert_status(
        KVS_OK,
        load_with(world, world->fixture->secret, SEGMENTS, 2, &db->index, &sequence, &error),
        &error);
    insert_keys(world, 30000);
    assert_int_equal(index_count(db->index), 33000);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    assert_int_equal(try_load(world, &error), KVS_OK);
}

/* ---- another time ------------------------------------------------------------------------- */

static void refuses_other_segments(void **state)
{
    struct world *world = *state;
    struct test_error error;
    struct index *index = NULL;
    uint64_t sequence = 0;
    struct segment *first = world->segments[0];
    insert_keys(world, 100);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    assert_int_equal(try_load(world, &error), KVS_OK);
    first->generation++;
    assert_int_equal(try_load(world, &error), KVS_INCOMPATIBLE);
    first->generation--;
    first->number++;
    assert_int_equal(try_load(world, &error), KVS_INCOMPATIBLE);
    first->number--;
    atomic_fetch_add(&first->end, 8);
    assert_int_equal(try_load(world, &error), KVS_INCOMPATIBLE);
    atomic_fetch_sub(&first->end, 8);
    assert_int_equal(
        load_with(world, world->fixture->secret, SEGMENTS - 1, 1, &index, &sequence, &error),
        KVS_INCOMPATIBLE);
    struct kvs_bytes other = {"another secret of 16 bytes", 26};
    assert_int_equal(load_with(world, other, SEGMENTS, 1, &index, &sequence, &error),
                     KVS_INCOMPATIBLE);
    assert_null(index);
    /* Their order does not matter. */
    world->segments[0] = world->segments[3];
    world->segments[3] = first;
    assert_int_equal(try_load(world, &error), KVS_OK);
}

static void there_is_none(void **state)
{
    struct world *world = *state;
    struct test_error error;
    assert_int_equal(try_load(world, &error), KVS_MISSING);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    assert_int_equal(try_load(world, &error), KVS_OK);
    snapshot_remove(world->fixture->db->disk);
    assert_int_equal(try_load(world, &error), KVS_MISSING);
    snapshot_remove(world->fixture->db->disk);
}

/* An index with far more keys than its shards are made for is not kept: the next start makes more. */
static void writes_no_outgrown_index(void **state)
{
    struct world *world = *state;
    struct test_error error;
    log_fixture_new_index(world->fixture, 4);
    insert_keys(world, 65551);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    assert_int_equal(try_load(world, &error), KVS_OK);
    insert_keys(world, 1);
    insert_keys(world, 100);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    assert_int_equal(try_load(world, &error), KVS_MISSING);
}

/* ---- damage ------------------------------------------------------------------------------- */

static void notices_every_changed_bit(void **state)
{
    struct world *world = *state;
    struct test_error error;
    insert_keys(world, 100);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    uint64_t bytes = log_fixture_size(world->fixture, SNAPSHOT_NAME);
    for (uint64_t at = 0; at < bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            log_fixture_flip(world->fixture, SNAPSHOT_NAME, at, (uint8_t)(1u << bit));
            assert_int_equal(try_load(world, &error), KVS_CORRUPT);
            assert_non_null(strstr(error.message, SNAPSHOT_NAME " offset "));
            log_fixture_flip(world->fixture, SNAPSHOT_NAME, at, (uint8_t)(1u << bit));
        }
    }
    assert_int_equal(try_load(world, &error), KVS_OK);
}

static void notices_every_missing_byte(void **state)
{
    struct world *world = *state;
    struct test_error error;
    insert_keys(world, 100);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    uint64_t bytes = log_fixture_size(world->fixture, SNAPSHOT_NAME);
    struct disk_file *file;
    assert_status(KVS_OK,
                  disk_file_open(world->fixture->db->disk, SNAPSHOT_NAME, 0, &file, &error.error),
                  &error);
    assert_int_equal(disk_file_truncate(file, bytes + 1, NULL), KVS_OK);
    assert_int_equal(try_load(world, &error), KVS_CORRUPT);
    for (uint64_t left = bytes; left-- > 0;) {
        assert_int_equal(disk_file_truncate(file, left, NULL), KVS_OK);
        assert_int_equal(try_load(world, &error), KVS_CORRUPT);
    }
    disk_file_close(file);
}

/* A place outside of its segment's records would be read by whoever looks its key up. */
static void refuses_places_in_no_segment(void **state)
{
    struct world *world = *state;
    struct test_error error;
    const uint64_t places[] = {
        place_make(41, 8192),    /* no such segment, behind the last one */
        place_make(39, 8192),    /* between two */
        place_make(40, 4096),    /* a frame's header */
        place_make(40, 999984),  /* too near to the end */
        place_make(40, 1000000), /* behind it */
    };
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        log_fixture_new_index(world->fixture, SHARD_BITS);
        assert_int_equal(index_insert(world->fixture->db->index, 42, places[i]), KVS_OK);
        assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
        assert_int_equal(try_load(world, &error), KVS_CORRUPT);
    }
}

/* ---- disks that fail ---------------------------------------------------------------------- */

/* Whichever call fails, and however: what is there afterwards is the old snapshot or the new one. */
static void survives_a_failing_disk(void **state)
{
    struct world *world = *state;
    struct test_error error;
    struct disk *disk = world->fixture->db->disk;
    for (unsigned when = DISK_FAIL_BEFORE; when <= DISK_FAIL_AFTER; when++) {
        uint64_t nth = 0;
        for (;; nth++) {
            disk_faulty_fail(disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
            log_fixture_new_index(world->fixture, SHARD_BITS);
            insert_keys(world, 10);
            assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
            insert_keys(world, 10);
            disk_faulty_fail(disk, DISK_CALLS_CHANGING, nth, 1, KVS_NO_SPACE,
                             (enum disk_fail_when)when);
            kvs_status status = write_snapshot(world, SEGMENTS, &error);
            bool failed = disk_faulty_failures(disk) > 0;
            assert_int_equal(status, failed ? KVS_NO_SPACE : KVS_OK);
            struct index *index = NULL;
            uint64_t sequence;
            disk_faulty_fail(disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
            assert_status(
                KVS_OK,
                load_with(world, world->fixture->secret, SEGMENTS, 1, &index, &sequence, &error),
                &error);
            assert_true(index_count(index) == 10 || index_count(index) == 20);
            index_free(index);
            if (!failed)
                break;
        }
        assert_true(nth > 5);
    }
}

static void says_that_reading_failed(void **state)
{
    struct world *world = *state;
    struct test_error error;
    struct disk *disk = world->fixture->db->disk;
    insert_keys(world, 100);
    assert_status(KVS_OK, write_snapshot(world, SEGMENTS, &error), &error);
    uint64_t nth = 0;
    for (;; nth++) {
        disk_faulty_fail(disk, DISK_CALLS_ALL, nth, 1, KVS_IO, DISK_FAIL_BEFORE);
        kvs_status status = try_load(world, &error);
        if (disk_faulty_failures(disk) == 0)
            break;
        assert_int_equal(status, KVS_IO);
    }
    assert_true(nth > 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loads_what_was_written),
        TEST(loads_an_empty_store),
        TEST(goes_on_after_loading),
        TEST(refuses_other_segments),
        TEST(there_is_none),
        TEST(writes_no_outgrown_index),
        TEST(notices_every_changed_bit),
        TEST(notices_every_missing_byte),
        TEST(refuses_places_in_no_segment),
        TEST(survives_a_failing_disk),
        TEST(says_that_reading_failed),
    };
    return cmocka_run_group_tests_name("engine-log/snapshot", tests, NULL, NULL);
}
