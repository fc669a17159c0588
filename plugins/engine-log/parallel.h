/* Doing many independent tasks with a few threads, when a store is opened or checked. */
#ifndef ENGINE_LOG_PARALLEL_H
#define ENGINE_LOG_PARALLEL_H

#include <pthread.h>
#include <stdint.h>

#include <kvs/types.h>

#define PARALLEL_THREADS_MAX 64u

/* How many workers parallel_run will use at most: threads (0 counts as 1), within limits. */
uint32_t parallel_workers(uint32_t threads, uint32_t tasks);

/*
 * Calls run(arg, worker, task) once for each task below `tasks`, on up to parallel_workers(threads,
 * tasks) threads, one of which is the caller's; worker tells them apart, from 0. Tasks are begun in
 * order. Fewer threads work when no more are to be had. Returns when all tasks are done; what they
 * wrote is then visible to the caller.
 */
void parallel_run(uint32_t threads, uint32_t tasks,
                  void (*run)(void *arg, uint32_t worker, uint32_t task), void *arg);

/*
 * What went wrong in tasks of one parallel_run: of all failures that of the lowest task is kept, so
 * that the same damage always gives the same message.
 */
struct parallel_failure {
    pthread_mutex_t lock; /* guards the rest */
    uint32_t task;
    kvs_status status;     /* KVS_OK: none */
    struct kvs_error *err; /* gets the message; may be NULL */
};

void parallel_failure_init(struct parallel_failure *failure, struct kvs_error *err);
void parallel_failure_deinit(struct parallel_failure *failure);

/* Notes that a task failed with status; error says why. From any worker. */
void parallel_failure_note(struct parallel_failure *failure, uint32_t task, kvs_status status,
                           const struct kvs_error *error);

#endif
