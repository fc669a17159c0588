/* Looking at the server and at keys. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "conversation.h"

/* ---- keys ---------------------------------------------------------------------------------- */

struct scene {
    struct store_fixture store;
    struct conversation talk;
};

static void set(struct scene *scene, const char *key, const void *value, size_t size)
{
    const struct store *store = &scene->store.store;
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK,
                  store->engine->set(store->db, NULL, bytes_of_text(key), bytes_of(value, size),
                                     &error.error),
                  &error);
}

static void begin(struct scene *scene)
{
    store_fixture_open(&scene->store, "memory");
    conversation_begin(&scene->talk);
    scene->talk.context.store = &scene->store.store;
}

static void end(struct scene *scene)
{
    conversation_end(&scene->talk);
    store_fixture_close(&scene->store);
}

static void values_have_the_encodings_of_redis(void **state)
{
    (void)state;
    struct scene scene;
    static char long_value[45];
    begin(&scene);
    memset(long_value, 'x', sizeof(long_value));
    set(&scene, "number", "-12", 3);
    set(&scene, "short", long_value, 44);
    set(&scene, "long", long_value, 45);
    conversation_expect(&scene.talk, "OBJECT ENCODING number", "$3\r\nint\r\n");
    conversation_expect(&scene.talk, "object encoding short", "$6\r\nembstr\r\n");
    conversation_expect(&scene.talk, "object encoding long", "$3\r\nraw\r\n");
    conversation_expect(&scene.talk, "object encoding missing", "$-1\r\n");
    conversation_expect(&scene.talk, "object refcount short", ":1\r\n");
    conversation_expect(&scene.talk, "object refcount missing", "$-1\r\n");
    conversation_expect(&scene.talk, "object idletime short", ":0\r\n");
    conversation_expect_part(&scene.talk, "object freq short", "-ERR An LFU maxmemory policy");
    conversation_expect(&scene.talk, "object freq missing", "$-1\r\n");
    end(&scene);
}

static void a_key_takes_as_much_as_it_is_long_and_more(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    set(&scene, "key", "value", 5);
    const char *said = conversation_say(&scene.talk, "MEMORY USAGE key");
    assert_int_equal(said[0], ':');
    assert_true(atoi(said + 1) > 8 && atoi(said + 1) < 200);
    assert_int_equal(conversation_say(&scene.talk, "MEMORY USAGE key SAMPLES 0")[0], ':');
    conversation_expect(&scene.talk, "MEMORY USAGE missing", "$-1\r\n");
    conversation_expect(&scene.talk, "MEMORY USAGE key 5", "-ERR syntax error\r\n");
    conversation_expect(&scene.talk, "MEMORY USAGE key SAMPLES -1", "-ERR syntax error\r\n");
    conversation_expect(&scene.talk, "MEMORY USAGE key SAMPLES x",
                        "-ERR value is not an integer or out of range\r\n");
    conversation_expect(&scene.talk, "MEMORY PURGE", "+OK\r\n");
    end(&scene);
}

/* ---- the server ---------------------------------------------------------------------------- */

static void time_is_seconds_and_microseconds(void **state)
{
    (void)state;
    struct conversation talk;
    long long seconds;
    long microseconds;
    conversation_begin(&talk);
    assert_int_equal(sscanf(conversation_say(&talk, "TIME"), "*2\r\n$10\r\n%lld\r\n$%*d\r\n%ld\r\n",
                            &seconds, &microseconds),
                     2);
    assert_true(seconds > 1700000000);
    assert_true(microseconds >= 0 && microseconds < 1000000);
    conversation_expect(&talk, "ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    conversation_end(&talk);
}

static void nothing_is_known_of_latencies(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "LATENCY LATEST", "*0\r\n");
    conversation_expect(&talk, "LATENCY HISTORY command", "*0\r\n");
    conversation_expect(&talk, "LATENCY HISTOGRAM", "*0\r\n");
    conversation_expect(&talk, "LATENCY RESET", ":0\r\n");
    conversation_end(&talk);
}

/* ---- the slow log -------------------------------------------------------------------------- */

static void visit_slow_log(void *arg, uint64_t count_max,
                           void (*visit)(void *visit_arg, const struct slow_entry *entry),
                           void *visit_arg)
{
    const uint64_t *length = arg;
    const struct kvs_bytes arguments[] = {{"get", 3}, {"k", 1}};
    for (uint64_t i = 0; i < *length && i < count_max; i++) {
        const struct slow_entry entry = {
            .id = *length - i,
            .time_s = 1700000000,
            .duration_us = 12345,
            .arguments = arguments,
            .argument_count = 2,
            .client_address = "127.0.0.1:5",
        };
        visit(visit_arg, &entry);
    }
}

static uint64_t slow_log_length(void *arg)
{
    return *(uint64_t *)arg;
}

static void slow_log_reset(void *arg)
{
    *(uint64_t *)arg = 0;
}

#define ENTRY(id)                                                                                  \
    "*6\r\n:" id "\r\n:1700000000\r\n:12345\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n"                     \
    "$11\r\n127.0.0.1:5\r\n$0\r\n\r\n"

static void the_slow_log_is_shown_newest_first(void **state)
{
    (void)state;
    struct conversation talk;
    uint64_t length = 12;
    conversation_begin(&talk);
    talk.context.hooks = (struct hooks){.arg = &length,
                                        .visit_slow_log = visit_slow_log,
                                        .slow_log_length = slow_log_length,
                                        .slow_log_reset = slow_log_reset};
    conversation_expect(&talk, "SLOWLOG LEN", ":12\r\n");
    conversation_expect(&talk, "SLOWLOG GET 2", "*2\r\n" ENTRY("12") ENTRY("11"));
    conversation_expect_part(&talk, "SLOWLOG GET", "*10\r\n*6\r\n:12\r\n");
    conversation_expect_part(&talk, "SLOWLOG GET -1", "*12\r\n*6\r\n:12\r\n");
    conversation_expect(&talk, "SLOWLOG GET 0", "*0\r\n");
    conversation_expect(&talk, "SLOWLOG GET 1 2",
                        "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try "
                        "SLOWLOG HELP.\r\n");
    conversation_expect(&talk, "SLOWLOG GET -2",
                        "-ERR count should be greater than or equal to -1\r\n");
    conversation_expect(&talk, "SLOWLOG RESET", "+OK\r\n");
    conversation_expect(&talk, "SLOWLOG LEN", ":0\r\n");
    talk.context.hooks = (struct hooks){0};
    conversation_expect(&talk, "SLOWLOG GET", "*0\r\n");
    conversation_expect(&talk, "SLOWLOG LEN", ":0\r\n");
    conversation_expect(&talk, "SLOWLOG RESET", "+OK\r\n");
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_the_encodings_of_redis),
        cmocka_unit_test(a_key_takes_as_much_as_it_is_long_and_more),
        cmocka_unit_test(time_is_seconds_and_microseconds),
        cmocka_unit_test(nothing_is_known_of_latencies),
        cmocka_unit_test(the_slow_log_is_shown_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
