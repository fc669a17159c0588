/*
 * The idle hook: one worker at a time waits in it, what it finds is served, and neither a long job
 * nor a long queue keeps it from being called. Each test is run with several settings of the pool's
 * options, since these decide who waits how.
 */
#include "pools/pool_kit.h"

#include <dirent.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX    64u
#define WORKER_NAME   "test-worker"
#define QUIET_LOOKS   30u
#define LOST_ROUNDS   1500u
#define ANSWER_WAIT_S 30

/* ---- a reactor whose events are jobs --------------------------------------------------------- */

struct reactor {
    struct pool_kit *kit;
    int fd; /* readable: there are events, or wake_idle was called */
    pthread_mutex_t lock;
    struct kvs_job events[EVENTS_MAX];
    unsigned event_count;

    atomic_uint inside;
    atomic_uint crowded; /* times that a second one was inside */
    atomic_uint refused;
    atomic_uint calls;
    atomic_uint kicks;   /* calls of wake_idle */
    atomic_bool endless; /* the last call may wait for ever */
};

static int32_t hook_idle(void *arg, int64_t timeout_ns)
{
    struct reactor *reactor = ((struct pool_kit *)arg)->extra;
    struct kvs_job found[EVENTS_MAX];
    uint64_t ignored, accepted = 0;
    if (atomic_fetch_add(&reactor->inside, 1) != 0)
        atomic_fetch_add(&reactor->crowded, 1);
    atomic_fetch_add(&reactor->calls, 1);
    atomic_store(&reactor->endless, timeout_ns < 0);

    struct pollfd readable = {.fd = reactor->fd, .events = POLLIN};
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    if (ppoll(&readable, 1, timeout_ns < 0 ? NULL : &timeout, NULL) == 1)
        (void)!read(reactor->fd, &ignored, sizeof(ignored));
    (void)pthread_mutex_lock(&reactor->lock);
    unsigned count = reactor->event_count;
    memcpy(found, reactor->events, count * sizeof(found[0]));
    reactor->event_count = 0;
    (void)pthread_mutex_unlock(&reactor->lock);
    if (count > 0)
        (void)reactor->kit->ops->spawn_batch(reactor->kit->pool, found, count, &accepted);
    atomic_fetch_add(&reactor->refused, count - (unsigned)accepted);

    atomic_fetch_sub(&reactor->inside, 1);
    return (int32_t)count;
}

static void hook_wake_idle(void *arg)
{
    struct reactor *reactor = ((struct pool_kit *)arg)->extra;
    uint64_t one = 1;
    atomic_fetch_add(&reactor->kicks, 1);
    (void)!write(reactor->fd, &one, sizeof(one));
}

static void reactor_init(struct reactor *reactor, struct pool_kit *kit)
{
    memset(reactor, 0, sizeof(*reactor));
    reactor->kit = kit;
    reactor->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(reactor->fd >= 0);
    (void)pthread_mutex_init(&reactor->lock, NULL);
    kit->extra = reactor;
}

static void reactor_begin(struct reactor *reactor, struct pool_kit *kit, uint32_t threads)
{
    reactor_init(reactor, kit);
    struct kvs_pool_config config = kit_config(kit, threads);
    config.idle = hook_idle;
    config.wake_idle = hook_wake_idle;
    kit_create_with(kit, &config);
}

static void reactor_end(struct reactor *reactor)
{
    kit_shutdown(reactor->kit, KVS_POOL_DRAIN);
    unsigned calls = atomic_load(&reactor->calls);
    assert_int_equal(atomic_load(&reactor->inside), 0);
    assert_int_equal(atomic_load(&reactor->crowded), 0);
    assert_int_equal(atomic_load(&reactor->refused), 0);
    assert_int_equal(atomic_load(&reactor->calls), calls);
    kit_destroy(reactor->kit);
    (void)pthread_mutex_destroy(&reactor->lock);
    (void)close(reactor->fd);
}

/* Makes an event that the hook will find. */
static void reactor_post(struct reactor *reactor, void (*run)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&reactor->lock);
    assert_true(reactor->event_count < EVENTS_MAX);
    reactor->events[reactor->event_count++] = (struct kvs_job){.run = run, .arg = arg};
    (void)pthread_mutex_unlock(&reactor->lock);
    hook_wake_idle(reactor->kit);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void job_post(void *semaphore)
{
    (void)sem_post(semaphore);
}

static void await_answer(sem_t *answer)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_WAIT_S;
    assert_int_equal(sem_timedwait(answer, &until), 0);
}

/* ---- with each setting ------------------------------------------------------------------------
 */

static void with_each_setting(void **state, void (*body)(struct pool_kit *kit, uint32_t threads))
{
    static const char *const settings[][2] = {
        {NULL, NULL},
        {"spin=0", NULL},
        {"spin=50us", NULL},
        {"wake-threshold=0", NULL},
        {"wake-threshold=1s", "standby=100us"},
    };
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_RUNS_IDLE_HOOK))
        skip();
    for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        uint32_t count = 0;
        while (count < 2 && settings[i][count] != NULL)
            count++;
        /* The default ones are those of any pool; the others are the shared-queue's own. */
        if (count > 0 && strcmp(kit->name, "shared-queue") != 0)
            continue;
        kit_set_options(kit, settings[i], count);
        for (uint32_t threads = 1; threads <= 4; threads++)
            body(kit, threads);
    }
}

/* ---- events and jobs ---------------------------------------------------------------------------
 */

static void body_events(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    sem_t answer;
    assert_int_equal(sem_init(&answer, 0, 0), 0);
    reactor_begin(&reactor, kit, threads);
    for (unsigned i = 1; i <= 100; i++) {
        unsigned burst = 1 + i % 7;
        for (unsigned event = 0; event < burst; event++)
            reactor_post(&reactor, job_post, &answer);
        for (unsigned event = 0; event < burst; event++)
            await_answer(&answer);
    }
    reactor_end(&reactor);
    (void)sem_destroy(&answer);
}

static void test_events_are_served(void **state)
{
    with_each_setting(state, body_events);
}

static void body_meet(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    struct rendezvous rendezvous;
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 0; round < 10; round++) {
        rendezvous_init(&rendezvous, threads);
        for (uint32_t i = 0; i < threads; i++) {
            if (round % 2 == 0)
                kit_spawn(kit, job_meet, &rendezvous);
            else
                reactor_post(&reactor, job_meet, &rendezvous);
        }
        kit_wait_quiet(kit);
        wait_for_count(&rendezvous.gone, threads);
    }
    reactor_end(&reactor);
}

/* Jobs that wait for each other need every worker, also the one that was inside the hook. */
static void test_all_workers_are_woken(void **state)
{
    with_each_setting(state, body_meet);
}

static void body_blocked(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 0; round < 6; round++) {
        struct gate gate;
        gate_init(&gate);
        for (uint32_t blocked = 1; blocked < threads; blocked++) {
            if ((round + blocked) % 2 == 0)
                kit_spawn(kit, job_wait_at_gate, &gate);
            else
                reactor_post(&reactor, job_wait_at_gate, &gate);
            if (round % 3 != 0)
                gate_await(&gate, blocked);
        }
        atomic_uint ran = 0;
        for (unsigned i = 0; i < 10; i++) {
            reactor_post(&reactor, job_count, &ran);
            wait_for_count(&ran, 2 * i + 1);
            kit_spawn(kit, job_count, &ran);
            wait_for_count(&ran, 2 * i + 2);
        }
        gate_await(&gate, threads - 1); /* they are still there */
        gate_open(&gate);
        kit_wait_quiet(kit);
        gate_deinit(&gate);
    }
    reactor_end(&reactor);
}

/* All workers but one hang in a job: the last one polls and serves. */
static void test_blocked_jobs_do_not_stop_it(void **state)
{
    with_each_setting(state, body_blocked);
}

struct endless {
    struct pool_kit *kit;
    atomic_bool stop;
};

static void job_again(void *arg)
{
    struct endless *endless = arg;
    struct kvs_job job = {.run = job_again, .arg = arg};
    if (!atomic_load(&endless->stop))
        (void)endless->kit->ops->spawn(endless->kit->pool, &job);
}

static void job_stop(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
}

static void body_endless(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    struct endless endless = {.kit = kit};
    reactor_begin(&reactor, kit, threads);
    for (uint32_t i = 0; i < 2 * threads; i++)
        kit_spawn(kit, job_again, &endless);
    reactor_post(&reactor, job_stop, &endless.stop);
    kit_wait_quiet(kit);
    reactor_end(&reactor);
}

/* A queue that never gets empty does not keep events out. */
static void test_endless_queue_does_not_starve_it(void **state)
{
    with_each_setting(state, body_endless);
}

#define OWN_JOBS 20000u

struct countdown {
    struct pool_kit *kit;
    atomic_uint left;
};

static void job_counts_down(void *arg)
{
    struct countdown *countdown = arg;
    struct kvs_job job = {.run = job_counts_down, .arg = arg};
    if (atomic_fetch_sub(&countdown->left, 1) > 1)
        (void)countdown->kit->ops->spawn(countdown->kit->pool, &job);
}

/* A worker that spawns its own next job wakes nobody for it, neither one that polls nor one that is
   parked: it is there to do it. (A few wake-ups are in order: for the first, and so that it is
   watched.) */
static void test_own_jobs_wake_nobody(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_RUNS_IDLE_HOOK))
        skip();
    for (uint32_t threads = 2; threads <= 3; threads++) {
        struct reactor reactor;
        struct countdown countdown = {.kit = kit, .left = OWN_JOBS};
        reactor_begin(&reactor, kit, threads);
        kit_spawn(kit, job_counts_down, &countdown);
        wait_for_count(&countdown.left, 0);
        assert_in_range(kit_stats(kit).wakeups, 0, OWN_JOBS / 10);
        assert_in_range(atomic_load(&reactor.kicks), 0, OWN_JOBS / 10);
        reactor_end(&reactor);
    }
}

/* ---- quiet --------------------------------------------------------------------------------- */

static uint64_t worker_switches(void)
{
    uint64_t sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        char path[300], line[200];
        bool worker = false;
        unsigned long long switches;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "re");
        if (status == NULL)
            continue;
        while (fgets(line, sizeof(line), status) != NULL) {
            if (strcmp(line, "Name:\t" WORKER_NAME "\n") == 0)
                worker = true;
            if (worker && sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1)
                sum += switches;
        }
        (void)fclose(status);
    }
    (void)closedir(tasks);
    return sum;
}

struct quiet {
    struct pool_kit *kit;
    uint64_t wakeups, switches;
    unsigned looks;
};

static bool stays_asleep(void *arg)
{
    struct quiet *quiet = arg;
    uint64_t wakeups = kit_stats(quiet->kit).wakeups;
    uint64_t switches = worker_switches();
    bool same = wakeups == quiet->wakeups && switches == quiet->switches;
    quiet->looks = same ? quiet->looks + 1 : 0;
    quiet->wakeups = wakeups;
    quiet->switches = switches;
    return quiet->looks == QUIET_LOOKS;
}

static void body_quiet(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    atomic_uint ran = 0;
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 1; round <= 3; round++) {
        reactor_post(&reactor, job_count, &ran);
        kit_spawn(kit, job_count, &ran);
        wait_for_count(&ran, 2 * round);
        struct quiet quiet = {.kit = kit};
        wait_until(stays_asleep, &quiet);
        assert_true(quiet.switches > 0);
        assert_int_equal(atomic_load(&reactor.inside), 1);
        assert_true(atomic_load(&reactor.endless));
    }
    reactor_end(&reactor);
}

/* Without anything to do nobody wakes up, not even to look. */
static void test_quiet_pool_sleeps(void **state)
{
    with_each_setting(state, body_quiet);
}

/* The same for a pool that has no hook to wait in. */
static void test_quiet_pool_sleeps_without_hook(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        atomic_uint ran = 0;
        kit_create(kit, threads);
        kit_spawn(kit, job_count, &ran);
        wait_for_count(&ran, 1);
        struct quiet quiet = {.kit = kit};
        wait_until(stays_asleep, &quiet);
        kit_spawn(kit, job_count, &ran);
        wait_for_count(&ran, 2);
        kit_finish(kit, KVS_POOL_DRAIN);
    }
}

/* A worker that is stuck for good is no reason to keep looking either. */
static void body_quiet_with_stuck(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    struct gate gate;
    atomic_uint ran = 0;
    if (threads == 1)
        return;
    gate_init(&gate);
    reactor_begin(&reactor, kit, threads);
    kit_spawn(kit, job_wait_at_gate, &gate);
    gate_await(&gate, 1);
    struct quiet quiet = {.kit = kit};
    wait_until(stays_asleep, &quiet);
    reactor_post(&reactor, job_count, &ran);
    wait_for_count(&ran, 1);
    wait_until(stays_asleep, &quiet);
    kit_spawn(kit, job_count, &ran);
    wait_for_count(&ran, 2);
    gate_open(&gate);
    reactor_end(&reactor);
    gate_deinit(&gate);
}

static void test_quiet_with_a_stuck_worker(void **state)
{
    with_each_setting(state, body_quiet_with_stuck);
}

/* ---- no wake-up is lost -------------------------------------------------------------------- */

static void spend(unsigned *seed)
{
    unsigned turns = (unsigned)rand_r(seed) % 20000;
    for (unsigned i = 0; i < turns; i++)
        __asm__ volatile("" ::: "memory");
}

static void body_lost(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    sem_t answer;
    unsigned seed = threads;
    assert_int_equal(sem_init(&answer, 0, 0), 0);
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 0; round < LOST_ROUNDS; round++) {
        unsigned what = (unsigned)rand_r(&seed) % 3;
        if (what != 0)
            reactor_post(&reactor, job_post, &answer);
        if (what != 1)
            kit_spawn(kit, job_post, &answer);
        await_answer(&answer);
        if (what == 2)
            await_answer(&answer);
        spend(&seed);
    }
    reactor_end(&reactor);
    (void)sem_destroy(&answer);
}

static void test_no_wake_up_is_lost(void **state)
{
    with_each_setting(state, body_lost);
}

/* ---- losses and the end -------------------------------------------------------------------- */

static void job_exits(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void body_losses(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    atomic_uint ran = 0;
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 1; round <= 50; round++) {
        reactor_post(&reactor, job_exits, NULL);
        reactor_post(&reactor, job_count, &ran);
        kit_spawn(kit, job_exits, NULL);
        wait_for_count(&ran, round);
    }
    kit_wait_quiet(kit);
    assert_int_equal(kit_stats(kit).threads, threads);
    reactor_end(&reactor);
    assert_int_equal(atomic_load(&kit->lost), 100);
}

/* Whoever serves ends its thread again and again: somebody always polls. */
static void test_losses_do_not_stop_it(void **state)
{
    with_each_setting(state, body_losses);
}

static bool somebody_is_inside(void *arg)
{
    return atomic_load(&((struct reactor *)arg)->inside) == 1;
}

static void body_end(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    for (unsigned round = 0; round < 50; round++) {
        reactor_begin(&reactor, kit, threads);
        if (round % 2 == 0)
            wait_until(somebody_is_inside, &reactor);
        reactor_end(&reactor);
    }
}

static void test_shutdown_ends_the_wait(void **state)
{
    with_each_setting(state, body_end);
}

/* A host that gives no wake_idle: jobs from elsewhere are run all the same. */
static void test_without_wake_idle(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_RUNS_IDLE_HOOK))
        skip();
    struct reactor reactor;
    atomic_uint ran = 0;
    reactor_init(&reactor, kit);
    struct kvs_pool_config config = kit_config(kit, 1);
    config.idle = hook_idle;
    kit_create_with(kit, &config);
    for (unsigned i = 1; i <= 20; i++) {
        kit_spawn(kit, job_count, &ran);
        wait_for_count(&ran, i);
    }
    reactor_end(&reactor);
}

static bool has_one_thread(void *arg)
{
    return kit_stats(arg).threads == 1;
}

static void body_resize(struct pool_kit *kit, uint32_t threads)
{
    struct reactor reactor;
    atomic_uint ran = 0;
    if (!kit_can(kit, KVS_POOL_HAS_RESIZE))
        return;
    reactor_begin(&reactor, kit, threads);
    for (unsigned round = 0; round < 10; round++) {
        assert_int_equal(kit->ops->resize(kit->pool, 4, NULL), KVS_OK);
        reactor_post(&reactor, job_count, &ran);
        wait_for_count(&ran, 2 * round + 1);
        assert_int_equal(kit->ops->resize(kit->pool, 1, NULL), KVS_OK);
        reactor_post(&reactor, job_count, &ran);
        wait_for_count(&ran, 2 * round + 2);
        wait_until(has_one_thread, kit);
    }
    reactor_end(&reactor);
}

/* Shrinking may end the poller; another one polls then. */
static void test_resize_keeps_it_running(void **state)
{
    with_each_setting(state, body_resize);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_served),
        cmocka_unit_test(test_all_workers_are_woken),
        cmocka_unit_test(test_blocked_jobs_do_not_stop_it),
        cmocka_unit_test(test_endless_queue_does_not_starve_it),
        cmocka_unit_test(test_own_jobs_wake_nobody),
        cmocka_unit_test(test_quiet_pool_sleeps),
        cmocka_unit_test(test_quiet_pool_sleeps_without_hook),
        cmocka_unit_test(test_quiet_with_a_stuck_worker),
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_losses_do_not_stop_it),
        cmocka_unit_test(test_shutdown_ends_the_wait),
        cmocka_unit_test(test_without_wake_idle),
        cmocka_unit_test(test_resize_keeps_it_running),
    };
    return kit_run("idle hook", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
