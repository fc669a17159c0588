/* Figures for people: three digits, the right prefix, also at the edges. */
#include "support/support.h"

#include <stddef.h>

#include "harness/format.h"

static void figures_have_three_digits(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},           {0.5, "0.500"},   {1, "1.00"},     {12.345, "12.3"},
                 {999.4, "999"},     {999.6, "1.00k"}, {1000, "1.00k"}, {812345, "812k"},
                 {4100000, "4.10M"}, {9.996, "10.0"},  {99.96, "100"},  {2.5e9, "2.50G"},
                 {-1500, "-1.50k"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[FORMAT_MAX];
        format_figure(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void nanoseconds_get_the_unit_that_fits(void **state)
{
    (void)state;
    char text[FORMAT_MAX];
    format_ns(812, text);
    assert_string_equal(text, "812ns");
    format_ns(3051000, text);
    assert_string_equal(text, "3.05ms");
    format_named("p99_ns", 1200, text);
    assert_string_equal(text, "1.20us");
    format_named("disk_bytes", 1200, text);
    assert_string_equal(text, "1.20k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_have_three_digits),
        cmocka_unit_test(nanoseconds_get_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
