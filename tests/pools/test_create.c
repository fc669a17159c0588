/* The system gives no (further) thread: making a pool, or growing one, fails cleanly. */
#include "pools/pool_kit.h"

#include <errno.h>
#include <string.h>

#include "pools/thread_faults.h"

#define THREADS 4u

static void test_create_fails_cleanly(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    for (unsigned possible = 0; possible < THREADS; possible++) {
        struct test_error error;
        test_error_init(&error);
        struct kvs_pool_config config = kit_config(kit, THREADS);
        thread_faults_begin(possible);
        kvs_status status = kit->ops->create(&config, &kit->pool, &error.error);
        thread_faults_end();
        assert_int_equal(status, KVS_BUSY);
        assert_int_equal(error.error.status, KVS_BUSY);
        assert_int_equal(error.error.os_errno, EAGAIN);
        assert_non_null(strstr(error.message, "thread"));
        assert_null(kit->pool);
        kit_wait_threads(kit, 0);
        assert_int_equal(atomic_load(&kit->started), atomic_load(&kit->stopped));
    }
    kit_create(kit, THREADS); /* and succeeds when there are threads again */
    kit_finish(kit, KVS_POOL_DRAIN);
    kit_wait_threads(kit, 0);
}

static void test_spawn_without_a_thread(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    atomic_uint ended = 0;
    struct kvs_job job = {.run = job_count, .drop = job_count, .arg = &ended};
    struct kvs_job batch[5] = {job, job, job, job, job};
    uint64_t accepted = 0;
    kit_create(kit, 1);
    thread_faults_begin(0);
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_BUSY);
    thread_faults_begin(2);
    assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 5, &accepted), KVS_BUSY);
    thread_faults_end();
    assert_int_equal(accepted, 2);
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(atomic_load(&ended), 3);
    assert_int_equal(kit_stats(kit).jobs_refused, 4);
    assert_int_equal(kit_stats(kit).threads_started, 3);
    kit_destroy(kit);
}

/* ---- resize ------------------------------------------------------------------------------ */

static bool has_one_thread(void *arg)
{
    return kit_stats(arg).threads == 1;
}

static void meet(struct pool_kit *kit, unsigned count)
{
    struct rendezvous rendezvous;
    rendezvous_init(&rendezvous, count);
    for (unsigned i = 0; i < count; i++)
        kit_spawn(kit, job_meet, &rendezvous);
    kit_wait_quiet(kit);
}

static void test_resize(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_HAS_RESIZE))
        skip();
    struct test_error error;
    test_error_init(&error);
    kit_create(kit, 2);
    for (unsigned round = 0; round < 20; round++) {
        assert_status(KVS_OK, kit->ops->resize(kit->pool, 6, &error.error), &error);
        assert_int_equal(kit_stats(kit).threads, 6);
        meet(kit, 6);
        assert_status(KVS_OK, kit->ops->resize(kit->pool, 1, &error.error), &error);
        meet(kit, 1);
        wait_until(has_one_thread, kit);
        kit_wait_threads(kit, 1);
    }
    assert_int_equal(kit->ops->resize(kit->pool, 0, &error.error), KVS_INVALID);
    assert_int_equal(kit_stats(kit).threads, 1);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(kit->ops->resize(kit->pool, 3, &error.error), KVS_CLOSED);
    kit_destroy(kit);
    kit_wait_threads(kit, 0);
}

static bool has_two_threads(void *arg)
{
    return kit_stats(arg).threads == 2;
}

static void test_resize_fails_cleanly(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_HAS_RESIZE))
        skip();
    struct test_error error;
    test_error_init(&error);
    kit_create(kit, 2);
    thread_faults_begin(2);
    assert_int_equal(kit->ops->resize(kit->pool, 6, &error.error), KVS_BUSY);
    thread_faults_end();
    assert_int_equal(error.error.os_errno, EAGAIN);
    wait_until(has_two_threads, kit);
    kit_wait_threads(kit, 2);
    meet(kit, 2);
    kit_finish(kit, KVS_POOL_DRAIN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_fails_cleanly),
        cmocka_unit_test(test_spawn_without_a_thread),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_fails_cleanly),
    };
    return kit_run("create", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
