/* What a load is told: targets, mixes, distributions; and that what is drawn follows it. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "load/draw.h"
#include "load/plan.h"

#define KEYS  1000u
#define DRAWS 100000u

static void targets_are_read_and_strangers_refused(void **state)
{
    (void)state;
    static const char *const loopback[] = {"kvs://127.0.0.1:4000", "resp://127.1.2.3:6379",
                                           "memcached://[::1]:11211",
                                           "resp://[::ffff:127.0.0.1]:1"};
    static const char *const remote[] = {"kvs://10.0.0.1:4000", "resp://[::ffff:10.0.0.1]:1",
                                         "kvs://0.0.0.0:4000", "memcached://[2001:db8::1]:1"};
    static const char *const wrong[] = {"127.0.0.1:4000",    "http://127.0.0.1:80",
                                        "kvs://localhost:1", "kvs://",
                                        "kv://127.0.0.1:1",  "://127.0.0.1:1"};
    struct test_error error;
    struct endpoint endpoint;
    test_error_init(&error);
    for (size_t i = 0; i < 4; i++)
        assert_status(KVS_OK, endpoint_parse(loopback[i], false, &endpoint, &error.error), &error);
    assert_ptr_equal(endpoint.wire, &wire_resp);
    assert_string_equal(endpoint.text, "resp://[::ffff:127.0.0.1]:1");
    for (size_t i = 0; i < 4; i++) {
        assert_status(KVS_DENIED, endpoint_parse(remote[i], false, &endpoint, &error.error),
                      &error);
        assert_non_null(strstr(error.message, "--allow-remote"));
        assert_status(KVS_OK, endpoint_parse(remote[i], true, &endpoint, &error.error), &error);
    }
    for (size_t i = 0; i < 6; i++)
        assert_status(KVS_INVALID, endpoint_parse(wrong[i], true, &endpoint, &error.error), &error);
}

static void mixes_are_read(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "x", "1", "1:", ":1", "0:0", "-1:2", "1:2x", "nan:1"};
    struct test_error error;
    struct plan_mix mix;
    test_error_init(&error);
    assert_status(KVS_OK, plan_mix_parse("1:3", &mix, &error.error), &error);
    assert_float_equal(mix.sets, 25, 1e-9);
    assert_float_equal(mix.gets, 75, 1e-9);
    assert_status(KVS_OK, plan_mix_parse("D", &mix, &error.error), &error);
    assert_int_equal(mix.distribution, PLAN_LATEST);
    assert_float_equal(mix.inserts, 5, 1e-9);
    assert_status(KVS_UNSUPPORTED, plan_mix_parse("e", &mix, &error.error), &error);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_status(KVS_INVALID, plan_mix_parse(wrong[i], &mix, &error.error), &error);
}

static struct plan plan_of(const char *mix, enum plan_distribution distribution)
{
    struct plan plan = {
        .keys = KEYS, .threads = 1, .connections = 1, .pipeline = 1, .exponent = 0.99, .seed = 3};
    assert_int_equal(plan_mix_parse(mix, &plan.mix, NULL), KVS_OK);
    plan.distribution = distribution;
    return plan;
}

/* Draws DRAWS requests; counts them by key (inserts beyond KEYS are not) and by kind. */
static void draw_many(const struct plan *plan, uint32_t by_key[KEYS], uint32_t by_kind[4])
{
    struct draw draw;
    memset(by_key, 0, KEYS * sizeof(by_key[0]));
    memset(by_kind, 0, 4 * sizeof(by_kind[0]));
    draw_init(&draw, plan, 0);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint64_t index;
        by_kind[draw_next(&draw, &index)]++;
        assert_true(index < KEYS + draw.inserted);
        if (index < KEYS)
            by_key[index]++;
    }
    draw_deinit(&draw);
}

static int compare_counts(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

static void kinds_have_their_shares(void **state)
{
    (void)state;
    static uint32_t by_key[KEYS];
    uint32_t by_kind[4];
    struct plan plan = plan_of("1:3", PLAN_UNIFORM);
    draw_many(&plan, by_key, by_kind);
    assert_in_range(by_kind[DRAW_SET], DRAWS / 4 - 1500, DRAWS / 4 + 1500); /* ten sigma */
    assert_int_equal(by_kind[DRAW_GET] + by_kind[DRAW_SET], DRAWS);
    plan = plan_of("get", PLAN_UNIFORM);
    draw_many(&plan, by_key, by_kind);
    assert_int_equal(by_kind[DRAW_GET], DRAWS);
    plan = plan_of("set", PLAN_UNIFORM);
    draw_many(&plan, by_key, by_kind);
    assert_int_equal(by_kind[DRAW_SET], DRAWS);
    plan = plan_of("f", PLAN_UNIFORM);
    draw_many(&plan, by_key, by_kind);
    assert_in_range(by_kind[DRAW_CHANGE], DRAWS / 2 - 1600, DRAWS / 2 + 1600);
}

static void keys_have_their_distribution(void **state)
{
    (void)state;
    static uint32_t by_key[KEYS];
    uint32_t by_kind[4];
    struct plan plan = plan_of("get", PLAN_SEQUENTIAL);
    draw_many(&plan, by_key, by_kind);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(by_key[i], DRAWS / KEYS);
    plan = plan_of("get", PLAN_UNIFORM);
    draw_many(&plan, by_key, by_kind);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_in_range(by_key[i], 30, 200); /* 100 on average, sigma 10 */
    plan = plan_of("get", PLAN_LATEST);
    draw_many(&plan, by_key, by_kind);
    assert_true(by_key[KEYS - 1] > 10 * by_key[0]); /* the last one is the latest */
    plan = plan_of("get", PLAN_ZIPF);
    draw_many(&plan, by_key, by_kind);
    qsort(by_key, KEYS, sizeof(by_key[0]), compare_counts);
    /* The first has 1 / (1 + 1/2^0.99 + ... + 1/1000^0.99) of all: 13 %; the second half of it. */
    assert_in_range(by_key[0], 12000, 14000);
    assert_in_range(by_key[1], 6000, 7100);
}

static void threads_share_the_keys_and_insert_apart(void **state)
{
    (void)state;
    static uint32_t seen[3 * KEYS];
    struct plan plan = plan_of("d", PLAN_LATEST);
    plan.threads = 3;
    for (uint32_t thread = 0; thread < 3; thread++) {
        struct draw draw;
        uint64_t index;
        draw_init(&draw, &plan, thread);
        while (draw_preload(&draw, &index))
            seen[index]++;
        while (draw.inserted < 300) {
            if (draw_next(&draw, &index) == DRAW_INSERT)
                seen[index]++;
            else if (index >= KEYS) /* a get of what this very thread has inserted */
                assert_true((index - KEYS) % 3 == thread && seen[index] == 1);
        }
        draw_deinit(&draw);
    }
    for (uint32_t i = 0; i < KEYS + 900; i++)
        assert_int_equal(seen[i], 1);
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct test_error error;
    test_error_init(&error);
    struct plan plan = plan_of("get", PLAN_UNIFORM);
    assert_status(KVS_OK, plan_check(&plan, &error.error), &error);
    plan.threads = 2;
    assert_status(KVS_INVALID, plan_check(&plan, &error.error), &error);
    plan.connections = 2;
    plan.rate = 1;
    assert_status(KVS_INVALID, plan_check(&plan, &error.error), &error);
    plan.rate = 2;
    plan.keys = 1;
    assert_status(KVS_INVALID, plan_check(&plan, &error.error), &error);
    plan.keys = 2;
    plan.pipeline = PLAN_PIPELINE_MAX;
    plan.value_size = 1000000;
    assert_status(KVS_INVALID, plan_check(&plan, &error.error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_read_and_strangers_refused),
        cmocka_unit_test(mixes_are_read),
        cmocka_unit_test(kinds_have_their_shares),
        cmocka_unit_test(keys_have_their_distribution),
        cmocka_unit_test(threads_share_the_keys_and_insert_apart),
        cmocka_unit_test(numbers_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
