/*
 * The shared-queue pool's spinning: it looks for events for a while before it sleeps, as long as
 * that finds some. Others have no such option.
 */
#include "pools/pool_kit.h"

#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS        64u
#define ANSWER_WAIT_S 30

/* Where one worker waits for one event at a time. */
struct source {
    struct pool_kit *kit;
    int fd;             /* readable: an event, or wake_idle was called */
    atomic_uint events; /* posted and not found yet */
    sem_t answer;       /* of the event's job */
    atomic_uint waits;  /* calls of the hook that may wait */
    atomic_uint spins;  /* calls that only look, one or more in a row */
    bool looked;        /* the last call only looked; the poller's */
};

static void job_answer(void *arg)
{
    struct source *source = arg;
    (void)sem_post(&source->answer);
}

static int32_t hook_idle(void *arg, int64_t timeout_ns)
{
    struct source *source = ((struct pool_kit *)arg)->extra;
    uint64_t ignored;
    if (timeout_ns != 0)
        atomic_fetch_add(&source->waits, 1);
    else if (!source->looked)
        atomic_fetch_add(&source->spins, 1);
    source->looked = timeout_ns == 0;

    struct pollfd readable = {.fd = source->fd, .events = POLLIN};
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    if (ppoll(&readable, 1, timeout_ns < 0 ? NULL : &timeout, NULL) == 1)
        (void)!read(source->fd, &ignored, sizeof(ignored));
    if (atomic_exchange(&source->events, 0) == 0)
        return 0;
    kit_spawn(source->kit, job_answer, source);
    return 1;
}

static void hook_wake_idle(void *arg)
{
    const struct source *source = ((struct pool_kit *)arg)->extra;
    uint64_t one = 1;
    (void)!write(source->fd, &one, sizeof(one));
}

static void await_answer(struct source *source)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_WAIT_S;
    assert_int_equal(sem_timedwait(&source->answer, &until), 0);
}

struct falls_asleep {
    struct source *source;
    unsigned waits; /* so many there were before */
};

static bool has_fallen_asleep(void *arg)
{
    const struct falls_asleep *falls_asleep = arg;
    return atomic_load(&falls_asleep->source->waits) > falls_asleep->waits;
}

static bool has_one_cpu(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

/* One worker serves ROUNDS events, each of which comes when the one before was served; with asleep, when
   the worker went to sleep after that. */
static void run(struct pool_kit *kit, const char *setting, bool asleep, unsigned *ret_spins,
                unsigned *ret_waits)
{
    if (strcmp(kit->name, "shared-queue") != 0 || has_one_cpu())
        skip(); /* no such option; never spins */
    struct source source = {.kit = kit, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    assert_true(source.fd >= 0);
    assert_int_equal(sem_init(&source.answer, 0, 0), 0);
    // cppcheck-suppress autoVariables ; the pool is gone before it is
    kit->extra = &source;
    kit_set_options(kit, &setting, 1);
    struct kvs_pool_config config = kit_config(kit, 1);
    config.idle = hook_idle;
    config.wake_idle = hook_wake_idle;
    kit_create_with(kit, &config);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct falls_asleep falls_asleep = {&source, atomic_load(&source.waits)};
        atomic_store(&source.events, 1);
        hook_wake_idle(kit);
        await_answer(&source);
        if (asleep)
            wait_until(has_fallen_asleep, &falls_asleep);
    }
    *ret_spins = atomic_load(&source.spins);
    *ret_waits = atomic_load(&source.waits);
    kit_finish(kit, KVS_POOL_DRAIN);
    (void)sem_destroy(&source.answer);
    (void)close(source.fd);
}

/* Where events come when the spin is over, few polls begin with one. */
static void test_spins_that_find_nothing_are_left_out(void **state)
{
    unsigned spins;
    unsigned waits;
    run(*state, "spin=1us", true, &spins, &waits);
    assert_in_range(spins, 1, ROUNDS / 4);
    assert_in_range(waits, ROUNDS, UINT_MAX);
}

/* Where they come before, the worker hardly ever sleeps. */
static void test_spins_that_find_events_go_on(void **state)
{
    unsigned spins;
    unsigned waits;
    run(*state, "spin=1s", false, &spins, &waits);
    assert_in_range(waits, 0, ROUNDS / 4);
    assert_in_range(spins, 1, UINT_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spins_that_find_nothing_are_left_out),
        cmocka_unit_test(test_spins_that_find_events_go_on),
    };
    return kit_run("spinning", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
