/* See loads.h. */
#include "pool/loads.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/usage.h"

#define PRODUCERS_MAX 16u
#define WINDOW        256u /* unfinished jobs of a producer */
#define BURST_MAX     64u
#define SETTLE_NS     (30 * NS_PER_MS) /* longer than any pool looks around after its last job */

static void pause_ns_long(uint64_t ns)
{
    struct timespec pause = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    (void)nanosleep(&pause, NULL);
}

/* Keeps the CPU busy for that long. */
static void work(uint64_t ns)
{
    if (ns == 0)
        return;
    uint64_t end_ns = clock_now_ns() + ns;
    while (clock_now_ns() < end_ns)
        ;
}

static void spawn(struct subject *subject, void (*run)(void *arg), void *arg)
{
    struct kvs_job job = {.run = run, .arg = arg};
    while (subject->ops->spawn(subject->pool, &job) != KVS_OK)
        (void)sched_yield();
}

/* ---- cost --------------------------------------------------------------------------------- */

struct reading {
    uint64_t now_ns;
    struct usage usage;
    struct kvs_pool_stats stats;
};

static struct reading reading_take(struct subject *subject)
{
    return (struct reading){clock_now_ns(), usage_now(), subject_stats(subject)};
}

static struct load_cost reading_cost(const struct reading *before, const struct reading *after,
                                     uint64_t jobs)
{
    struct usage used = usage_between(&before->usage, &after->usage);
    double count = (double)jobs;
    return (struct load_cost){
        .jobs_per_s = count * (double)NS_PER_S / (double)(after->now_ns - before->now_ns),
        .wakeups = (double)(after->stats.wakeups - before->stats.wakeups) / count,
        .switches = (double)(used.voluntary_switches + used.involuntary_switches) / count,
        .cpu_ns = (double)(used.user_ns + used.system_ns) / count,
    };
}

/* ---- latency ------------------------------------------------------------------------------ */

struct ping {
    uint64_t begun_ns;
    uint64_t ran_ns;
    atomic_bool done;
};

static void job_ping(void *arg)
{
    struct ping *ping = arg;
    ping->ran_ns = clock_now_ns();
    atomic_store_explicit(&ping->done, true, memory_order_release);
}

void load_latency(struct subject *subject, uint32_t threads, uint64_t pause_ns, uint32_t rounds,
                  struct histogram *ret_latency)
{
    histogram_init(ret_latency);
    subject_begin(subject, threads, NULL);
    for (uint32_t i = 0; i < rounds; i++) {
        struct ping ping = {.done = false};
        if (pause_ns > 0)
            pause_ns_long(pause_ns);
        ping.begun_ns = clock_now_ns();
        spawn(subject, job_ping, &ping);
        while (!atomic_load_explicit(&ping.done, memory_order_acquire))
            (void)sched_yield();
        histogram_record(ret_latency, ping.ran_ns - ping.begun_ns);
    }
    subject_end(subject);
}

/* ---- throughput --------------------------------------------------------------------------- */

struct producer {
    struct subject *subject;
    const atomic_bool *stop;
    uint64_t job_ns;
    bool sleeps;
    pthread_t thread;
    sem_t room; /* of the window */
    atomic_uint_fast64_t done;
};

static void job_produced(void *arg)
{
    struct producer *producer = arg;
    if (producer->sleeps)
        pause_ns_long(producer->job_ns);
    else
        work(producer->job_ns);
    atomic_fetch_add_explicit(&producer->done, 1, memory_order_relaxed);
    (void)sem_post(&producer->room);
}

static void *producer_main(void *arg)
{
    struct producer *producer = arg;
    while (!atomic_load_explicit(producer->stop, memory_order_relaxed)) {
        while (sem_wait(&producer->room) != 0)
            ;
        spawn(producer->subject, job_produced, producer);
    }
    return NULL;
}

static uint64_t producers_done(struct producer *producers, uint32_t count)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < count; i++)
        done += atomic_load(&producers[i].done);
    return done;
}

static double producers_fairness(struct producer *producers, uint32_t count)
{
    double least = INFINITY;
    double most = 1;
    for (uint32_t i = 0; i < count; i++) {
        double done = (double)atomic_load(&producers[i].done);
        least = done < least ? done : least;
        most = done > most ? done : most;
    }
    return least / most;
}

struct load_cost load_throughput(struct subject *subject, uint32_t threads, uint32_t count,
                                 uint64_t job_ns, bool sleeps, uint64_t duration_ns)
{
    struct producer producers[PRODUCERS_MAX];
    atomic_bool stop = false;
    if (count > PRODUCERS_MAX)
        abort();
    subject_begin(subject, threads, NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct producer *producer = &producers[i];
        producer->subject = subject;
        producer->stop = &stop;
        producer->job_ns = job_ns;
        producer->sleeps = sleeps;
        atomic_init(&producer->done, 0);
        if (sem_init(&producer->room, 0, WINDOW) != 0 ||
            pthread_create(&producer->thread, NULL, producer_main, producer) != 0)
            abort();
    }
    pause_ns_long(duration_ns / 10); /* warm-up */
    struct reading before = reading_take(subject);
    uint64_t done_before = producers_done(producers, count);
    pause_ns_long(duration_ns);
    uint64_t jobs = producers_done(producers, count) - done_before;
    struct reading after = reading_take(subject);
    double fairness = producers_fairness(producers, count);
    atomic_store(&stop, true);
    for (uint32_t i = 0; i < count; i++)
        (void)pthread_join(producers[i].thread, NULL);
    subject_end(subject);
    for (uint32_t i = 0; i < count; i++)
        (void)sem_destroy(&producers[i].room);
    struct load_cost cost = reading_cost(&before, &after, jobs > 0 ? jobs : 1);
    cost.fairness = fairness;
    return cost;
}

/* ---- events ------------------------------------------------------------------------------- */

/* An idle hook that has work whenever it is called, or one that waits for single events. */
struct source {
    struct subject *subject;
    uint32_t burst;
    uint64_t job_ns;
    atomic_bool stop;
    atomic_uint_fast64_t done;

    int event_fd;
    _Atomic(const struct kvs_job *) event; /* whoever exchanges it owns it */
};

static void job_event(void *arg)
{
    struct source *source = arg;
    work(source->job_ns);
    atomic_fetch_add_explicit(&source->done, 1, memory_order_relaxed);
}

static void source_wait(struct source *source, int64_t timeout_ns)
{
    struct pollfd readable = {.fd = source->event_fd, .events = POLLIN};
    struct timespec timeout = {(time_t)(timeout_ns / (int64_t)NS_PER_S),
                               (long)(timeout_ns % (int64_t)NS_PER_S)};
    uint64_t ignored;
    if (ppoll(&readable, 1, timeout_ns < 0 ? NULL : &timeout, NULL) == 1)
        (void)!read(source->event_fd, &ignored, sizeof(ignored));
}

static int32_t hook_bursts(void *arg, int64_t timeout_ns)
{
    struct source *source = arg;
    struct kvs_job jobs[BURST_MAX];
    /* Acquire: the pool's address was written before stop was cleared. */
    if (atomic_load_explicit(&source->stop, memory_order_acquire)) {
        source_wait(source, timeout_ns);
        return 0;
    }
    for (uint32_t i = 0; i < source->burst; i++)
        jobs[i] = (struct kvs_job){.run = job_event, .arg = source};
    uint64_t accepted = 0;
    (void)source->subject->ops->spawn_batch(source->subject->pool, jobs, source->burst, &accepted);
    return (int32_t)accepted;
}

static int32_t hook_single(void *arg, int64_t timeout_ns)
{
    struct source *source = arg;
    source_wait(source, timeout_ns);
    const struct kvs_job *event = atomic_exchange(&source->event, NULL);
    if (event == NULL)
        return 0;
    spawn(source->subject, event->run, event->arg);
    return 1;
}

static void hook_wake(void *arg)
{
    struct source *source = arg;
    uint64_t one = 1;
    (void)!write(source->event_fd, &one, sizeof(one));
}

static void source_post(struct source *source, const struct kvs_job *event)
{
    atomic_store(&source->event, event);
    hook_wake(source);
}

static void source_begin(struct source *source, struct subject *subject, uint32_t threads,
                         int32_t (*idle)(void *arg, int64_t timeout_ns))
{
    source->subject = subject;
    source->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (source->event_fd < 0 || source->burst > BURST_MAX)
        abort();
    struct kvs_pool_config hooks = {.arg = source, .idle = idle, .wake_idle = hook_wake};
    /* The hook spawns on the pool: none may be in it before the pool's address is known. */
    atomic_store(&source->stop, true);
    subject_begin(subject, threads, &hooks);
    atomic_store(&source->stop, false);
    hook_wake(source);
}

static void source_end(struct source *source)
{
    atomic_store(&source->stop, true);
    subject_end(source->subject);
    (void)close(source->event_fd);
}

struct load_cost load_events(struct subject *subject, uint32_t threads, uint32_t burst,
                             uint64_t job_ns, uint64_t duration_ns)
{
    struct source source = {.burst = burst, .job_ns = job_ns};
    source_begin(&source, subject, threads, hook_bursts);
    pause_ns_long(duration_ns / 10); /* warm-up */
    struct reading before = reading_take(subject);
    uint64_t done_before = atomic_load(&source.done);
    pause_ns_long(duration_ns);
    uint64_t jobs = atomic_load(&source.done) - done_before;
    struct reading after = reading_take(subject);
    source_end(&source);
    return reading_cost(&before, &after, jobs > 0 ? jobs : 1);
}

/* ---- stuck workers ------------------------------------------------------------------------ */

static void job_hold(void *arg)
{
    sem_t *semaphores = arg;
    (void)sem_post(&semaphores[0]);
    while (sem_wait(&semaphores[1]) != 0)
        ;
}

void load_stuck(struct subject *subject, uint32_t threads, uint32_t rounds,
                struct histogram *ret_latency)
{
    struct source source = {.burst = 1};
    sem_t semaphores[2]; /* held, released */
    histogram_init(ret_latency);
    if (sem_init(&semaphores[0], 0, 0) != 0 || sem_init(&semaphores[1], 0, 0) != 0)
        abort();
    source_begin(&source, subject, threads, hook_single);
    for (uint32_t i = 0; i < rounds; i++) {
        struct ping ping = {.done = false};
        const struct kvs_job hold = {.run = job_hold, .arg = semaphores};
        const struct kvs_job event = {.run = job_ping, .arg = &ping};
        for (uint32_t held = 1; held < threads; held++) {
            source_post(&source, &hold);
            while (sem_wait(&semaphores[0]) != 0)
                ;
        }
        ping.begun_ns = clock_now_ns();
        source_post(&source, &event);
        while (!atomic_load_explicit(&ping.done, memory_order_acquire))
            (void)sched_yield();
        histogram_record(ret_latency, ping.ran_ns - ping.begun_ns);
        for (uint32_t held = 1; held < threads; held++)
            (void)sem_post(&semaphores[1]);
        if (i % 2 == 0)
            pause_ns_long(SETTLE_NS); /* half of the rounds find everybody asleep */
    }
    source_end(&source);
    (void)sem_destroy(&semaphores[0]);
    (void)sem_destroy(&semaphores[1]);
}

/* ---- losses ------------------------------------------------------------------------------- */

static void job_exits(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void job_returns(void *arg)
{
    (void)arg;
}

static double time_jobs(struct subject *subject, uint32_t threads, uint32_t jobs,
                        void (*run)(void *arg))
{
    subject_begin(subject, threads, NULL);
    uint64_t begun_ns = clock_now_ns();
    for (uint32_t i = 0; i < jobs; i++)
        spawn(subject, run, NULL);
    subject_end(subject);
    return (double)(clock_now_ns() - begun_ns) / (double)jobs;
}

double load_loss(struct subject *subject, uint32_t threads, uint32_t jobs)
{
    double returning_ns = time_jobs(subject, threads, jobs, job_returns);
    return time_jobs(subject, threads, jobs, job_exits) - returning_ns;
}
