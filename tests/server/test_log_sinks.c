/* The forms of a log line. */
#include "support/support.h"

#include <string.h>

#include "server/log_sinks.h"

static void formats_have_names(void **state)
{
    (void)state;
    enum log_format format = LOG_FORMAT_TEXT;
    assert_true(log_format_parse("json", &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_true(log_format_parse("auto", &format));
    assert_int_equal(format, LOG_FORMAT_AUTO);
    assert_true(log_format_parse("journald", &format));
    assert_int_equal(format, LOG_FORMAT_JOURNALD);
    assert_false(log_format_parse("xml", &format));
    assert_int_equal(format, LOG_FORMAT_JOURNALD);
    assert_ptr_equal(log_sink_of(LOG_FORMAT_TEXT), log_sink_text);
    assert_ptr_not_equal(log_sink_of(LOG_FORMAT_JSON), log_sink_of(LOG_FORMAT_JOURNALD));
}

static void json_quotes_what_must_be_quoted(void **state)
{
    (void)state;
    char line[LOG_JSON_MAX];
    size_t size = log_json_line(line, "T", KVS_LOG_WARN, "a \"b\" \\ \n\x01 \xc3\xa4 \xff.");
    assert_string_equal(line, "{\"time\":\"T\",\"level\":\"warn\",\"message\":\"a \\\"b\\\" \\\\ "
                              "\\u000a\\u0001 \xc3\xa4 \\ufffd.\"}\n");
    assert_int_equal(size, strlen(line));
}

static void the_longest_line_fits(void **state)
{
    (void)state;
    char line[LOG_JSON_MAX];
    char stamp[LOG_STAMP_MAX];
    char message[LOG_LINE_MAX + 1];
    memset(message, 1, sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    log_stamp(stamp);
    size_t size = log_json_line(line, stamp, KVS_LOG_ERROR, message);
    assert_true(size < sizeof(line));
    assert_string_equal(line + size - 3, "\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(json_quotes_what_must_be_quoted),
        cmocka_unit_test(the_longest_line_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
