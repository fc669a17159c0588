#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static void test_pieces_stay_and_do_not_overlap(void **state)
{
    (void)state;
    struct arena arena = {0};
    uint8_t *pieces[200];
    for (unsigned i = 0; i < 200; i++) {
        size_t size = (size_t)i * i % 3001;
        pieces[i] = arena_take(&arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal(0, (uintptr_t)pieces[i] % _Alignof(max_align_t));
        memset(pieces[i], (int)i, size);
    }
    for (unsigned i = 0; i < 200; i++) {
        for (size_t at = 0; at < (size_t)i * i % 3001; at++)
            assert_int_equal(i, pieces[i][at]);
    }
    arena_deinit(&arena);
}

/* What fits into what is kept allocates nothing the second time. */
static void test_reset_keeps_a_block(void **state)
{
    (void)state;
    struct arena arena = {0};
    void *first = arena_take(&arena, 900);
    arena_reset(&arena);
    assert_int_equal(0, arena.total);
    assert_ptr_equal(first, arena_take(&arena, 900));
    arena_deinit(&arena);
}

static void test_reset_gives_back_what_is_large(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_non_null(arena_take(&arena, ARENA_KEPT_MAX * 16));
    arena_reset(&arena);
    assert_null(arena.blocks);
    const void *small = arena_take(&arena, 100);
    assert_non_null(arena_take(&arena, ARENA_KEPT_MAX * 16));
    assert_non_null(arena_take(&arena, 100));
    arena_reset(&arena);
    assert_non_null(arena.blocks);
    assert_ptr_equal(small, arena_take(&arena, 100));
    arena_deinit(&arena);
    arena_deinit(&arena);
}

static void test_impossible_sizes_give_null(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX / 2));
    assert_non_null(arena_take(&arena, 0));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_stay_and_do_not_overlap),
        cmocka_unit_test(test_reset_keeps_a_block),
        cmocka_unit_test(test_reset_gives_back_what_is_large),
        cmocka_unit_test(test_impossible_sizes_give_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
