/* The growable buffer: content and order survive growing, moving and consuming. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void assert_sane(const struct buffer *buffer)
{
    assert_true(buffer->start <= buffer->end);
    assert_true(buffer->end <= buffer->cap);
    assert_true((buffer->cap == 0) == (buffer->data == NULL));
}

static void a_zeroed_buffer_is_empty(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_size(&buffer), 0);
    assert_int_equal(buffer_room(&buffer), 0);
    assert_int_equal(buffer_reserve(&buffer, 0), KVS_OK);
    assert_int_equal(buffer_append(&buffer, NULL, 0), KVS_OK);
    buffer_consume(&buffer, 0);
    buffer_commit(&buffer, 0);
    assert_sane(&buffer);
    buffer_deinit(&buffer);
    assert_null(buffer.data);
}

static void reserving_gives_the_room(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        assert_int_equal(buffer_reserve(&buffer, size), KVS_OK);
        assert_true(buffer_room(&buffer) >= size);
        assert_sane(&buffer);
        memset(buffer.data + buffer.end, 'x', size);
    }
    buffer_deinit(&buffer);
}

static void content_survives_growing(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "0123456789", 10), KVS_OK);
    buffer_consume(&buffer, 3);
    assert_int_equal(buffer_reserve(&buffer, buffer.cap), KVS_OK);
    assert_int_equal(buffer_size(&buffer), 7);
    assert_memory_equal(buffer_content(&buffer), "3456789", 7);
    assert_int_equal(buffer.start, 0);
    buffer_deinit(&buffer);
}

/* Where the room is there but lies at the front, the content moves and no memory is taken. */
static void content_moves_before_it_grows(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_reserve(&buffer, 1), KVS_OK);
    size_t cap = buffer.cap;
    const uint8_t *data = buffer.data;
    memset(buffer.data, 'a', cap);
    buffer.data[cap - 1] = 'z';
    buffer_commit(&buffer, cap);
    buffer_consume(&buffer, cap - 1);
    assert_int_equal(buffer_reserve(&buffer, cap - 1), KVS_OK);
    assert_int_equal(buffer.cap, cap);
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer_size(&buffer), 1);
    assert_int_equal(buffer_content(&buffer)[0], 'z');
    assert_int_equal(buffer_reserve(&buffer, cap), KVS_OK);
    assert_int_equal(buffer.cap, 2 * cap);
    assert_int_equal(buffer_content(&buffer)[0], 'z');
    buffer_deinit(&buffer);
}

static void an_emptied_buffer_starts_at_its_front(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "abc", 3), KVS_OK);
    size_t cap = buffer.cap;
    buffer_consume(&buffer, 1);
    assert_int_equal(buffer.start, 1);
    buffer_consume(&buffer, 2);
    assert_int_equal(buffer.start, 0);
    assert_int_equal(buffer_room(&buffer), cap);
    buffer_deinit(&buffer);
}

static void the_last_bytes_can_be_taken_back(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "consumed, kept, taken back", 26), KVS_OK);
    buffer_consume(&buffer, 10);
    buffer_truncate(&buffer, 4);
    assert_sane(&buffer);
    assert_int_equal(buffer_append(&buffer, "!", 1), KVS_OK);
    assert_int_equal(buffer_size(&buffer), 5);
    assert_memory_equal(buffer_content(&buffer), "kept!", 5);
    buffer_truncate(&buffer, 0);
    assert_int_equal(buffer_size(&buffer), 0);
    buffer_deinit(&buffer);
}

static void impossible_sizes_change_nothing(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), KVS_NO_MEMORY);
    assert_sane(&buffer);
    assert_int_equal(buffer_append(&buffer, "abc", 3), KVS_OK);
    struct buffer before = buffer;
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), KVS_NO_MEMORY);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 3), KVS_NO_MEMORY);
    assert_int_equal(buffer_append(&buffer, "x", SIZE_MAX / 2 + 2), KVS_NO_MEMORY);
    assert_memory_equal(&buffer, &before, sizeof(buffer));
    assert_memory_equal(buffer_content(&buffer), "abc", 3);
    buffer_deinit(&buffer);
}

/* What goes in comes out, in order, whatever the pieces. */
static void bytes_come_out_in_order(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    uint8_t piece[700];
    uint8_t in = 0;
    uint8_t out = 0;
    for (uint32_t round = 0; round < 2000; round++) {
        size_t in_size = round * 37 % sizeof(piece);
        for (size_t i = 0; i < in_size; i++)
            piece[i] = in++;
        assert_int_equal(buffer_append(&buffer, piece, in_size), KVS_OK);
        size_t out_size = round * 91 % (buffer_size(&buffer) + 1);
        for (size_t i = 0; i < out_size; i++)
            assert_int_equal(buffer_content(&buffer)[i], out++);
        buffer_consume(&buffer, out_size);
        assert_sane(&buffer);
    }
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_buffer_is_empty),
        cmocka_unit_test(reserving_gives_the_room),
        cmocka_unit_test(content_survives_growing),
        cmocka_unit_test(content_moves_before_it_grows),
        cmocka_unit_test(an_emptied_buffer_starts_at_its_front),
        cmocka_unit_test(the_last_bytes_can_be_taken_back),
        cmocka_unit_test(impossible_sizes_change_nothing),
        cmocka_unit_test(bytes_come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
