/*
 * See load.h. Each worker prepares (its state in the store, its buffers) before the barrier and
 * cleans up after its last step, so that only steps are timed. stop is written once by the caller
 * (or by a worker that fails) and read by all workers, relaxed: it carries nothing but itself, and
 * what workers leave behind is read after they were joined.
 */
#include "engine/load.h"

#include <glib.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct load_run {
    const struct load *load;
    pthread_barrier_t begin;
    _Atomic bool stop;
};

struct load_thread {
    struct load_run *run;
    uint32_t role;
    uint32_t number; /* of all threads of the load */
    uint32_t number_in_role;
    pthread_t id;
    bool started;
    struct worker worker;
    struct histogram latency;
    uint64_t ops;
    uint64_t begin_ns;
    uint64_t end_ns;
};

uint32_t worker_fail(struct worker *worker, kvs_status status, const char *format, ...)
{
    if (worker->error.status == KVS_OK) {
        va_list arguments;
        va_start(arguments, format);
        kvs_error_vset(&worker->error, status, 0, format, arguments);
        va_end(arguments);
    }
    return 0;
}

static kvs_status thread_prepare(struct load_thread *thread)
{
    const struct load *load = thread->run->load;
    struct worker *worker = &thread->worker;
    worker->load = load;
    worker->role = &load->roles[thread->role];
    worker->ops = load->peer->ops;
    worker->store = load->store;
    worker->data = load->data;
    worker->error = (struct kvs_error)KVS_ERROR_INIT(worker->message);
    worker->value = g_malloc(load->data->value_size);
    worker->read = g_malloc((gsize)PEER_MANY_MAX * load->data->value_size);
    worker->next = thread->number_in_role;
    worker->stride = worker->role->threads;
    random_init(&worker->random, load->seed + thread->number);
    if (load->draw_count > 0)
        worker->draw = random_below(&worker->random, load->draw_count);
    data_value_init(load->data, worker->value);
    histogram_init(&thread->latency);
    if (worker->ops->thread_begin == NULL)
        return KVS_OK;
    return worker->ops->thread_begin(worker->store, &worker->thread, &worker->error);
}

static void thread_clean_up(struct load_thread *thread)
{
    struct worker *worker = &thread->worker;
    if (worker->thread != NULL)
        worker->ops->thread_end(worker->store, worker->thread);
    free(worker->value);
    free(worker->read);
}

static void thread_work(struct load_thread *thread)
{
    struct worker *worker = &thread->worker;
    const struct load_role *role = worker->role;
    uint64_t limit = role->ops != 0 ? role->ops : UINT64_MAX;
    uint64_t ops = 0;
    uint32_t untimed = role->time_all ? 0 : LOAD_TIME_EVERY - 1;
    uint32_t until_timed = untimed;
    thread->begin_ns = clock_now_ns();
    /* One step at least: a thread that got no CPU until the time was over would have no rate. */
    while (ops < limit &&
           (ops == 0 || !atomic_load_explicit(&thread->run->stop, memory_order_relaxed))) {
        uint64_t before_ns = until_timed == 0 ? clock_now_ns() : 0;
        uint32_t done = worker->role->step(worker);
        if (done == 0) {
            atomic_store_explicit(&thread->run->stop, true, memory_order_relaxed);
            break;
        }
        ops += done;
        if (until_timed-- == 0) {
            histogram_record(&thread->latency, clock_now_ns() - before_ns);
            until_timed = untimed;
        }
    }
    thread->end_ns = clock_now_ns();
    thread->ops = ops;
}

static void *thread_main(void *arg)
{
    struct load_thread *thread = arg;
    kvs_status status = thread_prepare(thread);
    (void)pthread_barrier_wait(&thread->run->begin);
    if (status == KVS_OK)
        thread_work(thread);
    else
        atomic_store_explicit(&thread->run->stop, true, memory_order_relaxed);
    thread_clean_up(thread);
    return NULL;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    while (nanosleep(&pause, &pause) != 0)
        continue;
}

/* Waits for the roles that have an end of their own, or for the time; then ends the others. */
static void run_wait(struct load_run *run, struct load_thread *threads, uint32_t count)
{
    bool timed = true;
    for (uint32_t i = 0; i < count; i++) {
        if (threads[i].worker.role->ops == 0)
            continue;
        (void)pthread_join(threads[i].id, NULL);
        threads[i].started = false;
        timed = false;
    }
    if (timed)
        sleep_ns(run->load->duration_ns);
    atomic_store_explicit(&run->stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (threads[i].started)
            (void)pthread_join(threads[i].id, NULL);
    }
}

/* Adds a role's threads up. */
static void collect(const struct load *load, const struct load_thread *threads, uint32_t count,
                    struct load_result *ret)
{
    uint64_t first_ns = UINT64_MAX;
    uint64_t last_ns = 0;
    *ret = (struct load_result){0};
    for (uint32_t i = 0; i < count; i++) {
        const struct load_thread *thread = &threads[i];
        double spent_ns = (double)(thread->end_ns - thread->begin_ns);
        ret->ops[thread->role] += thread->ops;
        if (spent_ns > 0)
            ret->rate[thread->role] += (double)thread->ops * (double)NS_PER_S / spent_ns;
        if ((double)thread->latency.max > ret->max_ns[thread->role])
            ret->max_ns[thread->role] = (double)thread->latency.max;
        if (load->roles[thread->role].record && load->latency != NULL)
            histogram_add(load->latency, &thread->latency);
        first_ns = thread->begin_ns < first_ns ? thread->begin_ns : first_ns;
        last_ns = thread->end_ns > last_ns ? thread->end_ns : last_ns;
    }
    ret->wall_ns = (double)(last_ns - first_ns);
}

static kvs_status first_failure(const struct load_thread *threads, uint32_t count,
                                struct kvs_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kvs_error *error = &threads[i].worker.error;
        if (error->status != KVS_OK)
            return kvs_error_set(err, error->status < 0 ? error->status : KVS_INTERNAL,
                                 error->os_errno, "%s", error->msg);
    }
    return KVS_OK;
}

/* Starts all threads; they wait at the barrier for each other and for the caller. A thread that
   cannot be started is an end to it: the barrier would wait for it for ever. */
static void run_start(struct load_run *run, struct load_thread *threads, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        threads[i].started = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) == 0;
        if (!threads[i].started)
            g_error("cannot start thread %u of %u", i + 1, count);
    }
    (void)pthread_barrier_wait(&run->begin);
}

kvs_status load_run(const struct load *load, struct load_result *ret, struct kvs_error *err)
{
    struct load_run run = {.load = load};
    uint32_t count = 0;
    for (uint32_t i = 0; i < load->role_count; i++)
        count += load->roles[i].threads;
    _cleanup_(freep) struct load_thread *threads = g_new0(struct load_thread, count);
    for (uint32_t role = 0, number = 0; role < load->role_count; role++) {
        for (uint32_t i = 0; i < load->roles[role].threads; i++, number++) {
            threads[number].run = &run;
            threads[number].role = role;
            threads[number].number = number;
            threads[number].number_in_role = i;
            threads[number].worker.role = &load->roles[role];
        }
    }
    (void)pthread_barrier_init(&run.begin, NULL, count + 1);
    run_start(&run, threads, count);
    run_wait(&run, threads, count);
    (void)pthread_barrier_destroy(&run.begin);
    kvs_status status = first_failure(threads, count, err);
    if (status == KVS_OK)
        collect(load, threads, count, ret);
    return status;
}
