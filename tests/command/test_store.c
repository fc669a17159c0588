/* The store's own batches and conditions, for engines that have none. */
#include "support/support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/store.h"
#include "memory_engine.h"

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static struct kvs_op op_of(uint32_t kind, uint32_t condition, const char *key, const char *value,
                           const char *expected)
{
    return (struct kvs_op){.kind = kind,
                           .condition = condition,
                           .key = text(key),
                           .value = text(value),
                           .expected = text(expected),
                           .status = INT32_MIN};
}

static void open_store(struct store *store, const struct kvs_engine_ops *engine)
{
    static const struct request_limits limits = {.key_max = 65536, .value_max = 1 << 20};
    struct kvs_engine_config config = {.size = sizeof(config)};
    assert_int_equal(KVS_OK, store_open(store, engine, &config, &limits, NULL));
}

static kvs_status submit(struct store *store, struct kvs_op *ops, uint64_t count, uint32_t flags)
{
    struct kvs_batch batch = {.size = sizeof(batch), .flags = flags, .ops = ops, .op_count = count};
    return store_submit(store, NULL, &batch);
}

static int32_t compare(void *arg, struct kvs_bytes value)
{
    assert_true(bytes_equal(text(*(const char **)arg), value));
    return 0;
}

/* value NULL: it is missing. */
static void check_value(struct store *store, const char *key, const char *value)
{
    assert_int_equal(value == NULL ? KVS_NOT_FOUND : KVS_OK,
                     store_get(store, NULL, text(key), compare, &value, NULL));
}

static void each_condition_is_decided(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t condition;
        const char *expected;
        bool holds;
    } cases[] = {
        {"here", KVS_IF_ALWAYS, "", true},   {"gone", KVS_IF_ALWAYS, "", true},
        {"here", KVS_IF_ABSENT, "", false},  {"gone", KVS_IF_ABSENT, "", true},
        {"here", KVS_IF_PRESENT, "", true},  {"gone", KVS_IF_PRESENT, "", false},
        {"here", KVS_IF_EQUAL, "old", true}, {"gone", KVS_IF_EQUAL, "", false},
        {"here", KVS_IF_EQUAL, "ol", false}, {"here", KVS_IF_EQUAL, "", false},
    };
    struct store store;
    open_store(&store, &memory_engine_ops);
    for (uint32_t flags = 0; flags <= KVS_BATCH_ALL_OR_NONE; flags += KVS_BATCH_ALL_OR_NONE) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            bool here = strcmp(cases[i].key, "here") == 0;
            struct kvs_op start[] = {op_of(KVS_OP_SET, KVS_IF_ALWAYS, "here", "old", ""),
                                     op_of(KVS_OP_REMOVE, KVS_IF_ALWAYS, "gone", "", "")};
            assert_int_equal(KVS_OK, submit(&store, start, 2, 0));
            struct kvs_op check =
                op_of(KVS_OP_CHECK, cases[i].condition, cases[i].key, "", cases[i].expected);
            struct kvs_op set =
                op_of(KVS_OP_SET, cases[i].condition, cases[i].key, "new", cases[i].expected);
            kvs_status status = cases[i].holds ? KVS_OK : KVS_CONDITION_FAILED;
            assert_int_equal(flags != 0 ? status : KVS_OK, submit(&store, &check, 1, flags));
            assert_int_equal(status, check.status);
            check_value(&store, "here", "old");
            assert_int_equal(flags != 0 ? status : KVS_OK, submit(&store, &set, 1, flags));
            assert_int_equal(status, set.status);
            check_value(&store, cases[i].key, cases[i].holds ? "new" : here ? "old" : NULL);
        }
    }
    assert_int_equal(KVS_OK, store_close(&store, NULL));
}

static void all_or_none_changes_nothing_when_one_fails(void **state)
{
    (void)state;
    struct store store;
    open_store(&store, &memory_engine_ops);
    struct kvs_op ops[] = {op_of(KVS_OP_SET, KVS_IF_ABSENT, "a", "1", ""),
                           op_of(KVS_OP_CHECK, KVS_IF_PRESENT, "b", "", ""),
                           op_of(KVS_OP_REMOVE, KVS_IF_ALWAYS, "c", "", "")};
    assert_int_equal(KVS_CONDITION_FAILED, submit(&store, ops, 3, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[1].status);
    check_value(&store, "a", NULL);
    ops[1].condition = KVS_IF_ABSENT;
    assert_int_equal(KVS_OK, submit(&store, ops, 3, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(KVS_NOT_FOUND, ops[2].status);
    check_value(&store, "a", "1");
    assert_int_equal(KVS_OK, store_close(&store, NULL));
}

static void a_condition_that_cannot_be_decided_is_a_fault(void **state)
{
    (void)state;
    struct store store;
    struct test_error error;
    open_store(&store, &memory_engine_ops);
    for (uint32_t flags = 0; flags <= KVS_BATCH_ALL_OR_NONE; flags += KVS_BATCH_ALL_OR_NONE) {
        struct kvs_op ops[] = {op_of(KVS_OP_SET, KVS_IF_ABSENT, "broken", "1", ""),
                               op_of(KVS_OP_SET, KVS_IF_ALWAYS, "other", "1", "")};
        struct kvs_batch batch = {.size = sizeof(batch), .flags = flags, .ops = ops, .op_count = 2};
        test_error_init(&error);
        batch.err = &error.error;
        assert_int_equal(flags != 0 ? KVS_IO : KVS_OK, store_submit(&store, NULL, &batch));
        assert_int_equal(KVS_IO, ops[0].status);
        assert_string_equal(error.message, "the disk is on fire");
        check_value(&store, "other", flags != 0 ? NULL : "1");
        struct kvs_op clean = op_of(KVS_OP_REMOVE, KVS_IF_ALWAYS, "other", "", "");
        assert_int_equal(KVS_OK, submit(&store, &clean, 1, 0));
    }
    assert_int_equal(KVS_OK, store_close(&store, NULL));
}

/* ---- races ---------------------------------------------------------------------------------- */

enum {
    THREADS = 4,
    ROUNDS = 300
};

struct counting {
    struct store store;
    pthread_barrier_t start;
};

static int32_t read_number(void *arg, struct kvs_bytes value)
{
    char digits[16] = "";
    memcpy(digits, value.ptr, value.len);
    *(int *)arg = atoi(digits);
    return 0;
}

/* Counts two keys up together, by conditions, and writes a third as it is. */
static void *count_up(void *arg)
{
    struct counting *counting = arg;
    (void)pthread_barrier_wait(&counting->start);
    for (int done = 0; done < ROUNDS;) {
        int number = 0;
        char before[16];
        char after[16];
        (void)store_get(&counting->store, NULL, text("left"), read_number, &number, NULL);
        (void)snprintf(before, sizeof(before), "%d", number);
        (void)snprintf(after, sizeof(after), "%d", number + 1);
        struct kvs_op ops[] = {op_of(KVS_OP_SET, KVS_IF_EQUAL, "left", after, before),
                               op_of(KVS_OP_SET, KVS_IF_ALWAYS, "right", after, ""),
                               op_of(KVS_OP_CHECK, KVS_IF_ABSENT, "never", "", "")};
        kvs_status status = submit(&counting->store, ops, 3, KVS_BATCH_ALL_OR_NONE);
        if (status == KVS_OK)
            done++;
        else if (status != KVS_CONDITION_FAILED)
            return arg;
    }
    return NULL;
}

static void count_on(const struct kvs_engine_ops *engine)
{
    struct counting counting;
    pthread_t threads[THREADS];
    char total[16];
    open_store(&counting.store, engine);
    (void)pthread_barrier_init(&counting.start, NULL, THREADS);
    struct kvs_op zero = op_of(KVS_OP_SET, KVS_IF_ALWAYS, "left", "0", "");
    assert_int_equal(KVS_OK, submit(&counting.store, &zero, 1, 0));
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, count_up, &counting));
    for (unsigned i = 0; i < THREADS; i++) {
        void *fault;
        assert_int_equal(0, pthread_join(threads[i], &fault));
        assert_null(fault);
    }
    (void)snprintf(total, sizeof(total), "%d", THREADS * ROUNDS);
    check_value(&counting.store, "left", total);
    check_value(&counting.store, "right", total);
    (void)pthread_barrier_destroy(&counting.start);
    assert_int_equal(KVS_OK, store_close(&counting.store, NULL));
}

static void racing_conditions_lose_no_update(void **state)
{
    (void)state;
    count_on(&memory_engine_ops);
}

static void one_writer_at_a_time_where_the_engine_wants_it(void **state)
{
    (void)state;
    count_on(&memory_engine_one_writer_ops);
}

/* ---- what expires --------------------------------------------------------------------------- */

static kvs_status say(void *arg, struct kvs_error *err)
{
    kvs_status *status = arg;
    kvs_status said = *status;
    *status = KVS_INTERNAL; /* to be asked once, unless it fails */
    return said == KVS_OK ? KVS_OK : kvs_error_set(err, said, 5, "no");
}

static void lowered(void *arg)
{
    ++*(unsigned *)arg;
}

static void the_first_expiry_is_said_before(void **state)
{
    (void)state;
    struct store store;
    kvs_status status = KVS_IO;
    unsigned count = 0;
    open_store(&store, &memory_engine_ops);
    assert_true(store_is_expiring(&store)); /* nobody knows */
    store_set_plain(&store, say, &status);
    store.expiry_lowered = lowered;
    store.expiry_lowered_arg = &count;
    assert_false(store_is_expiring(&store));
    assert_int_equal(KVS_IO, store_note_expiry(&store, 1000, NULL));
    assert_false(store_is_expiring(&store));
    status = KVS_OK;
    assert_int_equal(KVS_OK, store_note_expiry(&store, 1000, NULL));
    assert_true(store_is_expiring(&store));
    assert_int_equal(KVS_OK, store_note_expiry(&store, 2000, NULL));
    assert_int_equal(1, count);
    assert_int_equal(KVS_OK, store_note_expiry(&store, 500, NULL));
    assert_int_equal(2, count);
    assert_int_equal(500, store.expiry_due_ms);
    assert_int_equal(KVS_OK, store_close(&store, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_is_decided),
        cmocka_unit_test(all_or_none_changes_nothing_when_one_fails),
        cmocka_unit_test(a_condition_that_cannot_be_decided_is_a_fault),
        cmocka_unit_test(the_first_expiry_is_said_before),
        cmocka_unit_test(racing_conditions_lose_no_update),
        cmocka_unit_test(one_writer_at_a_time_where_the_engine_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
