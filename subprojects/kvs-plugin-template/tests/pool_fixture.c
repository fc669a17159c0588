/* See pool_fixture.h. */
#include "pool_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static void on_start(void *arg)
{
    atomic_fetch_add(&((struct fixture *)arg)->started, 1);
}

static void on_stop(void *arg)
{
    atomic_fetch_add(&((struct fixture *)arg)->stopped, 1);
}

static void on_lost(void *arg, const struct kvs_job *job)
{
    struct fixture *fixture = arg;
    if (job->arg != fixture || job->prio != 5)
        abort(); /* not the job that was spawned */
    atomic_fetch_add(&fixture->lost, 1);
}

static void *return_at_once(void *arg)
{
    return arg;
}

int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const struct kvs_plugin *plugin = load_plugin("kvs-pool-work-stealing.so");
    assert_int_equal(plugin->kind, KVS_PLUGIN_POOL);
    assert_string_equal(plugin->name, "work-stealing");
    fixture->ops = plugin->ops;
    test_host_init(&fixture->host);
    fixture->config = (struct kvs_pool_config){
        .size = sizeof(fixture->config),
        .threads = THREADS,
        .thread_name = "test-worker",
        .host = &fixture->host.services,
        .arg = fixture,
        .thread_start = on_start,
        .thread_stop = on_stop,
        .job_lost = on_lost,
    };
    /* ThreadSanitizer starts a thread of its own beside a program's first. */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, return_at_once, NULL), 0);
    (void)pthread_join(thread, NULL);
    fixture->threads_before = thread_count();
    *state = fixture;
    return 0;
}

void create(struct fixture *fixture)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = fixture->ops->create(&fixture->config, &fixture->pool, &error);
    if (status != KVS_OK)
        fail_msg("create gave %d: %s", status, message);
}

/* The threads of a process vanish from /proc a moment after they were joined. */
static bool only_old_threads(void *arg)
{
    return thread_count() <= ((struct fixture *)arg)->threads_before;
}

int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture->ops->destroy(fixture->pool);
    wait_until(only_old_threads, fixture);
    assert_int_equal(fixture->started, fixture->stopped);
    free(fixture);
    return 0;
}

struct kvs_pool_stats stats_of(struct fixture *fixture)
{
    struct kvs_pool_stats stats = {.size = sizeof(stats)};
    fixture->ops->stats(fixture->pool, &stats);
    return stats;
}

void assert_adds_up(struct fixture *fixture)
{
    struct kvs_pool_stats stats = stats_of(fixture);
    assert_int_equal(stats.jobs_spawned, stats.jobs_run + stats.jobs_dropped + stats.jobs_lost +
                                             stats.jobs_queued + stats.jobs_running);
}

void shut_down(struct fixture *fixture, uint32_t mode)
{
    assert_int_equal(fixture->ops->shutdown(fixture->pool, mode, NULL), KVS_OK);
    struct kvs_pool_stats stats = stats_of(fixture);
    assert_int_equal(stats.threads, 0);
    assert_int_equal(stats.jobs_queued, 0);
    assert_int_equal(stats.jobs_running, 0);
    assert_adds_up(fixture);
}

void count_run(void *arg)
{
    atomic_fetch_add(&((struct fixture *)arg)->run, 1);
}

static void count_drop(void *arg)
{
    atomic_fetch_add(&((struct fixture *)arg)->dropped, 1);
}

struct kvs_job job_of(void (*run)(void *arg), void *arg)
{
    return (struct kvs_job){.run = run, .drop = count_drop, .arg = arg, .prio = 5};
}

kvs_status spawn(struct fixture *fixture, void (*run)(void *arg))
{
    struct kvs_job job = job_of(run, fixture);
    return fixture->ops->spawn(fixture->pool, &job);
}

void open_gate(void *arg)
{
    atomic_store(&((struct fixture *)arg)->open, true);
}

void wait_for_gate(void *arg)
{
    struct fixture *fixture = arg;
    atomic_fetch_add(&fixture->blocked, 1);
    while (!atomic_load(&fixture->open))
        sched_yield();
    count_run(fixture);
}

bool all_blocked(void *arg)
{
    struct fixture *fixture = arg;
    return atomic_load(&fixture->blocked) == fixture->config.threads;
}

/* Occupies every thread of the pool until open is set. */
void block(struct fixture *fixture)
{
    for (uint32_t i = 0; i < fixture->config.threads; i++)
        assert_int_equal(spawn(fixture, wait_for_gate), KVS_OK);
    wait_until(all_blocked, fixture);
}
