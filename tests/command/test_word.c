/* Arguments as words and numbers. */
#include "support/support.h"

#include "base/bytes.h"
#include "command/word.h"

static void words_are_the_same_in_any_case(void **state)
{
    (void)state;
    assert_true(word_is(bytes_of_text("Ex"), "ex"));
    assert_false(word_is(bytes_of_text("e"), "ex"));
    assert_false(word_is(bytes_of_text("exa"), "ex"));
    assert_false(word_is(bytes_of("", 0), "ex"));
}

static void numbers_are_written_one_way(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } good[] = {{"0", 0},
                {"7", 7},
                {"-1", -1},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1\n",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    int64_t number;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(word_integer(bytes_of_text(good[i].text), &number));
        assert_true(number == good[i].number);
    }
    number = 42;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(word_integer(bytes_of_text(bad[i]), &number));
    assert_false(word_integer(bytes_of("1\0", 2), &number));
    assert_int_equal(number, 42);
}

static void a_copy_fits_or_is_refused(void **state)
{
    (void)state;
    char to[4];
    assert_true(word_copy(bytes_of_text("abc"), to, sizeof(to)));
    assert_string_equal(to, "abc");
    assert_true(word_copy(bytes_of(NULL, 0), to, sizeof(to)));
    assert_string_equal(to, "");
    assert_false(word_copy(bytes_of_text("abcd"), to, sizeof(to)));
    assert_false(word_copy(bytes_of("a\0b", 3), to, sizeof(to)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_same_in_any_case),
        cmocka_unit_test(numbers_are_written_one_way),
        cmocka_unit_test(a_copy_fits_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
