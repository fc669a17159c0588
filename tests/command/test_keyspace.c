/* Listing, flushing and sweeping, on the real engines; the clock is the test's. */
#include "resp_runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/keyspace.h"

#define NOW  INT64_C(1700000000000)
#define KEYS 2000

/* ---- listing -------------------------------------------------------------------------------- */

/* SET PREFIX0 x OPTIONS, and so on. */
static void fill(struct resp_runner *runner, const char *prefix, const char *options, int count)
{
    for (int i = 0; i < count; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "SET %s%d x%s", prefix, i, options);
        expect_reply(runner, line, "+OK");
    }
}

/* Reads the keys of an array reply into seen, by the number behind "key". */
static const char *take_keys(const char *at, const char *end, unsigned *seen)
{
    int64_t count = strtoll(at + 1, NULL, 10);
    assert_int_equal('*', *at);
    at = strchr(at, '\n') + 1;
    while (count-- > 0) {
        long len = strtol(at + 1, NULL, 10);
        at = strchr(at, '\n') + 1;
        int number = atoi(at + 3);
        assert_true(number >= 0 && number < KEYS);
        seen[number]++;
        at += len + 2;
        assert_true(at <= end);
    }
    return at;
}

/* One SCAN with its options; the next cursor. */
static uint64_t scan_once(struct resp_runner *runner, uint64_t cursor, const char *options,
                          unsigned *seen)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "SCAN %llu%s", (unsigned long long)cursor, options);
    struct kvs_bytes reply = resp_run_line(runner, line);
    char *text = calloc(1, reply.len + 1);
    assert_non_null(text);
    memcpy(text, reply.ptr, reply.len);
    assert_int_equal(0, strncmp(text, "*2\r\n$", 5));
    char *number = strchr(text + 5, '\n') + 1;
    cursor = strtoull(number, NULL, 10);
    (void)take_keys(strchr(number, '\n') + 1, text + reply.len, seen);
    free(text);
    return cursor;
}

static void test_scan_sees_all(struct resp_runner *runner)
{
    static unsigned seen[KEYS];
    runner->now_ms = NOW;
    fill(runner, "key", "", KEYS);
    memset(seen, 0, sizeof(seen));
    uint64_t cursor = 0;
    unsigned calls = 0;
    do {
        cursor = scan_once(runner, cursor, " COUNT 50", seen);
        /* The store grows and shrinks meanwhile; what is there throughout is seen. */
        char line[64];
        (void)snprintf(line, sizeof(line), calls % 2 == 0 ? "SET other%u x" : "SET zother%u x PX 1",
                       calls);
        expect_reply(runner, line, "+OK");
        (void)snprintf(line, sizeof(line), "DEL key%u", calls);
        expect_reply(runner, line, ":1");
        (void)snprintf(line, sizeof(line), "DEL other%u zother%u", calls, calls);
        expect_reply(runner, line, ":1");
        calls++;
    } while (cursor != 0 && calls < 1000);
    assert_int_equal(0, cursor);
    assert_true(calls >= 20);
    for (unsigned i = calls; i < KEYS; i++)
        assert_true(seen[i] >= 1);
}

static void test_scan_options(struct resp_runner *runner)
{
    static unsigned seen[KEYS];
    unsigned total = 0;
    runner->now_ms = NOW;
    fill(runner, "key", " PX 1000", 100);
    memset(seen, 0, sizeof(seen));
    assert_int_equal(0, scan_once(runner, 0, " COUNT 1000 MATCH *[0-4]", seen));
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(i % 10 < 5, seen[i]);
    assert_int_equal(0, scan_once(runner, 0, " TYPE string COUNT 1000 MATCH key7?", seen));
    for (unsigned i = 70; i < 80; i++)
        assert_int_equal(i % 10 < 5 ? 2 : 1, seen[i]);
    memset(seen, 0, sizeof(seen));
    assert_int_equal(0, scan_once(runner, 0, " TYPE list COUNT 1000", seen));
    runner->now_ms = NOW + 1001; /* all are gone, though nothing has removed them */
    assert_int_equal(0, scan_once(runner, 0, " COUNT 1000", seen));
    for (unsigned i = 0; i < 100; i++)
        total += seen[i];
    assert_int_equal(0, total);
    expect_reply(runner, "KEYS *", "*0");
    expect_reply(runner, "RANDOMKEY", "$-1");
    expect_reply(runner, "SET key5 x", "+OK");
    expect_reply(runner, "KEYS k*5", "*1 $4 key5");
    expect_reply(runner, "KEYS x*", "*0");
    expect_reply(runner, "RANDOMKEY", "$4 key5");
    expect_reply(runner, "SCAN x", "-ERR invalid cursor");
    expect_reply(runner, "SCAN 18446744073709551616", "-ERR invalid cursor");
    expect_reply(runner, "SCAN -18446744073709551616", "-ERR invalid cursor");
    expect_reply(runner, "SCAN -", "-ERR invalid cursor");
    expect_reply(runner, "SCAN +-0", "-ERR invalid cursor");
    expect_reply(runner, "SCAN -0 COUNT 1000", "*2 $1 0 *1 $4 key5");
    expect_reply(runner, "SCAN +0 COUNT 1000", "*2 $1 0 *1 $4 key5");
    expect_reply(runner, "SCAN 0 COUNT 0", "-ERR syntax error");
    expect_reply(runner, "SCAN 0 COUNT x", "-ERR value is not an integer or out of range");
    expect_reply(runner, "SCAN 0 MATCH", "-ERR syntax error");
    expect_reply(runner, "SCAN 0 FOO bar", "-ERR syntax error");
    expect_reply(runner, "SCAN 0 COUNT 1000 TYPE string", "*2 $1 0 *1 $4 key5");
}

/* RANDOMKEY gets to every key. */
static void test_random_keys(struct resp_runner *runner)
{
    unsigned found = 0;
    bool seen[50] = {false};
    fill(runner, "key", "", 50);
    for (unsigned i = 0; i < 100000 && found < 50; i++) {
        struct kvs_bytes reply = resp_run_line(runner, "RANDOMKEY");
        const char *name = memchr(reply.ptr, '\n', reply.len);
        assert_non_null(name);
        int number = atoi(name + 4);
        found += !seen[number];
        seen[number] = true;
    }
    assert_int_equal(50, found);
}

static void test_flush(struct resp_runner *runner)
{
    fill(runner, "key", "", KEYS);
    assert_int_equal(KEYS, keyspace_count(runner->context.store));
    expect_reply(runner, "FLUSHALL LATER", "-ERR syntax error");
    expect_reply(runner, "FLUSHALL ASYNC", "+OK");
    assert_int_equal(0, keyspace_count(runner->context.store));
    expect_reply(runner, "SET key1 x", "+OK");
    expect_reply(runner, "FLUSHDB", "+OK");
    expect_reply(runner, "EXISTS key1", ":0");
}

/* ---- sweeping ------------------------------------------------------------------------------- */

static uint64_t figures[4]; /* by take_figure */

static void take_figure(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    static const char *const names[] = {"expired_keys", "expiring_keys", "sweep_keys",
                                        "sweep_passes"};
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0)
            figures[i] = value;
    }
}

static uint64_t expired_keys(struct resp_runner *runner)
{
    keyspace_visit_stats(runner->context.keyspace, take_figure, NULL);
    return figures[0];
}

/* Works until nothing is due before `until`, going on in time; the moment at which there is more. */
static int64_t work_until(struct resp_runner *runner, int64_t until)
{
    for (unsigned i = 0; i < 10000; i++) {
        int64_t due_ms = keyspace_work(runner->context.keyspace);
        if (due_ms > until)
            return due_ms;
        if (due_ms > runner->now_ms)
            runner->now_ms = due_ms;
    }
    fail_msg("it never rests");
    return 0;
}

static void test_sweep_removes(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    fill(runner, "key", " PX 5000", KEYS);
    fill(runner, "stays", "", 100);
    fill(runner, "long", " EX 100000", 100);
    (void)work_until(runner, NOW + 5000);
    assert_int_equal(KEYS + 200, keyspace_count(runner->context.store));
    assert_int_equal(0, expired_keys(runner));
    runner->now_ms = NOW + 5001;
    expect_reply(runner, "SET key7 new", "+OK"); /* what was set since is not removed */
    int64_t due_ms = work_until(runner, NOW + 20000);
    assert_int_equal(201, keyspace_count(runner->context.store));
    assert_int_equal(KEYS - 1, expired_keys(runner));
    assert_int_equal(100, figures[1]);
    expect_reply(runner, "GET key7", "$3 new");
    /* It rests until the next one expires, ... */
    assert_true(due_ms > NOW + 99999000);
    /* ... or until one is set that expires earlier. */
    runner->now_ms = NOW + 30000;
    expect_reply(runner, "SET soon x PX 10", "+OK");
    assert_true(keyspace_work(runner->context.keyspace) <= NOW + 31000);
    (void)work_until(runner, NOW + 40000);
    assert_int_equal(201, keyspace_count(runner->context.store));
    assert_int_equal(KEYS, expired_keys(runner));
}

/* Nothing at all is done while nothing expires. */
static void test_sweep_rests(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    fill(runner, "key", "", 100);
    assert_int_equal(INT64_MAX, work_until(runner, NOW + INT64_C(1000000000)));
    assert_false(store_is_expiring(runner->context.store));
    (void)expired_keys(runner);
    uint64_t seen = figures[2];
    assert_int_equal(2, figures[3]);
    runner->now_ms += 1000000;
    expect_reply(runner, "SET key1 y", "+OK");
    assert_int_equal(INT64_MAX, keyspace_work(runner->context.keyspace));
    (void)expired_keys(runner);
    assert_int_equal(seen, figures[2]);
    /* After the last of those that expire it makes sure, and rests again. */
    expect_reply(runner, "SET key1 y PX 100", "+OK");
    assert_true(store_is_expiring(runner->context.store));
    (void)work_until(runner, runner->now_ms + 1);
    assert_true(store_is_expiring(runner->context.store));
    assert_int_equal(INT64_MAX, work_until(runner, runner->now_ms + INT64_C(1000000000)));
    assert_int_equal(1, expired_keys(runner));
    assert_int_equal(99, keyspace_count(runner->context.store));
}

static void test_sweep_after_restart(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    fill(runner, "key", " PX 100", 1000);
    fill(runner, "later", " PX 100000", 10);
    resp_runner_reopen(runner);
    expect_reply(runner, "GET key1", "$1 x");
    expect_reply(runner, "PTTL key1", ":100");
    runner->now_ms = NOW + 101;
    expect_reply(runner, "GET key1", "$-1");
    int64_t due_ms = work_until(runner, NOW + 50000);
    assert_int_equal(10, keyspace_count(runner->context.store));
    assert_true(due_ms >= NOW + 100000);
    resp_runner_reopen(runner);
    runner->now_ms = NOW + 100001;
    (void)work_until(runner, NOW + 110000);
    assert_int_equal(0, keyspace_count(runner->context.store));
}

/* With its thread and the real clock. */
static bool is_empty(const struct resp_runner *runner)
{
    return keyspace_count(runner->context.store) == 0;
}

/* What is gone is counted afterwards. */
static bool is_counted(void *arg)
{
    return expired_keys(arg) == 700;
}

static void test_thread(struct resp_runner *runner)
{
    struct keyspace_config config = {.store = &runner->store.store, .log = &runner->store.log};
    keyspace_free(runner->context.keyspace);
    assert_int_equal(KVS_OK, keyspace_new(&config, &runner->context.keyspace, NULL));
    assert_int_equal(KVS_OK, keyspace_start(runner->context.keyspace, NULL));
    fill(runner, "key", " PX 1", 700);
    wait_until(is_counted, runner);
    assert_true(is_empty(runner));
    fill(runner, "key", "", 700);
    expect_reply(runner, "FLUSHALL", "+OK");
    assert_true(is_empty(runner));
    keyspace_stop(runner->context.keyspace);
    expect_reply(runner, "FLUSHALL", "-ERR the server is stopping");
}

/* ---- all of them on every kind that can list its keys ----------------------------------------- */

struct variant {
    const char *kind;
    void (*test)(struct resp_runner *runner);
};

static void run_variant(void **state)
{
    const struct variant *variant = *state;
    struct resp_runner *runner = calloc(1, sizeof(*runner));
    assert_non_null(runner);
    resp_runner_open(runner, variant->kind);
    variant->test(runner);
    resp_runner_close(runner);
    free(runner);
}

static void test_engine_without_scan(void **state)
{
    (void)state;
    struct resp_runner *runner = calloc(1, sizeof(*runner));
    assert_non_null(runner);
    resp_runner_open(runner, "memory");
    expect_reply(runner, "KEYS *", "-ERR engine test cannot list its keys");
    expect_reply(runner, "SCAN 0", "-ERR engine test cannot list its keys");
    expect_reply(runner, "RANDOMKEY", "-ERR engine test cannot list its keys");
    expect_reply(runner, "FLUSHALL", "-ERR this engine cannot list its keys");
    assert_int_equal(UINT64_MAX, keyspace_count(runner->context.store));
    resp_runner_close(runner);
    free(runner);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*test)(struct resp_runner *runner);
    } all[] = {
        {"scan_sees_all", test_scan_sees_all},
        {"scan_options", test_scan_options},
        {"random_keys", test_random_keys},
        {"flush", test_flush},
        {"sweep_removes", test_sweep_removes},
        {"sweep_rests", test_sweep_rests},
        {"thread", test_thread},
        {"sweep_after_restart", test_sweep_after_restart},
    };
    enum {
        ALL = sizeof(all) / sizeof(all[0]),
        MOST = 6 * ALL
    };
    static struct variant variants[MOST];
    static char names[MOST][64];
    static struct CMUnitTest tests[MOST + 1];
    size_t count = 0;
    for (const char *const *kind = store_fixture_kinds(); *kind != NULL; kind++) {
        if (strchr(*kind, '-') != NULL || strncmp(*kind, "memory", 6) == 0)
            continue; /* the durable ones are only slower here */
        for (size_t i = 0; i < ALL; i++, count++) {
            variants[count] = (struct variant){*kind, all[i].test};
            (void)snprintf(names[count], sizeof(names[count]), "%s on %s", all[i].name, *kind);
            tests[count] = (struct CMUnitTest){
                .name = names[count], .test_func = run_variant, .initial_state = &variants[count]};
        }
    }
    tests[count++] =
        (struct CMUnitTest){.name = "engine_without_scan", .test_func = test_engine_without_scan};
    return _cmocka_run_group_tests("keyspace", tests, count, NULL, NULL);
}
