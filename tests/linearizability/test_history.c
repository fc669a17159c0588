/* The checker itself, on histories whose answer is known: it must tell right from wrong. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "linearizability/history.h"

#define NEVER TIME_NEVER_NS

static bool check(const struct operation *operations, size_t count)
{
    return history_is_linearizable(operations, count);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void one_after_the_other(void **state)
{
    (void)state;
    const struct operation good[] = {
        {OPERATION_GET, 0, 0, VALUE_ABSENT, 1, 2},
        {OPERATION_SET, 5, 0, 0, 3, 4},
        {OPERATION_GET, 0, 0, 5, 5, 6},
        {OPERATION_REMOVE, 0, 0, 1, 7, 8},
        {OPERATION_REMOVE, 0, 0, 0, 9, 10},
        {OPERATION_SET_ABSENT, 6, 0, 1, 11, 12},
        {OPERATION_SET_ABSENT, 7, 0, 0, 13, 14},
        {OPERATION_EXCHANGE, 8, 0, 6, 15, 16},
        {OPERATION_COMPARE_SET, 9, 8, 1, 17, 18},
        {OPERATION_COMPARE_SET, 10, 8, 0, 19, 20},
        {OPERATION_GET, 0, 0, 9, 21, 22},
    };
    assert_true(check(good, COUNT(good)));
    assert_true(check(good, 0));
    /* Each of the answers, changed, is wrong. */
    for (size_t i = 0; i < COUNT(good); i++) {
        struct operation bad[COUNT(good)];
        if (good[i].kind == OPERATION_SET)
            continue;
        memcpy(bad, good, sizeof(good));
        bad[i].seen = bad[i].seen == 0 ? 1 : 0;
        if (check(bad, COUNT(bad)))
            fail_msg("a wrong answer of operation %zu was not noticed", i);
    }
}

static void at_the_same_time_either_may_be_first(void **state)
{
    (void)state;
    for (uint32_t last = 1; last <= 3; last++) {
        const struct operation history[] = {
            {OPERATION_SET, 1, 0, 0, 10, 20},
            {OPERATION_SET, 2, 0, 0, 11, 19},
            {OPERATION_GET, 0, 0, last, 30, 40},
        };
        assert_int_equal(check(history, COUNT(history)), last != 3);
    }
}

static void a_stale_read_is_noticed(void **state)
{
    (void)state;
    const struct operation history[] = {
        {OPERATION_SET, 1, 0, 0, 1, 2},
        {OPERATION_SET, 2, 0, 0, 3, 4},
        {OPERATION_GET, 0, 0, 1, 5, 6},
    };
    assert_false(check(history, COUNT(history)));
}

static void a_value_seen_once_does_not_go_back(void **state)
{
    (void)state;
    const struct operation history[] = {
        {OPERATION_SET, 1, 0, 0, 1, 2},
        {OPERATION_SET, 2, 0, 0, 3, 20},
        {OPERATION_GET, 0, 0, 2, 4, 5},
        {OPERATION_GET, 0, 0, 1, 6, 7},
    };
    assert_false(check(history, COUNT(history)));
    assert_true(check(history, 3));
}

static void a_lost_update_is_noticed(void **state)
{
    (void)state;
    const struct operation history[] = {
        {OPERATION_SET, 1, 0, 0, 1, 2},
        {OPERATION_EXCHANGE, 2, 0, 1, 3, 10},
        {OPERATION_EXCHANGE, 3, 0, 1, 4, 9}, /* both replaced the same value */
    };
    assert_false(check(history, COUNT(history)));
}

static void two_winners_are_noticed(void **state)
{
    (void)state;
    const struct operation history[] = {
        {OPERATION_SET_ABSENT, 1, 0, 1, 1, 10},
        {OPERATION_SET_ABSENT, 2, 0, 1, 2, 9},
    };
    assert_false(check(history, COUNT(history)));
    const struct operation compare[] = {
        {OPERATION_SET, 1, 0, 0, 1, 2},
        {OPERATION_COMPARE_SET, 2, 1, 1, 3, 10},
        {OPERATION_COMPARE_SET, 3, 1, 1, 4, 9},
    };
    assert_false(check(compare, COUNT(compare)));
}

static void what_never_returned_may_have_happened_or_not(void **state)
{
    (void)state;
    for (uint32_t seen = 1; seen <= 2; seen++) {
        const struct operation history[] = {
            {OPERATION_SET, 1, 0, 0, 1, 2},
            {OPERATION_SET, 2, 0, 0, 3, NEVER},
            {OPERATION_GET, 0, 0, seen, 50, 60},
        };
        assert_true(check(history, COUNT(history)));
    }
    /* But once it was seen, it stays. */
    const struct operation wavering[] = {
        {OPERATION_SET, 1, 0, 0, 1, 2},
        {OPERATION_SET, 2, 0, 0, 3, NEVER},
        {OPERATION_GET, 0, 0, 2, 50, 60},
        {OPERATION_GET, 0, 0, 1, 70, 80},
    };
    assert_false(check(wavering, COUNT(wavering)));
    /* Nor before it was called. */
    const struct operation early[] = {
        {OPERATION_GET, 0, 0, 2, 1, 2},
        {OPERATION_SET, 2, 0, 0, 3, NEVER},
    };
    assert_false(check(early, COUNT(early)));
}

/* Histories of a real register, of some threads whose operations overlap: always good. With one
   answer changed to a value that was never there: always bad. */
static void random_histories(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (unsigned round = 0; round < 200; round++) {
        struct operation history[120];
        uint32_t value = VALUE_ABSENT;
        for (size_t i = 0; i < COUNT(history); i++) {
            uint64_t moment = 1000 * (i + 10);
            struct operation *operation = &history[i];
            *operation = (struct operation){
                .kind = (enum operation_kind)(rand_r(&seed) % 6),
                .value = (uint32_t)(i + 1),
                .expected = rand_r(&seed) % 2 != 0 ? value : 99999,
                .called_ns = moment - (uint64_t)(rand_r(&seed) % 5000),
                .returned_ns = moment + (uint64_t)(rand_r(&seed) % 5000),
            };
            bool applies = operation->kind == OPERATION_COMPARE_SET
                               ? value == operation->expected
                               : operation->kind != OPERATION_SET_ABSENT || value == VALUE_ABSENT;
            operation->seen =
                operation->kind == OPERATION_GET || operation->kind == OPERATION_EXCHANGE ? value
                : operation->kind == OPERATION_REMOVE ? value != VALUE_ABSENT
                                                      : applies;
            if (operation->kind == OPERATION_REMOVE)
                value = VALUE_ABSENT;
            else if (operation->kind != OPERATION_GET && applies)
                value = operation->value;
        }
        assert_true(check(history, COUNT(history)));
        for (size_t i = 0; i < COUNT(history); i++) {
            if (history[i].kind == OPERATION_GET || history[i].kind == OPERATION_EXCHANGE) {
                history[i].seen = 77777;
                assert_false(check(history, COUNT(history)));
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(at_the_same_time_either_may_be_first),
        cmocka_unit_test(a_stale_read_is_noticed),
        cmocka_unit_test(a_value_seen_once_does_not_go_back),
        cmocka_unit_test(a_lost_update_is_noticed),
        cmocka_unit_test(two_winners_are_noticed),
        cmocka_unit_test(what_never_returned_may_have_happened_or_not),
        cmocka_unit_test(random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
