/* What becomes of each operation of a batch, decided against the index, what is pending, and what came
   before it in the batch. Nothing is appended. */
#include "log_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "appender.h"
#include "appender_internal.h"
#include "publish.h"
#include "support/support.h"

#define SHARD_BITS    4u
#define SEGMENT_BYTES (UINT64_C(1) << 20)
#define VALUE         "a value"
#define OPS_MAX       1000u

struct world {
    struct log_fixture *fixture;
    struct segment *segment;
    struct kvs_op ops[OPS_MAX];
    uint32_t keys[OPS_MAX];
    uint64_t count;
    struct kvs_batch batch;
    struct batch_plan plan;
    struct kvs_op stored;
    uint32_t stored_key;
};

static struct kvs_bytes key_at(const uint32_t *key)
{
    return (struct kvs_bytes){key, sizeof(*key)};
}

/* The store has the key 1, with VALUE. */
static void store_one(struct world *world)
{
    struct kvs_db *db = world->fixture->db;
    world->stored_key = 1;
    struct record record = {.sequence = 1,
                            .kind = RECORD_SET,
                            .key = key_at(&world->stored_key),
                            .value = {VALUE, strlen(VALUE)}};
    world->stored = (struct kvs_op){.kind = KVS_OP_SET, .key = record.key, .value = record.value};
    struct placed placed = {
        .op = &world->stored,
        .hash = index_hash(db->index, record.key),
        .place = place_make(1, log_fixture_append(world->segment, &record, 1)),
        .sequence = 1,
        .bytes = (uint32_t)record_bytes(record.key.len, record.value.len),
    };
    epoch_begin();
    publish_one(db, &placed);
    epoch_end();
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->fixture = log_fixture_new(SHARD_BITS);
    struct kvs_db *db = world->fixture->db;
    db->durability = KVS_DURABILITY_NONE;
    assert_int_equal(KVS_OK, segment_table_init(&db->table, NULL));
    assert_int_equal(KVS_OK, appender_init(db, NULL));
    world->segment = log_fixture_segment(world->fixture, 1, SEGMENT_BYTES);
    segment_table_set(&db->table, 1, world->segment);
    store_one(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    appender_deinit(world->fixture->db);
    segment_free(world->segment);
    segment_table_deinit(&world->fixture->db->table);
    log_fixture_free(world->fixture);
    free(world);
    return 0;
}

/* Adds an operation on a key to the batch. */
static void add(struct world *world, uint32_t kind, uint32_t key, uint32_t condition)
{
    uint64_t i = world->count++;
    world->keys[i] = key;
    world->ops[i] = (struct kvs_op){.kind = kind,
                                    .condition = condition,
                                    .key = key_at(&world->keys[i]),
                                    .value = {VALUE, kind == KVS_OP_SET ? strlen(VALUE) : 0},
                                    .expected = {VALUE, strlen(VALUE)}};
}

static kvs_status decide(struct world *world, uint32_t flags)
{
    world->batch = (struct kvs_batch){
        .size = sizeof(world->batch), .flags = flags, .ops = world->ops, .op_count = world->count};
    world->plan = (struct batch_plan){.batch = &world->batch};
    epoch_begin();
    kvs_status status = appender_decide(world->fixture->db, &world->plan);
    epoch_end();
    return status;
}

/* Takes the batch back, and begins another one. */
static void forget(struct world *world)
{
    appender_forget_staged(world->fixture->db, &world->plan);
    assert_int_equal(0, world->plan.count);
    assert_int_equal(0, world->plan.bytes);
    assert_int_equal(0, world->fixture->db->pending.count);
    world->count = 0;
}

static void one_operation(void **state)
{
    struct world *world = *state;
    const struct {
        uint32_t kind;
        uint32_t key; /* 1 is there, 2 is not */
        uint32_t condition;
        kvs_status status;
    } cases[] = {
        {KVS_OP_SET, 1, KVS_IF_ALWAYS, KVS_OK},
        {KVS_OP_SET, 2, KVS_IF_ALWAYS, KVS_OK},
        {KVS_OP_SET, 1, KVS_IF_ABSENT, KVS_CONDITION_FAILED},
        {KVS_OP_SET, 2, KVS_IF_ABSENT, KVS_OK},
        {KVS_OP_SET, 1, KVS_IF_PRESENT, KVS_OK},
        {KVS_OP_SET, 2, KVS_IF_PRESENT, KVS_CONDITION_FAILED},
        {KVS_OP_SET, 1, KVS_IF_EQUAL, KVS_OK},
        {KVS_OP_SET, 2, KVS_IF_EQUAL, KVS_CONDITION_FAILED},
        {KVS_OP_REMOVE, 1, KVS_IF_ALWAYS, KVS_OK},
        {KVS_OP_REMOVE, 2, KVS_IF_ALWAYS, KVS_NOT_FOUND},
        {KVS_OP_REMOVE, 1, KVS_IF_ABSENT, KVS_CONDITION_FAILED},
        {KVS_OP_CHECK, 1, KVS_IF_PRESENT, KVS_OK},
        {KVS_OP_CHECK, 1, KVS_IF_ABSENT, KVS_CONDITION_FAILED},
        {KVS_OP_CHECK + 1, 1, KVS_IF_ALWAYS, KVS_INVALID},
        {KVS_OP_SET, 1, KVS_IF_EQUAL + 1, KVS_INVALID},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        add(world, cases[i].kind, cases[i].key, cases[i].condition);
        assert_int_equal(KVS_OK, decide(world, 0));
        assert_int_equal(cases[i].status, world->ops[0].status);
        bool is_written = cases[i].status == KVS_OK && cases[i].kind != KVS_OP_CHECK;
        assert_int_equal(is_written ? 1 : 0, world->plan.count);
        assert_false(world->plan.waits);
        if (is_written)
            assert_int_equal(world->plan.bytes,
                             record_bytes(sizeof(uint32_t), world->ops[0].value.len));
        forget(world);
    }
    add(world, KVS_OP_SET, 1, KVS_IF_EQUAL);
    world->ops[0].expected = (struct kvs_bytes){"another", 7};
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_int_equal(KVS_CONDITION_FAILED, world->ops[0].status);
    forget(world);
}

/* Sizes are checked for each operation; the others go on. */
static void sizes(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < 4; i++)
        add(world, KVS_OP_SET, 10 + i, KVS_IF_ALWAYS);
    world->ops[0].key.len = 0;
    world->ops[1].key.len = RECORD_KEY_MAX + 1;
    world->ops[2].value.len = RECORD_VALUE_MAX + 1;
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_int_equal(KVS_INVALID, world->ops[0].status);
    assert_int_equal(KVS_TOO_LARGE, world->ops[1].status);
    assert_int_equal(KVS_TOO_LARGE, world->ops[2].status);
    assert_int_equal(KVS_OK, world->ops[3].status);
    assert_int_equal(1, world->plan.count);
    appender_forget_staged(world->fixture->db, &world->plan);
    assert_int_equal(KVS_INVALID, decide(world, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(0, world->plan.count);
    forget(world);
}

/* Each operation sees what those before it in the batch do. */
static void in_order(void **state)
{
    struct world *world = *state;
    static const kvs_status expected[] = {
        KVS_OK, KVS_CONDITION_FAILED, KVS_OK, KVS_NOT_FOUND, KVS_OK, KVS_OK};
    add(world, KVS_OP_SET, 2, KVS_IF_ABSENT);
    add(world, KVS_OP_SET, 2, KVS_IF_ABSENT);
    add(world, KVS_OP_REMOVE, 2, KVS_IF_EQUAL);
    add(world, KVS_OP_REMOVE, 2, KVS_IF_ALWAYS);
    add(world, KVS_OP_REMOVE, 1, KVS_IF_PRESENT);
    add(world, KVS_OP_SET, 1, KVS_IF_ABSENT);
    assert_int_equal(KVS_OK, decide(world, 0));
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(expected[i], world->ops[i].status);
    assert_int_equal(4, world->plan.count);
    for (uint64_t i = 0; i < world->plan.count; i++)
        assert_non_null(world->fixture->db->staged[i].pending);
    forget(world);
}

static void all_or_none(void **state)
{
    struct world *world = *state;
    add(world, KVS_OP_SET, 2, KVS_IF_ALWAYS);
    add(world, KVS_OP_SET, 1, KVS_IF_ABSENT);
    add(world, KVS_OP_SET, 3, KVS_IF_ALWAYS);
    assert_int_equal(KVS_CONDITION_FAILED, decide(world, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(KVS_OK, world->ops[0].status);
    assert_int_equal(KVS_CONDITION_FAILED, world->ops[1].status);
    assert_int_equal(0, world->plan.count);
    forget(world);
}

/* I3 of appender.c: what is not durable yet decides too, and the answer waits for it. */
static void pending_writes_decide(void **state)
{
    struct world *world = *state;
    struct kvs_db *db = world->fixture->db;
    db->durability = KVS_DURABILITY_ALWAYS;
    uint32_t key = 1;
    struct kvs_op removed = {.kind = KVS_OP_REMOVE, .key = key_at(&key)};
    struct pending_record *record =
        pending_add(&db->pending, index_hash(db->index, removed.key), &removed);
    add(world, KVS_OP_SET, 1, KVS_IF_PRESENT);
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_int_equal(KVS_CONDITION_FAILED, world->ops[0].status);
    assert_true(world->plan.waits);
    pending_remove(&db->pending, record);
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_int_equal(KVS_OK, world->ops[0].status);
    assert_false(world->plan.waits);
    assert_true(db->staged[0].placed.reserved); /* its slot may go before it is published */
    forget(world);
    db->durability = KVS_DURABILITY_NONE;
    add(world, KVS_OP_SET, 1, KVS_IF_ALWAYS);
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_false(db->staged[0].placed.reserved); /* published at once, in the slot that is there */
    forget(world);
}

static void many_operations(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < OPS_MAX; i++)
        add(world, KVS_OP_SET, 100 + i, i % 2 == 0 ? KVS_IF_ALWAYS : KVS_IF_ABSENT);
    assert_int_equal(KVS_OK, decide(world, 0));
    assert_int_equal(OPS_MAX, world->plan.count);
    for (uint32_t i = 0; i < OPS_MAX; i++)
        assert_ptr_equal(&world->ops[i], world->fixture->db->staged[i].placed.op);
    forget(world);
    assert_int_equal(1, index_count(world->fixture->db->index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(all_or_none, setup, teardown),
        cmocka_unit_test_setup_teardown(pending_writes_decide, setup, teardown),
        cmocka_unit_test_setup_teardown(many_operations, setup, teardown),
    };
    return cmocka_run_group_tests_name("engine-log/appender-decide", tests, NULL, NULL);
}
