/* The text that Prometheus reads. */
#include "support/support.h"

#include <string.h>

#include "server/metrics_text.h"

static void expect(const struct buffer *out, const char *text)
{
    char copy[65536];
    assert_true(buffer_size(out) < sizeof(copy));
    memcpy(copy, buffer_content(out), buffer_size(out));
    copy[buffer_size(out)] = '\0';
    if (strstr(copy, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, copy);
}

static void figures(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct metrics_text text = {.out = &out, .status = KVS_OK};
    metrics_text_figure(&text, "requests", 7);
    metrics_text_figure(&text, "connections", 2);
    metrics_text_figure(&text, "engine_odd-name", UINT64_MAX);
    expect(&out, "# HELP kvs_requests_total Requests answered.\n# TYPE kvs_requests_total counter\n"
                 "kvs_requests_total 7\n");
    expect(&out, "# TYPE kvs_connections gauge\nkvs_connections 2\n");
    expect(&out, "\nkvs_engine_odd_name 18446744073709551615\n");
    assert_int_equal(text.status, KVS_OK);
    buffer_deinit(&out);
}

static void histograms(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct metrics_text text = {.out = &out, .status = KVS_OK};
    struct latency latency = {0};
    latency_record(&latency, 1500, 3);
    latency_record(&latency, UINT64_C(100000000000), 1);
    metrics_text_histogram_head(&text, "x_seconds", "Help.");
    metrics_text_histogram(&text, "x_seconds", "command=\"get\"", &latency);
    metrics_text_histogram(&text, "y_seconds", "", &latency);
    expect(&out, "# TYPE kvs_x_seconds histogram\n");
    expect(&out, "kvs_x_seconds_bucket{command=\"get\",le=\"2.048e-06\"} 3\n");
    expect(&out, "kvs_x_seconds_bucket{command=\"get\",le=\"8.58993459\"} 3\n");
    expect(&out, "kvs_x_seconds_bucket{command=\"get\",le=\"+Inf\"} 4\n");
    expect(&out, "kvs_x_seconds_sum{command=\"get\"} 100.000004500\n"
                 "kvs_x_seconds_count{command=\"get\"} 4\n");
    expect(&out, "kvs_y_seconds_bucket{le=\"2.048e-06\"} 3\n");
    expect(&out, "kvs_y_seconds_count 4\n");
    buffer_deinit(&out);
}

static void info(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct metrics_text text = {.out = &out, .status = KVS_OK};
    metrics_text_info(&text, "build_info", "Help.", "engine=\"log\"");
    expect(&out, "kvs_build_info{engine=\"log\"} 1\n");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures),
        cmocka_unit_test(histograms),
        cmocka_unit_test(info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
