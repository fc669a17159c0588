/* The slow log: what is kept, in which order, and how it is cut. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "server/slow_log.h"

struct seen {
    uint64_t ids[64];
    uint64_t durations[64];
    char last[64][256]; /* the last argument */
    uint32_t counts[64];
    char address[64];
    char name[64];
    uint32_t count;
};

static void note(void *arg, const struct slow_entry *entry)
{
    struct seen *seen = arg;
    uint32_t i = seen->count++;
    seen->ids[i] = entry->id;
    seen->durations[i] = entry->duration_us;
    seen->counts[i] = entry->argument_count;
    const struct kvs_bytes *last = &entry->arguments[entry->argument_count - 1];
    (void)snprintf(seen->last[i], sizeof(seen->last[i]), "%.*s", (int)last->len,
                   (const char *)last->ptr);
    (void)snprintf(seen->address, sizeof(seen->address), "%s", entry->client_address);
    (void)snprintf(seen->name, sizeof(seen->name), "%s", entry->client_name);
}

static void add(struct slow_log *log, uint64_t duration_us, const char *key)
{
    struct kvs_bytes arguments[] = {bytes_of_text("get"), bytes_of_text(key)};
    struct slow_entry entry = {.duration_us = duration_us,
                               .arguments = arguments,
                               .argument_count = 2,
                               .client_address = "127.0.0.1:9",
                               .client_name = "me"};
    slow_log_add(log, &entry);
}

static struct seen see(struct slow_log *log, uint64_t count_max)
{
    struct seen seen = {.count = 0};
    slow_log_visit(log, count_max, note, &seen);
    return seen;
}

static void the_newest_are_kept_and_come_first(void **state)
{
    (void)state;
    struct slow_log *log = slow_log_new(SLOW_LOG_DEFAULT_US, 3);
    assert_non_null(log);
    assert_int_equal(slow_log_threshold_ns(log), 10000000);
    for (uint64_t i = 0; i < 5; i++)
        add(log, i, "key");
    struct seen seen = see(log, 64);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.ids[0], 4);
    assert_int_equal(seen.ids[2], 2);
    assert_int_equal(seen.durations[0], 4);
    assert_string_equal(seen.address, "127.0.0.1:9");
    assert_string_equal(seen.name, "me");
    assert_int_equal(see(log, 1).count, 1);
    assert_int_equal(slow_log_length(log), 3);
    slow_log_reset(log);
    assert_int_equal(slow_log_length(log), 0);
    add(log, 9, "key");
    assert_int_equal(see(log, 64).ids[0], 5);
    slow_log_free(log);
}

static void the_length_can_change(void **state)
{
    (void)state;
    struct slow_log *log = slow_log_new(0, 4);
    assert_non_null(log);
    for (uint64_t i = 0; i < 6; i++)
        add(log, i, "key");
    assert_int_equal(slow_log_set_length(log, 2), KVS_OK);
    struct seen seen = see(log, 64);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.ids[0], 5);
    assert_int_equal(seen.ids[1], 4);
    add(log, 7, "key");
    assert_int_equal(see(log, 64).ids[1], 5);
    assert_int_equal(slow_log_set_length(log, 8), KVS_OK);
    add(log, 8, "key");
    seen = see(log, 64);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.ids[0], 7);
    assert_int_equal(seen.ids[2], 5);
    assert_int_equal(slow_log_set_length(log, 0), KVS_OK);
    add(log, 9, "key");
    assert_int_equal(slow_log_length(log), 0);
    slow_log_free(log);
}

static void long_arguments_and_long_lists_are_cut(void **state)
{
    (void)state;
    struct slow_log *log = slow_log_new(0, 4);
    assert_non_null(log);
    char value[1000];
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    add(log, 1, value);
    struct seen seen = see(log, 1);
    assert_int_equal(strlen(seen.last[0]),
                     SLOW_LOG_ARGUMENT_BYTES + strlen("... (871 more bytes)"));
    assert_non_null(strstr(seen.last[0], "xx... (871 more bytes)"));

    struct kvs_bytes arguments[100];
    for (size_t i = 0; i < 100; i++)
        arguments[i] = bytes_of_text(value);
    struct slow_entry entry = {.arguments = arguments, .argument_count = 100};
    slow_log_add(log, &entry);
    seen = see(log, 1);
    assert_int_equal(seen.counts[0], SLOW_LOG_ARGUMENTS_MAX);
    assert_string_equal(seen.last[0], "... (69 more arguments)");
    slow_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept_and_come_first),
        cmocka_unit_test(the_length_can_change),
        cmocka_unit_test(long_arguments_and_long_lists_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
