/* Noting and recording how long commands took. */
#include "support/support.h"

#include "server/command_metrics.h"

static uint64_t count_at(const struct command_metrics *metrics, uint32_t place)
{
    const struct latency *latency = atomic_load(&metrics->by_command[place]);
    return latency != NULL ? latency_count(latency) : 0;
}

static void what_was_noted_is_recorded_once(void **state)
{
    (void)state;
    struct command_metrics metrics = {.noted_count = 0};
    command_metrics_note(&metrics, 3, 1);
    command_metrics_note(&metrics, 3, 4);
    command_metrics_note(&metrics, command_metrics_resp(0), 2);
    command_metrics_record(&metrics, 1000);
    command_metrics_record(&metrics, 1000);
    assert_int_equal(count_at(&metrics, 3), 5);
    assert_int_equal(count_at(&metrics, COMMAND_METRICS_NATIVE), 2);
    assert_int_equal(count_at(&metrics, 4), 0);
    command_metrics_deinit(&metrics);
}

static void no_request_is_lost_when_too_many_kinds_alternate(void **state)
{
    (void)state;
    struct command_metrics metrics = {.noted_count = 0};
    for (uint32_t i = 0; i < 1000; i++)
        command_metrics_note(&metrics, 1 + i % 40, 1);
    command_metrics_record(&metrics, 1000);
    uint64_t count = 0;
    for (uint32_t i = 0; i < COMMAND_METRICS_MAX; i++)
        count += count_at(&metrics, i);
    assert_int_equal(count, 1000);
    command_metrics_deinit(&metrics);
}

static void adding_up(void **state)
{
    (void)state;
    struct command_metrics sum = {.noted_count = 0};
    struct command_metrics one = {.noted_count = 0};
    command_metrics_note(&one, 7, 2);
    command_metrics_record(&one, 1000);
    latency_record(&one.queue_wait, 50, 1);
    command_metrics_add(&sum, &one);
    command_metrics_add(&sum, &one);
    assert_int_equal(count_at(&sum, 7), 4);
    assert_int_equal(latency_count(&sum.queue_wait), 2);
    command_metrics_deinit(&one);
    command_metrics_deinit(&sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_is_recorded_once),
        cmocka_unit_test(no_request_is_lost_when_too_many_kinds_alternate),
        cmocka_unit_test(adding_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
