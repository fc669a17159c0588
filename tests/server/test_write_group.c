/* Groups of writes: what goes into one, how it is emptied, how its results are told. */
#include "server/write_group.h"

#include "base/bytes.h"
#include "support/support.h"

static const struct store store = {.batch_ops_max = 1000, .batch_bytes_max = 10000};

static struct kvs_op set_of(const char *key, const char *value)
{
    return (struct kvs_op){
        .kind = KVS_OP_SET, .key = bytes_of_text(key), .value = bytes_of_text(value)};
}

static void push(struct write_group *group, const char *key, const char *value, uint64_t tag)
{
    struct kvs_op op = set_of(key, value);
    write_group_push(group, &op, tag);
}

static void it_is_full_at_its_most(void **state)
{
    (void)state;
    struct write_group *group = write_group_new();
    for (uint64_t i = 0; i < WRITE_GROUP_MAX; i++) {
        assert_true(write_group_reserve(group, &store, 1, 2));
        push(group, "k", "v", i);
    }
    assert_false(write_group_reserve(group, &store, 1, 2));
    assert_int_equal(group->batch.op_count, WRITE_GROUP_MAX);
    assert_int_equal(group->bytes, 2 * WRITE_GROUP_MAX);
    for (uint64_t i = 0; i < WRITE_GROUP_MAX; i++)
        assert_int_equal(group->tags[i], i);
    write_group_reset(group);
    assert_int_equal(group->batch.op_count, 0);
    assert_true(write_group_reserve(group, &store, 1, 2));
    write_group_free(group);
}

static void the_stores_limits_are_kept(void **state)
{
    (void)state;
    static const struct store small = {.batch_ops_max = 3, .batch_bytes_max = 8};
    struct write_group *group = write_group_new();
    /* Alone, even what is over a limit goes: the engine says what it thinks of it. */
    assert_true(write_group_reserve(group, &small, 1, 100));
    assert_false(write_group_reserve(group, &small, 2, 100));
    assert_false(write_group_reserve(group, &small, 4, 4));
    push(group, "abc", "d", 0);
    assert_true(write_group_reserve(group, &small, 2, 4));
    assert_false(write_group_reserve(group, &small, 3, 4));
    assert_false(write_group_reserve(group, &small, 1, 5));
    write_group_free(group);
}

static void one_large_request_makes_it_grow(void **state)
{
    (void)state;
    struct write_group *group = write_group_new();
    uint64_t count = 3 * WRITE_GROUP_MAX;
    assert_true(write_group_reserve(group, &store, count, 2 * count));
    for (uint64_t i = 0; i < count; i++)
        push(group, "k", "v", i);
    assert_int_equal(group->batch.op_count, count);
    assert_ptr_equal(group->batch.ops, group->ops);
    assert_int_equal(group->tags[count - 1], count - 1);
    assert_false(write_group_reserve(group, &store, 1, 2));
    write_group_free(group);
}

static void the_first_faults_message_is_its_own(void **state)
{
    (void)state;
    struct write_group *group = write_group_new();
    const char *message;
    push(group, "a", "1", 0);
    push(group, "b", "2", 0);
    push(group, "c", "3", 0);
    group->ops[0].status = KVS_OK;
    group->ops[1].status = kvs_error_set(group->batch.err, KVS_TOO_LARGE, 0, "b is too large");
    group->ops[2].status = KVS_IO;
    assert_int_equal(write_group_result(group, 0, &message), KVS_OK);
    assert_null(message);
    assert_int_equal(write_group_result(group, 1, &message), KVS_TOO_LARGE);
    assert_string_equal(message, "b is too large");
    assert_int_equal(write_group_result(group, 2, &message), KVS_IO);
    assert_null(message);
    group->status = KVS_READ_ONLY; /* of the whole: it is each one's */
    assert_int_equal(write_group_result(group, 0, &message), KVS_READ_ONLY);
    write_group_reset(group);
    assert_int_equal(group->error.status, KVS_OK);
    write_group_free(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_full_at_its_most),
        cmocka_unit_test(the_stores_limits_are_kept),
        cmocka_unit_test(one_large_request_makes_it_grow),
        cmocka_unit_test(the_first_faults_message_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
