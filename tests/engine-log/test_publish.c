/* How records get into the index: alone, and several at one moment, beside readers. */
#include "log_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"
#include "support/support.h"

#define SHARD_BITS    4u
#define SEGMENT_BYTES (UINT64_C(4) << 20)
#define RECORDS_MAX   4096u
#define VALUE_BYTES   40u
#define PAIRS         1000u

struct world {
    struct log_fixture *fixture;
    struct segment *segment;
    uint64_t sequence;
    struct placed placed[RECORDS_MAX];
    struct kvs_op ops[RECORDS_MAX];
    char texts[RECORDS_MAX][32];
    uint32_t count;
    atomic_bool over;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->fixture = log_fixture_new(SHARD_BITS);
    struct kvs_db *db = world->fixture->db;
    assert_int_equal(KVS_OK, segment_table_init(&db->table, NULL));
    assert_int_equal(KVS_OK, publish_init(db, NULL));
    (void)pthread_mutex_init(&db->publish_lock, NULL);
    world->segment = log_fixture_segment(world->fixture, 1, SEGMENT_BYTES);
    segment_table_set(&db->table, 1, world->segment);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    struct kvs_db *db = world->fixture->db;
    publish_deinit(db);
    (void)pthread_mutex_destroy(&db->publish_lock);
    segment_free(world->segment);
    segment_table_deinit(&db->table);
    log_fixture_free(world->fixture);
    free(world);
    return 0;
}

/* A record of the key that is in the segment and not yet in the index. */
static const struct placed *append(struct world *world, enum record_kind kind, uint32_t key)
{
    uint32_t i = world->count++;
    assert_true(i < RECORDS_MAX);
    struct placed *placed = &world->placed[i];
    struct record record =
        kind == RECORD_SET
            ? log_fixture_record(world->texts[i], key, ++world->sequence, VALUE_BYTES)
            : log_fixture_tombstone(world->texts[i], key, ++world->sequence);
    world->ops[i] = (struct kvs_op){.kind = kind == RECORD_SET ? KVS_OP_SET : KVS_OP_REMOVE,
                                    .key = record.key,
                                    .value = record.value};
    *placed = (struct placed){
        .op = &world->ops[i],
        .hash = index_hash(world->fixture->db->index, record.key),
        .place = place_make(1, log_fixture_append(world->segment, &record, 1)),
        .sequence = record.sequence,
        .bytes = (uint32_t)record_bytes(record.key.len, record.value.len),
    };
    return placed;
}

static void publish(struct world *world, enum record_kind kind, uint32_t key)
{
    const struct placed *placed = append(world, kind, key);
    epoch_begin();
    publish_one(world->fixture->db, placed);
    epoch_end();
}

/* The number of the record that a reader gets, 0: none. Inside a read section. */
static uint64_t read_key(const struct kvs_db *db, uint32_t key)
{
    char text[32];
    struct record wanted = log_fixture_record(text, key, 1, 0);
    struct record record = {.sequence = 0};
    uint64_t place = store_find(db, index_hash(db->index, wanted.key), wanted.key, &record);
    while (place != PLACE_NONE) {
        uint64_t visible = publish_visible(db, place, record.sequence);
        if (visible == place)
            return record.kind == RECORD_SET ? record.sequence : 0;
        if (visible != PLACE_NONE && !store_has_key(db, visible, wanted.key, &record))
            return UINT64_MAX; /* the past of another key */
        place = visible;
    }
    return 0;
}

static uint64_t seen(struct world *world, uint32_t key)
{
    epoch_begin();
    uint64_t sequence = read_key(world->fixture->db, key);
    epoch_end();
    return sequence;
}

static int64_t live(const struct world *world)
{
    return atomic_load(&world->segment->live_bytes);
}

static void one_record(void **state)
{
    struct world *world = *state;
    int64_t bytes = (int64_t)record_bytes(strlen("key 7"), VALUE_BYTES);
    assert_int_equal(0, seen(world, 7));
    publish(world, RECORD_SET, 7);
    assert_int_equal(1, seen(world, 7));
    assert_int_equal(bytes, live(world));
    publish(world, RECORD_SET, 7);
    assert_int_equal(2, seen(world, 7));
    assert_int_equal(bytes, live(world)); /* what it replaced is dead */
    assert_int_equal(1, index_count(world->fixture->db->index));
    publish(world, RECORD_TOMBSTONE, 7);
    assert_int_equal(0, seen(world, 7));
    assert_int_equal(0, live(world));
    assert_int_equal(record_bytes(strlen("key 7"), 0),
                     atomic_load(&world->segment->tombstone_bytes));
    assert_int_equal(0, index_count(world->fixture->db->index));
}

/* I1 to I3: a new key, one that is replaced twice, one that is removed. */
static void one_moment(void **state)
{
    struct world *world = *state;
    struct kvs_db *db = world->fixture->db;
    publish(world, RECORD_SET, 2);
    publish(world, RECORD_SET, 3);
    const struct placed *batch[] = {
        append(world, RECORD_SET, 1),
        append(world, RECORD_SET, 2),
        append(world, RECORD_SET, 2),
        append(world, RECORD_TOMBSTONE, 3),
    };
    epoch_begin();
    publish_begin(db, batch[0]->sequence);
    for (unsigned i = 0; i < 4; i++) {
        publish_add(db, batch[i]);
        assert_int_equal(0, read_key(db, 1));
        assert_int_equal(1, read_key(db, 2));
        assert_int_equal(2, read_key(db, 3));
    }
    publish_end(db);
    assert_int_equal(3, read_key(db, 1));
    assert_int_equal(5, read_key(db, 2));
    assert_int_equal(0, read_key(db, 3));
    assert_int_equal(3, index_count(db->index)); /* the removed one's slot, up to now */
    for (unsigned i = 0; i < 4; i++)
        publish_settle(db, batch[i]);
    epoch_end();
    assert_int_equal(2, index_count(db->index));
    assert_int_equal(2 * (int64_t)record_bytes(strlen("key 1"), VALUE_BYTES), live(world));
}

/* A key that is removed and set again in one batch keeps its slot. */
static void removed_and_set_again(void **state)
{
    struct world *world = *state;
    struct kvs_db *db = world->fixture->db;
    publish(world, RECORD_SET, 1);
    const struct placed *batch[] = {append(world, RECORD_TOMBSTONE, 1),
                                    append(world, RECORD_SET, 1)};
    epoch_begin();
    publish_begin(db, batch[0]->sequence);
    for (unsigned i = 0; i < 2; i++)
        publish_add(db, batch[i]);
    assert_int_equal(1, read_key(db, 1));
    publish_end(db);
    for (unsigned i = 0; i < 2; i++)
        publish_settle(db, batch[i]);
    assert_int_equal(3, read_key(db, 1));
    epoch_end();
}

/* Sets both keys of a pair again and again, each time at one moment. */
static void *publish_pairs(void *arg)
{
    struct world *world = arg;
    for (unsigned i = 0; i < PAIRS; i++) {
        const struct placed *batch[] = {append(world, RECORD_SET, 1), append(world, RECORD_SET, 2)};
        epoch_begin();
        publish_begin(world->fixture->db, batch[0]->sequence);
        publish_add(world->fixture->db, batch[0]);
        publish_add(world->fixture->db, batch[1]);
        publish_end(world->fixture->db);
        epoch_end();
        publish_barrier(world->fixture->db);
    }
    atomic_store(&world->over, true);
    return NULL;
}

/* Who sees the one sees the other: numbers are odd for key 1 and even for key 2, in pairs. */
static void beside_a_reader(void **state)
{
    struct world *world = *state;
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, publish_pairs, world));
    while (!atomic_load(&world->over)) {
        epoch_begin();
        uint64_t first = read_key(world->fixture->db, 1);
        uint64_t second = read_key(world->fixture->db, 2);
        epoch_end();
        assert_true(first == 0 || first % 2 == 1);
        assert_int_equal(0, second % 2);
        assert_true(first == 0 || second > first);
    }
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_int_equal(2 * PAIRS - 1, seen(world, 1));
    assert_int_equal(2 * PAIRS, seen(world, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_record, setup, teardown),
        cmocka_unit_test_setup_teardown(one_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_and_set_again, setup, teardown),
        cmocka_unit_test_setup_teardown(beside_a_reader, setup, teardown),
    };
    return cmocka_run_group_tests_name("engine-log/publish", tests, NULL, NULL);
}
