/* How a pool ends: shutdown in both modes, refusals, destroy; hooks in pairs; leaks. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crew.h"
#include "rules_list.h"

#define JOBS 100u

/* ---- a shutdown under way ----------------------------------------------------------------------- */

/* A pool of one thread that is held, JOBS behind it, and a thread in shutdown. */
struct scene {
    struct crew crew;
    struct gate gate;
    struct task *tasks;
    uint32_t mode;
    kvs_status status;
    unsigned ended_by_then; /* jobs, when shutdown returned */
    atomic_uint returned;
    pthread_t thread;
};

static void *shut_down(void *arg)
{
    struct scene *scene = arg;
    scene->status = scene->crew.ops->shutdown(scene->crew.pool, scene->mode, NULL);
    scene->ended_by_then = crew_sum_runs(scene->tasks, JOBS) + crew_sum_drops(scene->tasks, JOBS);
    atomic_store(&scene->returned, 1);
    return NULL;
}

static bool is_closed(void *arg)
{
    struct scene *scene = arg;
    struct task *task = crew_tasks(&scene->crew, 1);
    const struct kvs_job job = crew_job(task);
    kvs_status status = scene->crew.ops->spawn(scene->crew.pool, &job);
    if (status != KVS_OK) /* else it was in time, and ends when it likes */
        free(task);
    return status == KVS_CLOSED;
}

static void scene_begin(struct scene *scene, struct check *check, uint32_t mode)
{
    memset(scene, 0, sizeof(*scene));
    gate_init(&scene->gate);
    scene->mode = mode;
    crew_create(&scene->crew, check, 1);
    crew_spawn(&scene->crew, gate_wait, &scene->gate);
    gate_await(&scene->crew, &scene->gate, 1);
    scene->tasks = crew_tasks(&scene->crew, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        const struct kvs_job job = crew_job(&scene->tasks[i]);
        check_status(check, "spawn", KVS_OK, scene->crew.ops->spawn(scene->crew.pool, &job), NULL);
    }
    if (pthread_create(&scene->thread, NULL, shut_down, scene) != 0)
        check_skip(check, "no thread to be had");
}

static void scene_end(struct scene *scene)
{
    struct check *check = scene->crew.check;
    gate_open(&scene->gate);
    crew_wait_count(&scene->crew, "shutdown to return", &scene->returned, 1);
    (void)pthread_join(scene->thread, NULL);
    check_status(check, "shutdown", KVS_OK, scene->status, NULL);
    CHECK(check, scene->ended_by_then == JOBS,
          "when shutdown returned %u of %u accepted jobs had been run or dropped",
          scene->ended_by_then, JOBS);
    crew_expect_once(&scene->crew, scene->tasks, JOBS);
}

static void scene_free(struct scene *scene)
{
    crew_destroy(&scene->crew);
    free(scene->tasks);
}

void pool_shutdown_drains(struct check *check)
{
    struct scene scene;
    scene_begin(&scene, check, KVS_POOL_DRAIN);
    scene_end(&scene);
    CHECK(check, crew_sum_runs(scene.tasks, JOBS) == JOBS,
          "a shutdown that drains ran %u of %u queued jobs", crew_sum_runs(scene.tasks, JOBS),
          JOBS);
    scene_free(&scene);
}

void pool_shutdown_drops(struct check *check)
{
    struct scene scene;
    scene_begin(&scene, check, KVS_POOL_DROP);
    check_doing(check, "waiting for spawn to give KVS_CLOSED during a shutdown");
    CHECK(check, check_wait_quietly(check, is_closed, &scene),
          "spawn does not give KVS_CLOSED while a shutdown goes on");
    scene_end(&scene);
    CHECK(check, crew_sum_drops(scene.tasks, JOBS) == JOBS,
          "a shutdown that drops dropped %u of %u queued jobs", crew_sum_drops(scene.tasks, JOBS),
          JOBS);
    if (crew_has(check, KVS_POOL_HAS_STATS)) {
        struct kvs_pool_stats stats = crew_stats(&scene.crew);
        CHECK(check,
              stats.jobs_spawned == stats.jobs_run + stats.jobs_dropped + stats.jobs_lost &&
                  stats.jobs_dropped >= JOBS,
              "after shutdown stats says %llu spawned, %llu run, %llu dropped, %llu lost",
              (unsigned long long)stats.jobs_spawned, (unsigned long long)stats.jobs_run,
              (unsigned long long)stats.jobs_dropped, (unsigned long long)stats.jobs_lost);
    }
    scene_free(&scene);
}

void pool_shutdown_waits(struct check *check)
{
    const struct timespec pause_time = {0, 200000};
    for (uint32_t mode = KVS_POOL_DRAIN; mode <= KVS_POOL_DROP; mode++) {
        struct scene scene;
        scene_begin(&scene, check, mode);
        CHECK(check, check_wait_quietly(check, is_closed, &scene),
              "spawn does not give KVS_CLOSED while a shutdown goes on");
        for (unsigned i = 0; i < 20; i++) {
            (void)nanosleep(&pause_time, NULL);
            CHECK(check, atomic_load(&scene.returned) == 0,
                  "shutdown returned while a job was still running");
        }
        scene_end(&scene);
        scene_free(&scene);
    }
}

void pool_shutdown_closed(struct check *check)
{
    struct crew crew;
    struct task task = {.crew = &crew};
    const struct kvs_job job = crew_job(&task);
    uint64_t accepted = 0;
    crew_create(&crew, check, 2);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    check_status(check, "spawn after shutdown", KVS_CLOSED, crew.ops->spawn(crew.pool, &job), NULL);
    if (crew_has(check, KVS_POOL_HAS_SPAWN_BATCH)) {
        check_status(check, "spawn_batch after shutdown", KVS_CLOSED,
                     crew.ops->spawn_batch(crew.pool, &job, 1, &accepted), NULL);
        CHECK(check, accepted == 0, "spawn_batch gave KVS_CLOSED and accepted a job");
    }
    crew_shutdown(&crew, KVS_POOL_DROP); /* a second one has nothing to do */
    crew_destroy(&crew);
    CHECK(check, atomic_load(&task.runs) + atomic_load(&task.drops) == 0,
          "a job that spawn refused was run or dropped");
}

void pool_shutdown_twice(struct check *check)
{
    struct scene scene;
    scene_begin(&scene, check, KVS_POOL_DRAIN);
    CHECK(check, check_wait_quietly(check, is_closed, &scene),
          "spawn does not give KVS_CLOSED while a shutdown goes on");
    gate_open(&scene.gate);
    crew_shutdown(&scene.crew, KVS_POOL_DROP);
    CHECK(check, crew_sum_runs(scene.tasks, JOBS) + crew_sum_drops(scene.tasks, JOBS) == JOBS,
          "a second shutdown returned before the first one had ended the jobs");
    scene_end(&scene);
    scene_free(&scene);
}

struct refusal {
    struct crew *crew;
    kvs_status status;
    atomic_uint over;
};

static void shut_down_from_job(void *arg)
{
    struct refusal *refusal = arg;
    refusal->status = refusal->crew->ops->shutdown(refusal->crew->pool, KVS_POOL_DRAIN, NULL);
    atomic_store(&refusal->over, 1);
}

void pool_shutdown_from_job(struct check *check)
{
    struct crew crew;
    struct refusal refusal = {.crew = &crew};
    struct task task = {.crew = &crew};
    crew_create(&crew, check, 2);
    crew_spawn(&crew, shut_down_from_job, &refusal);
    crew_wait_count(&crew, "shutdown from a job of the pool to be refused", &refusal.over, 1);
    check_status(check, "shutdown from a job of the pool", KVS_INVALID, refusal.status, NULL);
    crew_spawn(&crew, crew_run, &task);
    crew_wait_count(&crew, "a job after a refused shutdown", &task.runs, 1);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
}

/* ---- destroy --------------------------------------------------------------------------------------- */

void pool_destroy_null(struct check *check)
{
    check_doing(check, "destroy(NULL)");
    check->plugin->ops.pool.destroy(NULL);
}

void pool_destroy_drops(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, 2);
    struct task *tasks = crew_tasks(&crew, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        const struct kvs_job job = crew_job(&tasks[i]);
        check_status(check, "spawn", KVS_OK, crew.ops->spawn(crew.pool, &job), NULL);
    }
    crew.ops->destroy(crew.pool);
    crew_expect_once(&crew, tasks, JOBS);
    plugin_host_free(crew.host);
    free(tasks);
}

/* ---- hooks ------------------------------------------------------------------------------------------ */

void pool_hooks_paired(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, 3);
    struct task *tasks = crew_tasks(&crew, JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        crew_spawn(&crew, crew_run, &tasks[i]);
    crew_await(&crew, tasks, JOBS);
    if (crew_is_bounded(check))
        CHECK(check, atomic_load(&crew.started) >= 1 && atomic_load(&crew.started) <= 3,
              "thread_start was called %u times for 3 threads", atomic_load(&crew.started));
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    CHECK(check, atomic_load(&crew.started) == atomic_load(&crew.stopped),
          "thread_start was called %u times and thread_stop %u times", atomic_load(&crew.started),
          atomic_load(&crew.stopped));
    if (!crew_has(check, KVS_POOL_INLINE))
        CHECK(check, atomic_load(&crew.started) >= 1, "thread_start was never called");
    if (crew_is_bounded(check))
        CHECK(check, atomic_load(&crew.started) == 3,
              "thread_start was called %u times for 3 threads", atomic_load(&crew.started));
    crew_destroy(&crew);
    free(tasks);
}

/* ---- leaks ------------------------------------------------------------------------------------------ */

#define LEAK_WARM_UP       8u
#define LEAK_CYCLES        24u
#define LEAK_MEMORY_CYCLES 250u /* what ended threads give back comes late: a leak grows on */

static void use_once(struct check *check)
{
    struct crew crew;
    crew_create(&crew, check, 3);
    struct task *tasks = crew_tasks(&crew, 20);
    for (unsigned i = 0; i < 20; i++)
        crew_spawn(&crew, crew_run, &tasks[i]);
    crew_shutdown(&crew, KVS_POOL_DRAIN);
    crew_destroy(&crew);
    free(tasks);
}

struct thread_limit {
    unsigned most;
};

static bool has_few_threads(void *arg)
{
    return check_count_threads() <= ((const struct thread_limit *)arg)->most;
}

void pool_leaks_threads(struct check *check)
{
    use_once(check); /* what is started once and stays does not count */
    struct thread_limit limit = {check_count_threads()};
    for (unsigned i = 0; i < LEAK_CYCLES; i++)
        use_once(check);
    limit.most += LEAK_CYCLES / 2;
    CHECK(check, check_wait_quietly(check, has_few_threads, &limit),
          "after %u times create, shutdown and destroy there are %u threads more", LEAK_CYCLES,
          check_count_threads() - limit.most + LEAK_CYCLES / 2);
}

void pool_leaks_descriptors(struct check *check)
{
    for (unsigned i = 0; i < LEAK_WARM_UP; i++)
        use_once(check);
    unsigned before = check_count_descriptors();
    for (unsigned i = 0; i < LEAK_CYCLES; i++)
        use_once(check);
    unsigned after = check_count_descriptors();
    CHECK(check, after < before + LEAK_CYCLES,
          "%u times create, shutdown and destroy: %u file descriptors before, %u after",
          LEAK_CYCLES, before, after);
}

void pool_leaks_memory(struct check *check)
{
    if (check_is_sanitized())
        check_skip(check, "a sanitizer keeps memory of its own");
    for (unsigned i = 0; i < LEAK_WARM_UP; i++)
        use_once(check);
    uint64_t before = check_heap_bytes();
    for (unsigned i = 0; i < LEAK_MEMORY_CYCLES; i++)
        use_once(check);
    uint64_t after = check_heap_bytes();
    CHECK(check, after < before + UINT64_C(4096) + UINT64_C(48) * LEAK_MEMORY_CYCLES,
          "%u times create, shutdown and destroy: %llu bytes of the heap in use before, %llu after",
          LEAK_MEMORY_CYCLES, (unsigned long long)before, (unsigned long long)after);
}
