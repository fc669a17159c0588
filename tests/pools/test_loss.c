/* Jobs that end their thread: each costs itself only, is reported once, and leaves the pool with as
   many threads as before. */
#include "pools/pool_kit.h"

#include <signal.h>
#include <stdlib.h>

#include "pools/thread_faults.h"

#define KILLERS 1000u
#define THREADS 4u

/* ---- jobs that end their thread ------------------------------------------------------------ */

struct killer {
    atomic_uint begun;
    atomic_uint reported; /* to job_lost */
    atomic_uint survived; /* went on where it must not */
};

static void job_exits(void *arg)
{
    struct killer *killer = arg;
    atomic_fetch_add(&killer->begun, 1);
    pthread_exit(NULL);
}

static void job_cancels_itself(void *arg)
{
    struct killer *killer = arg;
    atomic_fetch_add(&killer->begun, 1);
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    atomic_fetch_add(&killer->survived, 1);
}

static void report_killer(void *arg, const struct kvs_job *job)
{
    struct pool_kit *kit = arg;
    struct killer *killer = job->arg;
    atomic_fetch_add(&killer->reported, 1);
    atomic_fetch_add(&kit->lost, 1);
}

static struct killer *killers_new(unsigned count)
{
    struct killer *killers = calloc(count, sizeof(*killers));
    assert_non_null(killers);
    return killers;
}

static void killers_check(struct killer *killers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(atomic_load(&killers[i].begun), 1);
        assert_int_equal(atomic_load(&killers[i].reported), 1);
        assert_int_equal(atomic_load(&killers[i].survived), 0);
    }
    free(killers);
}

static void kit_create_reporting(struct pool_kit *kit, uint32_t threads)
{
    struct kvs_pool_config config = kit_config(kit, threads);
    config.job_lost = report_killer;
    kit_create_with(kit, &config);
}

static void spawn_killers(struct pool_kit *kit, struct killer *killers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        kit_spawn(kit, i % 2 == 0 ? job_exits : job_cancels_itself, &killers[i]);
}

/* ---- pools with threads of their own --------------------------------------------------------- */

static void test_thousand_losses(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    kit_create_reporting(kit, THREADS);
    struct killer *killers = killers_new(KILLERS);
    spawn_killers(kit, killers, KILLERS);
    kit_wait_quiet(kit);
    kit_wait_threads(kit, kit_can(kit, KVS_POOL_UNBOUNDED) ? 0 : THREADS);
    struct kvs_pool_stats stats = kit_stats(kit);
    assert_int_equal(stats.jobs_lost, KILLERS);
    assert_int_equal(stats.threads_lost, KILLERS);
    if (!kit_can(kit, KVS_POOL_UNBOUNDED)) {
        assert_int_equal(stats.threads, THREADS);
        assert_int_equal(stats.threads_replaced, KILLERS);
        assert_int_equal(stats.threads_started, KILLERS + THREADS);
    }
    killers_check(killers, KILLERS);

    /* As good as new: four jobs still meet, and all of them run. */
    struct rendezvous rendezvous;
    rendezvous_init(&rendezvous, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        kit_spawn(kit, job_meet, &rendezvous);
    atomic_uint ran = 0;
    for (unsigned i = 0; i < 20; i++)
        kit_spawn(kit, job_count, &ran);
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_int_equal(atomic_load(&ran), 20);
    kit_wait_threads(kit, 0);
}

/* Lost threads and running ones mixed, while the pool is being drained. */
static void test_losses_while_draining(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        kit_create_reporting(kit, threads);
        struct killer *killers = killers_new(100);
        atomic_uint ran = 0;
        for (unsigned i = 0; i < 100; i++) {
            kit_spawn(kit, i % 2 == 0 ? job_exits : job_cancels_itself, &killers[i]);
            kit_spawn(kit, job_count, &ran);
        }
        kit_finish(kit, KVS_POOL_DRAIN);
        assert_int_equal(atomic_load(&ran), 100);
        killers_check(killers, 100);
        kit_wait_threads(kit, 0);
    }
}

static void job_leaves_a_cancellation(void *arg)
{
    (void)pthread_cancel(pthread_self());
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void job_is_cancellable(void *arg)
{
    pthread_testcancel();
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* A cancellation that a job leaves behind strikes neither the pool nor the next job. */
static void test_pending_cancellation(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    kit_create(kit, 2);
    atomic_uint ran = 0;
    for (unsigned i = 0; i < 100; i++) {
        kit_spawn(kit, job_leaves_a_cancellation, &ran);
        kit_spawn(kit, job_is_cancellable, &ran);
        kit_spawn(kit, job_is_cancellable, &ran);
    }
    kit_wait_quiet(kit);
    assert_int_equal(atomic_load(&ran), 300);
    assert_int_equal(kit_stats(kit).jobs_run, 300);
    assert_int_equal(kit_stats(kit).jobs_lost, 0);
    kit_finish(kit, KVS_POOL_DRAIN);
}

static void job_shields_itself(void *arg)
{
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* The same from a job that leaves cancelling disabled. */
static void test_shielded_cancellation(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    kit_create(kit, 1);
    atomic_uint ran = 0;
    for (unsigned i = 0; i < 20; i++) {
        kit_spawn(kit, job_shields_itself, &ran);
        kit_spawn(kit, job_is_cancellable, &ran);
    }
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_int_equal(atomic_load(&ran), 40);
    assert_int_equal(atomic_load(&kit->lost), 0);
}

static void job_blocks_signal_and_exits(void *arg)
{
    sigset_t mask;
    (void)arg;
    (void)sigfillset(&mask);
    (void)pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_exit(NULL);
}

static void job_reads_mask(void *mask)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, mask);
}

/* A successor runs with the pool's signal mask, not with what the lost thread left behind. */
static void test_successor_has_the_mask(void **state)
{
    struct pool_kit *kit = *state;
    sigset_t mask;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    kit_create(kit, 1);
    kit_spawn(kit, job_blocks_signal_and_exits, NULL);
    kit_wait_quiet(kit);
    kit_spawn(kit, job_reads_mask, &mask);
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_false(sigismember(&mask, SIGUSR1));
}

struct hook_call {
    struct pool_kit *kit;
    atomic_uint ran;
    atomic_uint refused;
};

static void hook_spawns_and_shuts_down(void *arg, const struct kvs_job *job)
{
    struct pool_kit *kit = arg;
    struct hook_call *call = job->arg;
    struct kvs_job next = {.run = job_count, .arg = &call->ran};
    if (kit->ops->spawn(kit->pool, &next) != KVS_OK)
        atomic_fetch_add(&call->refused, 100);
    if (kit->ops->shutdown(kit->pool, KVS_POOL_DRAIN, NULL) == KVS_INVALID)
        atomic_fetch_add(&call->refused, 1);
    atomic_fetch_add(&kit->lost, 1);
}

static void job_just_exits(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

/* job_lost may spawn; a shutdown from there is refused like one from a job. */
static void test_job_lost_may_spawn(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
        skip();
    struct kvs_pool_config config = kit_config(kit, 1);
    config.job_lost = hook_spawns_and_shuts_down;
    kit_create_with(kit, &config);
    struct hook_call call = {.kit = kit};
    for (unsigned i = 0; i < 50; i++)
        kit_spawn(kit, job_just_exits, &call);
    kit_wait_quiet(kit);
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_int_equal(atomic_load(&call.ran), 50);
    assert_int_equal(atomic_load(&call.refused), 50);
}

/* ---- no successor to be had ------------------------------------------------------------------ */

static bool has_all_threads(void *arg)
{
    struct pool_kit *kit = arg;
    atomic_uint ignored = 0;
    kit_spawn(kit, job_count, &ignored);
    wait_for_count(&ignored, 1);
    return kit_stats(kit).threads == THREADS;
}

static bool faults_were_met(void *arg)
{
    return thread_faults_count() >= *(unsigned *)arg;
}

/* While the system gives no thread all of the pool's are lost; what is queued meanwhile waits, and
   as soon as there are threads again the pool has its own back. */
static void test_no_successor(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    kit_create_reporting(kit, THREADS);
    struct killer *killers = killers_new(THREADS);
    atomic_uint ran = 0;
    unsigned wanted_faults = THREADS;

    thread_faults_begin(0);
    spawn_killers(kit, killers, THREADS);
    wait_until(faults_were_met, &wanted_faults);
    kit_spawn(kit, job_count, &ran);
    kit_spawn(kit, job_count, &ran);
    assert_int_equal(atomic_load(&ran), 0);
    thread_faults_end();

    wait_for_count(&ran, 2);
    wait_until(has_all_threads, kit);
    kit_wait_quiet(kit);
    killers_check(killers, THREADS);
    assert_int_equal(kit_stats(kit).threads_replaced, THREADS);
    kit_finish(kit, KVS_POOL_DRAIN);
    kit_wait_threads(kit, 0);
}

static void *thread_drains(void *kit)
{
    kit_shutdown(kit, KVS_POOL_DRAIN);
    return NULL;
}

/* The same with a shutdown in between: it waits for the queued jobs to be run. */
static void test_no_successor_while_draining(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    kit_create_reporting(kit, 1);
    struct killer *killers = killers_new(1);
    atomic_uint ran = 0;
    unsigned wanted_faults = 3;
    pthread_t drainer;
    struct gate gate;
    gate_init(&gate);

    kit_spawn(kit, job_wait_at_gate, &gate);
    gate_await(&gate, 1);
    spawn_killers(kit, killers, 1);
    kit_spawn(kit, job_count, &ran);
    assert_int_equal(pthread_create(&drainer, NULL, thread_drains, kit), 0);
    thread_faults_begin(0);
    gate_open(&gate);
    wait_until(faults_were_met, &wanted_faults);
    assert_int_equal(atomic_load(&ran), 0);
    thread_faults_end();

    (void)pthread_join(drainer, NULL);
    assert_int_equal(atomic_load(&ran), 1);
    killers_check(killers, 1);
    kit_destroy(kit);
    kit_wait_threads(kit, 0);
}

/* ---- the inline pool --------------------------------------------------------------------------
 */

struct caller {
    struct pool_kit *kit;
    struct killer killer;
    atomic_uint went_on;
};

static void *thread_spawns_killer(void *arg)
{
    struct caller *caller = arg;
    struct kvs_job job = {.run = job_exits, .arg = &caller->killer};
    (void)caller->kit->ops->spawn(caller->kit->pool, &job);
    atomic_fetch_add(&caller->went_on, 1);
    return NULL;
}

static void job_spawns_killer(void *arg)
{
    (void)thread_spawns_killer(arg);
}

static void *thread_spawns_nested(void *arg)
{
    struct caller *caller = arg;
    struct kvs_job job = {.run = job_spawns_killer, .arg = caller};
    (void)caller->kit->ops->spawn(caller->kit->pool, &job);
    atomic_fetch_add(&caller->went_on, 1);
    return NULL;
}

static void report_caller(void *arg, const struct kvs_job *job)
{
    struct pool_kit *kit = arg;
    (void)job;
    atomic_fetch_add(&kit->lost, 1);
}

static void test_inline_losses(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_INLINE))
        skip();
    struct kvs_pool_config config = kit_config(kit, 1);
    config.job_lost = report_caller;
    kit_create_with(kit, &config);
    for (unsigned i = 0; i < 100; i++) {
        bool nested = i % 2 == 1;
        struct caller caller = {.kit = kit};
        pthread_t thread;
        unsigned before = atomic_load(&kit->lost);
        assert_int_equal(pthread_create(&thread, NULL,
                                        nested ? thread_spawns_nested : thread_spawns_killer,
                                        &caller),
                         0);
        (void)pthread_join(thread, NULL);
        assert_int_equal(atomic_load(&caller.went_on), 0);
        assert_int_equal(atomic_load(&kit->lost) - before, nested ? 2 : 1);
    }
    atomic_uint ran = 0;
    kit_spawn(kit, job_count, &ran);
    assert_int_equal(atomic_load(&ran), 1);
    assert_int_equal(kit_stats(kit).jobs_lost, 150);
    kit_finish(kit, KVS_POOL_DRAIN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousand_losses),
        cmocka_unit_test(test_losses_while_draining),
        cmocka_unit_test(test_pending_cancellation),
        cmocka_unit_test(test_shielded_cancellation),
        cmocka_unit_test(test_successor_has_the_mask),
        cmocka_unit_test(test_job_lost_may_spawn),
        cmocka_unit_test(test_no_successor),
        cmocka_unit_test(test_no_successor_while_draining),
        cmocka_unit_test(test_inline_losses),
    };
    return kit_run("loss", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
