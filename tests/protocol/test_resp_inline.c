/* Inline commands: lines, blanks and quotes, through the parser. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/resp.h"

static const struct resp_limits usual = {.request_max = 1u << 20,
                                         .bulk_max = 1u << 20,
                                         .arguments_max = RESP_ARGUMENTS_MAX,
                                         .inline_max = 100};

#define ARGUMENTS_MOST 4

struct line {
    const char *text;
    uint32_t count;
    struct kvs_bytes arguments[ARGUMENTS_MOST];
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct line lines[] = {
    {"PING\r\n", 1, {BYTES("PING")}},
    {"ping\n", 1, {BYTES("ping")}},
    {"  set \t key  value \r\n", 3, {BYTES("set"), BYTES("key"), BYTES("value")}},
    {"\r\n", 0, {BYTES("")}},
    {"\n", 0, {BYTES("")}},
    {"   \r\n", 0, {BYTES("")}},
    {"echo \"a b\"\r\n", 2, {BYTES("echo"), BYTES("a b")}},
    {"echo \"\"\r\n", 2, {BYTES("echo"), BYTES("")}},
    {"echo '' ''\r\n", 3, {BYTES("echo"), BYTES(""), BYTES("")}},
    {"echo \"\\x00\\xfFZ\\n\\r\\t\\b\\a\\\"\\\\\\q\\xg\"\n",
     2,
     {BYTES("echo"), BYTES("\0\377Z\n\r\t\b\a\"\\qxg")}},
    {"echo 'it\\'s \\n \"so\"'\r\n", 2, {BYTES("echo"), BYTES("it's \\n \"so\"")}},
    {"set a\"b c\" \"d\" e\r\n", 4, {BYTES("set"), BYTES("ab c"), BYTES("d"), BYTES("e")}},
    {"\"*1\" $3\r\n", 2, {BYTES("*1"), BYTES("$3")}},
    {"é \xff\r\n", 2, {BYTES("é"), BYTES("\xff")}},
};
#define LINE_COUNT (sizeof(lines) / sizeof(lines[0]))

static void assert_line(const struct line *line, struct resp_arguments *arguments, size_t step)
{
    size_t size = strlen(line->text);
    struct resp_parser parser = {0};
    uint64_t used = 0;
    uint8_t *copy = NULL;
    enum decode_result result = DECODE_MORE;
    for (size_t have = step; result == DECODE_MORE; have += step) {
        if (have > size)
            have = size;
        free(copy);
        copy = malloc(have);
        assert_non_null(copy);
        memcpy(copy, line->text, have);
        result = resp_decode(&parser, bytes_of(copy, have), &usual, arguments, &used, NULL);
        if (result == DECODE_MORE)
            assert_int_equal(used, have + 1);
    }
    assert_int_equal(result, DECODE_REQUEST);
    assert_int_equal(used, size);
    assert_int_equal(arguments->count, line->count);
    for (uint32_t i = 0; i < line->count; i++) {
        assert_int_equal(arguments->items[i].len, line->arguments[i].len);
        if (line->arguments[i].len > 0)
            assert_memory_equal(arguments->items[i].ptr, line->arguments[i].ptr,
                                line->arguments[i].len);
    }
    free(copy);
}

static void lines_become_arguments_whole_or_in_pieces(void **state)
{
    (void)state;
    struct resp_arguments arguments = {0};
    for (size_t i = 0; i < LINE_COUNT; i++)
        for (size_t step = 1; step <= strlen(lines[i].text); step++)
            assert_line(&lines[i], &arguments, step);
    resp_arguments_deinit(&arguments);
}

static void unquoted_says_whether_something_was_copied(void **state)
{
    (void)state;
    struct resp_arguments arguments = {0};
    assert_line(&lines[6], &arguments, 64);
    assert_true(buffer_size(&arguments.unquoted) > 0);
    assert_line(&lines[0], &arguments, 64);
    assert_int_equal(buffer_size(&arguments.unquoted), 0);
    /* Taken out, the copy outlives the next decoding. */
    assert_line(&lines[6], &arguments, 64);
    struct buffer taken = arguments.unquoted;
    struct kvs_bytes argument = arguments.items[1];
    arguments.unquoted = (struct buffer){0};
    assert_line(&lines[11], &arguments, 64);
    assert_memory_equal(argument.ptr, "a b", 3);
    buffer_deinit(&taken);
    resp_arguments_deinit(&arguments);
}

static void assert_broken(const char *text, size_t size, const char *expected)
{
    struct resp_parser parser = {0};
    struct resp_arguments arguments = {0};
    struct test_error error;
    uint64_t used;
    test_error_init(&error);
    assert_int_equal(
        resp_decode(&parser, bytes_of(text, size), &usual, &arguments, &used, &error.error),
        DECODE_BROKEN);
    assert_string_equal(error.message, expected);
    resp_arguments_deinit(&arguments);
}

static void quotes_must_match(void **state)
{
    (void)state;
    static const char *const bad[] = {"set \"a\r\n", "set 'a\r\n",    "set \"a\"b\r\n",
                                      "'a'b\r\n",    "set \"a\\\"\n", "\"\\\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_broken(bad[i], strlen(bad[i]), "Protocol error: unbalanced quotes in request");
}

static void a_line_has_a_limit_with_and_without_its_end(void **state)
{
    (void)state;
    char text[128];
    memset(text, 'x', sizeof(text));
    assert_broken(text, 101, "Protocol error: too big inline request");
    text[101] = '\n';
    assert_broken(text, 102, "Protocol error: too big inline request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_arguments_whole_or_in_pieces),
        cmocka_unit_test(unquoted_says_whether_something_was_copied),
        cmocka_unit_test(quotes_must_match),
        cmocka_unit_test(a_line_has_a_limit_with_and_without_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
