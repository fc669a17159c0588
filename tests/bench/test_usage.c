/* What the process uses, and the control figures. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/controls.h"
#include "harness/machine.h"
#include "harness/usage.h"

static void used_time_is_counted(void **state)
{
    (void)state;
    struct usage before = usage_now();
    struct usage used = {0};
    for (volatile uint32_t i = 0; used.user_ns + used.system_ns < 5 * NS_PER_MS; i++) {
        struct usage after = usage_now();
        used = usage_between(&before, &after);
    }
    assert_true(used.user_ns + used.system_ns < 60 * NS_PER_S);
}

static void anonymous_memory_is_counted(void **state)
{
    (void)state;
    enum {
        SIZE = 32 << 20
    };
    struct usage_memory before = usage_memory_now();
    assert_true(before.anonymous_bytes > 0 && before.resident_bytes >= before.anonymous_bytes);
    _cleanup_(freep) uint8_t *memory = malloc(SIZE);
    assert_non_null(memory);
    memset(memory, 1, SIZE);
    __asm__ volatile("" : : "r"(memory) : "memory");
    struct usage_memory after = usage_memory_now();
    assert_true(after.anonymous_bytes >= before.anonymous_bytes + SIZE / 2);
}

static void settling_comes_to_an_end(void **state)
{
    (void)state;
    assert_true(usage_settle(10000));
}

static void controls_are_plausible(void **state)
{
    (void)state;
    struct test_error error;
    struct controls *controls;
    test_error_init(&error);
    assert_status(KVS_OK, controls_new(&controls, &error.error), &error);
    struct controls_reading reading = controls_read(controls);
    assert_true(reading.multiply_ns > 0.05 && reading.multiply_ns < 1e6);
    assert_true(reading.memory_ns > 0.5 && reading.memory_ns < 1e6);
    assert_true(reading.bounce_ns >= 0 && reading.bounce_ns < 1e9);
    controls_free(controls);
}

static void the_machine_is_described(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    struct machine machine;
    machine_init(&machine, dir);
    assert_true(machine.cpus >= 1);
    assert_true(machine.memory_bytes > 1 << 20);
    assert_non_null(strstr(machine.kernel, "Linux"));
    assert_non_null(strstr(machine.filesystem, " on "));
    machine_deinit(&machine);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_time_is_counted),     cmocka_unit_test(anonymous_memory_is_counted),
        cmocka_unit_test(settling_comes_to_an_end), cmocka_unit_test(controls_are_plausible),
        cmocka_unit_test(the_machine_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
