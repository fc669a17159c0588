/* See parallel.h. The threads take the next task's number from one counter until there is none. */
#include "parallel.h"

#include <stdatomic.h>

struct parallel {
    /* Constant. */
    uint32_t tasks;
    void (*run)(void *arg, uint32_t worker, uint32_t task);
    void *arg;
    /* The next task. Added to by all, relaxed: creating and joining the threads orders the rest. */
    _Atomic uint32_t next;
};

struct parallel_worker {
    struct parallel *parallel;
    uint32_t number;
};

uint32_t parallel_workers(uint32_t threads, uint32_t tasks)
{
    uint32_t workers = threads < tasks ? threads : tasks;
    if (workers > PARALLEL_THREADS_MAX)
        workers = PARALLEL_THREADS_MAX;
    return workers > 0 ? workers : 1;
}

static void *work(void *arg)
{
    const struct parallel_worker *worker = arg;
    // cppcheck-suppress uninitvar ; each worker was set: there is one at least
    struct parallel *parallel = worker->parallel;
    for (;;) {
        uint32_t task = atomic_fetch_add_explicit(&parallel->next, 1, memory_order_relaxed);
        if (task >= parallel->tasks)
            return NULL;
        parallel->run(parallel->arg, worker->number, task);
    }
}

void parallel_run(uint32_t threads, uint32_t tasks,
                  void (*run)(void *arg, uint32_t worker, uint32_t task), void *arg)
{
    struct parallel parallel = {.tasks = tasks, .run = run, .arg = arg};
    struct parallel_worker workers[PARALLEL_THREADS_MAX];
    pthread_t ids[PARALLEL_THREADS_MAX];
    uint32_t count = parallel_workers(threads, tasks);
    uint32_t started = 0;
    for (uint32_t i = 0; i < count; i++)
        workers[i] = (struct parallel_worker){&parallel, i};
    while (started + 1 < count &&
           pthread_create(&ids[started], NULL, work, &workers[started + 1]) == 0)
        started++;
    (void)work(&workers[0]);
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(ids[i], NULL);
}

/* ---- failures ----------------------------------------------------------------------------- */

void parallel_failure_init(struct parallel_failure *failure, struct kvs_error *err)
{
    (void)pthread_mutex_init(&failure->lock, NULL);
    failure->task = 0;
    failure->status = KVS_OK;
    failure->err = err;
}

void parallel_failure_deinit(struct parallel_failure *failure)
{
    (void)pthread_mutex_destroy(&failure->lock);
}

void parallel_failure_note(struct parallel_failure *failure, uint32_t task, kvs_status status,
                           const struct kvs_error *error)
{
    (void)pthread_mutex_lock(&failure->lock);
    if (failure->status == KVS_OK || task < failure->task) {
        failure->task = task;
        failure->status = kvs_error_set(failure->err, status, error->os_errno, "%s", error->msg);
    }
    (void)pthread_mutex_unlock(&failure->lock);
}
