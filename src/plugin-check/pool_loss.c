/* Jobs that end their thread: each costs itself only, is reported once, and leaves the pool with as
   many threads as before. */
#include <stdlib.h>

#include "crew.h"
#include "rules_list.h"

#define THREADS 3u
#define KILLERS 30u

static void exit_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void cancel_thread(void *arg)
{
    struct task *task = arg;
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    check_fail(task->crew->check, "a job that cancelled its thread went on");
}

static struct task *spawn_killers(struct crew *crew, void (*run)(void *arg))
{
    struct task *tasks = crew_tasks(crew, KILLERS);
    for (unsigned i = 0; i < KILLERS; i++)
        crew_spawn(crew, run, &tasks[i]);
    return tasks;
}

/* As many jobs at once as there are threads, and then many more. */
static void expect_good_as_new(struct crew *crew)
{
    struct gate gate;
    gate_init(&gate);
    for (unsigned i = 0; i < THREADS; i++)
        crew_spawn(crew, gate_wait, &gate);
    crew_wait_count(crew, "as many jobs at once as before threads were lost", &gate.inside,
                    THREADS);
    gate_clear(crew, &gate, THREADS);
    struct task *tasks = crew_tasks(crew, KILLERS);
    for (unsigned i = 0; i < KILLERS; i++)
        crew_spawn(crew, crew_run, &tasks[i]);
    crew_await(crew, tasks, KILLERS);
    free(tasks);
}

static void survive(struct check *check, void (*run)(void *arg))
{
    struct crew crew;
    crew_create(&crew, check, THREADS);
    struct task *killers = spawn_killers(&crew, run);
    crew_await(&crew, killers, KILLERS);
    crew_expect_once(&crew, killers, KILLERS);
    expect_good_as_new(&crew);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, killers, KILLERS);
    crew_destroy(&crew);
    free(killers);
}

void pool_loss_exit(struct check *check)
{
    survive(check, exit_thread);
}

void pool_loss_cancel(struct check *check)
{
    survive(check, cancel_thread);
}

void pool_loss_hooks(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, THREADS);
    struct task *killers = spawn_killers(&crew, exit_thread);
    crew_await(&crew, killers, KILLERS);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    CHECK(check, atomic_load(&crew.lost) == KILLERS,
          "%u jobs were lost, job_lost was called %u times", KILLERS, atomic_load(&crew.lost));
    CHECK(check, atomic_load(&crew.started) == atomic_load(&crew.stopped),
          "with lost threads thread_start was called %u times and thread_stop %u times",
          atomic_load(&crew.started), atomic_load(&crew.stopped));
    crew_destroy(&crew);
    free(killers);
}

static bool has_all_threads(void *arg)
{
    return crew_stats(arg).threads == THREADS;
}

void pool_loss_stats(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, THREADS);
    struct task *killers = spawn_killers(&crew, exit_thread);
    crew_await(&crew, killers, KILLERS);
    if (crew_is_bounded(check))
        check_wait(check, "stats to say that all threads were replaced", has_all_threads, &crew);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    struct kvs_pool_stats stats = crew_stats(&crew);
    CHECK(check, stats.jobs_lost == KILLERS && stats.threads_lost == KILLERS,
          "%u jobs ended their threads, stats says %llu lost jobs and %llu lost threads", KILLERS,
          (unsigned long long)stats.jobs_lost, (unsigned long long)stats.threads_lost);
    CHECK(check, stats.jobs_spawned == stats.jobs_run + stats.jobs_dropped + stats.jobs_lost,
          "stats does not add up: %llu spawned, %llu run, %llu dropped, %llu lost",
          (unsigned long long)stats.jobs_spawned, (unsigned long long)stats.jobs_run,
          (unsigned long long)stats.jobs_dropped, (unsigned long long)stats.jobs_lost);
    crew_destroy(&crew);
    free(killers);
}

void pool_loss_while_draining(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, 2);
    struct task *tasks = crew_tasks(&crew, 2 * KILLERS);
    for (unsigned i = 0; i < 2 * KILLERS; i++)
        crew_spawn(&crew, i % 2 == 0 ? exit_thread : crew_run, &tasks[i]);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, tasks, 2 * KILLERS);
    CHECK(check, crew_sum_runs(tasks, 2 * KILLERS) == KILLERS,
          "a shutdown that drains ran %u of %u jobs behind ones that ended their threads",
          crew_sum_runs(tasks, 2 * KILLERS), KILLERS);
    crew_destroy(&crew);
    free(tasks);
}
