/* Reading option values by type and range, and checking what a plugin declares. */
#include "support/support.h"

#include <string.h>

#include "plugin/options.h"

static struct kvs_option option_of(uint32_t type, const char *range)
{
    return (struct kvs_option){
        .size = sizeof(struct kvs_option),
        .type = type,
        .name = "knob",
        .default_value = "1",
        .range = range,
        .help = "a knob",
    };
}

struct reading {
    uint32_t type;
    const char *range;
    const char *text;
    uint64_t u64; /* the bits of i64 for KVS_OPTION_I64 */
};

static void good_values_are_read(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {KVS_OPTION_BOOL, NULL, "yes", 1},
        {KVS_OPTION_BOOL, NULL, "off", 0},
        {KVS_OPTION_I64, NULL, "-9223372036854775808", (uint64_t)INT64_MIN},
        {KVS_OPTION_I64, NULL, "9223372036854775807", INT64_MAX},
        {KVS_OPTION_I64, "-5..5", "-5", (uint64_t)-5},
        {KVS_OPTION_I64, "-5..5", "5", 5},
        {KVS_OPTION_I64, "..-1", "-7", (uint64_t)-7},
        {KVS_OPTION_U64, NULL, "18446744073709551615", UINT64_MAX},
        {KVS_OPTION_U64, "1..", "1", 1},
        {KVS_OPTION_U64, "..9", "9", 9},
        {KVS_OPTION_U64, "..", "0", 0},
        {KVS_OPTION_BYTES, "4k..1g", "4k", 4096},
        {KVS_OPTION_BYTES, "4k..1g", "4096", 4096},
        {KVS_OPTION_BYTES, "4k..1g", "1g", UINT64_C(1) << 30},
        {KVS_OPTION_BYTES, NULL, "16777215t", UINT64_C(16777215) << 40},
        {KVS_OPTION_DURATION, "1ms..1m", "1ms", 1000000},
        {KVS_OPTION_DURATION, "1ms..1m", "60s", UINT64_C(60000000000)},
        {KVS_OPTION_STRING, NULL, "", 0},
        {KVS_OPTION_STRING, NULL, "a=b", 0},
        {KVS_OPTION_ENUM, "off|fast|full", "off", 0},
        {KVS_OPTION_ENUM, "off|fast|full", "full", 2},
    };
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        struct kvs_option option = option_of(readings[i].type, readings[i].range);
        struct kvs_option_value value;
        struct test_error error;
        test_error_init(&error);
        assert_status(KVS_OK, option_parse(&option, readings[i].text, &value, &error.error),
                      &error);
        bool is_signed = readings[i].type == KVS_OPTION_I64;
        assert_int_equal(is_signed ? (uint64_t)value.i64 : value.u64, readings[i].u64);
        assert_int_equal(value.type, readings[i].type);
        assert_ptr_equal(value.text, readings[i].text);
    }
}

struct refusal {
    uint32_t type;
    const char *range;
    const char *text;
    const char *words; /* in the message */
};

static void bad_values_are_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {KVS_OPTION_BOOL, NULL, "maybe", "'maybe' is not yes or no"},
        {KVS_OPTION_BOOL, NULL, "", "yes or no"},
        {KVS_OPTION_I64, NULL, "-9223372036854775809", "whole number"},
        {KVS_OPTION_I64, NULL, "9223372036854775808", "whole number"},
        {KVS_OPTION_I64, NULL, "+1", "whole number"},
        {KVS_OPTION_I64, "-5..5", "-6", "out of its range -5..5"},
        {KVS_OPTION_I64, "-5..5", "6", "out of its range"},
        {KVS_OPTION_I64, "..-1", "0", "out of its range"},
        {KVS_OPTION_U64, NULL, "18446744073709551616", "whole number"},
        {KVS_OPTION_U64, NULL, "-1", "'-1' is not a whole number"},
        {KVS_OPTION_U64, NULL, "1 ", "whole number"},
        {KVS_OPTION_U64, "1..", "0", "out of its range"},
        {KVS_OPTION_U64, "..9", "10", "out of its range"},
        {KVS_OPTION_BYTES, "4k..1g", "4095", "out of its range 4k..1g"},
        {KVS_OPTION_BYTES, "4k..1g", "1025m", "out of its range"},
        {KVS_OPTION_BYTES, NULL, "16777216t", "number of bytes"},
        {KVS_OPTION_BYTES, NULL, "12q", "'12q' is not a number of bytes such as"},
        {KVS_OPTION_BYTES, NULL, "k", "number of bytes"},
        {KVS_OPTION_DURATION, "1ms..1m", "999us", "out of its range"},
        {KVS_OPTION_DURATION, NULL, "10 s", "duration such as"},
        {KVS_OPTION_ENUM, "off|fast|full", "fas", "not one of off|fast|full"},
        {KVS_OPTION_ENUM, "off|fast|full", "", "not one of"},
        {KVS_OPTION_ENUM, "off|fast|full", "off|fast", "not one of"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct kvs_option option = option_of(refusals[i].type, refusals[i].range);
        struct kvs_option_value value = {.u64 = 77, .text = "untouched"};
        struct test_error error;
        test_error_init(&error);
        assert_status(KVS_INVALID, option_parse(&option, refusals[i].text, &value, &error.error),
                      &error);
        assert_int_equal(value.u64, 77);
        assert_string_equal(value.text, "untouched");
        assert_non_null(strstr(error.message, "option 'knob'"));
        if (strstr(error.message, refusals[i].words) == NULL)
            fail_msg("'%s' is not in: %s", refusals[i].words, error.message);
    }
}

/* Checks a descriptor with these options; returns the message ("" when they are good). */
static const char *check(const struct kvs_option *options, uint32_t count, uint32_t stride)
{
    static struct test_error error;
    struct kvs_plugin descriptor = {
        .size = sizeof(descriptor),
        .options = options,
        .option_stride = stride,
        .option_count = count,
    };
    test_error_init(&error);
    kvs_status status = option_check_all(&descriptor, &error.error);
    assert_int_equal(status, error.message[0] == '\0' ? KVS_OK : KVS_INCOMPATIBLE);
    return error.message;
}

static const char *check_one(struct kvs_option option)
{
    return check(&option, 1, sizeof(option));
}

static void good_declarations_pass(void **state)
{
    (void)state;
    assert_string_equal(check(NULL, 0, 0), "");
    assert_string_equal(check_one(option_of(KVS_OPTION_U64, NULL)), "");
    assert_string_equal(check_one(option_of(KVS_OPTION_I64, "-1..1")), "");
    assert_string_equal(check_one(option_of(KVS_OPTION_ENUM, "0|1")), "");
    struct kvs_option required = option_of(KVS_OPTION_STRING, NULL);
    required.flags = KVS_OPTION_REQUIRED;
    required.default_value = NULL;
    assert_string_equal(check_one(required), "");
}

static void assert_bad(const char *message, const char *words)
{
    if (strstr(message, words) == NULL)
        fail_msg("'%s' is not in: %s", words, message);
}

static void bad_ranges_and_defaults_are_found(void **state)
{
    (void)state;
    assert_bad(check_one(option_of(KVS_OPTION_U64, "5")), "invalid range '5'");
    assert_bad(check_one(option_of(KVS_OPTION_U64, "a..b")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_U64, "5..1")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_I64, "1..-1")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_U64, "0..99999999999999999999999999999999999")),
               "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_BOOL, "0..1")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_STRING, "a|b")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_ENUM, NULL)), "invalid range 'NULL'");
    assert_bad(check_one(option_of(KVS_OPTION_ENUM, "")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_ENUM, "1|")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_ENUM, "1|2|1")), "invalid range");
    assert_bad(check_one(option_of(KVS_OPTION_ENUM, "2|3")), "invalid default of option 'knob'");
    assert_bad(check_one(option_of(KVS_OPTION_U64, "2..3")), "invalid default");
}

static void bad_shapes_are_found(void **state)
{
    (void)state;
    struct kvs_option option = option_of(KVS_OPTION_U64, NULL);
    option.size = sizeof(option) - 8;
    assert_bad(check_one(option), "option 0 has a size of 40 bytes");
    option = option_of(KVS_OPTION_U64, NULL);
    option.size = sizeof(option) + 8;
    assert_bad(check_one(option), "option 0 has a size of 56 bytes");
    option = option_of(KVS_OPTION_U64, NULL);
    option.name = "under_score";
    assert_bad(check_one(option), "no valid name");
    option.name = NULL;
    assert_bad(check_one(option), "no valid name");
    option = option_of(KVS_OPTION_DURATION + 1, NULL);
    assert_bad(check_one(option), "unknown type 8");
    option = option_of(KVS_OPTION_U64, NULL);
    option.help = NULL;
    assert_bad(check_one(option), "no help");
    option = option_of(KVS_OPTION_U64, NULL);
    option.default_value = NULL;
    assert_bad(check_one(option), "has no default and is not required");
    option = option_of(KVS_OPTION_U64, NULL);
    option.flags = KVS_OPTION_REQUIRED;
    assert_bad(check_one(option), "is required and has a default");
    assert_bad(check(&option, 257, sizeof(option)), "257 options, more than 256");
    assert_bad(check(NULL, 1, sizeof(option)), "has none");
    assert_bad(check(&option, 1, sizeof(option) - 8), "40 bytes apart");
    assert_bad(check(&option, 1, sizeof(option) + 4), "52 bytes apart");
    const struct kvs_option twice[] = {option_of(KVS_OPTION_U64, NULL),
                                       option_of(KVS_OPTION_BOOL, NULL)};
    assert_bad(check(twice, 2, sizeof(twice[0])), "declared twice");
}

/* Options of a later minor are longer, and lie further apart. */
static void stride_is_the_plugins(void **state)
{
    (void)state;
    struct longer_option {
        struct kvs_option option;
        uint64_t later;
    } options[2] = {
        {option_of(KVS_OPTION_U64, NULL), UINT64_MAX},
        {option_of(KVS_OPTION_BYTES, NULL), UINT64_MAX},
    };
    options[0].option.size = options[1].option.size = sizeof(options[0]);
    options[1].option.name = "second";
    assert_string_equal(check(&options[0].option, 2, sizeof(options[0])), "");
    struct kvs_plugin descriptor = {
        .options = &options[0].option, .option_stride = sizeof(options[0]), .option_count = 2};
    uint32_t index;
    assert_ptr_equal(option_find(&descriptor, "second=5", 6, &index), &options[1].option);
    assert_int_equal(index, 1);
    assert_null(option_find(&descriptor, "secon", 5, &index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values_are_read),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(good_declarations_pass),
        cmocka_unit_test(bad_ranges_and_defaults_are_found),
        cmocka_unit_test(bad_shapes_are_found),
        cmocka_unit_test(stride_is_the_plugins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
