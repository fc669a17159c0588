#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/scan_cursors.h"

static void take(void *arg, struct kvs_bytes key)
{
    char *text = arg;
    memcpy(text, key.ptr, key.len);
    text[key.len] = '\0';
}

/* key NULL: the number is not known. */
static void must_find(struct scan_cursors *cursors, uint64_t number, const char *key)
{
    char text[64] = "";
    assert_int_equal(key != NULL, scan_cursors_find(cursors, number, take, text));
    if (key != NULL)
        assert_string_equal(key, text);
}

static uint64_t put(struct scan_cursors *cursors, uint64_t before, const char *key)
{
    uint64_t number = scan_cursors_put(cursors, before, bytes_of_text(key));
    assert_int_not_equal(0, number);
    assert_true(number < UINT64_C(1) << 53); /* a double holds it */
    return number;
}

static void test_a_walk_keeps_its_last_two(void **state)
{
    (void)state;
    struct scan_cursors *cursors = scan_cursors_new();
    assert_non_null(cursors);
    uint64_t a = put(cursors, 0, "a");
    uint64_t b = put(cursors, a, "b");
    must_find(cursors, a, "a");
    must_find(cursors, b, "b");
    uint64_t c = put(cursors, b, "c");
    must_find(cursors, a, NULL);
    must_find(cursors, b, "b");
    must_find(cursors, c, "c");
    /* Asked again with the one before: two walks from there on. */
    uint64_t again = put(cursors, b, "c2");
    uint64_t d = put(cursors, c, "d");
    must_find(cursors, again, "c2");
    must_find(cursors, d, "d");
    must_find(cursors, 0, NULL);
    must_find(cursors, d + 1, NULL);
    must_find(cursors, UINT64_MAX, NULL);
    scan_cursors_free(cursors);
    scan_cursors_free(NULL);
}

/* A long walk pushes nobody out; too many walks push out the one that rested longest. */
static void test_the_oldest_is_forgotten(void **state)
{
    (void)state;
    static uint64_t numbers[SCAN_CURSORS_MAX + 1];
    char key[16];
    struct scan_cursors *cursors = scan_cursors_new();
    assert_non_null(cursors);
    for (unsigned i = 0; i < SCAN_CURSORS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        numbers[i] = put(cursors, 0, key);
    }
    for (unsigned i = 0; i < 3 * SCAN_CURSORS_MAX; i++)
        numbers[7] = put(cursors, numbers[7], "seven");
    must_find(cursors, numbers[0], "0"); /* and so 1 is the oldest */
    numbers[SCAN_CURSORS_MAX] = put(cursors, 0, "new");
    must_find(cursors, numbers[1], NULL);
    for (unsigned i = 2; i < SCAN_CURSORS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        must_find(cursors, numbers[i], i == 7 ? "seven" : key);
    }
    must_find(cursors, numbers[SCAN_CURSORS_MAX], "new");
    scan_cursors_free(cursors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_walk_keeps_its_last_two),
        cmocka_unit_test(test_the_oldest_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
