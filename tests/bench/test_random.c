/* The random numbers: repeatable, even where they should be, and as skewed as Zipf says. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "harness/random.h"
#include "harness/zipf.h"

static void equal_seeds_give_equal_sequences(void **state)
{
    (void)state;
    struct random a, b, c;
    random_init(&a, 42);
    random_init(&b, 42);
    random_init(&c, 43);
    uint32_t same_as_other = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = random_next(&a);
        assert_int_equal(value, random_next(&b));
        same_as_other += value == random_next(&c);
    }
    assert_int_equal(same_as_other, 0);
}

static void draws_below_a_limit_are_even(void **state)
{
    (void)state;
    enum {
        LIMIT = 10,
        DRAWS = 100000
    };
    uint32_t counts[LIMIT] = {0};
    struct random random;
    random_init(&random, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = random_below(&random, LIMIT);
        assert_true(value < LIMIT);
        counts[value]++;
    }
    for (int i = 0; i < LIMIT; i++) /* five standard deviations of 95 */
        assert_in_range(counts[i], DRAWS / LIMIT - 475, DRAWS / LIMIT + 475);
}

static void mixing_keeps_numbers_apart(void **state)
{
    (void)state;
    enum {
        COUNT = 1 << 16
    };
    static uint8_t seen[COUNT / 8];
    /* The low 16 bits of distinct inputs collide as often as random ones do: 63 % stay occupied. */
    uint32_t occupied = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        uint32_t slot = (uint32_t)random_mix(i) % COUNT;
        occupied += (seen[slot / 8] >> slot % 8 & 1) == 0;
        seen[slot / 8] |= (uint8_t)(1 << slot % 8);
    }
    assert_in_range(occupied, COUNT * 62 / 100, COUNT * 64 / 100);
}

static void a_shuffle_keeps_every_element(void **state)
{
    (void)state;
    uint32_t order[100];
    uint32_t moved = 0;
    uint64_t sum = 0;
    struct random random;
    random_init(&random, 9);
    for (uint32_t i = 0; i < 100; i++)
        order[i] = i;
    random_shuffle(&random, order, 100);
    bool seen[100] = {false};
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(order[i] < 100 && !seen[order[i]]);
        seen[order[i]] = true;
        moved += order[i] != i;
        sum += order[i];
    }
    assert_int_equal(sum, 4950);
    assert_true(moved > 80);
}

/* Every rank's frequency against 1 / (r + 1)^s: chi square over all ranks. */
static void check_zipf(uint64_t count, double exponent)
{
    enum {
        DRAWS = 400000,
        COUNT_MAX = 1000
    };
    static uint32_t counts[COUNT_MAX];
    struct zipf zipf;
    struct random random;
    double total = 0;
    double chi_square = 0;
    memset(counts, 0, sizeof(counts));
    zipf_init(&zipf, count, exponent);
    random_init(&random, 11);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t rank = zipf_next(&zipf, &random);
        assert_true(rank < count);
        counts[rank]++;
    }
    for (uint64_t i = 0; i < count; i++)
        total += pow((double)i + 1, -exponent);
    for (uint64_t i = 0; i < count; i++) {
        double expected = DRAWS * pow((double)i + 1, -exponent) / total;
        chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    double freedom = (double)(count - 1);
    assert_true(chi_square < freedom + 5 * sqrt(2 * freedom) + 1);
}

static void zipf_draws_follow_the_distribution(void **state)
{
    (void)state;
    check_zipf(1000, 0.99);
    check_zipf(1000, 1.0);
    check_zipf(100, 0.5);
    check_zipf(100, 1.5);
    check_zipf(2, 0.99);
    check_zipf(1, 0.99);
}

static int compare_descending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* Scattering moves ranks to other indexes, one to one: the sorted frequencies stay Zipf's. */
static void scattered_draws_keep_their_frequencies(void **state)
{
    (void)state;
    enum {
        COUNT = 1000,
        DRAWS = 200000
    };
    static uint32_t counts[COUNT];
    _cleanup_(freep) uint32_t *draws = zipf_draws(COUNT, 0.99, 3, DRAWS);
    for (int i = 0; i < DRAWS; i++) {
        assert_true(draws[i] < COUNT);
        counts[draws[i]]++;
    }
    uint32_t top = counts[0] > counts[1] ? counts[0] : counts[1];
    double share_of_first = 1 / 7.7290; /* the sum of 1 / r^0.99 for r of 1 to 1000 */
    qsort(counts, COUNT, sizeof(counts[0]), compare_descending);
    assert_true(fabs(counts[0] - share_of_first * DRAWS) < 0.02 * counts[0]);
    assert_true(fabs(counts[1] - share_of_first * DRAWS * pow(2, -0.99)) < 0.03 * counts[1]);
    assert_true(top < counts[0]); /* the frequent ones are not at the front */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_sequences),
        cmocka_unit_test(draws_below_a_limit_are_even),
        cmocka_unit_test(mixing_keeps_numbers_apart),
        cmocka_unit_test(a_shuffle_keeps_every_element),
        cmocka_unit_test(zipf_draws_follow_the_distribution),
        cmocka_unit_test(scattered_draws_keep_their_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
