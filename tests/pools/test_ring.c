/* The queue of the shared-queue pool on its own, compared with a plain list. */
#include "support/support.h"

#include <stdlib.h>

#include "ring.h"

static struct kvs_job job_of(uint64_t number)
{
    return (struct kvs_job){.arg = (void *)(uintptr_t)number};
}

static uint64_t number_of(const struct kvs_job *job)
{
    return (uint64_t)(uintptr_t)job->arg;
}

static void put_numbers(struct ring *ring, uint64_t first, uint64_t count)
{
    struct kvs_job jobs[700];
    assert_true(count <= 700);
    for (uint64_t i = 0; i < count; i++)
        jobs[i] = job_of(first + i);
    assert_true(ring_reserve(ring, count));
    ring_put(ring, jobs, count);
}

static void test_keeps_order_while_it_wraps_and_grows(void **state)
{
    (void)state;
    struct ring ring = {.cap = 0};
    uint64_t in = 0, out = 0;
    srand(1); /* the same sizes at each run */
    for (unsigned round = 0; round < 3000; round++) {
        uint64_t puts = (uint64_t)rand() % 600;
        put_numbers(&ring, in, puts);
        in += puts;
        uint64_t takes = (uint64_t)rand() % 660;
        for (; takes > 0 && ring_count(&ring) > 0; takes--) {
            struct kvs_job job;
            ring_take(&ring, &job);
            assert_int_equal(number_of(&job), out);
            out++;
        }
        assert_int_equal(ring_count(&ring), in - out);
    }
    assert_true(in > 100000);
    ring_deinit(&ring);
    assert_int_equal(ring_count(&ring), 0);
}

/* Puts of every size that matters, at every place. */
static void test_wraps_at_every_place(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 255, 256};
    struct ring ring = {.cap = 0};
    struct kvs_job job;
    uint64_t number = 0;
    for (uint64_t place = 0; place < 256; place++) {
        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            put_numbers(&ring, number, counts[i]);
            for (uint64_t taken = 0; taken < counts[i]; taken++) {
                ring_take(&ring, &job);
                assert_int_equal(number_of(&job), number++);
            }
        }
    }
    assert_int_equal(ring.cap, 256);
    ring_deinit(&ring);
}

static void test_grows_in_the_middle_of_a_wrap(void **state)
{
    (void)state;
    struct ring ring = {.cap = 0};
    struct kvs_job job;
    put_numbers(&ring, 0, 256);
    uint64_t cap = ring.cap;
    for (uint64_t i = 0; i < 200; i++)
        ring_take(&ring, &job);
    put_numbers(&ring, 256, cap - 56); /* full, its oldest in the middle */
    assert_int_equal(ring.cap, cap);
    put_numbers(&ring, 200 + cap, 1);
    assert_int_equal(ring.cap, cap * 2);
    for (uint64_t i = 200; i <= 200 + cap; i++) {
        ring_take(&ring, &job);
        assert_int_equal(number_of(&job), i);
    }
    ring_deinit(&ring);
}

static void test_keeps_its_memory(void **state)
{
    (void)state;
    struct ring ring = {.cap = 0};
    struct kvs_job job;
    put_numbers(&ring, 0, 700);
    const struct kvs_job *memory = ring.jobs;
    for (unsigned round = 0; round < 100; round++) {
        while (ring_count(&ring) > 0)
            ring_take(&ring, &job);
        put_numbers(&ring, 0, 700);
    }
    assert_ptr_equal(ring.jobs, memory);
    ring_deinit(&ring);
}

static void test_refuses_the_impossible(void **state)
{
    (void)state;
    struct ring ring = {.cap = 0};
    put_numbers(&ring, 0, 3);
    uint64_t cap = ring.cap;
    assert_false(ring_reserve(&ring, UINT64_MAX));
    assert_false(ring_reserve(&ring, UINT64_C(1) << 50));
    assert_int_equal(ring.cap, cap);
    assert_int_equal(ring_count(&ring), 3);
    ring_deinit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order_while_it_wraps_and_grows),
        cmocka_unit_test(test_wraps_at_every_place),
        cmocka_unit_test(test_grows_in_the_middle_of_a_wrap),
        cmocka_unit_test(test_keeps_its_memory),
        cmocka_unit_test(test_refuses_the_impossible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
