/* The ledger of the crash tests: what it takes for explained, and that it sees what is wrong. */
#include "crash/ledger.h"
#include "support/support.h"

#include <string.h>

#include "base/bytes.h"

#define NOW_MS 1000000

struct world {
    struct ledger *ledger;
    struct ledger_writer *writer;
    struct ledger_found found;
};

static int set_up(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    world.ledger = ledger_new();
    world.writer = &world.ledger->writers[0];
    world.found.before_ms = world.found.after_ms = NOW_MS;
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    ledger_free(world->ledger);
    return 0;
}

static void begin(struct world *world, struct ledger_change first, struct ledger_change second)
{
    struct ledger_step step = {.count = second.key != 0 ? 2 : 1, .changes = {first, second}};
    ledger_begin(world->writer, &step);
}

static const struct ledger_change no_change;

static struct ledger_change set(uint32_t key, uint32_t version, int64_t expires_ms)
{
    return (struct ledger_change){key, {version, expires_ms}};
}

static bool settles(struct world *world)
{
    char text[1024];
    return ledger_settle(world->ledger, 0, &world->found, text, sizeof(text));
}

static void test_sees_a_lost_write(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, 0), no_change);
    ledger_acknowledge(world->writer);
    assert_false(settles(world));
    world->found.versions[1] = 1;
    assert_true(settles(world));
}

static void test_sees_an_older_value(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, 0), no_change);
    begin(world, set(1, 2, 0), no_change);
    ledger_acknowledge(world->writer);
    ledger_acknowledge(world->writer);
    world->found.versions[1] = 1;
    assert_false(settles(world));
}

static void test_sees_a_removed_key(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, 0), no_change);
    begin(world, set(1, 0, 0), no_change);
    ledger_acknowledge(world->writer);
    ledger_acknowledge(world->writer);
    world->found.versions[1] = 1;
    assert_false(settles(world));
}

static void test_sees_half_a_batch(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, 0), set(2, 2, 0));
    world->found.versions[2] = 2;
    assert_false(settles(world));
    world->found.versions[1] = 1;
    assert_true(settles(world));
}

static void test_takes_any_number_of_first_steps(void **state)
{
    struct world *world = *state;
    for (uint32_t happened = 0; happened <= 3; happened++) {
        memset(world->writer, 0, sizeof(*world->writer));
        for (uint32_t key = 1; key <= 3; key++) {
            begin(world, set(key, key, 0), no_change);
            world->found.versions[key] = key <= happened ? key : 0;
        }
        assert_true(settles(world));
        assert_int_equal(world->writer->keys[3].version, happened == 3 ? 3 : 0);
        assert_int_equal(world->writer->under_way_count, 0);
        assert_true(settles(world));
    }
}

static void test_sees_a_later_step_without_the_first(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, 0), no_change);
    begin(world, set(2, 2, 0), no_change);
    world->found.versions[2] = 2;
    assert_false(settles(world));
}

static void test_sees_what_comes_back_expired_or_goes_early(void **state)
{
    struct world *world = *state;
    begin(world, set(1, 1, NOW_MS - 100), set(2, 2, NOW_MS + 100));
    ledger_acknowledge(world->writer);
    world->found.versions[1] = 1;
    world->found.versions[2] = 2;
    assert_false(settles(world));
    world->found.versions[1] = 0;
    assert_true(settles(world));
    world->found.versions[2] = 0;
    assert_false(settles(world));
}

static void test_knows_values_that_were_sent(void **state)
{
    struct world *world = *state;
    static uint8_t bytes[LEDGER_VALUE_MAX];
    uint32_t version = 0;
    struct kvs_bytes value = ledger_value(bytes, 0, 3, 7);
    assert_false(ledger_read_value(world->ledger, 0, 3, value, &version)); /* not yet */
    world->writer->last_version = 7;
    assert_true(ledger_read_value(world->ledger, 0, 3, value, &version));
    assert_int_equal(version, 7);
    assert_false(ledger_read_value(world->ledger, 0, 4, value, &version));
    bytes[value.len - 1] ^= 1;
    assert_false(ledger_read_value(world->ledger, 0, 3, value, &version));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sees_a_lost_write),
        TEST(test_sees_an_older_value),
        TEST(test_sees_a_removed_key),
        TEST(test_sees_half_a_batch),
        TEST(test_takes_any_number_of_first_steps),
        TEST(test_sees_a_later_step_without_the_first),
        TEST(test_sees_what_comes_back_expired_or_goes_early),
        TEST(test_knows_values_that_were_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
