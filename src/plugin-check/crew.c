/*
 * See crew.h. The hooks check as they go: thread_start comes first on its thread, thread_stop last
 * and on the same one. Which crew a thread works for is kept in a thread-local variable, that is
 * nobody else's business.
 */
#include "crew.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETTLE_NS 2000000L

static _Thread_local const struct crew *working_for;

bool crew_has(const struct check *check, uint64_t capabilities)
{
    return (check->plugin->ops.pool.capabilities & capabilities) == capabilities;
}

bool crew_is_bounded(const struct check *check)
{
    return !crew_has(check, KVS_POOL_INLINE) && !crew_has(check, KVS_POOL_UNBOUNDED);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static void on_start(void *arg)
{
    struct crew *crew = arg;
    CHECK(crew->check, working_for == NULL, "thread_start was called twice on one thread");
    working_for = crew;
    (void)atomic_fetch_add(&crew->started, 1);
}

static void on_stop(void *arg)
{
    struct crew *crew = arg;
    CHECK(crew->check, working_for == crew,
          "thread_stop was called on a thread without thread_start before it");
    working_for = NULL;
    (void)atomic_fetch_add(&crew->stopped, 1);
}

static void on_lost(void *arg, const struct kvs_job *job)
{
    struct crew *crew = arg;
    struct task *task = job->arg;
    (void)atomic_fetch_add(&task->losses, 1);
    (void)atomic_fetch_add(&crew->lost, 1);
}

/* ---- a pool ----------------------------------------------------------------------------------- */

void crew_init(struct crew *crew, struct check *check)
{
    struct check_error error;
    memset(crew, 0, sizeof(*crew));
    check_error_init(&error);
    crew->check = check;
    crew->ops = &check->plugin->ops.pool;
    const struct plugin_host_config config = {.plugin = check->plugin,
                                              .log = &check->log,
                                              .options = check->options,
                                              .option_count = check->option_count};
    if (plugin_host_new(&config, &crew->host, &error.error) != KVS_OK)
        check_skip(check, "%s", error.message);
}

struct kvs_pool_config crew_config(struct crew *crew, uint32_t threads)
{
    return (struct kvs_pool_config){.size = (uint32_t)sizeof(struct kvs_pool_config),
                                    .threads = threads,
                                    .thread_name = "check-worker",
                                    .host = plugin_host_services(crew->host),
                                    .arg = crew,
                                    .thread_start = on_start,
                                    .thread_stop = on_stop,
                                    .job_lost = on_lost};
}

kvs_status crew_try_create(struct crew *crew, const struct kvs_pool_config *config,
                           struct check_error *error)
{
    check_error_init(error);
    check_doing(crew->check, "create");
    kvs_status status = crew->ops->create(config, &crew->pool, &error->error);
    check_doing(crew->check, "using a pool");
    return status;
}

void crew_create(struct crew *crew, struct check *check, uint32_t threads)
{
    struct check_error error;
    crew_init(crew, check);
    const struct kvs_pool_config config = crew_config(crew, threads);
    check_status(check, "create", KVS_OK, crew_try_create(crew, &config, &error), &error);
}

void crew_shutdown(struct crew *crew, uint32_t mode)
{
    struct check_error error;
    check_error_init(&error);
    check_doing(crew->check, "shutdown (%s)", mode == KVS_POOL_DRAIN ? "drain" : "drop");
    check_status(crew->check, "shutdown", KVS_OK,
                 crew->ops->shutdown(crew->pool, mode, &error.error), &error);
    check_doing(crew->check, "after shutdown");
}

void crew_destroy(struct crew *crew)
{
    check_doing(crew->check, "destroy");
    crew->ops->destroy(crew->pool);
    plugin_host_free(crew->host);
    check_doing(crew->check, "after destroy");
}

struct kvs_pool_stats crew_stats(struct crew *crew)
{
    struct kvs_pool_stats stats = {.size = (uint32_t)sizeof(stats)};
    crew->ops->stats(crew->pool, &stats);
    return stats;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct task *crew_tasks(struct crew *crew, unsigned count)
{
    struct task *tasks = check_memory(crew->check, count * sizeof(*tasks));
    for (unsigned i = 0; i < count; i++) {
        tasks[i].crew = crew;
        tasks[i].number = i;
    }
    return tasks;
}

void crew_run(void *arg)
{
    (void)atomic_fetch_add(&((struct task *)arg)->runs, 1);
}

void crew_drop(void *arg)
{
    (void)atomic_fetch_add(&((struct task *)arg)->drops, 1);
}

struct kvs_job crew_job(struct task *task)
{
    return (struct kvs_job){.run = crew_run, .drop = crew_drop, .arg = task};
}

static unsigned endings(struct task *task)
{
    return atomic_load(&task->runs) + atomic_load(&task->drops) + atomic_load(&task->losses);
}

struct tasks {
    struct task *tasks;
    unsigned count;
};

static bool all_ended(void *arg)
{
    const struct tasks *all = arg;
    for (unsigned i = 0; i < all->count; i++) {
        if (endings(&all->tasks[i]) == 0)
            return false;
    }
    return true;
}

void crew_await(struct crew *crew, struct task *tasks, unsigned count)
{
    struct tasks all = {tasks, count};
    unsigned ended = 0;
    check_doing(crew->check, "waiting for %u jobs", count);
    if (check_wait_quietly(crew->check, all_ended, &all))
        return;
    for (unsigned i = 0; i < count; i++)
        ended += endings(&tasks[i]) > 0;
    check_fail(crew->check, "of %u accepted jobs %u were neither run nor dropped nor lost", count,
               count - ended);
}

void crew_expect_once(struct crew *crew, struct task *tasks, unsigned count)
{
    const struct timespec settle_time = {0, SETTLE_NS};
    (void)nanosleep(&settle_time, NULL); /* for one that comes once more */
    for (unsigned i = 0; i < count; i++)
        CHECK(crew->check, endings(&tasks[i]) == 1,
              "job %u of %u was run %u times, dropped %u times, lost %u times: not once in all", i,
              count, atomic_load(&tasks[i].runs), atomic_load(&tasks[i].drops),
              atomic_load(&tasks[i].losses));
}

unsigned crew_sum_runs(struct task *tasks, unsigned count)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += atomic_load(&tasks[i].runs);
    return sum;
}

unsigned crew_sum_drops(struct task *tasks, unsigned count)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += atomic_load(&tasks[i].drops);
    return sum;
}

void crew_spawn(struct crew *crew, void (*run)(void *arg), void *arg)
{
    const struct kvs_job job = {.run = run, .arg = arg};
    check_status(crew->check, "spawn", KVS_OK, crew->ops->spawn(crew->pool, &job), NULL);
}

/* ---- a gate ----------------------------------------------------------------------------------- */

void gate_init(struct gate *gate)
{
    memset(gate, 0, sizeof(*gate));
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->opened, NULL);
}

void gate_open(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    (void)pthread_cond_broadcast(&gate->opened);
    (void)pthread_mutex_unlock(&gate->lock);
}

void gate_wait(void *arg)
{
    struct gate *gate = arg;
    (void)pthread_mutex_lock(&gate->lock);
    (void)atomic_fetch_add(&gate->inside, 1);
    while (!gate->is_open)
        (void)pthread_cond_wait(&gate->opened, &gate->lock);
    (void)atomic_fetch_sub(&gate->inside, 1);
    (void)pthread_mutex_unlock(&gate->lock);
    (void)atomic_fetch_add(&gate->gone, 1);
}

struct count {
    atomic_uint *counter;
    unsigned value;
};

static bool is_reached(void *arg)
{
    const struct count *count = arg;
    return atomic_load(count->counter) >= count->value;
}

void crew_wait_count(struct crew *crew, const char *what, atomic_uint *counter, unsigned value)
{
    struct count count = {counter, value};
    check_wait(crew->check, what, is_reached, &count);
}

void gate_await(struct crew *crew, struct gate *gate, unsigned count)
{
    crew_wait_count(crew, "jobs to begin, as many as there are threads", &gate->inside, count);
}

void gate_clear(struct crew *crew, struct gate *gate, unsigned count)
{
    gate_open(gate);
    crew_wait_count(crew, "jobs to return", &gate->gone, count);
}
