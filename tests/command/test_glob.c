#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/glob.h"

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "x", true},
        {"?", "", false},
        {"?", "x", true},
        {"?", "xy", false},
        {"abc", "abc", true},
        {"abc", "abd", false},
        {"abc", "ABC", false},
        {"a*c", "abbbc", true},
        {"a*c", "abbbcd", false},
        {"a*b*c", "aXbYbZc", true},
        {"*a*b", "aab", true},
        {"*ab", "aaab", true},
        {"*ab", "aaaba", false},
        {"h[ae]llo", "hello", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-c]llo", "hbllo", true},
        {"h[c-a]llo", "hbllo", true},
        {"h[a-c]llo", "hdllo", false},
        {"[a-]", "-", false}, /* a range from a to ] */
        {"[a-]", "_", true},
        {"[a-]]", "]", true},
        {"[]", "x", false},
        {"[^]", "x", true},
        {"[abc", "b", true},
        {"[\\]]", "]", true},
        {"[\\a-c]", "-", true},
        {"[\\a-c]", "b", false},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"a\\", "a\\", true},
        {"\\", "\\", true},
        {"a?c*", "abc", true},
        {"*[0-9]", "key7", true},
        {"*[0-9]", "key", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (glob_match(bytes_of_text(cases[i].pattern), bytes_of_text(cases[i].text)) ==
            cases[i].matches)
            continue;
        print_error("pattern %s, text %s\n", cases[i].pattern, cases[i].text);
        fail();
    }
    assert_true(glob_match(bytes_of("a\0?", 3), bytes_of("a\0b", 3)));
    assert_false(glob_match(bytes_of("a\0?", 3), bytes_of("a\0bc", 4)));
    assert_true(glob_matches_all(bytes_of_text("*")));
    assert_false(glob_matches_all(bytes_of_text("**a")));
}

/* What takes others exponentially long. */
static void test_many_stars_end(void **state)
{
    (void)state;
    enum {
        LEN = 20000
    };
    char pattern[201];
    char *text = malloc(LEN);
    assert_non_null(text);
    for (int i = 0; i < 100; i++)
        memcpy(pattern + i * 2, "*a", 2);
    pattern[200] = 'b';
    memset(text, 'a', LEN);
    assert_false(glob_match(bytes_of(pattern, 201), bytes_of(text, LEN)));
    assert_true(glob_match(bytes_of(pattern, 200), bytes_of(text, LEN)));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_many_stars_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
