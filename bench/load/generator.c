/*
 * See generator.h. The caller opens one phase after the other, each when all threads have ended the one
 * before; it sleeps through the load and looks at the clock and at the server's process at its two
 * ends.
 */
#include "load/generator.h"

#include <pthread.h>
#include <time.h>

#include <glib.h>

#include "base/clock.h"
#include "harness/descriptors.h"
#include "load/driver.h"

#define FILES_BESIDE  64u /* descriptors that are no connections */
#define LOOK_EVERY_NS (20 * NS_PER_MS)

struct generator {
    const struct plan *plan;
    struct driver *drivers; /* plan->threads */
    _Atomic bool stop;
    _Atomic uint32_t running; /* drivers that have not ended; release, acquired by the caller */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint32_t phase;    /* that may be run; written by the caller */
    uint32_t finished; /* threads that have run it */
    uint64_t begin_ns; /* of counting: written before PHASE_RUN */
    uint64_t end_ns;
};

enum {
    PHASE_CONNECT = 1,
    PHASE_PRELOAD = 2,
    PHASE_RUN = 3,
};

struct generator_thread {
    struct generator *generator;
    struct driver *driver;
    pthread_t thread;
};

/* A thread's side: waits until a phase may be run, and says that it was. */
static void phase_begin(struct generator *generator, uint32_t phase)
{
    (void)pthread_mutex_lock(&generator->mutex);
    while (generator->phase < phase)
        (void)pthread_cond_wait(&generator->changed, &generator->mutex);
    (void)pthread_mutex_unlock(&generator->mutex);
}

static void phase_end(struct generator *generator)
{
    (void)pthread_mutex_lock(&generator->mutex);
    generator->finished++;
    (void)pthread_cond_broadcast(&generator->changed);
    (void)pthread_mutex_unlock(&generator->mutex);
}

/* The caller's side: opens a phase; waits until count threads have run it. */
static void phase_open(struct generator *generator, uint32_t phase)
{
    (void)pthread_mutex_lock(&generator->mutex);
    generator->phase = phase;
    generator->finished = 0;
    (void)pthread_cond_broadcast(&generator->changed);
    (void)pthread_mutex_unlock(&generator->mutex);
}

static void phase_wait(struct generator *generator, uint32_t count)
{
    (void)pthread_mutex_lock(&generator->mutex);
    while (generator->finished < count)
        (void)pthread_cond_wait(&generator->changed, &generator->mutex);
    (void)pthread_mutex_unlock(&generator->mutex);
}

static void *thread_main(void *arg)
{
    struct generator_thread *self = arg;
    struct generator *generator = self->generator;
    phase_begin(generator, PHASE_CONNECT);
    driver_connect(self->driver);
    phase_end(generator);
    phase_begin(generator, PHASE_PRELOAD);
    driver_preload(self->driver);
    phase_end(generator);
    phase_begin(generator, PHASE_RUN);
    driver_run(self->driver, generator->begin_ns, generator->end_ns);
    (void)atomic_fetch_sub_explicit(&generator->running, 1, memory_order_release);
    return NULL;
}

/* Sleeps until a time, or until all drivers have ended. */
static void wait_for(struct generator *generator, uint64_t until_ns)
{
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= until_ns ||
            atomic_load_explicit(&generator->running, memory_order_acquire) == 0)
            return;
        uint64_t wait_ns = MIN(until_ns - now_ns, LOOK_EVERY_NS);
        const struct timespec wait = {.tv_nsec = (long)wait_ns};
        (void)nanosleep(&wait, NULL);
    }
}

/* The load itself, with the server's process looked at when counting begins and ends. */
static void measure(struct generator *generator, struct generator_outcome *outcome)
{
    const struct plan *plan = generator->plan;
    struct process_usage before;
    struct process_usage after;
    generator->begin_ns = clock_now_ns() + plan->warm_up_ns;
    generator->end_ns = plan->requests != 0 ? UINT64_MAX : generator->begin_ns + plan->duration_ns;
    phase_open(generator, PHASE_RUN);
    wait_for(generator, generator->begin_ns);
    outcome->has_server = plan->pid != 0 && process_usage_read(plan->pid, &before);
    wait_for(generator, generator->end_ns);
    outcome->has_server = outcome->has_server && process_usage_read(plan->pid, &after);
    if (outcome->has_server)
        outcome->server = process_usage_between(&before, &after);
}

/* Starts the threads; ret_started: how many there are, also when one could not be made. */
static kvs_status start_threads(struct generator *generator, struct generator_thread *threads,
                                uint32_t *ret_started, struct kvs_error *err)
{
    for (uint32_t i = 0; i < generator->plan->threads; i++) {
        threads[i].generator = generator;
        threads[i].driver = &generator->drivers[i];
        int code = pthread_create(&threads[i].thread, NULL, thread_main, &threads[i]);
        if (code != 0) {
            *ret_started = i;
            return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot make a thread: %s",
                                 g_strerror(code));
        }
    }
    *ret_started = generator->plan->threads;
    return KVS_OK;
}

static kvs_status run_threads(struct generator *generator, struct generator_outcome *outcome,
                              struct kvs_error *err)
{
    uint32_t count;
    struct generator_thread *threads = g_new0(struct generator_thread, generator->plan->threads);
    kvs_status status = start_threads(generator, threads, &count, err);
    atomic_store_explicit(&generator->stop, status != KVS_OK, memory_order_relaxed);
    atomic_store_explicit(&generator->running, count, memory_order_relaxed);
    phase_open(generator, PHASE_CONNECT);
    phase_wait(generator, count);
    phase_open(generator, PHASE_PRELOAD);
    phase_wait(generator, count);
    measure(generator, outcome);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        const struct driver *driver = threads[i].driver;
        if (status == KVS_OK && driver->status != KVS_OK)
            status =
                kvs_error_set(err, driver->status, driver->error.os_errno, "%s", driver->message);
    }
    g_free(threads);
    return status;
}

static void add_driver(struct generator_outcome *outcome, const struct driver *driver,
                       uint64_t *sends)
{
    const struct tally *tally = &driver->tally;
    double wall_ns = (double)(driver->clock_end_ns - driver->clock_begin_ns);
    double cpu_ns = (double)(driver->cpu_end_ns - driver->cpu_begin_ns);
    outcome->gets_per_s += (double)tally->replies[WIRE_GET];
    outcome->sets_per_s += (double)tally->replies[WIRE_SET];
    outcome->misses += tally->misses;
    outcome->errors += tally->errors;
    outcome->wrong += tally->wrong;
    outcome->late += driver->late;
    outcome->cpu_ns += cpu_ns;
    if (wall_ns > 0 && cpu_ns / wall_ns > outcome->busiest_share)
        outcome->busiest_share = cpu_ns / wall_ns;
    histogram_add(&outcome->get_latency, &tally->latency[WIRE_GET]);
    histogram_add(&outcome->set_latency, &tally->latency[WIRE_SET]);
    histogram_add(&outcome->lag, &tally->lag);
    *sends += tally->sends;
    if (outcome->error_text[0] == '\0')
        g_strlcpy(outcome->error_text, tally->error_text, sizeof(outcome->error_text));
}

static void add_up(const struct generator *generator, struct generator_outcome *outcome)
{
    const struct plan *plan = generator->plan;
    uint64_t last_ns = generator->begin_ns;
    uint64_t sends = 0;
    for (uint32_t i = 0; i < plan->threads; i++) {
        add_driver(outcome, &generator->drivers[i], &sends);
        last_ns = MAX(last_ns, generator->drivers[i].tally.last_ns);
    }
    uint64_t end_ns = plan->requests != 0 ? last_ns : generator->end_ns;
    outcome->wall_ns = (double)MAX(end_ns - generator->begin_ns, 1);
    double seconds = outcome->wall_ns / (double)NS_PER_S;
    double replies = outcome->gets_per_s + outcome->sets_per_s;
    outcome->replies = (uint64_t)replies;
    outcome->requests_per_send = sends > 0 ? replies / (double)sends : 0;
    outcome->gets_per_s /= seconds;
    outcome->sets_per_s /= seconds;
    outcome->requests_per_s = replies / seconds;
    histogram_add(&outcome->latency, &outcome->get_latency);
    histogram_add(&outcome->latency, &outcome->set_latency);
    outcome->generator_bound = outcome->busiest_share >= GENERATOR_BOUND_SHARE;
    outcome->overloaded =
        plan->rate != 0 && outcome->requests_per_s < GENERATOR_OVERLOAD_SHARE * (double)plan->rate;
}

kvs_status generator_run(const struct plan *plan, struct generator_outcome *ret,
                         struct kvs_error *err)
{
    struct process_usage usage;
    kvs_status status = plan_check(plan, err);
    if (status == KVS_OK)
        status = descriptors_allow((uint64_t)plan->connections + FILES_BESIDE, err);
    if (status != KVS_OK)
        return status;
    if (plan->pid != 0 && !process_usage_read(plan->pid, &usage))
        return kvs_error_set(err, KVS_MISSING, 0, "there is no process %ld", (long)plan->pid);
    struct generator generator = {
        .plan = plan,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
    };
    generator.drivers = g_new0(struct driver, plan->threads);
    for (uint32_t i = 0; i < plan->threads; i++)
        driver_init(&generator.drivers[i], plan, i, &generator.stop);
    struct generator_outcome *outcome = g_new0(struct generator_outcome, 1);
    histogram_init(&outcome->latency);
    histogram_init(&outcome->get_latency);
    histogram_init(&outcome->set_latency);
    histogram_init(&outcome->lag);
    status = run_threads(&generator, outcome, err);
    if (status == KVS_OK) {
        add_up(&generator, outcome);
        *ret = *outcome;
    }
    g_free(outcome);
    for (uint32_t i = 0; i < plan->threads; i++)
        driver_deinit(&generator.drivers[i]);
    g_free(generator.drivers);
    (void)pthread_cond_destroy(&generator.changed);
    (void)pthread_mutex_destroy(&generator.mutex);
    return status;
}
