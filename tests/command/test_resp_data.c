/* The Redis commands on keys, on every kind of store. test_resp_same.c compares them with Redis. */
#include "resp_runner.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

static void test_strings(struct resp_runner *runner)
{
    expect_reply(runner, "SET k v", "+OK");
    expect_reply(runner, "get k", "$1 v");
    expect_reply(runner, "GET none", "$-1");
    expect_reply(runner, "GETSET k w", "$1 v");
    expect_reply(runner, "APPEND k xyz", ":4");
    expect_reply(runner, "APPEND new a", ":1");
    expect_reply(runner, "STRLEN k", ":4");
    expect_reply(runner, "STRLEN none", ":0");
    expect_reply(runner, "GETRANGE k 1 -2", "$2 xy");
    expect_reply(runner, "SUBSTR k -100 100", "$4 wxyz");
    expect_reply(runner, "GETRANGE k 3 1", "$0 ");
    expect_reply(runner, "SETRANGE k 2 ABC", ":5");
    expect_reply(runner, "GET k", "$5 wxABC");
    expect_reply(runner, "SETRANGE k 1 \"\"", ":5");
    expect_reply(runner, "SETRANGE none 3 \"\"", ":0");
    expect_reply(runner, "SETRANGE k -1 x", "-ERR offset is out of range");
    expect_reply(runner, "SETRANGE k 67108864 x",
                 "-ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    expect_reply(runner, "GETDEL k", "$5 wxABC");
    expect_reply(runner, "GETDEL k", "$-1");
    expect_reply(runner, "MSET a 1 b 2 a 3", "+OK");
    expect_reply(runner, "MGET a none b a", "*4 $1 3 $-1 $1 2 $1 3");
    expect_reply(runner, "MSETNX x 1 b 2", ":0");
    expect_reply(runner, "MSETNX x 1 y 2", ":1");
    expect_reply(runner, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command");
    expect_reply(runner, "EXISTS a b a none", ":3");
    expect_reply(runner, "TOUCH a none", ":1");
    expect_reply(runner, "TYPE a", "+string");
    expect_reply(runner, "TYPE none", "+none");
    expect_reply(runner, "DEL a a none", ":1");
    expect_reply(runner, "UNLINK b x y new", ":4");
    expect_reply(runner, "EXISTS a b x y new", ":0");
    expect_reply(runner, "SET \"\" v", "-ERR a key has at least 1 byte");
    expect_reply(runner, "GET \"\"", "$-1");
}

static void test_counters(struct resp_runner *runner)
{
    expect_reply(runner, "INCR n", ":1");
    expect_reply(runner, "DECRBY n 11", ":-10");
    expect_reply(runner, "GET n", "$3 -10");
    expect_reply(runner, "SET n 9223372036854775806", "+OK");
    expect_reply(runner, "INCR n", ":9223372036854775807");
    expect_reply(runner, "INCR n", "-ERR increment or decrement would overflow");
    expect_reply(runner, "DECRBY n -9223372036854775808", "-ERR decrement would overflow");
    expect_reply(runner, "INCRBY n 1.5", "-ERR value is not an integer or out of range");
    expect_reply(runner, "SET n 01", "+OK");
    expect_reply(runner, "DECR n", "-ERR value is not an integer or out of range");
    expect_reply(runner, "SET f 10.50", "+OK");
    expect_reply(runner, "INCRBYFLOAT f 0.1", "$4 10.6");
    expect_reply(runner, "INCRBYFLOAT f -10.6", "$1 0");
    expect_reply(runner, "SET f 5.0e3", "+OK");
    expect_reply(runner, "INCRBYFLOAT f 2.0e2", "$4 5200");
    expect_reply(runner, "INCRBYFLOAT f x", "-ERR value is not a valid float");
    expect_reply(runner, "INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity");
    expect_reply(runner, "INCRBYFLOAT new 3.0", "$1 3");
}

/* A program that embeds the server may have another decimal point. */
static void test_floats_know_no_locale(struct resp_runner *runner)
{
    const char *name = setlocale(LC_NUMERIC, "de_DE.UTF-8");
    if (name == NULL)
        print_message("without the locale de_DE.UTF-8 this shows little\n");
    expect_reply(runner, "INCRBYFLOAT f 1.5", "$3 1.5");
    expect_reply(runner, "INCRBYFLOAT f 0.25", "$4 1.75");
    (void)setlocale(LC_NUMERIC, "C");
}

static void test_set_options(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    expect_reply(runner, "SET k 1 XX", "$-1");
    expect_reply(runner, "SET k 1 NX EX 10", "+OK");
    expect_reply(runner, "SET k 2 NX", "$-1");
    expect_reply(runner, "PTTL k", ":10000");
    expect_reply(runner, "SET k 2 KEEPTTL GET", "$1 1");
    expect_reply(runner, "TTL k", ":10");
    expect_reply(runner, "SET k 3", "+OK");
    expect_reply(runner, "TTL k", ":-1");
    expect_reply(runner, "SET k 4 NX GET", "$1 3");
    expect_reply(runner, "SET none 4 XX GET", "$-1");
    expect_reply(runner, "SET k 5 PXAT 1700000000500 XX", "+OK");
    expect_reply(runner, "PEXPIRETIME k", ":1700000000500");
    expect_reply(runner, "EXPIRETIME k", ":1700000001");
    expect_reply(runner, "SET k 6 EX 0", "-ERR invalid expire time in 'set' command");
    expect_reply(runner, "SET k 6 EX 10 PX 10", "-ERR syntax error");
    expect_reply(runner, "SET k 6 EX", "-ERR syntax error");
    expect_reply(runner, "SET k 6 NX XX", "-ERR syntax error");
    expect_reply(runner, "SET k 6 EX ten", "-ERR value is not an integer or out of range");
    expect_reply(runner, "SET k 6 PX 9223372036854775807",
                 "-ERR invalid expire time in 'set' command");
    expect_reply(runner, "SETEX k 5 v", "+OK");
    expect_reply(runner, "PTTL k", ":5000");
    expect_reply(runner, "PSETEX k 5 v", "+OK");
    expect_reply(runner, "PTTL k", ":5");
    expect_reply(runner, "SETEX k -1 v", "-ERR invalid expire time in 'setex' command");
    expect_reply(runner, "SETNX k v", ":0");
    expect_reply(runner, "SETNX new v", ":1");
    expect_reply(runner, "GETEX k EX 100", "$1 v");
    expect_reply(runner, "TTL k", ":100");
    expect_reply(runner, "GETEX k PERSIST", "$1 v");
    expect_reply(runner, "TTL k", ":-1");
    expect_reply(runner, "GETEX k", "$1 v");
    expect_reply(runner, "GETEX k PXAT 1", "$1 v");
    expect_reply(runner, "EXISTS k", ":0");
    expect_reply(runner, "GETEX k NX", "-ERR syntax error");
}

static void test_expiry(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    expect_reply(runner, "EXPIRE k 10", ":0");
    expect_reply(runner, "TTL k", ":-2");
    expect_reply(runner, "SET k v", "+OK");
    expect_reply(runner, "EXPIRE k 10 XX", ":0");
    expect_reply(runner, "EXPIRE k 10 GT", ":0");
    expect_reply(runner, "EXPIRE k 10 LT", ":1");
    expect_reply(runner, "EXPIRE k 20 NX", ":0");
    expect_reply(runner, "EXPIRE k 20 LT", ":0");
    expect_reply(runner, "PEXPIRE k 10001 GT", ":1");
    expect_reply(runner, "PTTL k", ":10001");
    expect_reply(runner, "EXPIRE k 10 NX XX",
                 "-ERR NX and XX, GT or LT options at the same time are not compatible");
    expect_reply(runner, "EXPIRE k 10 GT LT",
                 "-ERR GT and LT options at the same time are not compatible");
    expect_reply(runner, "EXPIRE k 10 foo", "-ERR Unsupported option foo");
    expect_reply(runner, "EXPIRE k 9223372036854775807",
                 "-ERR invalid expire time in 'expire' command");
    expect_reply(runner, "APPEND k w", ":2");
    expect_reply(runner, "PTTL k", ":10001");
    expect_reply(runner, "PERSIST k", ":1");
    expect_reply(runner, "PERSIST k", ":0");
    expect_reply(runner, "EXPIREAT k 1700000010", ":1");
    runner->now_ms = NOW + 10000;
    expect_reply(runner, "GET k", "$2 vw");
    expect_reply(runner, "PTTL k", ":0");
    runner->now_ms = NOW + 10001;
    expect_reply(runner, "GET k", "$-1");
    expect_reply(runner, "MGET k", "*1 $-1");
    expect_reply(runner, "EXISTS k", ":0");
    expect_reply(runner, "DEL k", ":0");
    expect_reply(runner, "TTL k", ":-2");
    expect_reply(runner, "STRLEN k", ":0");
    expect_reply(runner, "GETRANGE k 0 -1", "$0 ");
    expect_reply(runner, "SETRANGE k 5 \"\"", ":0");
    expect_reply(runner, "PERSIST k", ":0");
    expect_reply(runner, "RENAME k l", "-ERR no such key");
    expect_reply(runner, "INCR k", ":1");
    expect_reply(runner, "TTL k", ":-1");
    expect_reply(runner, "PEXPIREAT k 1", ":1");
    expect_reply(runner, "EXISTS k", ":0");
    expect_reply(runner, "SET k v PX 1", "+OK");
    runner->now_ms += 2;
    expect_reply(runner, "SET k w NX", "+OK");
    expect_reply(runner, "PEXPIRE k 1", ":1");
    runner->now_ms += 2;
    expect_reply(runner, "APPEND k x", ":1");
    expect_reply(runner, "TTL k", ":-1");
}

static void test_renaming(struct resp_runner *runner)
{
    runner->now_ms = NOW;
    expect_reply(runner, "SET a 1 PX 500", "+OK");
    expect_reply(runner, "SET b 2", "+OK");
    expect_reply(runner, "RENAMENX a b", ":0");
    expect_reply(runner, "RENAME a b", "+OK");
    expect_reply(runner, "GET b", "$1 1");
    expect_reply(runner, "PTTL b", ":500");
    expect_reply(runner, "EXISTS a", ":0");
    expect_reply(runner, "RENAME b b", "+OK");
    expect_reply(runner, "RENAMENX b b", ":0");
    expect_reply(runner, "RENAMENX b c", ":1");
    expect_reply(runner, "RENAME none none", "-ERR no such key");
    expect_reply(runner, "COPY c d", ":1");
    expect_reply(runner, "PTTL d", ":500");
    expect_reply(runner, "SET e 5", "+OK");
    expect_reply(runner, "COPY c e", ":0");
    expect_reply(runner, "COPY c e REPLACE DB 0", ":1");
    expect_reply(runner, "GET e", "$1 1");
    expect_reply(runner, "COPY none e REPLACE", ":0");
    expect_reply(runner, "COPY c c", "-ERR source and destination objects are the same");
    expect_reply(runner, "COPY c d DB 1", "-ERR DB index is out of range");
    expect_reply(runner, "COPY c d DB", "-ERR syntax error");
}

/* ---- races ---------------------------------------------------------------------------------- */

enum {
    THREADS = 4
};

struct racing {
    struct resp_runner *runner;
    pthread_barrier_t start;
    int rounds;
    _Atomic unsigned taken; /* SETNX that won */
};

static void *race(void *arg)
{
    struct racing *racing = arg;
    struct resp_runner own;
    resp_runner_share(racing->runner, &own);
    (void)pthread_barrier_wait(&racing->start);
    for (int i = 0; i < racing->rounds; i++) {
        char line[64];
        (void)resp_run_line(&own, "INCR n");
        (void)resp_run_line(&own, "INCRBYFLOAT f 0.5");
        (void)resp_run_line(&own, "APPEND s x");
        (void)snprintf(line, sizeof(line), "SETNX lock%d x", i);
        struct kvs_bytes won = resp_run_line(&own, line);
        if (won.len > 1 && ((const char *)won.ptr)[1] == '1')
            (void)atomic_fetch_add(&racing->taken, 1);
    }
    resp_runner_unshare(&own);
    return NULL;
}

static void test_races(struct resp_runner *runner)
{
    bool waits = runner->store.durability == KVS_DURABILITY_ALWAYS;
    struct racing racing = {.runner = runner, .rounds = waits ? 20 : 200};
    pthread_t threads[THREADS];
    char sum[32];
    (void)pthread_barrier_init(&racing.start, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, race, &racing));
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    (void)pthread_barrier_destroy(&racing.start);
    (void)snprintf(sum, sizeof(sum), ":%d", THREADS * racing.rounds);
    expect_reply(runner, "STRLEN s", sum);
    expect_reply(runner, "INCRBY n 0", sum);
    expect_reply(runner, "INCRBYFLOAT f 0", waits ? "$2 40" : "$3 400");
    assert_int_equal(racing.rounds, racing.taken);
}

/* ---- all of them on every kind ------------------------------------------------------------------ */

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

int main(void)
{
    static const struct {
        const char *name;
        void (*test)(struct resp_runner *runner);
    } all[] = {
        {"strings", test_strings}, {"counters", test_counters},
        {"set", test_set_options}, {"floats", test_floats_know_no_locale},
        {"expiry", test_expiry},   {"renaming", test_renaming},
        {"races", test_races},
    };
    enum {
        ALL = sizeof(all) / sizeof(all[0]),
        MOST = 6 * ALL
    };
    static struct variant variants[MOST];
    static char names[MOST][64];
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
    for (const char *const *kind = store_fixture_kinds(); *kind != NULL; kind++) {
        for (size_t i = 0; i < ALL; i++, count++) {
            variants[count] = (struct variant){*kind, all[i].test};
            (void)snprintf(names[count], sizeof(names[count]), "%s on %s", all[i].name, *kind);
            tests[count] = (struct CMUnitTest){
                .name = names[count], .test_func = run_variant, .initial_state = &variants[count]};
        }
    }
    return _cmocka_run_group_tests("resp_data", tests, count, NULL, NULL);
}
