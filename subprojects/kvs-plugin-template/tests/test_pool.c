/* The work-stealing pool against the contract in kvs/pool.h: creating it, running, waking, limits.
 */
#include "pool_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* ---- creating ----------------------------------------------------------------------------- */

static void bad_configurations_leave_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    fixture->config.threads = 0;
    assert_int_equal(fixture->ops->create(&fixture->config, &fixture->pool, &error), KVS_INVALID);
    assert_null(fixture->pool);
    fixture->config.threads = 2;
    fixture->config.stack_size = 1;
    assert_int_equal(fixture->ops->create(&fixture->config, &fixture->pool, &error), KVS_INVALID);
    fixture->config.stack_size = UINT64_C(1) << 60;
    kvs_status status = fixture->ops->create(&fixture->config, &fixture->pool, &error);
    assert_int_equal(status, KVS_BUSY);
    assert_true(error.os_errno != 0);
    assert_non_null(strstr(message, "cannot start 2 threads"));
    assert_null(fixture->pool);
    fixture->ops->destroy(NULL);
}

/* A host of an older minor has a shorter struct: no hooks in it, and none are called. */
static void shorter_configuration_is_accepted(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.size = offsetof(struct kvs_pool_config, thread_start);
    create(fixture);
    assert_int_equal(spawn(fixture, count_run), KVS_OK);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, 1);
    assert_int_equal(fixture->started, 0);
}

static void older_stats_are_filled_to_their_size(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_pool_stats stats;
    memset(&stats, 0x55, sizeof(stats));
    stats.size = offsetof(struct kvs_pool_stats, jobs_spawned);
    create(fixture);
    fixture->ops->stats(fixture->pool, &stats);
    assert_int_equal(stats.size, offsetof(struct kvs_pool_stats, jobs_spawned));
    assert_int_equal(stats.threads, THREADS);
    assert_int_equal(stats.jobs_spawned, UINT64_C(0x5555555555555555));
}

/* ---- running ------------------------------------------------------------------------------ */

static void jobs_from_outside_run(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(spawn(fixture, count_run), KVS_OK);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, 5000);
    assert_int_equal(stats_of(fixture).jobs_run, 5000);
    assert_int_equal(stats_of(fixture).threads_started, THREADS);
}

static void batches_run(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_job jobs[100];
    uint64_t accepted = 0;
    create(fixture);
    for (size_t i = 0; i < 100; i++)
        jobs[i] = job_of(count_run, fixture);
    assert_int_equal(fixture->ops->spawn_batch(fixture->pool, jobs, 100, &accepted), KVS_OK);
    assert_int_equal(accepted, 100);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, 100);
}

/* A job of a tree: spawns two smaller ones until it is a leaf. */
struct branch {
    struct fixture *fixture;
    unsigned depth;
};

static void grow_branch(void *arg)
{
    struct branch branch = *(struct branch *)arg;
    free(arg);
    count_run(branch.fixture);
    for (int i = 0; branch.depth > 0 && i < 2; i++) {
        struct branch *child = malloc(sizeof(*child));
        *child = (struct branch){branch.fixture, branch.depth - 1};
        struct kvs_job job = job_of(grow_branch, child);
        if (branch.fixture->ops->spawn(branch.fixture->pool, &job) != KVS_OK)
            abort();
    }
}

static bool tree_is_grown(void *arg)
{
    return atomic_load(&((struct fixture *)arg)->run) == (1u << 15) - 1;
}

static void jobs_spawn_jobs(void **state)
{
    struct fixture *fixture = *state;
    struct branch *root = malloc(sizeof(*root));
    *root = (struct branch){fixture, 14};
    struct kvs_job job = job_of(grow_branch, root);
    create(fixture);
    assert_int_equal(fixture->ops->spawn(fixture->pool, &job), KVS_OK);
    wait_until(tree_is_grown, fixture);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, (1u << 15) - 1);
}

/* More than a deque holds: the rest goes to the injector. */
#define MANY 3000

static void spawn_many(void *arg)
{
    struct fixture *fixture = arg;
    for (int i = 0; i < MANY; i++) {
        if (spawn(fixture, count_run) != KVS_OK)
            abort();
    }
    count_run(fixture);
}

static bool many_ran(void *arg)
{
    return atomic_load(&((struct fixture *)arg)->run) == MANY + 1;
}

static void job_may_spawn_more_than_a_deque_holds(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.threads = 1;
    create(fixture);
    assert_int_equal(spawn(fixture, spawn_many), KVS_OK);
    wait_until(many_ran, fixture);
    shut_down(fixture, KVS_POOL_DRAIN);
}

/* Spawns jobs onto its own deque and waits for them: only thieves can run them. */
static void spawn_and_wait(void *arg)
{
    struct fixture *fixture = arg;
    for (int i = 0; i < 100; i++) {
        if (spawn(fixture, count_run) != KVS_OK)
            abort();
    }
    while (atomic_load(&fixture->run) < 100)
        sched_yield();
    atomic_store(&fixture->open, true);
}

static bool is_open(void *arg)
{
    return atomic_load(&((struct fixture *)arg)->open);
}

static void idle_workers_steal(void **state)
{
    struct fixture *fixture = *state;
    create(fixture);
    assert_int_equal(spawn(fixture, spawn_and_wait), KVS_OK);
    wait_until(is_open, fixture);
    shut_down(fixture, KVS_POOL_DRAIN);
}

/* Spawns itself again until the gate is open. */
static void spin_until_open(void *arg)
{
    struct fixture *fixture = arg;
    if (!atomic_load(&fixture->open) && spawn(fixture, spin_until_open) != KVS_OK)
        abort();
}

static void bury_and_spin(void *arg)
{
    struct fixture *fixture = arg;
    if (spawn(fixture, open_gate) != KVS_OK || spawn(fixture, spin_until_open) != KVS_OK)
        abort();
}

/* On one thread: neither a job from outside nor an old one in the deque may wait for ever. */
static void busy_jobs_starve_nobody(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.threads = 1;
    create(fixture);
    assert_int_equal(spawn(fixture, spin_until_open), KVS_OK);
    assert_int_equal(spawn(fixture, open_gate), KVS_OK);
    wait_until(is_open, fixture);
    atomic_store(&fixture->open, false);
    assert_int_equal(spawn(fixture, bury_and_spin), KVS_OK);
    wait_until(is_open, fixture);
    shut_down(fixture, KVS_POOL_DRAIN);
}

#define INJECTED 5000

static void note_and_open(void *arg)
{
    struct fixture *fixture = arg;
    atomic_store(&fixture->run_when_opened, atomic_load(&fixture->run));
    open_gate(arg);
}

static void bury_note_and_spin(void *arg)
{
    struct fixture *fixture = arg;
    if (spawn(fixture, note_and_open) != KVS_OK || spawn(fixture, spin_until_open) != KVS_OK)
        abort();
}

/* A full injector does not keep the old jobs of a deque from their turn. */
static void injector_and_deque_take_turns(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_job jobs[INJECTED];
    uint64_t accepted;
    fixture->config.threads = 1;
    create(fixture);
    for (size_t i = 0; i < INJECTED; i++)
        jobs[i] = job_of(i == 0 ? bury_note_and_spin : count_run, fixture);
    assert_int_equal(fixture->ops->spawn_batch(fixture->pool, jobs, INJECTED, &accepted), KVS_OK);
    wait_until(is_open, fixture);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, INJECTED - 1);
    assert_true(fixture->run_when_opened < INJECTED / 2);
}

/* ---- waking ------------------------------------------------------------------------------- */

#define SPAWNERS 3
#define PINGS    (SANITIZED ? 2000 : 10000)

struct ping {
    struct fixture *fixture;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool answer;
};

static void answer(void *arg)
{
    struct ping *ping = arg;
    count_run(ping->fixture);
    pthread_mutex_lock(&ping->lock);
    ping->answer = true;
    pthread_cond_signal(&ping->answered);
    pthread_mutex_unlock(&ping->lock); /* whoever waits may end now, and ping with it */
}

/* Spawns one job at a time and waits for it: a lost wake-up would leave it waiting. */
static void *ping_main(void *arg)
{
    struct ping ping = {.fixture = arg};
    pthread_mutex_init(&ping.lock, NULL);
    pthread_cond_init(&ping.answered, NULL);
    struct kvs_job job = job_of(answer, &ping);
    for (int i = 0; i < PINGS; i++) {
        ping.answer = false;
        if (ping.fixture->ops->spawn(ping.fixture->pool, &job) != KVS_OK)
            abort();
        pthread_mutex_lock(&ping.lock);
        while (!ping.answer)
            pthread_cond_wait(&ping.answered, &ping.lock);
        pthread_mutex_unlock(&ping.lock);
    }
    pthread_mutex_lock(&ping.lock); /* the last answer has let go of it */
    pthread_mutex_unlock(&ping.lock);
    pthread_cond_destroy(&ping.answered);
    pthread_mutex_destroy(&ping.lock);
    return NULL;
}

static void ping(struct fixture *fixture)
{
    pthread_t spawners[SPAWNERS];
    create(fixture);
    for (int i = 0; i < SPAWNERS; i++)
        assert_int_equal(pthread_create(&spawners[i], NULL, ping_main, fixture), 0);
    for (int i = 0; i < SPAWNERS; i++)
        (void)pthread_join(spawners[i], NULL);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, SPAWNERS * PINGS);
}

/* Two jobs of which the first waits for the second: a worker that took both from the injector must
   let another know of the one that it cannot run yet. */
static void wait_for_partner(void *arg)
{
    struct fixture *fixture = arg;
    while (!atomic_load(&fixture->open))
        sched_yield();
    count_run(fixture);
}

static void pairs_find_two_threads(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_job pair[] = {job_of(wait_for_partner, fixture), job_of(open_gate, fixture)};
    fixture->config.threads = 2;
    create(fixture);
    for (unsigned i = 0; i < PINGS; i++) {
        uint64_t accepted;
        atomic_store(&fixture->open, false);
        assert_int_equal(fixture->ops->spawn_batch(fixture->pool, pair, 2, &accepted), KVS_OK);
        while (atomic_load(&fixture->run) <= i)
            sched_yield();
    }
    shut_down(fixture, KVS_POOL_DRAIN);
}

static void no_wakeup_is_lost_without_spinning(void **state)
{
    ping(*state);
    assert_true(stats_of(*state).wakeups > 0);
}

static void no_wakeup_is_lost_with_spinning(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"spin"};
    struct kvs_option_value values[] = {
        {.size = sizeof(values[0]), .type = KVS_OPTION_DURATION, .u64 = 5000}};
    fixture->host.names = names;
    fixture->host.values = values;
    fixture->host.value_count = 1;
    ping(fixture);
}

/* ---- limits ------------------------------------------------------------------------------- */

static bool nothing_waits(void *arg)
{
    return stats_of(arg).jobs_queued == 0;
}

static void queue_limit_gives_busy(void **state)
{
    struct fixture *fixture = *state;
    struct kvs_job jobs[5];
    uint64_t accepted = 99;
    fixture->config.queue_limit = 4;
    create(fixture);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(spawn(fixture, wait_for_gate), KVS_OK);
        wait_until(nothing_waits, fixture);
    }
    wait_until(all_blocked, fixture);
    for (size_t i = 0; i < 5; i++)
        jobs[i] = job_of(count_run, fixture);
    assert_int_equal(fixture->ops->spawn(fixture->pool, &jobs[0]), KVS_OK);
    assert_int_equal(fixture->ops->spawn_batch(fixture->pool, jobs, 5, &accepted), KVS_BUSY);
    assert_int_equal(accepted, 3);
    assert_int_equal(fixture->ops->spawn(fixture->pool, &jobs[0]), KVS_BUSY);
    assert_int_equal(stats_of(fixture).jobs_refused, 3);
    assert_int_equal(stats_of(fixture).jobs_queued, 4);
    assert_int_equal(stats_of(fixture).jobs_running, THREADS);
    assert_adds_up(fixture);
    atomic_store(&fixture->open, true);
    wait_until(nothing_waits, fixture);
    assert_int_equal(fixture->ops->spawn(fixture->pool, &jobs[0]), KVS_OK);
    shut_down(fixture, KVS_POOL_DRAIN);
    assert_int_equal(fixture->run, THREADS + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_configurations_leave_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(shorter_configuration_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(older_stats_are_filled_to_their_size, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_from_outside_run, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_run, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_spawn_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(job_may_spawn_more_than_a_deque_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_workers_steal, setup, teardown),
        cmocka_unit_test_setup_teardown(busy_jobs_starve_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(injector_and_deque_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs_find_two_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(no_wakeup_is_lost_without_spinning, setup, teardown),
        cmocka_unit_test_setup_teardown(no_wakeup_is_lost_with_spinning, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_limit_gives_busy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
