/* RESP replies: every element in both versions, byte for byte. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/resp_reply.h"

/* A writer into a buffer of its own, and what it wrote. */
struct page {
    struct buffer buffer;
    struct resp_writer writer;
};

static void page_begin(struct page *page, uint32_t version)
{
    *page = (struct page){.writer = {.version = version}};
    page->writer.out = &page->buffer;
}

/* Checks what was written, and forgets it. */
static void expect(struct page *page, const char *expected)
{
    assert_int_equal(page->writer.status, KVS_OK);
    assert_int_equal(buffer_size(&page->buffer), strlen(expected));
    assert_memory_equal(buffer_content(&page->buffer), expected, strlen(expected));
    buffer_consume(&page->buffer, buffer_size(&page->buffer));
}

#define EXPECT_BOTH(call, version_2, version_3)                                                    \
    do {                                                                                           \
        struct page both;                                                                          \
        struct resp_writer *writer = &both.writer;                                                 \
        page_begin(&both, 2);                                                                      \
        call;                                                                                      \
        expect(&both, version_2);                                                                  \
        both.writer.version = 3;                                                                   \
        call;                                                                                      \
        expect(&both, version_3);                                                                  \
        buffer_deinit(&both.buffer);                                                               \
    } while (0)
#define EXPECT(call, text) EXPECT_BOTH(call, text, text)

static void lines(void **state)
{
    (void)state;
    EXPECT(resp_simple(writer, "PONG"), "+PONG\r\n");
    EXPECT(resp_ok(writer), "+OK\r\n");
    EXPECT(resp_error(writer, "ERR unknown command '%s'", "x"), "-ERR unknown command 'x'\r\n");
    EXPECT(resp_error(writer, "ERR a%sb", "\r\n"), "-ERR a  b\r\n");
}

static void a_long_error_is_cut(void **state)
{
    (void)state;
    struct page page;
    char text[2 * RESP_ERROR_MAX];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    page_begin(&page, 2);
    resp_error(&page.writer, "%s", text);
    assert_int_equal(buffer_size(&page.buffer), 1 + RESP_ERROR_MAX - 1 + 2);
    assert_memory_equal(buffer_content(&page.buffer) + RESP_ERROR_MAX, "\r\n", 2);
    buffer_deinit(&page.buffer);
}

static void faults_have_the_codes_that_clients_know(void **state)
{
    (void)state;
    EXPECT(resp_fault(writer, KVS_LOADING, "still reading"), "-LOADING still reading\r\n");
    EXPECT(resp_fault(writer, KVS_READ_ONLY, "no"), "-MISCONF no\r\n");
    EXPECT(resp_fault(writer, KVS_NO_SPACE, ""), "-MISCONF no space\r\n");
    EXPECT(resp_fault(writer, KVS_DENIED, NULL), "-NOPERM permission denied\r\n");
    EXPECT(resp_fault(writer, KVS_TOO_LARGE, "a key"), "-ERR a key\r\n");
}

static void numbers(void **state)
{
    (void)state;
    EXPECT(resp_integer(writer, 0), ":0\r\n");
    EXPECT(resp_integer(writer, 7), ":7\r\n");
    EXPECT(resp_integer(writer, -1), ":-1\r\n");
    EXPECT(resp_integer(writer, 10), ":10\r\n");
    EXPECT(resp_integer(writer, INT64_MAX), ":9223372036854775807\r\n");
    EXPECT(resp_integer(writer, INT64_MIN), ":-9223372036854775808\r\n");
    EXPECT_BOTH(resp_boolean(writer, true), ":1\r\n", "#t\r\n");
    EXPECT_BOTH(resp_boolean(writer, false), ":0\r\n", "#f\r\n");
    EXPECT_BOTH(resp_double(writer, 0.1), "$3\r\n0.1\r\n", ",0.1\r\n");
    EXPECT_BOTH(resp_double(writer, 1.0 / 3), "$18\r\n0.3333333333333333\r\n",
                ",0.3333333333333333\r\n");
    EXPECT_BOTH(resp_double(writer, -5), "$2\r\n-5\r\n", ",-5\r\n");
    EXPECT_BOTH(resp_double(writer, (double)INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
    EXPECT_BOTH(resp_double(writer, (double)-INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    EXPECT_BOTH(resp_double(writer, (double)NAN), "$3\r\nnan\r\n", ",nan\r\n");
}

static void strings(void **state)
{
    (void)state;
    struct page page;
    EXPECT(resp_bulk(writer, bytes_of_text("hello\r\nworld")), "$12\r\nhello\r\nworld\r\n");
    EXPECT(resp_bulk(writer, bytes_of(NULL, 0)), "$0\r\n\r\n");
    EXPECT_BOTH(resp_verbatim(writer, bytes_of_text("two words")), "$9\r\ntwo words\r\n",
                "=13\r\ntxt:two words\r\n");
    EXPECT_BOTH(resp_null(writer), "$-1\r\n", "_\r\n");
    EXPECT_BOTH(resp_null_array(writer), "*-1\r\n", "_\r\n");

    static char large[100000];
    page_begin(&page, 2);
    resp_bulk(&page.writer, bytes_of(large, sizeof(large)));
    assert_int_equal(buffer_size(&page.buffer), sizeof("$100000\r\n\r\n") - 1 + sizeof(large));
    assert_memory_equal(buffer_content(&page.buffer), "$100000\r\n\0", 10);
    buffer_deinit(&page.buffer);
}

static void aggregates(void **state)
{
    (void)state;
    EXPECT(resp_array(writer, 0), "*0\r\n");
    EXPECT(resp_array(writer, 1048576), "*1048576\r\n");
    EXPECT_BOTH(resp_map(writer, 3), "*6\r\n", "%3\r\n");
    EXPECT_BOTH(resp_set(writer, 3), "*3\r\n", "~3\r\n");
    EXPECT_BOTH(resp_push(writer, 2), "*2\r\n", ">2\r\n");
}

static void elements_are_appended_as_they_are(void **state)
{
    (void)state;
    struct page elements;
    struct page page;
    page_begin(&elements, 2);
    page_begin(&page, 2);
    resp_append(&page.writer, &elements.buffer);
    resp_integer(&elements.writer, 1);
    resp_ok(&elements.writer);
    resp_array(&page.writer, 2);
    resp_append(&page.writer, &elements.buffer);
    expect(&page, "*2\r\n:1\r\n+OK\r\n");
    buffer_deinit(&elements.buffer);
    buffer_deinit(&page.buffer);
}

/* I1 */
static void nothing_is_written_while_muted(void **state)
{
    (void)state;
    struct page page;
    page_begin(&page, 3);
    page.writer.muted = true;
    resp_ok(&page.writer);
    resp_error(&page.writer, "ERR no");
    resp_integer(&page.writer, 1);
    resp_verbatim(&page.writer, bytes_of_text("text"));
    resp_map(&page.writer, 1);
    resp_double(&page.writer, 1.5);
    resp_null(&page.writer);
    expect(&page, "");
    page.writer.muted = false;
    resp_ok(&page.writer);
    expect(&page, "+OK\r\n");
    buffer_deinit(&page.buffer);
}

/* I1: once memory has run out nothing is written, so nothing half stands behind something whole. */
static void out_of_memory_sticks(void **state)
{
    (void)state;
    struct page page;
    page_begin(&page, 2);
    resp_bulk(&page.writer, bytes_of("", UINT64_MAX - 4));
    assert_int_equal(page.writer.status, KVS_NO_MEMORY);
    resp_ok(&page.writer);
    resp_integer(&page.writer, 1);
    resp_verbatim(&page.writer, bytes_of_text("x"));
    assert_int_equal(buffer_size(&page.buffer), 0);
    assert_int_equal(page.writer.status, KVS_NO_MEMORY);
    buffer_deinit(&page.buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(faults_have_the_codes_that_clients_know),
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(aggregates),
        cmocka_unit_test(elements_are_appended_as_they_are),
        cmocka_unit_test(nothing_is_written_while_muted),
        cmocka_unit_test(out_of_memory_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
