/* Loads: they begin together, end when they should, count right, and report what fails. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "engine/load.h"
#include "engine/steps.h"
#include "harness/zipf.h"
#include "peers/peers.h"

static const struct data data = {.seed = 3, .keys = 5000, .value_size = 100};

struct fixture {
    struct peer *peer;
    struct peer_store *store;
    struct histogram latency;
    struct test_error error;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    const struct peer_config config = {.dir = "/", .keys = data.keys, .value_size = 100};
    test_error_init(&fixture->error);
    histogram_init(&fixture->latency);
    fixture->peer = peer_table_new();
    assert_status(
        KVS_OK,
        fixture->peer->ops->open(fixture->peer, &config, &fixture->store, &fixture->error.error),
        &fixture->error);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->peer->ops->close(fixture->store, NULL), KVS_OK);
    peer_free(fixture->peer);
    free(fixture);
    return 0;
}

static struct load load_of(struct fixture *fixture, struct load_role role)
{
    return (struct load){
        .peer = fixture->peer,
        .store = fixture->store,
        .data = &data,
        .roles = {role},
        .role_count = 1,
        .duration_ns = 20000000,
        .latency = &fixture->latency,
    };
}

static void run(struct fixture *fixture, const struct load *load, struct load_result *ret)
{
    assert_status(KVS_OK, load_run(load, ret, &fixture->error.error), &fixture->error);
}

static void fill(struct fixture *fixture, load_step_fn step)
{
    struct load_result result;
    struct load load = load_of(
        fixture, (struct load_role){.step = step, .threads = 1, .ops = data.keys, .record = true});
    run(fixture, &load, &result);
    assert_int_equal(result.ops[0], data.keys);
    assert_true(result.rate[0] > 0 && result.wall_ns > 0);
}

/* Reads one key directly: KVS_OK or KVS_NOT_FOUND. */
static kvs_status get(struct fixture *fixture, uint64_t index)
{
    uint8_t key[DATA_KEY_SIZE];
    uint8_t bytes[100] = {0};
    struct peer_value value = {.data = bytes, .cap = sizeof(bytes)};
    data_key(&data, index, key);
    kvs_status status =
        fixture->peer->ops->get(fixture->store, NULL, bytes_of(key, DATA_KEY_SIZE), &value, NULL);
    if (status == KVS_OK)
        assert_true(data_value_is_of(&data, index, bytes, value.len));
    return status;
}

static void filling_writes_every_key_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, step_fill);
    for (uint64_t i = 0; i < data.keys; i++)
        assert_int_equal(get(fixture, i), KVS_OK);
    for (uint64_t i = data.keys; i < 2 * data.keys; i++)
        assert_int_equal(get(fixture, i), KVS_NOT_FOUND);
    assert_int_equal(fixture->latency.count, (data.keys) / LOAD_TIME_EVERY);
}

static void filling_in_batches_writes_every_key(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, step_fill_batch); /* 5000 is no multiple of 64 */
    for (uint64_t i = 0; i < data.keys; i++)
        assert_int_equal(get(fixture, i), KVS_OK);
    assert_int_equal(get(fixture, data.keys), KVS_NOT_FOUND);
}

static void several_threads_read_for_the_time_given(void **state)
{
    struct fixture *fixture = *state;
    struct load_result result;
    static const load_step_fn steps[] = {step_get_hit, step_get_miss, step_get_many};
    fill(fixture, step_fill_batch);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        histogram_init(&fixture->latency);
        struct load load = load_of(
            fixture,
            (struct load_role){.step = steps[i], .threads = 3, .time_all = true, .record = true});
        run(fixture, &load, &result);
        uint64_t per_step = steps[i] == step_get_many ? STEP_MANY_SIZE : 1;
        assert_true(result.ops[0] > 0);
        assert_int_equal(result.ops[0], fixture->latency.count * per_step);
        assert_true(result.wall_ns >= 15e6);
        assert_true(result.max_ns[0] > 0);
    }
}

static void a_role_without_end_stops_with_the_one_that_has(void **state)
{
    struct fixture *fixture = *state;
    struct load_result result;
    struct load load = load_of(fixture, (struct load_role){.step = step_get_miss, .threads = 1});
    load.duration_ns = UINT64_C(3600) * 1000000000; /* would be noticed */
    load.roles[1] = (struct load_role){.step = step_get_miss, .threads = 2, .ops = 1000};
    load.role_count = 2;
    run(fixture, &load, &result);
    assert_int_equal(result.ops[1], 2000);
}

static void overwriting_each_reaches_every_key_once(void **state)
{
    struct fixture *fixture = *state;
    struct load_result result;
    struct load load = load_of(
        fixture, (struct load_role){.step = step_overwrite_each, .threads = 1, .ops = data.keys});
    run(fixture, &load, &result);
    for (uint64_t i = 0; i < data.keys; i++)
        assert_int_equal(get(fixture, i), KVS_OK);
}

static void mixed_loads_write_the_share_they_should(void **state)
{
    struct fixture *fixture = *state;
    struct load_result result;
    _cleanup_(freep) uint32_t *draws = zipf_draws(data.keys, 0.99, 1, 1000);
    fill(fixture, step_fill_batch);
    struct load load = load_of(
        fixture,
        (struct load_role){.step = step_mixed, .threads = 1, .ops = 20000, .write_percent = 25});
    load.draws = draws;
    load.draw_count = 1000;
    load.version = 99;
    run(fixture, &load, &result);
    uint32_t written = 0;
    uint32_t drawn = 0;
    for (uint64_t i = 0; i < data.keys; i++) {
        uint8_t key[DATA_KEY_SIZE];
        uint8_t bytes[100];
        struct peer_value value = {.data = bytes, .cap = sizeof(bytes)};
        data_key(&data, i, key);
        assert_int_equal(fixture->peer->ops->get(fixture->store, NULL, bytes_of(key, DATA_KEY_SIZE),
                                                 &value, NULL),
                         KVS_OK);
        written += load_le64(bytes + 8) == 99;
    }
    for (uint32_t i = 0; i < data.keys; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < 1000 && !seen; k++)
            seen = draws[k] == i;
        drawn += seen;
    }
    /* Each drawn key came 20 times or more: hardly one was only read (0.75^20 is 0.3 %). */
    assert_in_range(written, drawn * 95 / 100, drawn);
}

static void a_worker_that_fails_ends_the_load_with_its_reason(void **state)
{
    struct fixture *fixture = *state;
    struct load_result result;
    struct load load = load_of(fixture, (struct load_role){.step = step_get_hit, .threads = 2});
    load.duration_ns = 1000000000;
    assert_int_equal(load_run(&load, &result, &fixture->error.error), KVS_INTERNAL);
    assert_non_null(strstr(fixture->error.message, "get of a stored key gave: not found"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(filling_writes_every_key_and_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(filling_in_batches_writes_every_key, setup, teardown),
        cmocka_unit_test_setup_teardown(several_threads_read_for_the_time_given, setup, teardown),
        cmocka_unit_test_setup_teardown(a_role_without_end_stops_with_the_one_that_has, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(overwriting_each_reaches_every_key_once, setup, teardown),
        cmocka_unit_test_setup_teardown(mixed_loads_write_the_share_they_should, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_fails_ends_the_load_with_its_reason, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
