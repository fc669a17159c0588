/* What every pool does with jobs: runs each one once, takes jobs from anywhere, refuses at once. */
#include "pools/pool_kit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define JOBS      20u
#define ADDITIONS 1000u

/* ---- jobs run ----------------------------------------------------------------------------- */

struct sum {
    pthread_mutex_t lock;
    unsigned value;
};

static void job_add_1000(void *arg)
{
    struct sum *sum = arg;
    for (unsigned i = 0; i < ADDITIONS; i++) {
        (void)pthread_mutex_lock(&sum->lock);
        sum->value++;
        (void)pthread_mutex_unlock(&sum->lock);
    }
}

static void test_counter(void **state)
{
    struct pool_kit *kit = *state;
    struct sum sum = {PTHREAD_MUTEX_INITIALIZER, 0};
    kit_create(kit, 4);
    for (unsigned i = 0; i < JOBS; i++)
        kit_spawn(kit, job_add_1000, &sum);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(sum.value, JOBS * ADDITIONS);
    assert_int_equal(kit_stats(kit).jobs_run, JOBS);
    kit_destroy(kit);
}

struct note {
    unsigned before; /* written before spawn, read by the job */
    unsigned after;  /* written by the job */
};

static void job_answer(void *arg)
{
    struct note *note = arg;
    note->after = note->before + 1;
}

/* Plain memory: a pool that passes jobs on without order is found by ThreadSanitizer. */
static void test_memory_is_visible(void **state)
{
    struct pool_kit *kit = *state;
    struct note notes[256];
    kit_create(kit, 2);
    for (unsigned i = 0; i < 256; i++) {
        notes[i] = (struct note){.before = i, .after = 0};
        kit_spawn(kit, job_answer, &notes[i]);
    }
    kit_finish(kit, KVS_POOL_DRAIN);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(notes[i].after, i + 1);
}

struct chain {
    struct pool_kit *kit;
    unsigned left;
    atomic_uint refused;
    atomic_uint done;
};

static void job_spawn_next(void *arg)
{
    struct chain *chain = arg;
    if (chain->left == 0) {
        atomic_store(&chain->done, 1);
        return;
    }
    chain->left--;
    struct kvs_job job = {.run = job_spawn_next, .arg = chain};
    if (chain->kit->ops->spawn(chain->kit->pool, &job) != KVS_OK)
        atomic_fetch_add(&chain->refused, 1);
}

static void test_spawn_from_a_job(void **state)
{
    struct pool_kit *kit = *state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct chain chain = {.kit = kit, .left = 1000};
        kit_create(kit, threads);
        kit_spawn(kit, job_spawn_next, &chain);
        wait_for_count(&chain.done, 1);
        kit_finish(kit, KVS_POOL_DRAIN);
        assert_int_equal(chain.refused, 0);
    }
}

/* Jobs that wait for each other: as many run at once as there are threads. */
static void test_jobs_run_at_once(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE))
        skip();
    struct rendezvous rendezvous;
    rendezvous_init(&rendezvous, 4);
    kit_create(kit, 4);
    for (unsigned round = 0; round < 50; round++) {
        rendezvous.missing = 4;
        for (unsigned i = 0; i < 4; i++)
            kit_spawn(kit, job_meet, &rendezvous);
        kit_wait_quiet(kit);
    }
    kit_finish(kit, KVS_POOL_DRAIN);
}

struct order {
    unsigned count;
    unsigned seen[100];
};

struct ordered {
    struct order *order;
    unsigned number;
};

static void job_record(void *arg)
{
    struct ordered *job = arg;
    job->order->seen[job->order->count++] = job->number;
}

static void test_one_thread_keeps_order(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct order order = {.count = 0};
    struct ordered jobs[100];
    kit_create(kit, 1);
    for (unsigned i = 0; i < 100; i++) {
        jobs[i] = (struct ordered){&order, i};
        kit_spawn(kit, job_record, &jobs[i]);
    }
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_int_equal(order.count, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(order.seen[i], i);
}

/* ---- batches ------------------------------------------------------------------------------ */

static void test_batch_in_order(void **state)
{
    struct pool_kit *kit = *state;
    if (!kit_can(kit, KVS_POOL_HAS_SPAWN_BATCH) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct order order = {.count = 0};
    struct ordered jobs[100];
    struct kvs_job batch[100];
    for (unsigned i = 0; i < 100; i++) {
        jobs[i] = (struct ordered){&order, i};
        batch[i] = (struct kvs_job){.run = job_record, .arg = &jobs[i]};
    }
    uint64_t accepted = 0;
    kit_create(kit, 1);
    assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 0, &accepted), KVS_OK);
    assert_int_equal(accepted, 0);
    assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 60, &accepted), KVS_OK);
    assert_int_equal(accepted, 60);
    assert_int_equal(kit->ops->spawn_batch(kit->pool, batch + 60, 40, &accepted), KVS_OK);
    assert_int_equal(accepted, 40);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 3, &accepted), KVS_CLOSED);
    assert_int_equal(accepted, 0);
    assert_int_equal(kit_stats(kit).jobs_refused, 3);
    kit_destroy(kit);
    assert_int_equal(order.count, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(order.seen[i], i);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void test_queue_limit(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct gate gate;
    gate_init(&gate);
    atomic_uint ran = 0;
    struct kvs_pool_config config = kit_config(kit, 1);
    config.queue_limit = 5;
    kit_create_with(kit, &config);
    kit_spawn(kit, job_wait_at_gate, &gate);
    gate_await(&gate, 1);

    struct kvs_job job = {.run = job_count, .arg = &ran};
    if (kit_can(kit, KVS_POOL_HAS_SPAWN_BATCH)) {
        struct kvs_job batch[8];
        for (unsigned i = 0; i < 8; i++)
            batch[i] = job;
        uint64_t accepted = 0;
        assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 3, &accepted), KVS_OK);
        assert_int_equal(kit->ops->spawn_batch(kit->pool, batch, 8, &accepted), KVS_BUSY);
        assert_int_equal(accepted, 2);
    } else {
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
        for (unsigned i = 0; i < 6; i++)
            assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_BUSY);
    }
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_BUSY);
    assert_int_equal(kit_stats(kit).jobs_queued, 5);
    assert_int_equal(kit_stats(kit).jobs_running, 1);
    assert_int_equal(atomic_load(&ran), 0);

    gate_open(&gate);
    wait_for_count(&ran, 5);
    kit_wait_quiet(kit);
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(atomic_load(&ran), 6);
    assert_int_equal(kit_stats(kit).jobs_refused, 7);
    kit_destroy(kit);
}

static void test_spawn_after_shutdown(void **state)
{
    struct pool_kit *kit = *state;
    atomic_uint ran = 0;
    struct kvs_job job = {.run = job_count, .drop = job_count, .arg = &ran};
    kit_create(kit, 2);
    kit_shutdown(kit, KVS_POOL_DRAIN);
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_CLOSED);
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_CLOSED);
    assert_int_equal(kit_stats(kit).jobs_refused, 2);
    assert_int_equal(atomic_load(&ran), 0);
    kit_destroy(kit);
}

static void test_no_threads(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct test_error error;
    test_error_init(&error);
    struct kvs_pool_config config = kit_config(kit, 0);
    assert_int_equal(kit->ops->create(&config, &kit->pool, &error.error), KVS_INVALID);
    assert_non_null(strstr(error.message, "thread"));
    assert_null(kit->pool);
}

/* A host of an older minor: its configuration and its figures end earlier. */
static void test_short_structs(void **state)
{
    struct pool_kit *kit = *state;
    struct kvs_pool_config config = kit_config(kit, 1);
    config.size = offsetof(struct kvs_pool_config, arg);
    config.thread_start = NULL; /* what lies beyond size is not to be read */
    config.job_lost = (void (*)(void *, const struct kvs_job *))(uintptr_t)1;
    config.idle = (int32_t(*)(void *, int64_t))(uintptr_t)1;
    config.thread_stop = (void (*)(void *))(uintptr_t)1;
    kit_create_with(kit, &config);
    atomic_uint ran = 0;
    kit_spawn(kit, job_count, &ran);
    wait_for_count(&ran, 1);
    struct kvs_pool_stats stats;
    memset(&stats, 0xAA, sizeof(stats));
    stats.size = offsetof(struct kvs_pool_stats, jobs_refused);
    kit->ops->stats(kit->pool, &stats);
    assert_int_equal(stats.jobs_spawned, 1);
    assert_int_equal(stats.jobs_refused, UINT64_C(0xAAAAAAAAAAAAAAAA));
    assert_int_equal(stats.size, offsetof(struct kvs_pool_stats, jobs_refused));
    kit_finish(kit, KVS_POOL_DRAIN);
}

/* ---- workers ------------------------------------------------------------------------------ */

struct circumstances {
    char name[16];
    size_t stack_size;
    sigset_t signal_mask;
    int cancel_state;
    atomic_uint done;
};

static void job_look_around(void *arg)
{
    struct circumstances *seen = arg;
    pthread_attr_t attributes;
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    (void)pthread_getattr_np(pthread_self(), &attributes);
    (void)pthread_attr_getstacksize(&attributes, &seen->stack_size);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &seen->signal_mask);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &seen->cancel_state);
    atomic_store(&seen->done, 1);
}

static void test_workers_are_as_configured(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE))
        skip();
    sigset_t mask, before;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR2);
    (void)pthread_sigmask(SIG_BLOCK, &mask, &before);
    struct kvs_pool_config config = kit_config(kit, 1);
    config.stack_size = UINT64_C(16) * 1024 * 1024 + 1; /* more than the system's default */
    kit_create_with(kit, &config);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);

    struct circumstances seen = {.done = 0};
    kit_spawn(kit, job_look_around, &seen);
    wait_for_count(&seen.done, 1);
    kit_finish(kit, KVS_POOL_DRAIN);
    assert_string_equal(seen.name, "test-worker");
    assert_true(sigismember(&seen.signal_mask, SIGUSR2));
    assert_false(sigismember(&seen.signal_mask, SIGUSR1));
    assert_int_equal(seen.cancel_state, PTHREAD_CANCEL_ENABLE);
    if (strcmp(kit->name, "glib") != 0) /* GLib has no way to set it */
        assert_true(seen.stack_size >= config.stack_size);
}

static void test_impossible_stack(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || strcmp(kit->name, "glib") == 0)
        skip();
    struct test_error error;
    test_error_init(&error);
    struct kvs_pool_config config = kit_config(kit, 2);
    config.stack_size = UINT64_MAX;
    assert_true(kit->ops->create(&config, &kit->pool, &error.error) < 0);
    assert_null(kit->pool);
    kit_wait_threads(kit, 0);
    config.stack_size = 1; /* less than there can be: the least possible */
    kit_create_with(kit, &config);
    kit_finish(kit, KVS_POOL_DRAIN);
}

/* ---- two pools ---------------------------------------------------------------------------- */

struct ping_pong {
    struct pool_kit *kits[2];
    unsigned left;
    atomic_uint refused;
    atomic_uint done;
};

static void job_to_the_other(void *arg)
{
    struct ping_pong *game = arg;
    if (game->left == 0) {
        atomic_store(&game->done, 1);
        return;
    }
    game->left--;
    struct pool_kit *other = game->kits[game->left % 2];
    struct kvs_job job = {.run = job_to_the_other, .arg = game};
    if (other->ops->spawn(other->pool, &job) != KVS_OK)
        atomic_fetch_add(&game->refused, 1);
}

static void test_two_pools(void **state)
{
    struct pool_kit *kit = *state;
    struct pool_kit second = *kit;
    kit_create(kit, 2);
    kit_create(&second, 1);
    struct ping_pong game = {.kits = {kit, &second}, .left = 500};
    kit_spawn(kit, job_to_the_other, &game);
    wait_for_count(&game.done, 1);
    assert_int_equal(game.refused, 0);
    kit_finish(&second, KVS_POOL_DRAIN);
    atomic_uint ran = 0;
    kit_spawn(kit, job_count, &ran); /* the end of one is none of the other's business */
    wait_for_count(&ran, 1);
    kit_finish(kit, KVS_POOL_DRAIN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_memory_is_visible),
        cmocka_unit_test(test_spawn_from_a_job),
        cmocka_unit_test(test_jobs_run_at_once),
        cmocka_unit_test(test_one_thread_keeps_order),
        cmocka_unit_test(test_batch_in_order),
        cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_spawn_after_shutdown),
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_short_structs),
        cmocka_unit_test(test_workers_are_as_configured),
        cmocka_unit_test(test_impossible_stack),
        cmocka_unit_test(test_two_pools),
    };
    return kit_run("jobs", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
