/* Numbers as people type them: what is read, and that anything else leaves the output untouched. */
#include "support/support.h"

#include "base/text.h"

#define UNTOUCHED UINT64_C(0xAAAAAAAAAAAAAAAA)

typedef bool (*parse_fn)(const char *text, uint64_t *ret);

struct reading {
    const char *text;
    uint64_t value;
};

static void check_read(parse_fn parse, const struct reading *readings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        if (!parse(readings[i].text, &value))
            fail_msg("'%s' was refused", readings[i].text);
        assert_true(value == readings[i].value);
    }
}

static void check_refused(parse_fn parse, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        if (parse(texts[i], &value))
            fail_msg("'%s' was read as %llu", texts[i], (unsigned long long)value);
        assert_true(value == UNTOUCHED);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void plain_numbers(void **state)
{
    (void)state;
    const struct reading good[] = {
        {"0", 0}, {"7", 7}, {"007", 7}, {"18446744073709551615", UINT64_MAX}};
    const char *const bad[] = {"",
                               " ",
                               "-1",
                               "+1",
                               " 1",
                               "1 ",
                               "1k",
                               "0x10",
                               "1.0",
                               "1e3",
                               "a",
                               "18446744073709551616",
                               "99999999999999999999999999"};
    check_read(text_parse_u64, good, COUNT(good));
    check_refused(text_parse_u64, bad, COUNT(bad));
}

static void signed_numbers(void **state)
{
    (void)state;
    int64_t value = 5;
    assert_true(text_parse_i64("-0", &value));
    assert_true(value == 0);
    assert_true(text_parse_i64("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(text_parse_i64("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    value = 5;
    const char *const bad[] = {"",
                               "-",
                               "--1",
                               "+1",
                               "- 1",
                               "-1 ",
                               "9223372036854775808",
                               "-9223372036854775809",
                               "-18446744073709551616"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_parse_i64(bad[i], &value));
    assert_true(value == 5);
}

static void truth(void **state)
{
    (void)state;
    const char *const yes[] = {"true", "yes", "on", "1"};
    const char *const no[] = {"false", "no", "off", "0"};
    const char *const bad[] = {"", "True", "y", "2", "01", "on ", "-1"};
    bool value;
    for (size_t i = 0; i < COUNT(yes); i++) {
        value = false;
        assert_true(text_parse_bool(yes[i], &value));
        assert_true(value);
        assert_true(text_parse_bool(no[i], &value));
        assert_false(value);
    }
    value = true;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_parse_bool(bad[i], &value));
    assert_true(value);
}

static void bytes(void **state)
{
    (void)state;
    const struct reading good[] = {
        {"0", 0},
        {"512", 512},
        {"1k", 1024},
        {"1K", 1024},
        {"3m", 3 * 1024 * 1024},
        {"3M", 3 * 1024 * 1024},
        {"2g", UINT64_C(2) << 30},
        {"2G", UINT64_C(2) << 30},
        {"4t", UINT64_C(4) << 40},
        {"4T", UINT64_C(4) << 40},
        {"0t", 0},
        {"18014398509481983k", UINT64_C(18014398509481983) << 10},
    };
    const char *const bad[] = {"",
                               "k",
                               "1b",
                               "1kb",
                               "1 k",
                               "1kk",
                               "-1k",
                               "1.5k",
                               "1ms",
                               "1p",
                               "18014398509481984k",
                               "16777216t"};
    check_read(text_parse_bytes, good, COUNT(good));
    check_refused(text_parse_bytes, bad, COUNT(bad));
}

static void durations(void **state)
{
    (void)state;
    const struct reading good[] = {
        {"0", 0},
        {"5ns", 5},
        {"5us", 5000},
        {"5ms", 5000000},
        {"5s", UINT64_C(5000000000)},
        {"5", UINT64_C(5000000000)},
        {"2m", UINT64_C(120000000000)},
        {"1h", UINT64_C(3600000000000)},
        {"18446744073s", UINT64_C(18446744073000000000)},
    };
    const char *const bad[] = {"",    "ms",   "1d",  "1S",           "1MS",      "5 ms",
                               "-5s", "0.5s", "1mm", "18446744074s", "5124096h", "1msx"};
    check_read(text_parse_duration, good, COUNT(good));
    check_refused(text_parse_duration, bad, COUNT(bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers), cmocka_unit_test(signed_numbers), cmocka_unit_test(truth),
        cmocka_unit_test(bytes),         cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
