/* The work-stealing pool against the contract in kvs/pool.h: its end, and that of its threads. */
#include "pool_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- shutdown ----------------------------------------------------------------------------- */

static void *shutdown_main(void *arg)
{
    struct fixture *fixture = arg;
    assert_int_equal(fixture->ops->shutdown(fixture->pool, KVS_POOL_DROP, NULL), KVS_OK);
    /* Whichever call this was, every job that was accepted has ended. */
    if (stats_of(fixture).jobs_running != 0 || stats_of(fixture).threads != 0)
        abort();
    return NULL;
}

static bool is_closed(void *arg)
{
    struct fixture *fixture = arg;
    struct kvs_job job = job_of(count_run, fixture);
    return fixture->ops->spawn(fixture->pool, &job) == KVS_CLOSED;
}

static void drop_drops_what_is_queued(void **state)
{
    struct fixture *fixture = *state;
    pthread_t first, second;
    create(fixture);
    block(fixture);
    for (int i = 0; i < 50; i++)
        assert_int_equal(spawn(fixture, count_run), KVS_OK);
    assert_int_equal(pthread_create(&first, NULL, shutdown_main, fixture), 0);
    assert_int_equal(pthread_create(&second, NULL, shutdown_main, fixture), 0);
    wait_until(is_closed, fixture);
    uint64_t spawned = stats_of(fixture).jobs_spawned;
    assert_int_equal(fixture->dropped, 0); /* what runs is waited for */
    atomic_store(&fixture->open, true);
    (void)pthread_join(first, NULL);
    (void)pthread_join(second, NULL);
    assert_int_equal(fixture->run, THREADS);
    assert_int_equal(fixture->dropped, spawned - THREADS);
    assert_true(fixture->dropped >= 50);
    shut_down(fixture, KVS_POOL_DRAIN);
}

static void destroy_drops_too(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(spawn(fixture, count_run), KVS_OK);
    fixture->ops->destroy(fixture->pool);
    fixture->pool = NULL;
    assert_int_equal(fixture->run + fixture->dropped, 1000);
}

static void shut_down_from_inside(void *arg)
{
    struct fixture *fixture = arg;
    if (fixture->ops->shutdown(fixture->pool, KVS_POOL_DRAIN, NULL) != KVS_INVALID)
        abort();
    count_run(fixture);
}

static void shutdown_from_a_job_is_refused(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    assert_int_equal(spawn(fixture, shut_down_from_inside), KVS_OK);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, 1);
}

static void *spawn_gate_opener(void *arg)
{
    assert_int_equal(spawn(arg, open_gate), KVS_OK);
    return NULL;
}

/* I3: the job that a spawn brought makes the pool go while that spawn is still under way. The
   sanitizers see a spawn that touches what was freed. */
static void spawn_may_return_late(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.threads = 1;
    for (int i = 0; i < 200; i++) {
        pthread_t spawner;
        atomic_store(&fixture->open, false);
        create(fixture);
        assert_int_equal(pthread_create(&spawner, NULL, spawn_gate_opener, fixture), 0);
        while (!atomic_load(&fixture->open))
            sched_yield();
        fixture->ops->destroy(fixture->pool);
        fixture->pool = NULL;
        (void)pthread_join(spawner, NULL);
    }
}

static void spawn_until_closed(void *arg)
{
    struct fixture *fixture = arg;
    count_run(fixture);
    (void)spawn(fixture, spawn_until_closed);
}

/* Jobs that keep spawning do not hold up a drain for ever, and none of them is lost. */
static void drain_ends_while_jobs_spawn(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    for (int i = 0; i < 10; i++)
        assert_int_equal(spawn(fixture, spawn_until_closed), KVS_OK);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->dropped, 0);
    assert_int_equal(stats_of(fixture).jobs_run, fixture->run);
    assert_int_equal(stats_of(fixture).jobs_refused, 10);
}

/* ---- jobs that end their thread ----------------------------------------------------------- */

static void exit_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void cancel_thread(void *arg)
{
    (void)arg;
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    abort();
}

/* Cancelled, but it returns before it meets a cancellation point: the job has run. */
static void cancel_and_return(void *arg)
{
    (void)pthread_cancel(pthread_self());
    count_run(arg);
}

static bool has_all_threads(void *arg)
{
    struct fixture *fixture = arg;
    struct kvs_pool_stats stats = stats_of(fixture);
    return stats.threads == fixture->config.threads && stats.jobs_queued + stats.jobs_running == 0;
}

static void lost_threads_are_replaced(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(spawn(fixture, exit_thread), KVS_OK);
        assert_int_equal(spawn(fixture, count_run), KVS_OK);
        assert_int_equal(spawn(fixture, cancel_thread), KVS_OK);
        assert_int_equal(spawn(fixture, cancel_and_return), KVS_OK);
    }
    wait_until(has_all_threads, fixture);
    struct kvs_pool_stats stats = stats_of(fixture);
    assert_int_equal(stats.threads_lost, 180);
    assert_int_equal(stats.threads_replaced, 180);
    assert_int_equal(stats.threads_started, THREADS + 180);
    assert_int_equal(stats.jobs_lost, 120);
    assert_int_equal(fixture->lost, 120);
    assert_int_equal(fixture->run, 120);
    assert_adds_up(fixture);
    block(fixture); /* there are as many threads as before */
    atomic_store(&fixture->open, true);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->started, THREADS + 180);
}

static void exit_with_a_full_deque(void *arg)
{
    struct fixture *fixture = arg;
    for (int i = 0; i < 200; i++) {
        if (spawn(fixture, count_run) != KVS_OK)
            abort();
    }
    pthread_exit(NULL);
}

/* The lost thread's deque goes to its successor. */
static void lost_thread_leaves_its_jobs(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.threads = 1;
    create(fixture);
    for (int i = 0; i < 5; i++)
        assert_int_equal(spawn(fixture, exit_with_a_full_deque), KVS_OK);
    wait_until(has_all_threads, fixture);
    assert_int_equal(fixture->run, 1000);
    shut_down(fixture, KVS_POOL_DRAIN);
}

static void threads_lost_during_shutdown(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    block(fixture);
    for (int i = 0; i < 30; i++)
        assert_int_equal(spawn(fixture, i % 2 == 0 ? exit_thread : count_run), KVS_OK);
    atomic_store(&fixture->open, true);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, THREADS + 15);
    assert_int_equal(fixture->lost, 15);
}

static bool has_no_thread(void *arg)
{
    return stats_of(arg).threads == 0;
}

static uint64_t address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void exit_without_address_space(void *arg)
{
    struct rlimit limit = {address_space_bytes(), RLIM_INFINITY};
    (void)setrlimit(RLIMIT_AS, &limit);
    exit_thread(arg);
}

/* Without room for another stack the worker stays vacant, until a spawn that comes later. */
static void thread_that_cannot_be_replaced_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit unlimited;
    if (SANITIZED)
        skip(); /* a sanitizer needs address space of its own */
    (void)getrlimit(RLIMIT_AS, &unlimited);
    fixture->config.threads = 1;
    fixture->config.stack_size = UINT64_C(512) << 20;
    create(fixture);
    assert_int_equal(spawn(fixture, exit_without_address_space), KVS_OK);
    wait_until(has_no_thread, fixture);
    (void)setrlimit(RLIMIT_AS, &unlimited);
    assert_int_equal(stats_of(fixture).threads_replaced, 0);
    assert_int_equal(spawn(fixture, count_run), KVS_OK);
    wait_until(has_all_threads, fixture);
    assert_int_equal(stats_of(fixture).threads_replaced, 1);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(drop_drops_what_is_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(destroy_drops_too, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_from_a_job_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(spawn_may_return_late, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_ends_while_jobs_spawn, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_threads_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_thread_leaves_its_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_lost_during_shutdown, setup, teardown),
        cmocka_unit_test_setup_teardown(thread_that_cannot_be_replaced_comes_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
