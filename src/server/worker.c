/*
 * See worker.h. A worker hangs on a thread-specific key of its server, whose destructor frees it
 * when the thread ends, however it ends.
 *
 * I1  A worker is in the list from its making to its freeing, so no counter is lost or counted
 *     twice: it moves into `finished` in the same critical section that takes it off the list.
 * I2  The engine's state is detached before the store closes: all pool threads have ended by then,
 *     and workers_deinit frees that of the thread that closes.
 */
#include "server/worker.h"

#include <stdlib.h>
#include <string.h>

static void free_groups(struct worker *worker)
{
    while (worker->write_groups != NULL) {
        struct write_group *group = worker->write_groups;
        worker->write_groups = group->next;
        write_group_free(group);
    }
    while (worker->read_groups != NULL) {
        struct read_group *group = worker->read_groups;
        worker->read_groups = group->next;
        read_group_free(group);
    }
    while (worker->runs != NULL) {
        struct run *run = worker->runs;
        worker->runs = run->next;
        run_free(run);
    }
}

static void worker_free(void *arg)
{
    struct worker *worker = arg;
    struct workers *workers = worker->workers;
    const struct kvs_engine_ops *engine = workers->store->engine;

    (void)pthread_mutex_lock(&workers->lock);
    counter_add(&workers->finished.requests, worker->counters.requests);
    counter_add(&workers->finished.errors, worker->counters.errors);
    counter_add(&workers->finished.bytes_received, worker->counters.bytes_received);
    counter_add(&workers->finished.bytes_sent, worker->counters.bytes_sent);
    command_metrics_add(&workers->finished_metrics, &worker->metrics);
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        workers->first = worker->next;
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    (void)pthread_mutex_unlock(&workers->lock);

    if (worker->tls != NULL)
        engine->thread_detach(workers->store->db, worker->tls);
    for (uint32_t i = 0; i < worker->spare_count; i++)
        buffer_deinit(&worker->spares[i]);
    free_groups(worker);
    command_metrics_deinit(&worker->metrics);
    resp_arguments_deinit(&worker->arguments);
    free(worker);
}

kvs_status workers_init(struct workers *workers, struct store *store, struct kvs_error *err)
{
    memset(workers, 0, sizeof(*workers));
    int error = pthread_key_create(&workers->key, worker_free);
    if (error != 0)
        return kvs_error_set(
            err, KVS_BUSY, error,
            "the process has no thread-specific key left (%s): start fewer servers "
            "in it",
            strerror(error));
    (void)pthread_mutex_init(&workers->lock, NULL);
    workers->store = store;
    return KVS_OK;
}

void workers_deinit(struct workers *workers)
{
    if (workers->store == NULL)
        return;
    struct worker *own = pthread_getspecific(workers->key);
    if (own != NULL)
        worker_free(own);
    (void)pthread_key_delete(workers->key);
    command_metrics_deinit(&workers->finished_metrics);
    (void)pthread_mutex_destroy(&workers->lock);
    workers->store = NULL;
}

/* Asks the engine for the thread's state, once the store is open. Without it calls are slower, not
   wrong. */
static void attach(struct worker *worker)
{
    const struct store *store = worker->workers->store;
    if (!store_is_open(store))
        return;
    worker->is_attached = true;
    if (store->engine->thread_attach != NULL &&
        store->engine->thread_attach(store->db, &worker->tls, NULL) != KVS_OK)
        worker->tls = NULL;
}

static struct worker *worker_new(struct workers *workers)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return NULL;
    worker->workers = workers;
    if (pthread_setspecific(workers->key, worker) != 0) {
        free(worker);
        return NULL;
    }
    (void)pthread_mutex_lock(&workers->lock);
    worker->next = workers->first;
    if (worker->next != NULL)
        worker->next->previous = worker;
    workers->first = worker;
    (void)pthread_mutex_unlock(&workers->lock);
    return worker;
}

struct worker *worker_current(struct workers *workers)
{
    struct worker *worker = pthread_getspecific(workers->key);
    if (worker == NULL)
        worker = worker_new(workers);
    if (worker != NULL && !worker->is_attached)
        attach(worker);
    return worker;
}

static void add_counters(struct worker_counters *to, const struct worker_counters *from)
{
    counter_add(&to->requests, atomic_load_explicit(&from->requests, memory_order_relaxed));
    counter_add(&to->errors, atomic_load_explicit(&from->errors, memory_order_relaxed));
    counter_add(&to->bytes_received,
                atomic_load_explicit(&from->bytes_received, memory_order_relaxed));
    counter_add(&to->bytes_sent, atomic_load_explicit(&from->bytes_sent, memory_order_relaxed));
}

void workers_count(struct workers *workers, struct worker_counters *ret)
{
    memset(ret, 0, sizeof(*ret));
    (void)pthread_mutex_lock(&workers->lock);
    add_counters(ret, &workers->finished);
    for (const struct worker *worker = workers->first; worker != NULL; worker = worker->next)
        add_counters(ret, &worker->counters);
    (void)pthread_mutex_unlock(&workers->lock);
}

void workers_measure(struct workers *workers, struct command_metrics *ret)
{
    (void)pthread_mutex_lock(&workers->lock);
    command_metrics_add(ret, &workers->finished_metrics);
    for (const struct worker *worker = workers->first; worker != NULL; worker = worker->next)
        command_metrics_add(ret, &worker->metrics);
    (void)pthread_mutex_unlock(&workers->lock);
}

void workers_measure_queue_wait(struct workers *workers, struct latency *ret)
{
    (void)pthread_mutex_lock(&workers->lock);
    latency_add(ret, &workers->finished_metrics.queue_wait);
    for (const struct worker *worker = workers->first; worker != NULL; worker = worker->next)
        latency_add(ret, &worker->metrics.queue_wait);
    (void)pthread_mutex_unlock(&workers->lock);
}

static void add_one(const struct command_metrics *metrics, uint32_t place, uint64_t *count,
                    uint64_t *ns)
{
    const struct latency *latency =
        atomic_load_explicit(&metrics->by_command[place], memory_order_acquire);
    if (latency == NULL)
        return;
    *count += latency_count(latency);
    *ns += atomic_load_explicit(&latency->sum_ns, memory_order_relaxed);
}

void workers_measure_one(struct workers *workers, uint32_t place, uint64_t *ret_count,
                         uint64_t *ret_ns)
{
    *ret_count = *ret_ns = 0;
    (void)pthread_mutex_lock(&workers->lock);
    add_one(&workers->finished_metrics, place, ret_count, ret_ns);
    for (const struct worker *worker = workers->first; worker != NULL; worker = worker->next)
        add_one(&worker->metrics, place, ret_count, ret_ns);
    (void)pthread_mutex_unlock(&workers->lock);
}

kvs_status worker_take_buffer(struct worker *worker, struct buffer *buffer)
{
    if (worker->spare_count == 0)
        return buffer_reserve(buffer, BUFFER_STANDARD);
    *buffer = worker->spares[--worker->spare_count];
    return KVS_OK;
}

void worker_give_buffer(struct worker *worker, struct buffer *buffer)
{
    if (buffer->cap < BUFFER_STANDARD || buffer->cap > BUFFER_KEPT_MAX ||
        worker->spare_count == SPARE_BUFFER_MAX) {
        buffer_deinit(buffer);
        return;
    }
    worker->spares[worker->spare_count++] =
        (struct buffer){.data = buffer->data, .cap = buffer->cap};
    *buffer = (struct buffer){0};
}

struct write_group *worker_take_write_group(struct worker *worker)
{
    struct write_group *group = worker->write_groups;
    if (group == NULL)
        return write_group_new();
    worker->write_groups = group->next;
    write_group_reset(group);
    return group;
}

void worker_give_write_group(struct worker *worker, struct write_group *group)
{
    if (group->capacity > WRITE_GROUP_MAX) {
        write_group_free(group);
        return;
    }
    group->next = worker->write_groups;
    worker->write_groups = group;
}

struct read_group *worker_take_read_group(struct worker *worker)
{
    struct read_group *group = worker->read_groups;
    if (group == NULL)
        return read_group_new();
    worker->read_groups = group->next;
    read_group_reset(group);
    return group;
}

void worker_give_read_group(struct worker *worker, struct read_group *group)
{
    if (group->capacity > READ_GROUP_MAX) {
        read_group_free(group);
        return;
    }
    group->next = worker->read_groups;
    worker->read_groups = group;
}

struct run *worker_take_run(struct worker *worker)
{
    struct run *run = worker->runs;
    if (run == NULL)
        return run_new();
    worker->runs = run->next;
    return run;
}

void worker_give_run(struct worker *worker, struct run *run)
{
    if (run->reply.cap > RUN_REPLY_KEPT_MAX)
        buffer_deinit(&run->reply);
    run->next = worker->runs;
    worker->runs = run;
}
