/*
 * The idle hook: a worker without work waits in it. The hook here is a reactor in miniature: it
 * waits for an eventfd, and spawns the jobs that were posted.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "crew.h"
#include "rules_list.h"

#define POSTED_MAX 64u
#define THREADS    2u

struct reactor {
    struct crew crew;
    int fd;
    atomic_uint calls;  /* of idle */
    atomic_uint inside; /* idle, now */

    pthread_mutex_t lock;
    struct kvs_job posted[POSTED_MAX]; /* under lock */
    unsigned posted_count;             /* under lock */
};

static int32_t on_idle(void *arg, int64_t timeout_ns)
{
    struct reactor *reactor = ((struct crew *)arg)->extra;
    struct crew *crew = &reactor->crew;
    struct kvs_job jobs[POSTED_MAX];
    struct pollfd poll_fd = {.fd = reactor->fd, .events = POLLIN};
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    uint64_t ignored;
    CHECK(crew->check, atomic_fetch_add(&reactor->inside, 1) == 0,
          "two workers were inside the idle hook at once");
    (void)atomic_fetch_add(&reactor->calls, 1);
    if (ppoll(&poll_fd, 1, timeout_ns < 0 ? NULL : &timeout, NULL) > 0)
        (void)!read(reactor->fd, &ignored, sizeof(ignored));
    (void)pthread_mutex_lock(&reactor->lock);
    unsigned count = reactor->posted_count;
    for (unsigned i = 0; i < count; i++)
        jobs[i] = reactor->posted[i];
    reactor->posted_count = 0;
    (void)pthread_mutex_unlock(&reactor->lock);
    for (unsigned i = 0; i < count; i++)
        check_status(crew->check, "spawn from the idle hook", KVS_OK,
                     crew->ops->spawn(crew->pool, &jobs[i]), NULL);
    (void)atomic_fetch_sub(&reactor->inside, 1);
    return (int32_t)count;
}

static void on_wake_idle(void *arg)
{
    const struct reactor *reactor = ((struct crew *)arg)->extra;
    const uint64_t one = 1;
    (void)!write(reactor->fd, &one, sizeof(one));
}

static void reactor_begin(struct reactor *reactor, struct check *check)
{
    struct check_error error;
    crew_init(&reactor->crew, check);
    reactor->crew.extra = reactor;
    reactor->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (reactor->fd < 0)
        check_skip(check, "no eventfd to be had");
    (void)pthread_mutex_init(&reactor->lock, NULL);
    struct kvs_pool_config config = crew_config(&reactor->crew, THREADS);
    config.idle = on_idle;
    config.wake_idle = on_wake_idle;
    check_status(check, "create with an idle hook", KVS_OK,
                 crew_try_create(&reactor->crew, &config, &error), &error);
}

static void reactor_end(struct reactor *reactor)
{
    struct check *check = reactor->crew.check;
    crew_shutdown(&reactor->crew, KVS_POOL_DRAIN);
    unsigned calls = atomic_load(&reactor->calls);
    CHECK(check, atomic_load(&reactor->inside) == 0,
          "shutdown returned while a worker was inside the idle hook");
    crew_destroy(&reactor->crew);
    CHECK(check, atomic_load(&reactor->calls) == calls, "the idle hook was called after shutdown");
    (void)close(reactor->fd);
}

/* What an event of the outside world is: a job that the hook will find. */
static void reactor_post(struct reactor *reactor, void (*run)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&reactor->lock);
    reactor->posted[reactor->posted_count++] = (struct kvs_job){.run = run, .arg = arg};
    (void)pthread_mutex_unlock(&reactor->lock);
    on_wake_idle(&reactor->crew);
}

void pool_idle_is_called(struct check *check)
{
    struct reactor reactor = {.fd = -1};
    reactor_begin(&reactor, check);
    crew_wait_count(&reactor.crew, "the idle hook to be called by a pool without work",
                    &reactor.calls, 1);
    struct task *tasks = crew_tasks(&reactor.crew, 200);
    for (unsigned i = 0; i < 200; i++) {
        reactor_post(&reactor, crew_run, &tasks[i]);
        crew_wait_count(&reactor.crew, "a job that the idle hook spawned", &tasks[i].runs, 1);
    }
    reactor_end(&reactor);
    free(tasks);
}

void pool_idle_wakes(struct check *check)
{
    struct reactor reactor = {.fd = -1};
    const struct timespec pause_time = {0, 100000};
    reactor_begin(&reactor, check);
    struct task *tasks = crew_tasks(&reactor.crew, 100);
    for (unsigned i = 0; i < 100; i++) {
        crew_spawn(&reactor.crew, crew_run, &tasks[i]);
        crew_wait_count(&reactor.crew,
                        "a job that was spawned while a worker was inside the idle hook",
                        &tasks[i].runs, 1);
        if (i % 4 == 0)
            (void)nanosleep(&pause_time, NULL); /* so that the worker goes back into it */
    }
    reactor_end(&reactor);
    free(tasks);
}

void pool_idle_blocked_jobs(struct check *check)
{
    struct reactor reactor = {.fd = -1};
    struct gate gate;
    gate_init(&gate);
    reactor_begin(&reactor, check);
    reactor_post(&reactor, gate_wait, &gate);
    gate_await(&reactor.crew, &gate, THREADS - 1);
    struct task *tasks = crew_tasks(&reactor.crew, 20);
    for (unsigned i = 0; i < 20; i++) {
        reactor_post(&reactor, crew_run, &tasks[i]);
        crew_wait_count(&reactor.crew, "an event while all workers but one are held by jobs",
                        &tasks[i].runs, 1);
    }
    gate_open(&gate);
    reactor_end(&reactor);
    free(tasks);
}
