/* How every pool ends: drains or drops, waits, refuses; and leaves no thread. */
#include "pools/pool_kit.h"

#include <sched.h>
#include <string.h>

#define QUEUED 100u

struct ending {
    struct pool_kit *kit;
    uint32_t mode;
    kvs_status status;
    atomic_uint *ran; /* at the end: as seen when shutdown returned */
    unsigned ran_by_then;
};

static void *thread_shutdown(void *arg)
{
    struct ending *ending = arg;
    ending->status = ending->kit->ops->shutdown(ending->kit->pool, ending->mode, NULL);
    ending->ran_by_then = atomic_load(ending->ran);
    return NULL;
}

static bool is_closed(void *arg)
{
    struct pool_kit *kit = arg;
    static atomic_uint ignored;
    struct kvs_job job = {.run = job_count, .drop = job_count, .arg = &ignored};
    return kit->ops->spawn(kit->pool, &job) == KVS_CLOSED;
}

/* One job at a gate on the only thread, QUEUED behind it, and a shutdown under way. */
struct scene {
    struct gate gate;
    atomic_uint ran;
    atomic_uint dropped;
    struct ending ending;
    pthread_t thread;
};

static void job_ran(void *arg)
{
    atomic_fetch_add(&((struct scene *)arg)->ran, 1);
}

static void job_dropped(void *arg)
{
    atomic_fetch_add(&((struct scene *)arg)->dropped, 1);
}

static void scene_begin(struct scene *scene, struct pool_kit *kit, uint32_t mode)
{
    gate_init(&scene->gate);
    atomic_store(&scene->ran, 0);
    atomic_store(&scene->dropped, 0);
    kit_create(kit, 1);
    kit_spawn(kit, job_wait_at_gate, &scene->gate);
    gate_await(&scene->gate, 1);
    struct kvs_job job = {.run = job_ran, .drop = job_dropped, .arg = scene};
    for (unsigned i = 0; i < QUEUED; i++)
        assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
    scene->ending = (struct ending){kit, mode, KVS_INTERNAL, &scene->ran, 0};
    assert_int_equal(pthread_create(&scene->thread, NULL, thread_shutdown, &scene->ending), 0);
}

static void scene_end(struct scene *scene, struct pool_kit *kit)
{
    gate_open(&scene->gate);
    (void)pthread_join(scene->thread, NULL);
    assert_int_equal(scene->ending.status, KVS_OK);
    kit_finish(kit, KVS_POOL_DRAIN); /* a second one: nothing more to do */
}

static void test_drain(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE))
        skip();
    struct scene scene;
    scene_begin(&scene, kit, KVS_POOL_DRAIN);
    wait_until(is_closed, kit);
    scene_end(&scene, kit);
    assert_int_equal(scene.ending.ran_by_then, QUEUED);
    assert_int_equal(atomic_load(&scene.dropped), 0);
    kit_wait_threads(kit, 0);
}

static void test_drop(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct scene scene;
    scene_begin(&scene, kit, KVS_POOL_DROP);
    wait_until(is_closed, kit);
    scene_end(&scene, kit);
    assert_int_equal(atomic_load(&scene.ran), 0);
    assert_int_equal(atomic_load(&scene.dropped), QUEUED);
    kit_wait_threads(kit, 0);
}

/* Jobs without a drop function are dropped, too; they just have nobody to tell. */
static void test_drop_without_function(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || kit_can(kit, KVS_POOL_UNBOUNDED))
        skip();
    struct gate gate;
    gate_init(&gate);
    atomic_uint ran = 0;
    kit_create(kit, 1);
    kit_spawn(kit, job_wait_at_gate, &gate);
    gate_await(&gate, 1);
    kit_spawn(kit, job_count, &ran);
    struct ending ending = {kit, KVS_POOL_DROP, KVS_INTERNAL, &ran, 0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, thread_shutdown, &ending), 0);
    wait_until(is_closed, kit);
    gate_open(&gate);
    (void)pthread_join(thread, NULL);
    assert_int_equal(kit_stats(kit).jobs_run, 1);
    assert_true(kit_stats(kit).jobs_dropped >= 1);
    kit_finish(kit, KVS_POOL_DROP);
    assert_int_equal(atomic_load(&ran), 0);
}

static void job_waits_and_counts(void *arg)
{
    struct scene *scene = arg;
    job_wait_at_gate(&scene->gate);
    atomic_fetch_add(&scene->ran, 1);
}

static void *thread_spawns(void *arg)
{
    struct scene *scene = arg;
    struct kvs_job job = {.run = job_waits_and_counts, .arg = scene};
    (void)scene->ending.kit->ops->spawn(scene->ending.kit->pool, &job);
    return NULL;
}

/* In both modes what runs is waited for; also what another thread runs inside its spawn. */
static void test_waits_for_what_runs(void **state)
{
    struct pool_kit *kit = *state;
    for (uint32_t mode = KVS_POOL_DRAIN; mode <= KVS_POOL_DROP; mode++) {
        struct scene scene;
        pthread_t spawner;
        gate_init(&scene.gate);
        atomic_store(&scene.ran, 0);
        scene.ending = (struct ending){kit, mode, KVS_INTERNAL, &scene.ran, 0};
        kit_create(kit, 1);
        assert_int_equal(pthread_create(&spawner, NULL, thread_spawns, &scene), 0);
        gate_await(&scene.gate, 1);
        assert_int_equal(pthread_create(&scene.thread, NULL, thread_shutdown, &scene.ending), 0);
        wait_until(is_closed, kit);
        gate_open(&scene.gate);
        (void)pthread_join(spawner, NULL); /* no call may be under way when the pool is freed */
        scene_end(&scene, kit);
        assert_int_equal(scene.ending.ran_by_then, 1);
    }
}

static void test_second_shutdown_waits(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE))
        skip();
    struct scene scene;
    scene_begin(&scene, kit, KVS_POOL_DRAIN);
    wait_until(is_closed, kit);
    struct ending second = {kit, KVS_POOL_DROP, KVS_INTERNAL, &scene.ran, 0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, thread_shutdown, &second), 0);
    gate_open(&scene.gate);
    (void)pthread_join(thread, NULL);
    assert_int_equal(second.status, KVS_OK);
    assert_int_equal(second.ran_by_then, QUEUED);
    scene_end(&scene, kit);
}

struct refusal {
    struct pool_kit *kit;
    kvs_status status;
    struct test_error error;
    atomic_uint done;
};

static void job_shut_down(void *arg)
{
    struct refusal *refusal = arg;
    test_error_init(&refusal->error);
    refusal->status =
        refusal->kit->ops->shutdown(refusal->kit->pool, KVS_POOL_DRAIN, &refusal->error.error);
    atomic_store(&refusal->done, 1);
}

static void test_refused_from_a_job(void **state)
{
    struct pool_kit *kit = *state;
    struct refusal refusal = {.kit = kit};
    kit_create(kit, 2);
    kit_spawn(kit, job_shut_down, &refusal);
    wait_for_count(&refusal.done, 1);
    assert_int_equal(refusal.status, KVS_INVALID);
    assert_int_equal(refusal.error.error.status, KVS_INVALID);
    assert_non_null(strstr(refusal.error.message, "job"));
    atomic_uint ran = 0;
    kit_spawn(kit, job_count, &ran); /* nothing has changed */
    wait_for_count(&ran, 1);
    kit_finish(kit, KVS_POOL_DRAIN);
}

/* A job of one pool may well end another. */
static void test_from_a_job_of_another(void **state)
{
    struct pool_kit *kit = *state;
    struct pool_kit second = *kit;
    struct refusal ending = {.kit = &second};
    kit_create(kit, 1);
    kit_create(&second, 2);
    kit_spawn(kit, job_shut_down, &ending);
    wait_for_count(&ending.done, 1);
    assert_int_equal(ending.status, KVS_OK);
    kit_finish(&second, KVS_POOL_DRAIN);
    kit_finish(kit, KVS_POOL_DRAIN);
}

static void test_destroy_drops(void **state)
{
    struct pool_kit *kit = *state;
    atomic_uint ended = 0;
    struct kvs_job job = {.run = job_count, .drop = job_count, .arg = &ended};
    kit->ops->destroy(NULL);
    kit_create(kit, 2);
    for (unsigned i = 0; i < QUEUED; i++)
        assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
    kit_destroy(kit);
    assert_int_equal(atomic_load(&ended), QUEUED);
    assert_int_equal(atomic_load(&kit->started), atomic_load(&kit->stopped));
    kit_wait_threads(kit, 0);
}

struct last_words {
    pthread_key_t key;
    atomic_uint begun, over;
};

static void destructor_dawdles(void *arg)
{
    struct last_words *words = arg;
    for (unsigned i = 0; i < 2000; i++)
        (void)sched_yield();
    atomic_fetch_add(&words->over, 1);
}

static void job_leaves_last_words(void *arg)
{
    struct last_words *words = arg;
    if (pthread_getspecific(words->key) == NULL)
        atomic_fetch_add(&words->begun, 1);
    (void)pthread_setspecific(words->key, words);
}

static void job_leaves_last_words_and_exits(void *arg)
{
    job_leaves_last_words(arg);
    pthread_exit(NULL);
}

/* When shutdown returns the threads are gone to the very end: destructors of others that run after
   the pool's own have run, too. */
static void test_threads_are_gone(void **state)
{
    struct pool_kit *kit = *state;
    if (kit_can(kit, KVS_POOL_INLINE) || strcmp(kit->name, "glib") == 0) /* GLib joins nobody */
        skip();
    for (unsigned round = 0; round < 10; round++) {
        struct last_words words = {.begun = 0};
        kit_create(kit, 3);
        assert_int_equal(pthread_key_create(&words.key, destructor_dawdles), 0);
        for (unsigned i = 0; i < 10; i++) {
            kit_spawn(kit, job_leaves_last_words, &words);
            kit_spawn(kit, job_leaves_last_words_and_exits, &words);
        }
        kit_finish(kit, KVS_POOL_DRAIN);
        assert_true(atomic_load(&words.begun) >= 10);
        assert_int_equal(atomic_load(&words.over), atomic_load(&words.begun));
        (void)pthread_key_delete(words.key);
    }
}

/* Pools made and ended again and again, most of them before their threads got going. */
static void test_short_lives(void **state)
{
    struct pool_kit *kit = *state;
    for (unsigned i = 0; i < 200; i++) {
        atomic_uint ran = 0;
        kit_create(kit, 1 + i % 4);
        for (unsigned job = 0; job < i % 3; job++)
            kit_spawn(kit, job_count, &ran);
        kit_finish(kit, KVS_POOL_DRAIN);
        assert_int_equal(atomic_load(&ran), i % 3);
    }
    kit_wait_threads(kit, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_drop_without_function),
        cmocka_unit_test(test_waits_for_what_runs),
        cmocka_unit_test(test_second_shutdown_waits),
        cmocka_unit_test(test_refused_from_a_job),
        cmocka_unit_test(test_from_a_job_of_another),
        cmocka_unit_test(test_destroy_drops),
        cmocka_unit_test(test_threads_are_gone),
        cmocka_unit_test(test_short_lives),
    };
    return kit_run("shutdown", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
