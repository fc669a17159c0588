/* submit: conditions, atomicity and limits. test_floods.c has many threads doing it. */
#include "engines/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static struct kvs_op with(struct kvs_op op, uint32_t condition, const char *expected)
{
    op.condition = condition;
    if (expected != NULL)
        op.expected = bytes_of_text(expected);
    return op;
}

/* A session on a new store that holds "here" = "old". */
static char *open_with_one(struct session *session)
{
    engine_require(KVS_ENGINE_HAS_SUBMIT);
    char *dir = temp_dir_new();
    session_open(session, dir, NULL);
    check_set(session, text("here"), text("old"));
    return dir;
}

static void close_and_free(struct session *session, char *dir)
{
    session_close(session);
    temp_dir_free(dir);
}

static kvs_status submit(struct session *session, struct kvs_op *ops, uint64_t count,
                         uint32_t flags)
{
    return session_submit(session, NULL, ops, count, flags, NULL);
}

static void test_several_operations(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    struct kvs_op ops[] = {
        op_set(text("a"), text("1")), op_set(text("b"), text("")),      op_remove(text("here")),
        op_remove(text("never was")), op_set(text("c"), text("three")),
    };
    assert_int_equal(KVS_OK, submit(&session, ops, 5, 0));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_OK, ops[1].status);
    assert_int_equal(KVS_OK, ops[2].status);
    assert_int_equal(KVS_NOT_FOUND, ops[3].status);
    assert_int_equal(KVS_OK, ops[4].status);
    for (int round = 0; round < 2; round++) {
        check_value(&session, text("a"), text("1"));
        check_value(&session, text("b"), text(""));
        check_missing(&session, text("here"));
        check_value(&session, text("c"), text("three"));
        session_reopen(&session, dir, NULL);
    }
    close_and_free(&session, dir);
}

/* Each condition, on a key that is there ("here" = "old") and on one that is not. */
static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t condition;
        const char *expected;
        bool holds;
    } cases[] = {
        {"here", KVS_IF_ALWAYS, NULL, true},   {"gone", KVS_IF_ALWAYS, NULL, true},
        {"here", KVS_IF_ABSENT, NULL, false},  {"gone", KVS_IF_ABSENT, NULL, true},
        {"here", KVS_IF_PRESENT, NULL, true},  {"gone", KVS_IF_PRESENT, NULL, false},
        {"here", KVS_IF_EQUAL, "old", true},   {"gone", KVS_IF_EQUAL, "old", false},
        {"here", KVS_IF_EQUAL, "ol", false},   {"gone", KVS_IF_EQUAL, "", false},
        {"here", KVS_IF_EQUAL, "old!", false}, {"here", KVS_IF_EQUAL, "", false},
    };
    struct session session;
    char *dir = open_with_one(&session);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kvs_bytes key = text(cases[i].key);
        struct kvs_op set = with(op_set(key, text("new")), cases[i].condition, cases[i].expected);
        struct kvs_op remove = with(op_remove(key), cases[i].condition, cases[i].expected);
        bool here = strcmp(cases[i].key, "here") == 0;
        kvs_status expected = cases[i].holds ? KVS_OK : KVS_CONDITION_FAILED;

        assert_int_equal(KVS_OK, submit(&session, &set, 1, 0));
        assert_int_equal(expected, set.status);
        if (cases[i].holds)
            check_value(&session, key, text("new"));
        else if (here)
            check_value(&session, key, text("old"));
        else
            check_missing(&session, key);

        if (here)
            check_set(&session, key, text("old"));
        else
            (void)session_remove(&session, NULL, key, NULL);
        assert_int_equal(KVS_OK, submit(&session, &remove, 1, 0));
        assert_int_equal(cases[i].holds && !here ? KVS_NOT_FOUND : expected, remove.status);
        if (cases[i].holds || !here)
            check_missing(&session, key);
        else
            check_value(&session, key, text("old"));
        if (here)
            check_set(&session, key, text("old"));
    }
    close_and_free(&session, dir);
}

static void test_failed_condition_skips_one(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    struct kvs_op ops[] = {
        op_set(text("a"), text("1")),
        with(op_set(text("here"), text("new")), KVS_IF_ABSENT, NULL),
        with(op_remove(text("gone")), KVS_IF_PRESENT, NULL),
        op_set(text("b"), text("2")),
    };
    assert_int_equal(KVS_OK, submit(&session, ops, 4, 0));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[1].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[2].status);
    assert_int_equal(KVS_OK, ops[3].status);
    check_value(&session, text("a"), text("1"));
    check_value(&session, text("here"), text("old"));
    check_value(&session, text("b"), text("2"));
    close_and_free(&session, dir);
}

static void test_all_or_none(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    struct kvs_op ops[] = {
        op_set(text("a"), text("1")),
        with(op_set(text("here"), text("new")), KVS_IF_ABSENT, NULL),
        op_remove(text("here")),
        with(op_set(text("b"), text("2")), KVS_IF_PRESENT, NULL),
        with(op_set(text("c"), text("3")), KVS_IF_ABSENT, NULL),
    };
    assert_int_equal(KVS_CONDITION_FAILED, submit(&session, ops, 5, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[1].status);
    assert_int_equal(KVS_OK, ops[2].status);
    assert_int_equal(KVS_CONDITION_FAILED, ops[3].status);
    assert_int_equal(KVS_OK, ops[4].status);
    check_missing(&session, text("a"));
    check_value(&session, text("here"), text("old"));
    check_missing(&session, text("b"));
    check_missing(&session, text("c"));

    ops[1].condition = KVS_IF_PRESENT;
    ops[3].condition = KVS_IF_ABSENT;
    assert_int_equal(KVS_OK, submit(&session, ops, 5, KVS_BATCH_ALL_OR_NONE));
    for (int i = 0; i < 5; i++)
        assert_int_equal(KVS_OK, ops[i].status);
    for (int round = 0; round < 2; round++) {
        check_value(&session, text("a"), text("1"));
        check_missing(&session, text("here"));
        check_value(&session, text("b"), text("2"));
        check_value(&session, text("c"), text("3"));
        session_reopen(&session, dir, NULL);
    }
    close_and_free(&session, dir);
}

/* Checks change nothing, and decide like conditions of writes: against what the batch's earlier
   operations leave. */
static void test_checks(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    for (uint32_t flags = 0; flags <= KVS_BATCH_ALL_OR_NONE; flags += KVS_BATCH_ALL_OR_NONE) {
        struct kvs_op alone[] = {with(op_check(text("here")), KVS_IF_EQUAL, "old"),
                                 with(op_check(text("gone")), KVS_IF_ABSENT, NULL),
                                 op_check(text("gone"))};
        assert_int_equal(KVS_OK, submit(&session, alone, 3, flags));
        for (int i = 0; i < 3; i++)
            assert_int_equal(KVS_OK, alone[i].status);

        struct kvs_op failing[] = {
            with(op_check(text("here")), KVS_IF_ABSENT, NULL),
            with(op_check(text("gone")), KVS_IF_PRESENT, NULL),
            op_set(text("a"), text("1")),
            with(op_check(text("here")), KVS_IF_EQUAL, "new"),
        };
        kvs_status whole = flags != 0 ? KVS_CONDITION_FAILED : KVS_OK;
        assert_int_equal(whole, submit(&session, failing, 4, flags));
        assert_int_equal(KVS_CONDITION_FAILED, failing[0].status);
        assert_int_equal(KVS_CONDITION_FAILED, failing[1].status);
        assert_int_equal(KVS_OK, failing[2].status);
        assert_int_equal(KVS_CONDITION_FAILED, failing[3].status);
        assert_int_equal(whole, submit(&session, &failing[3], 1, flags));
        assert_int_equal(flags != 0 ? KVS_NOT_FOUND : KVS_OK,
                         session_remove(&session, NULL, text("a"), NULL));

        struct kvs_op between[] = {
            with(op_check(text("here")), KVS_IF_EQUAL, "old"),
            op_set(text("here"), text("new")),
            with(op_check(text("here")), KVS_IF_EQUAL, "new"),
            op_remove(text("here")),
            with(op_check(text("here")), KVS_IF_ABSENT, NULL),
            op_set(text("here"), text("old")),
            with(op_check(text("here")), KVS_IF_PRESENT, NULL),
            op_set(text("b"), text("2")),
            op_check(text("b")),
            with(op_remove(text("b")), KVS_IF_EQUAL, "2"),
        };
        assert_int_equal(KVS_OK, submit(&session, between, 10, flags));
        for (int i = 0; i < 10; i++)
            assert_int_equal(KVS_OK, between[i].status);
        check_value(&session, text("here"), text("old"));
        check_missing(&session, text("gone"));
        check_missing(&session, text("b"));
    }
    session_reopen(&session, dir, NULL);
    check_value(&session, text("here"), text("old"));
    close_and_free(&session, dir);
}

/* Operations see those before them, with either flag. */
static void test_sees_earlier_ones(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    for (uint32_t flags = 0; flags <= KVS_BATCH_ALL_OR_NONE; flags += KVS_BATCH_ALL_OR_NONE) {
        struct kvs_op ops[] = {
            with(op_set(text("k"), text("1")), KVS_IF_ABSENT, NULL),
            with(op_set(text("k"), text("2")), KVS_IF_EQUAL, "1"),
            with(op_remove(text("k")), KVS_IF_EQUAL, "2"),
            with(op_set(text("k"), text("3")), KVS_IF_ABSENT, NULL),
            with(op_remove(text("here")), KVS_IF_PRESENT, NULL),
            with(op_set(text("here"), text("new")), KVS_IF_ABSENT, NULL),
            with(op_set(text("k"), text("4")), KVS_IF_PRESENT, NULL),
        };
        assert_int_equal(KVS_OK, submit(&session, ops, 7, flags));
        for (int i = 0; i < 7; i++)
            assert_int_equal(KVS_OK, ops[i].status);
        check_value(&session, text("k"), text("4"));
        check_value(&session, text("here"), text("new"));
        assert_int_equal(KVS_OK, session_remove(&session, NULL, text("k"), NULL));

        /* What was skipped was not seen. */
        struct kvs_op skipped[] = {
            with(op_set(text("k"), text("1")), KVS_IF_PRESENT, NULL),
            with(op_set(text("k"), text("2")), KVS_IF_ABSENT, NULL),
            op_remove(text("k")),
            op_remove(text("k")),
        };
        if (flags == 0) {
            assert_int_equal(KVS_OK, submit(&session, skipped, 4, flags));
            assert_int_equal(KVS_CONDITION_FAILED, skipped[0].status);
            assert_int_equal(KVS_OK, skipped[1].status);
            assert_int_equal(KVS_OK, skipped[2].status);
            assert_int_equal(KVS_NOT_FOUND, skipped[3].status);
        } else {
            assert_int_equal(KVS_CONDITION_FAILED, submit(&session, skipped, 4, flags));
        }
        check_missing(&session, text("k"));
    }
    close_and_free(&session, dir);
}

/* A batch that is all or none and has thousands of operations, on few keys. */
static void test_large_all_or_none(void **state)
{
    (void)state;
    struct session session;
    char *dir = open_with_one(&session);
    const uint64_t count = engine_ops()->batch_ops_max < 3000 ? engine_ops()->batch_ops_max : 3000;
    struct kvs_op *ops = calloc(count, sizeof(*ops));
    char(*numbers)[24] = calloc(count, sizeof(*numbers));
    assert_non_null(ops);
    assert_non_null(numbers);
    for (uint64_t i = 0; i < count; i++) { /* ten counters, each counted up by conditions */
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%llu", (unsigned long long)i);
        ops[i] = op_set(bytes_of(&"0123456789"[i % 10], 1), text(numbers[i]));
        ops[i].condition = i < 10 ? KVS_IF_ABSENT : KVS_IF_EQUAL;
        if (i >= 10)
            ops[i].expected = text(numbers[i - 10]);
    }
    ops[count - 1].expected = text("wrong");
    assert_int_equal(KVS_CONDITION_FAILED, submit(&session, ops, count, KVS_BATCH_ALL_OR_NONE));
    assert_int_equal(KVS_CONDITION_FAILED, ops[count - 1].status);
    check_missing(&session, text("0"));
    ops[count - 1].expected = text(numbers[count - 11]);
    assert_int_equal(KVS_OK, submit(&session, ops, count, KVS_BATCH_ALL_OR_NONE));
    check_value(&session, ops[count - 1].key, text(numbers[count - 1]));
    check_value(&session, ops[count - 10].key, text(numbers[count - 10]));
    free(ops);
    free(numbers);
    close_and_free(&session, dir);
}

static void test_one_too_large(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char limit[32];
    char *dir = open_with_one(&session);
    const uint64_t key_max = engine_ops()->key_max;
    uint8_t *key = calloc(1, key_max + 1);
    assert_non_null(key);
    (void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)key_max);
    struct kvs_op ops[] = {
        op_set(text("a"), text("1")),
        op_set(bytes_of(key, key_max + 1), text("x")),
        op_set(text("b"), text("2")),
    };
    test_error_init(&error);
    assert_int_equal(KVS_OK, session_submit(&session, NULL, ops, 3, 0, &error));
    assert_int_equal(KVS_OK, ops[0].status);
    assert_int_equal(KVS_TOO_LARGE, ops[1].status);
    assert_int_equal(KVS_OK, ops[2].status);
    assert_non_null(strstr(error.message, limit));
    check_value(&session, text("a"), text("1"));
    check_value(&session, text("b"), text("2"));

    ops[0].value = text("other");
    assert_true(submit(&session, ops, 3, KVS_BATCH_ALL_OR_NONE) != KVS_OK);
    check_value(&session, text("a"), text("1"));
    free(key);
    close_and_free(&session, dir);
}

/* The largest batch by operations, and one more. */
static void test_most_operations(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char limit[32];
    char *dir = open_with_one(&session);
    const uint64_t most = engine_ops()->batch_ops_max;
    if (most > 1000000) {
        print_message("the limit of %llu operations is too far for a test\n",
                      (unsigned long long)most);
        close_and_free(&session, dir);
        skip();
    }
    struct kvs_op *ops = calloc(most + 1, sizeof(*ops));
    char(*keys)[KEY_TEXT_MAX] = calloc(most + 1, sizeof(*keys));
    assert_non_null(ops);
    assert_non_null(keys);
    for (uint64_t i = 0; i <= most; i++) {
        struct kvs_bytes key = key_make(keys[i], "key", i * 7919 % (most + 1));
        ops[i] = op_set(key, key);
    }
    test_error_init(&error);
    (void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)most);
    assert_int_equal(KVS_TOO_LARGE, session_submit(&session, NULL, ops, most + 1, 0, &error));
    assert_non_null(strstr(error.message, limit));
    check_missing(&session, ops[0].key);
    assert_status(KVS_OK, session_submit(&session, NULL, ops, most, 0, &error), &error);
    session_reopen(&session, dir, NULL);
    for (uint64_t i = 0; i < most; i++)
        check_value(&session, ops[i].key, ops[i].key);
    check_missing(&session, ops[most].key);
    free(ops);
    free(keys);
    close_and_free(&session, dir);
}

/* The largest batch by bytes, and one byte more; all its values are one buffer. */
static void test_most_bytes(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char limit[32];
    char *dir = open_with_one(&session);
    const uint64_t most = engine_ops()->batch_bytes_max;
    const uint64_t piece =
        engine_ops()->value_max < (4u << 20) ? engine_ops()->value_max : 4u << 20;
    const uint64_t count = most / (piece + 8) + 1;
    if (most > (UINT64_C(256) << 20) || count > engine_ops()->batch_ops_max) {
        print_message("the limit of %llu bytes is too far for a test\n", (unsigned long long)most);
        close_and_free(&session, dir);
        skip();
    }
    struct kvs_op *ops = calloc(count, sizeof(*ops));
    uint64_t *keys = calloc(count, sizeof(*keys));
    uint8_t *value = calloc(1, piece);
    assert_true(ops != NULL && keys != NULL && value != NULL);
    memset(value, 'v', piece);
    for (uint64_t i = 0, bytes = 0; i < count; i++) {
        keys[i] = i;
        ops[i] = op_set(bytes_of(&keys[i], 8), bytes_of(value, piece));
        if (most + 1 - bytes < piece + 8) /* the last one makes it one byte too much */
            ops[i].value.len = most + 1 - bytes < 8 ? 0 : most + 1 - bytes - 8;
        bytes += 8 + ops[i].value.len;
    }
    test_error_init(&error);
    (void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)most);
    assert_int_equal(KVS_TOO_LARGE, session_submit(&session, NULL, ops, count, 0, &error));
    assert_non_null(strstr(error.message, limit));
    check_missing(&session, ops[0].key);
    ops[0].value.len--;
    assert_status(KVS_OK, session_submit(&session, NULL, ops, count, 0, &error), &error);
    session_reopen(&session, dir, NULL);
    for (uint64_t i = 0; i < count; i++)
        check_value(&session, ops[i].key, ops[i].value);
    free(ops);
    free(keys);
    free(value);
    close_and_free(&session, dir);
}

static void test_durable_batch(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_DURABLE);
    for (uint32_t mode = KVS_DURABILITY_ALWAYS; mode <= KVS_DURABILITY_NONE; mode++) {
        const struct session_config config = {.durability = mode, .interval_ms = 20};
        struct session session;
        char *dir = temp_dir_new();
        session_open(&session, dir, &config);
        for (unsigned i = 0; i < 20; i++) {
            struct kvs_op op = op_set(bytes_of(&i, sizeof(i)), text("value"));
            assert_int_equal(KVS_OK, submit(&session, &op, 1, i % 2 == 0 ? KVS_BATCH_DURABLE : 0));
            assert_int_equal(KVS_OK, op.status);
        }
        session_reopen(&session, dir, &config);
        for (unsigned i = 0; i < 20; i++)
            check_value(&session, bytes_of(&i, sizeof(i)), text("value"));
        close_and_free(&session, dir);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_operations),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_failed_condition_skips_one),
        cmocka_unit_test(test_all_or_none),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_sees_earlier_ones),
        cmocka_unit_test(test_large_all_or_none),
        cmocka_unit_test(test_one_too_large),
        cmocka_unit_test(test_most_operations),
        cmocka_unit_test(test_most_bytes),
        cmocka_unit_test(test_durable_batch),
    };
    return engine_tests_run(argc, argv, "batches", tests, sizeof(tests) / sizeof(tests[0]));
}
