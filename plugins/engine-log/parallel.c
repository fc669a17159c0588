/* See parallel.h. The threads take the next task's number from one counter until there is none. */
#include "parallel.h"

#include <pthread.h>
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
