/* Pending writes: the newest of a key is found first, also after growing; removing one shows the one
   before; and memory is used again. */
#include <stdlib.h>
#include <string.h>

#include "pending.h"
#include "support/support.h"

#define KEYS     300u
#define VERSIONS 4u

struct fixture {
    struct pending_table table;
    uint64_t keys[KEYS];
    struct kvs_op ops[KEYS][VERSIONS];
    struct pending_record *records[KEYS][VERSIONS];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL)
        return -1;
    for (uint64_t key = 0; key < KEYS; key++) {
        fixture->keys[key] = key;
        for (unsigned version = 0; version < VERSIONS; version++)
            fixture->ops[key][version] =
                (struct kvs_op){.kind = KVS_OP_SET, .key = {&fixture->keys[key], sizeof(uint64_t)}};
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    pending_deinit(&fixture->table);
    free(fixture);
    return 0;
}

/* Few hashes, so that chains hold several keys, some with the same hash. */
static uint64_t hash_of(uint64_t key)
{
    return key / 3;
}

static void add(struct fixture *fixture, uint64_t key, unsigned version)
{
    fixture->records[key][version] =
        pending_add(&fixture->table, hash_of(key), &fixture->ops[key][version]);
    assert_non_null(fixture->records[key][version]);
}

static void check_newest(struct fixture *fixture, uint64_t key, const struct kvs_op *expected)
{
    const struct pending_record *found =
        pending_find(&fixture->table, hash_of(key), fixture->ops[key][0].key);
    if (expected == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_ptr_equal(expected, found->placed.op);
}

static void test_newest_first(void **state)
{
    struct fixture *fixture = *state;
    check_newest(fixture, 0, NULL);
    for (unsigned version = 0; version < VERSIONS; version++)
        for (uint64_t key = 0; key < KEYS; key++) {
            add(fixture, key, version); /* it grows several times */
            check_newest(fixture, key, &fixture->ops[key][version]);
        }
    assert_true(fixture->table.bucket_count >= KEYS);
    for (uint64_t key = 0; key < KEYS; key++)
        check_newest(fixture, key, &fixture->ops[key][VERSIONS - 1]);
    assert_int_equal(KEYS * VERSIONS, fixture->table.count);
}

/* The usual order (oldest first), and the one of a batch that is given up (its own only). */
static void test_removal(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned version = 0; version < VERSIONS; version++)
        for (uint64_t key = 0; key < KEYS; key++)
            add(fixture, key, version);
    for (uint64_t key = 0; key < KEYS; key++) {
        pending_remove(&fixture->table, fixture->records[key][VERSIONS - 1]);
        check_newest(fixture, key, &fixture->ops[key][VERSIONS - 2]);
        pending_remove(&fixture->table, fixture->records[key][0]);
        check_newest(fixture, key, &fixture->ops[key][VERSIONS - 2]);
        pending_remove(&fixture->table, fixture->records[key][VERSIONS - 2]);
        pending_remove(&fixture->table, fixture->records[key][1]);
        check_newest(fixture, key, NULL);
    }
    assert_int_equal(0, fixture->table.count);
}

static unsigned count_spares(const struct pending_table *table)
{
    unsigned count = 0;
    for (const struct pending_record *spare = table->spares; spare != NULL; spare = spare->next)
        count++;
    return count;
}

static void test_spares(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t key = 0; key < 10; key++)
        add(fixture, key, 0);
    for (uint64_t key = 0; key < 10; key++)
        pending_remove(&fixture->table, fixture->records[key][0]);
    assert_int_equal(10, count_spares(&fixture->table));
    for (uint64_t key = 0; key < 10; key++) {
        add(fixture, key, 1);
        assert_null(fixture->records[key][1]->next);
        assert_false(fixture->records[key][1]->placed.reserved);
    }
    assert_int_equal(0, count_spares(&fixture->table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spares, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
