/* Doing many independent tasks with a few threads, when a store is opened or checked. */
#ifndef ENGINE_LOG_PARALLEL_H
#define ENGINE_LOG_PARALLEL_H

#include <stdint.h>

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

#endif
