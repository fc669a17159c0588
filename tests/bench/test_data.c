/* Keys and values made from indexes. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/data.h"

static const struct data data = {.seed = 1, .keys = 1000, .value_size = 100};

static void hexadecimal_digits_are_those_of_printf(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 9, 10, 15, 16, 0x9abcdef0, 0xffffffff, 0x01a9f9a0};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char expected[9];
        char digits[8];
        (void)snprintf(expected, sizeof(expected), "%08x", numbers[i]);
        store_le64(digits, data_hex(numbers[i]));
        for (int k = 0; k < 8; k++) /* the lowest digit comes first */
            assert_int_equal(digits[k], expected[7 - k]);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, DATA_KEY_SIZE);
}

static void keys_are_all_different_and_in_random_order(void **state)
{
    (void)state;
    enum {
        COUNT = 20000
    };
    _cleanup_(freep) uint8_t(*keys)[DATA_KEY_SIZE] = malloc(COUNT * sizeof(*keys));
    uint32_t ascending = 0;
    assert_non_null(keys);
    for (uint64_t i = 0; i < COUNT; i++) {
        data_key(&data, i, keys[i]);
        if (i > 0)
            ascending += memcmp(keys[i - 1], keys[i], DATA_KEY_SIZE) < 0;
        for (uint32_t k = 0; k < DATA_KEY_SIZE; k++)
            assert_non_null(memchr("0123456789abcdef", keys[i][k], 16));
    }
    assert_in_range(ascending, COUNT * 45 / 100, COUNT * 55 / 100);
    qsort(keys, COUNT, sizeof(*keys), compare_keys);
    for (uint64_t i = 1; i < COUNT; i++)
        assert_true(memcmp(keys[i - 1], keys[i], DATA_KEY_SIZE) < 0);
}

static void seeds_give_other_keys(void **state)
{
    (void)state;
    uint8_t a[DATA_KEY_SIZE], b[DATA_KEY_SIZE], again[DATA_KEY_SIZE];
    const struct data other = {.seed = 2, .keys = 1000, .value_size = 100};
    data_key(&data, 5, a);
    data_key(&other, 5, b);
    data_key(&data, 5, again);
    assert_memory_not_equal(a, b, DATA_KEY_SIZE);
    assert_memory_equal(a, again, DATA_KEY_SIZE);
}

static void values_know_their_key_and_change_with_their_version(void **state)
{
    (void)state;
    uint8_t first[100], second[100];
    data_value_init(&data, first);
    data_value_init(&data, second);
    data_value_stamp(&data, 7, 1, first);
    data_value_stamp(&data, 7, 2, second);
    assert_memory_not_equal(first, second, 100);
    assert_true(data_value_is_of(&data, 7, first, 100));
    assert_true(data_value_is_of(&data, 7, second, 100));
    assert_false(data_value_is_of(&data, 8, first, 100));
    assert_false(data_value_is_of(&data, 7, first, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_digits_are_those_of_printf),
        cmocka_unit_test(keys_are_all_different_and_in_random_order),
        cmocka_unit_test(seeds_give_other_keys),
        cmocka_unit_test(values_know_their_key_and_change_with_their_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
