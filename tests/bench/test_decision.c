/* The decision rule (D1 to D3 of decision.h) on made-up attempts and on made-up samples. */
#include "support/support.h"

#include "harness/decision.h"
#include "harness/random.h"

#define FASTER                                                                                     \
    {                                                                                              \
        .value = 1.20, .interval = {1.15, 1.25}, .count = 10                                       \
    }
#define SLOWER                                                                                     \
    {                                                                                              \
        .value = 0.80, .interval = {0.75, 0.85}, .count = 10                                       \
    }
#define UNCLEAR                                                                                    \
    {                                                                                              \
        .value = 1.20, .interval = {0.98, 1.40}, .count = 10                                       \
    } /* against D2 */
#define SMALL                                                                                      \
    {                                                                                              \
        .value = 1.03, .interval = {1.02, 1.04}, .count = 10                                       \
    } /* against D3 */
#define SMALL_2                                                                                    \
    {                                                                                              \
        .value = 0.97, .interval = {0.96, 0.98}, .count = 10                                       \
    } /* against D3 */

static void three_that_agree_decide(void **state)
{
    (void)state;
    const struct ratio faster[] = {FASTER, FASTER, FASTER};
    const struct ratio slower[] = {SLOWER, SLOWER, SLOWER};
    assert_int_equal(decision_make(faster, 3, 0.05), VERDICT_FASTER);
    assert_int_equal(decision_make(slower, 3, 0.05), VERDICT_SLOWER);
}

static void fewer_than_three_decide_nothing(void **state)
{
    (void)state;
    const struct ratio faster[] = {FASTER, FASTER};
    assert_int_equal(decision_make(faster, 0, 0.05), VERDICT_NONE);
    assert_int_equal(decision_make(faster, 1, 0.05), VERDICT_UNDECIDED);
    assert_int_equal(decision_make(faster, 2, 0.05), VERDICT_UNDECIDED);
}

static void one_that_disagrees_means_no_change(void **state)
{
    (void)state;
    const struct ratio opposite[] = {FASTER, FASTER, SLOWER};
    const struct ratio unclear[] = {FASTER, UNCLEAR, FASTER};
    const struct ratio small[] = {SMALL, SMALL, SMALL};
    const struct ratio small_2[] = {SMALL_2, SMALL_2, SMALL_2};
    assert_int_equal(decision_make(opposite, 3, 0.05), VERDICT_NO_CHANGE);
    assert_int_equal(decision_make(unclear, 3, 0.05), VERDICT_NO_CHANGE);
    assert_int_equal(decision_make(unclear + 1, 1, 0.05), VERDICT_NO_CHANGE);
    assert_int_equal(decision_make(small, 3, 0.05), VERDICT_NO_CHANGE);
    assert_int_equal(decision_make(small_2, 3, 0.05), VERDICT_NO_CHANGE);
    assert_int_equal(decision_make(small, 3, 0.01), VERDICT_FASTER);
    assert_int_equal(decision_make(small_2, 3, 0.01), VERDICT_SLOWER);
}

/* One run: samples around rate with 10 % of noise. */
static void draw_run(struct random *random, double rate, double *ret, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = rate * (0.9 + 0.2 * random_unit(random));
}

static enum verdict compare_runs(struct random *random, double before, double now)
{
    enum {
        SAMPLES = 10
    };
    double old[SAMPLES];
    double new[SAMPLES];
    struct ratio attempts[DECISION_ATTEMPTS];
    enum verdict verdict = VERDICT_NONE;
    draw_run(random, before, old, SAMPLES);
    for (size_t i = 0; i < DECISION_ATTEMPTS; i++) {
        draw_run(random, now, new, SAMPLES);
        attempts[i] = statistics_ratio_unpaired(new, SAMPLES, old, SAMPLES, i);
        verdict = decision_make(attempts, i + 1, 0.05);
        if (verdict != VERDICT_UNDECIDED)
            break;
    }
    return verdict;
}

static void noise_is_no_change_and_a_change_is_found(void **state)
{
    (void)state;
    struct random random;
    int false_alarms = 0;
    int found = 0;
    random_init(&random, 17);
    for (int i = 0; i < 100; i++) {
        false_alarms += compare_runs(&random, 1000, 1000) != VERDICT_NO_CHANGE;
        found += compare_runs(&random, 1000, 1300) == VERDICT_FASTER;
        found += compare_runs(&random, 1300, 1000) == VERDICT_SLOWER;
    }
    assert_true(false_alarms <= 1);
    assert_int_equal(found, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_that_agree_decide),
        cmocka_unit_test(fewer_than_three_decide_nothing),
        cmocka_unit_test(one_that_disagrees_means_no_change),
        cmocka_unit_test(noise_is_no_change_and_a_change_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
