/*
 * What a worker does: it takes the oldest job, runs it, and so on; without a job it polls if nobody
 * does, and parks otherwise.
 *
 * One job per lock: taking several at a time would save some nanoseconds of a job that takes
 * microseconds, and hide the rest of them behind one that gets stuck.
 *
 * The service time only has to tell microseconds from milliseconds, so the clock is read around a
 * burst of jobs, not around each; and while jobs are short only around every eighth burst, since
 * two looks at the clock cost as much as all the rest that is done here for a job.
 */
#include "pool.h"

#define BURST_JOBS 32u /* the service time is measured anew after as many */
#define LOOK_EVERY_JOBS                                                                            \
    64u /* a queue that never gets empty must not starve what the hook finds                       \
         */
#define SERVICE_MAX_NS   UINT64_C(1000000000)
#define SERVICE_SHORT_NS UINT64_C(20000)
#define SERVICE_SAMPLE   8u /* of short jobs every so-manieth burst is measured */
#define SERVICE_SMOOTHER 8  /* a burst's weight in the average is one over this */

/*
 * Runs the worker's job, without the lock.
 *
 * A worker cannot be cancelled but while a job runs: elsewhere a cancellation could end it while it
 * holds the lock or the polling role. One that a job left pending strikes before the next job could
 * be mistaken for its target; the key destructor sees from the stage that the job itself was done.
 */
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

/* The time now if the burst that begins is to be measured, else 0. */
static uint64_t worker_measure_begin(struct kvs_pool *pool)
{
    bool due = pool->service_ns > SERVICE_SHORT_NS || pool->bursts++ % SERVICE_SAMPLE == 0;
    return due ? clock_ns() : 0;
}

static void worker_measure_end(struct kvs_pool *pool, uint64_t begun_ns, unsigned jobs)
{
    if (begun_ns == 0)
        return;
    uint64_t each_ns = (clock_ns() - begun_ns) / jobs;
    if (each_ns > SERVICE_MAX_NS)
        each_ns = SERVICE_MAX_NS;
    pool->service_ns = (pool->service_ns * (SERVICE_SMOOTHER - 1) + each_ns) / SERVICE_SMOOTHER;
}

/* Serves the queue, which must not be empty, until it is empty or the burst is over. */
static void worker_serve(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    uint64_t begun_ns = worker_measure_begin(pool);
    unsigned jobs = 0;
    do {
        ring_take(&pool->queue, &worker->job);
        pool->jobs_taken++;
        struct wake wake = {.count = 0};
        if (jobs == 0)
            wake_choose(pool, worker, &wake);
        (void)pthread_mutex_unlock(&pool->lock);
        wake_do(pool, &wake);

        worker_run(worker);

        (void)pthread_mutex_lock(&pool->lock);
        pool->jobs_run++;
        jobs++;
    } while (ring_count(&pool->queue) > 0 && jobs < BURST_JOBS && pool->live <= pool->target);
    worker_measure_end(pool, begun_ns, jobs);
    if (ring_count(&pool->queue) == 0 && pool->state == POOL_OPEN)
        __atomic_store_n(&pool->look_hint, false, __ATOMIC_RELAXED);
}

void worker_loop(struct worker *worker)
{
    struct kvs_pool *pool = worker->pool;
    for (;;) {
        if (threads_missing(pool))
            (void)threads_fill(pool);
        if (pool->live > pool->target)
            return;
        bool polls = pool_polls(pool) && pool->poller == NULL;
        if (ring_count(&pool->queue) > 0) {
            if (polls && pool->jobs_taken - pool->taken_at_poll >= LOOK_EVERY_JOBS)
                wait_look(worker);
            /* The lock was let go meanwhile: look again. */
            if (ring_count(&pool->queue) > 0)
                worker_serve(worker);
        } else if (pool->state != POOL_OPEN) {
            return;
        } else if (polls) {
            wait_poll(worker);
        } else {
            wait_park(worker);
        }
    }
}
