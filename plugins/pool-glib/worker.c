/*
 * What the threads do: run tasks, survive jobs that end their thread, say goodbye.
 *
 * A lost thread is replaced, not caught: see the head of ../pool-shared-queue/threads.c for why.
 * The maximum is raised under the pool's lock: two dying threads that raise it at once could both
 * ask for the same number, and jobs were seen to stay in GLib's queue for ever.
 */
#include "pool.h"

#include <stdlib.h>
#include <time.h>

#define LAST_ONE_PAUSE_NS 1000000L

unsigned worker_live(const struct kvs_pool *pool)
{
    return g_thread_pool_get_num_threads(pool->threads) - (unsigned)pool->threads_lost;
}

bool worker_fill(struct kvs_pool *pool, GError **ret_error)
{
    unsigned wanted = pool->target + (unsigned)pool->threads_lost;
    while (pool->blocks_made < wanted) {
        struct worker *worker = calloc(1, sizeof(*worker));
        if (worker == NULL)
            return false;
        worker->pool = pool;
        worker->next = pool->blocks;
        pool->blocks = worker;
        pool->blocks_made++;
    }
    bool filled = g_thread_pool_set_max_threads(pool->threads, (gint)wanted, ret_error);
    pool->threads_started = g_thread_pool_get_num_threads(pool->threads);
    return filled;
}

/* ---- the end of a thread ------------------------------------------------------------------ */

/* Gives a lost worker its successor. The last one stays until it has one, since after it there
   would be nobody to try: a missing thread is tried again at each spawn (GLib does that by itself)
   and here. With the lock held; lets it go meanwhile. */
static void worker_replace(struct kvs_pool *pool)
{
    pool->threads_lost++;
    while (!worker_fill(pool, NULL) && worker_live(pool) == 0 &&
           (pool->state == POOL_OPEN || pool_queued(pool) > 0)) {
        (void)pthread_mutex_unlock(&pool->lock);
        struct timespec pause = {0, LAST_ONE_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
        (void)pthread_mutex_lock(&pool->lock);
    }
}

static void worker_lost(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    bool in_job = worker->stage == WORKER_IN_JOB;
    /* Still a thread of this pool: a shutdown from a hook must be refused. */
    (void)pthread_setspecific(pool->key, worker);

    (void)pthread_mutex_lock(&pool->lock);
    worker_replace(pool);
    (void)pthread_mutex_unlock(&pool->lock);

    if (in_job && pool->config.job_lost != NULL)
        pool->config.job_lost(pool->config.arg, &worker->job);
    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);
    (void)pthread_setspecific(pool->key, NULL);

    (void)pthread_mutex_lock(&pool->lock);
    if (in_job)
        pool->lost++;
    else
        pool->run++;
    (void)pthread_mutex_unlock(&pool->lock);
}

void worker_ended(void *arg)
{
    struct worker *worker = arg;
    struct kvs_pool *pool = worker->pool;
    if (worker->stage != WORKER_LEFT)
        worker_lost(worker);
    free(worker);

    (void)pthread_mutex_lock(&pool->lock);
    bool last = --pool->present == 0 && pool->orphaned;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    if (last)
        life_free(pool);
}

/* ---- tasks -------------------------------------------------------------------------------- */

/* The first task on this thread: makes it a worker. */
static struct worker *worker_begin(struct kvs_pool *pool)
{
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &pool->signal_mask, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    struct worker *worker = pool->blocks; /* I2 */
    pool->blocks = worker->next;
    pool->present++;
    (void)pthread_mutex_unlock(&pool->lock);

    (void)pthread_setspecific(pool->key, worker);
    if (pool->name[0] != '\0')
        (void)pthread_setname_np(pthread_self(), pool->name);
    if (pool->config.thread_start != NULL)
        pool->config.thread_start(pool->config.arg);
    return worker;
}

/* The last task on this thread. Each live thread is given one and keeps it until all have theirs,
   so none takes two. */
static void worker_say_goodbye(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    if (pool->config.thread_stop != NULL)
        pool->config.thread_stop(pool->config.arg);
    worker->stage = WORKER_LEFT;
    (void)pthread_mutex_lock(&pool->lock);
    pool->goodbyes--;
    (void)pthread_cond_broadcast(&pool->changed);
    while (pool->goodbyes > 0)
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Runs the worker's job. A worker cannot be cancelled but while a job runs: elsewhere a
   cancellation could end it while it holds a lock of GLib's or ours. */
static void worker_run(struct worker *worker)
{
    worker->stage = WORKER_IN_JOB;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    worker->job.run(worker->job.arg);
    worker->stage = WORKER_RETURNED;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    worker->stage = WORKER_NO_JOB;
}

void worker_main(gpointer data, gpointer user_data)
{
    struct kvs_pool *pool = user_data;
    struct task *task = data;
    struct worker *worker = pthread_getspecific(pool->key);
    if (worker == NULL)
        worker = worker_begin(pool);
    /* The task is written and read under our lock: GLib's own order is one that ThreadSanitizer
       cannot follow. */
    (void)pthread_mutex_lock(&pool->lock);
    worker->job = task->job;
    bool goodbye = worker->job.run == NULL;
    bool dropping = pool->dropping;
    if (!goodbye) {
        task->next = pool->free_tasks;
        pool->free_tasks = task;
        pool->taken++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (goodbye) {
        worker_say_goodbye(worker);
        return;
    }

    if (!dropping)
        worker_run(worker);
    else if (worker->job.drop != NULL)
        worker->job.drop(worker->job.arg);

    (void)pthread_mutex_lock(&pool->lock);
    if (dropping)
        pool->dropped++;
    else
        pool->run++;
    if (pool->state != POOL_OPEN && pool_ended(pool) == pool->spawned)
        (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
}
