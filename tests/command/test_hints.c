#include "support/support.h"

#include <string.h>

#include "base/bytes.h"
#include "command/hints.h"

/* stored NULL: nothing is known; "": the key is removed. */
static void must_say(struct hints *hints, const char *key, const char *stored)
{
    struct hint hint;
    assert_int_equal(stored != NULL, hints_find(hints, bytes_of_text(key), &hint));
    if (stored == NULL)
        return;
    assert_int_equal(*stored != '\0', hint.present);
    assert_true(bytes_equal(bytes_of_text(stored), bytes_of(hint.stored, hint.len)));
}

static uint64_t put(struct hints *hints, const char *key, const char *stored)
{
    struct kvs_bytes bytes = bytes_of_text(stored);
    return hints_put(hints, bytes_of_text(key), *stored != '\0' ? &bytes : NULL);
}

static void test_the_last_one_counts(void **state)
{
    (void)state;
    struct hints *hints = hints_new();
    assert_non_null(hints);
    must_say(hints, "k", NULL);
    uint64_t first = put(hints, "k", "1");
    must_say(hints, "k", "1");
    must_say(hints, "l", NULL);
    uint64_t second = put(hints, "k", "2");
    hints_take_back(hints, bytes_of_text("k"), first);
    must_say(hints, "k", "2");
    uint64_t third = put(hints, "k", "");
    must_say(hints, "k", "");
    hints_take_back(hints, bytes_of_text("k"), second);
    hints_take_back(hints, bytes_of_text("k"), third);
    must_say(hints, "k", NULL);
    hints_free(hints);
    hints_free(NULL);
}

static void test_large_ones_are_not_kept(void **state)
{
    (void)state;
    static char large[HINT_BYTES_MAX + 1];
    struct kvs_bytes most = bytes_of(large, HINT_BYTES_MAX);
    struct kvs_bytes more = bytes_of(large, HINT_BYTES_MAX + 1);
    struct hint hint;
    struct hints *hints = hints_new();
    assert_non_null(hints);
    assert_int_equal(0, hints_put(hints, more, &most));
    assert_int_equal(0, hints_put(hints, most, &more));
    assert_false(hints_find(hints, more, &hint));
    assert_int_not_equal(0, hints_put(hints, most, &most));
    assert_true(hints_find(hints, most, &hint));
    assert_int_equal(HINT_BYTES_MAX, hint.len);
    hints_free(hints);
}

/* A slot that another key took says nothing about the first. */
static void test_keys_are_not_confused(void **state)
{
    (void)state;
    struct hints *hints = hints_new();
    struct hint hint;
    assert_non_null(hints);
    for (unsigned i = 0; i < 1000; i++) {
        struct kvs_bytes key = bytes_of(&i, sizeof(i));
        assert_int_not_equal(0, hints_put(hints, key, &key));
        for (unsigned other = 0; other <= i; other++) {
            if (hints_find(hints, bytes_of(&other, sizeof(other)), &hint))
                assert_memory_equal(&other, hint.stored, sizeof(other));
        }
    }
    hints_free(hints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_counts),
        cmocka_unit_test(test_large_ones_are_not_kept),
        cmocka_unit_test(test_keys_are_not_confused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
