/* create, spawn, spawn_batch, stats, resize: what becomes of jobs while the pool lives. */
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "rules_list.h"

#define JOBS     200u
#define SPAWNERS 8u
#define THREADS  4u
#define LIMIT    5u

/* ---- create ----------------------------------------------------------------------------------- */

void pool_create_threads(struct check *check)
{
    struct crew crew;
    struct gate gate;
    gate_init(&gate);
    crew_create(&crew, check, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        crew_spawn(&crew, gate_wait, &gate);
    gate_await(&crew, &gate, THREADS); /* all at once */
    if (crew_has(check, KVS_POOL_HAS_STATS) && crew_is_bounded(check)) {
        struct kvs_pool_stats stats = crew_stats(&crew);
        CHECK(check, stats.threads == THREADS, "a pool of %u threads says that it has %u", THREADS,
              stats.threads);
    }
    gate_open(&gate);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
}

void pool_create_copies_config(struct check *check)
{
    struct crew crew;
    struct check_error error;
    char name[] = "check-copy";
    crew_init(&crew, check);
    struct kvs_pool_config config = crew_config(&crew, 2);
    config.thread_name = name;
    check_status(check, "create", KVS_OK, crew_try_create(&crew, &config, &error), &error);
    memset(&config, 0xFF, sizeof(config)); /* the host's memory, used again */
    memset(name, 'x', sizeof(name) - 1);
    struct task *tasks = crew_tasks(&crew, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        struct kvs_job job = crew_job(&tasks[i]);
        check_status(check, "spawn", KVS_OK, crew.ops->spawn(crew.pool, &job), NULL);
    }
    crew_await(&crew, tasks, JOBS);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    free(tasks);
    crew_destroy(&crew);
}

void pool_create_two(struct check *check)
{
    struct crew first;
    struct crew second;
    crew_create(&first, check, 2);
    crew_create(&second, check, 1);
    struct task *tasks = crew_tasks(&first, 2);
    crew_shutdown(&second, KVS_POOL_DRAIN);
    crew_destroy(&second);
    crew_spawn(&first, crew_run, &tasks[0]);
    crew_spawn(&first, crew_run, &tasks[1]);
    crew_await(&first, tasks, 2);
    crew_shutdown(&first, KVS_POOL_DRAIN);
    crew_destroy(&first);
    free(tasks);
}

/* ---- spawn ------------------------------------------------------------------------------------ */

struct spawners {
    struct crew *crew;
    struct task *tasks; /* JOBS for each */
};

static void spawn_many(void *arg, unsigned index)
{
    const struct spawners *spawners = arg;
    struct crew *crew = spawners->crew;
    for (unsigned i = 0; i < JOBS; i++) {
        struct kvs_job job = crew_job(&spawners->tasks[index * JOBS + i]);
        kvs_status status = crew->ops->spawn(crew->pool, &job);
        memset(&job, 0xFF, sizeof(job)); /* a pool keeps a copy */
        check_status(crew->check, "spawn", KVS_OK, status, NULL);
    }
}

void pool_spawn_once(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, THREADS);
    struct spawners spawners = {&crew, crew_tasks(&crew, SPAWNERS * JOBS)};
    check_threads(check, SPAWNERS, spawn_many, &spawners);
    crew_await(&crew, spawners.tasks, SPAWNERS * JOBS);
    crew_expect_once(&crew, spawners.tasks, SPAWNERS * JOBS);
    CHECK(check, crew_sum_runs(spawners.tasks, SPAWNERS * JOBS) == SPAWNERS * JOBS,
          "a pool that was not shut down dropped or lost jobs");
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, spawners.tasks, SPAWNERS * JOBS);
    crew_destroy(&crew);
    free(spawners.tasks);
}

struct chain {
    struct crew *crew;
    atomic_uint left;
    atomic_uint over;
};

static void run_chain(void *arg)
{
    struct chain *chain = arg;
    const struct kvs_job job = {.run = run_chain, .arg = chain};
    if (atomic_fetch_sub(&chain->left, 1) == 1) {
        atomic_store(&chain->over, 1);
        return;
    }
    check_status(chain->crew->check, "spawn from a job", KVS_OK,
                 chain->crew->ops->spawn(chain->crew->pool, &job), NULL);
}

void pool_spawn_from_job(struct check *check)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct crew crew;
        struct chain chain = {.crew = &crew, .left = 300};
        crew_create(&crew, check, threads);
        crew_spawn(&crew, run_chain, &chain);
        crew_wait_count(&crew, "the last of a chain of jobs that spawn each other", &chain.over, 1);
        crew_shutdown(&crew, KVS_POOL_DRAIN);
        crew_destroy(&crew);
    }
}

struct blocked {
    struct crew *crew;
    struct task *tasks;
    atomic_uint over;
};

static void *spawn_behind_gate(void *arg)
{
    struct blocked *blocked = arg;
    for (unsigned i = 0; i < JOBS; i++) {
        const struct kvs_job job = crew_job(&blocked->tasks[i]);
        check_status(blocked->crew->check, "spawn while all threads are busy", KVS_OK,
                     blocked->crew->ops->spawn(blocked->crew->pool, &job), NULL);
    }
    atomic_store(&blocked->over, 1);
    return NULL;
}

void pool_spawn_never_blocks(struct check *check)
{
    struct crew crew;
    struct gate gate;
    pthread_t thread;
    gate_init(&gate);
    crew_create(&crew, check, 2);
    crew_spawn(&crew, gate_wait, &gate);
    crew_spawn(&crew, gate_wait, &gate);
    gate_await(&crew, &gate, 2);
    struct blocked blocked = {.crew = &crew, .tasks = crew_tasks(&crew, JOBS)};
    if (pthread_create(&thread, NULL, spawn_behind_gate, &blocked) != 0)
        check_skip(check, "no thread to be had");
    crew_wait_count(&crew, "spawn to return while all threads of the pool are busy", &blocked.over,
                    1);
    (void)pthread_join(thread, NULL);
    gate_open(&gate);
    crew_await(&crew, blocked.tasks, JOBS);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
    free(blocked.tasks);
}

/* A pool of one thread that is held at the gate, with room for LIMIT jobs. */
static void create_limited(struct crew *crew, struct check *check, struct gate *gate)
{
    struct check_error error;
    gate_init(gate);
    crew_init(crew, check);
    struct kvs_pool_config config = crew_config(crew, 1);
    config.queue_limit = LIMIT;
    check_status(check, "create", KVS_OK, crew_try_create(crew, &config, &error), &error);
    crew_spawn(crew, gate_wait, gate);
    gate_await(crew, gate, 1);
}

void pool_spawn_queue_limit(struct check *check)
{
    struct crew crew;
    struct gate gate;
    create_limited(&crew, check, &gate);
    struct task *tasks = crew_tasks(&crew, LIMIT + 3);
    for (unsigned i = 0; i < LIMIT + 3; i++) {
        const struct kvs_job job = crew_job(&tasks[i]);
        check_status(check,
                     i < LIMIT ? "spawn below the queue limit" : "spawn beyond the queue limit",
                     i < LIMIT ? KVS_OK : KVS_BUSY, crew.ops->spawn(crew.pool, &job), NULL);
    }
    gate_open(&gate);
    crew_await(&crew, tasks, LIMIT);
    struct kvs_job job = crew_job(&tasks[LIMIT]);
    check_status(check, "spawn when the queue is empty again", KVS_OK,
                 crew.ops->spawn(crew.pool, &job), NULL);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, tasks, LIMIT + 1);
    CHECK(check, crew_sum_runs(tasks + LIMIT + 1, 2) + crew_sum_drops(tasks + LIMIT + 1, 2) == 0,
          "a job that spawn refused was run or dropped");
    crew_destroy(&crew);
    free(tasks);
}

static void run_and_note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

void pool_spawn_inline(struct check *check)
{
    struct crew crew;
    pthread_t thread = 0;
    crew_create(&crew, check, 1);
    crew_spawn(&crew, run_and_note_thread, &thread);
    CHECK(check, pthread_equal(thread, pthread_self()),
          "spawn of an INLINE pool returned before the job was run in its caller");
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
}

/* ---- spawn_batch ------------------------------------------------------------------------------- */

static void fill_batch(struct kvs_job *jobs, struct task *tasks, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        jobs[i] = crew_job(&tasks[i]);
}

void pool_batch_all(struct check *check)
{
    struct crew crew;
    struct kvs_job jobs[JOBS];
    uint64_t accepted = 0;
    crew_create(&crew, check, THREADS);
    struct task *tasks = crew_tasks(&crew, JOBS);
    fill_batch(jobs, tasks, JOBS);
    check_status(check, "spawn_batch", KVS_OK,
                 crew.ops->spawn_batch(crew.pool, jobs, JOBS, &accepted), NULL);
    memset(jobs, 0xFF, sizeof(jobs));
    CHECK(check, accepted == JOBS, "spawn_batch gave KVS_OK and accepted %llu of %u jobs",
          (unsigned long long)accepted, JOBS);
    crew_await(&crew, tasks, JOBS);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, tasks, JOBS);
    crew_destroy(&crew);
    free(tasks);
}

void pool_batch_prefix(struct check *check)
{
    struct crew crew;
    struct gate gate;
    struct kvs_job jobs[LIMIT + 3];
    uint64_t accepted = 0;
    create_limited(&crew, check, &gate);
    struct task *tasks = crew_tasks(&crew, LIMIT + 3);
    fill_batch(jobs, tasks, LIMIT + 3);
    check_status(check, "spawn_batch of more than the queue limit", KVS_BUSY,
                 crew.ops->spawn_batch(crew.pool, jobs, LIMIT + 3, &accepted), NULL);
    CHECK(check, accepted <= LIMIT, "spawn_batch accepted %llu jobs with a queue limit of %u",
          (unsigned long long)accepted, LIMIT);
    gate_open(&gate);
    crew_await(&crew, tasks, (unsigned)accepted);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_expect_once(&crew, tasks, (unsigned)accepted);
    unsigned rest = LIMIT + 3 - (unsigned)accepted;
    CHECK(check,
          crew_sum_runs(tasks + accepted, rest) + crew_sum_drops(tasks + accepted, rest) == 0,
          "spawn_batch accepted %llu jobs, and a later one was run or dropped",
          (unsigned long long)accepted);
    crew_destroy(&crew);
    free(tasks);
}

/* ---- stats ------------------------------------------------------------------------------------- */

void pool_stats_sum(struct check *check)
{
    struct crew crew;
    struct gate gate;
    gate_init(&gate);
    crew_create(&crew, check, 1);
    if (crew_is_bounded(check)) {
        crew_spawn(&crew, gate_wait, &gate);
        gate_await(&crew, &gate, 1);
    }
    const unsigned before = crew_is_bounded(check) ? 1 : 0;
    struct task *tasks = crew_tasks(&crew, JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        crew_spawn(&crew, crew_run, &tasks[i]);
    struct kvs_pool_stats stats = crew_stats(&crew);
    CHECK(check, stats.jobs_spawned == JOBS + before, "%u jobs were accepted, stats says %llu",
          JOBS + before, (unsigned long long)stats.jobs_spawned);
    if (crew_is_bounded(check)) /* nothing moves: the only thread is held */
        CHECK(check, stats.jobs_queued == JOBS && stats.jobs_running == 1,
              "one job runs and %u wait, stats says %llu and %llu", JOBS,
              (unsigned long long)stats.jobs_running, (unsigned long long)stats.jobs_queued);
    gate_open(&gate);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    stats = crew_stats(&crew);
    CHECK(check, stats.jobs_run == JOBS + before && stats.jobs_dropped == 0 && stats.jobs_lost == 0,
          "%u jobs were run, stats says %llu run, %llu dropped, %llu lost", JOBS + before,
          (unsigned long long)stats.jobs_run, (unsigned long long)stats.jobs_dropped,
          (unsigned long long)stats.jobs_lost);
    CHECK(check, stats.jobs_queued == 0 && stats.jobs_running == 0 && stats.threads == 0,
          "after shutdown stats says %llu queued, %llu running, %u threads",
          (unsigned long long)stats.jobs_queued, (unsigned long long)stats.jobs_running,
          stats.threads);
    crew_destroy(&crew);
    free(tasks);
}

void pool_stats_size(struct check *check)
{
    struct crew crew;
    struct kvs_pool_stats stats;
    memset(&stats, 0xFF, sizeof(stats));
    stats.size = offsetof(struct kvs_pool_stats, jobs_spawned);
    crew_create(&crew, check, 1);
    crew.ops->stats(crew.pool, &stats);
    CHECK(check, stats.jobs_spawned == UINT64_MAX && stats.wakeups == UINT64_MAX,
          "stats wrote past the size that its caller set");
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
}

/* ---- resize ------------------------------------------------------------------------------------ */

void pool_resize_threads(struct check *check)
{
    static const uint32_t sizes[] = {5, 2, 4};
    struct crew crew;
    struct check_error error;
    check_error_init(&error);
    crew_create(&crew, check, 2);
    for (unsigned i = 0; i < 3; i++) {
        struct gate gate;
        gate_init(&gate);
        check_status(check, "resize", KVS_OK, crew.ops->resize(crew.pool, sizes[i], &error.error),
                     &error);
        for (unsigned job = 0; job < sizes[i]; job++)
            crew_spawn(&crew, gate_wait, &gate);
        gate_await(&crew, &gate, sizes[i]);
        gate_clear(&crew, &gate, sizes[i]);
        struct task *tasks = crew_tasks(&crew, JOBS);
        for (unsigned job = 0; job < JOBS; job++)
            crew_spawn(&crew, crew_run, &tasks[job]);
        crew_await(&crew, tasks, JOBS);
        free(tasks);
    }
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
}
