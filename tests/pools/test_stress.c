/* Many producers, jobs of every kind, a small queue, and a shutdown in the middle: each accepted
   job ends exactly once, each refused one never begins, and the figures add up. */
#include "pools/pool_kit.h"

#include <sched.h>
#include <stdlib.h>

#define PRODUCERS  4u
#define ROUNDS     6u
#define BATCH_MAX  16u
#define LOSS_EVERY 97u

enum kind {
    KIND_PLAIN,
    KIND_SPAWNS, /* another one */
    KIND_EXITS,
};

struct slot {
    struct stress *stress;
    enum kind kind;
    bool accepted; /* written by who spawned it, read at the end */
    atomic_uint run, dropped, lost;
};

struct stress {
    struct pool_kit *kit;
    struct slot *slots;
    unsigned slot_count;
    atomic_uint next_slot;
    atomic_uint accepted;
};

static void job_of_stress(void *arg);

static void job_dropped(void *arg)
{
    atomic_fetch_add(&((struct slot *)arg)->dropped, 1);
}

static void report_lost(void *arg, const struct kvs_job *job)
{
    struct pool_kit *kit = arg;
    atomic_fetch_add(&((struct slot *)job->arg)->lost, 1);
    atomic_fetch_add(&kit->lost, 1);
}

/* The next slots that nobody has used, as jobs; fewer where there are no more. */
static unsigned take_slots(struct stress *stress, struct kvs_job *jobs, struct slot **slots,
                           unsigned count)
{
    unsigned first = atomic_fetch_add(&stress->next_slot, count);
    unsigned taken = 0;
    for (; taken < count && first + taken < stress->slot_count; taken++) {
        slots[taken] = &stress->slots[first + taken];
        jobs[taken] =
            (struct kvs_job){.run = job_of_stress, .drop = job_dropped, .arg = slots[taken]};
    }
    return taken;
}

/* Spawns all of them, again and again while the queue is full. False: the pool is closed. */
static bool spawn_slots(struct stress *stress, const struct kvs_job *jobs, struct slot **slots,
                        unsigned count, bool once)
{
    struct pool_kit *kit = stress->kit;
    bool batches = kit_can(kit, KVS_POOL_HAS_SPAWN_BATCH);
    unsigned done = 0;
    while (done < count) {
        uint64_t accepted = 0;
        kvs_status status;
        if (batches && count - done > 1) {
            status = kit->ops->spawn_batch(kit->pool, jobs + done, count - done, &accepted);
        } else {
            status = kit->ops->spawn(kit->pool, jobs + done);
            accepted = status == KVS_OK ? 1 : 0;
        }
        for (uint64_t i = 0; i < accepted; i++)
            slots[done++]->accepted = true;
        atomic_fetch_add(&stress->accepted, (unsigned)accepted);
        if (status == KVS_CLOSED || (status != KVS_OK && once))
            return false;
        if (status == KVS_BUSY)
            (void)sched_yield();
    }
    return true;
}

static void job_of_stress(void *arg)
{
    struct slot *slot = arg;
    struct kvs_job job;
    struct slot *next;
    if (slot->kind == KIND_SPAWNS && take_slots(slot->stress, &job, &next, 1) == 1)
        (void)spawn_slots(slot->stress, &job, &next, 1, true);
    if (slot->kind == KIND_EXITS)
        pthread_exit(NULL);
    atomic_fetch_add(&slot->run, 1);
}

static void *thread_produces(void *arg)
{
    struct stress *stress = arg;
    struct kvs_job jobs[BATCH_MAX];
    struct slot *slots[BATCH_MAX];
    unsigned seed = (unsigned)(uintptr_t)&jobs;
    for (;;) {
        unsigned count = 1 + (unsigned)rand_r(&seed) % BATCH_MAX;
        count = take_slots(stress, jobs, slots, count);
        if (count == 0 || !spawn_slots(stress, jobs, slots, count, false))
            return NULL;
    }
}

static void check_slots(const struct stress *stress, struct kvs_pool_stats stats)
{
    unsigned run = 0, dropped = 0, lost = 0;
    for (unsigned i = 0; i < stress->slot_count; i++) {
        const struct slot *slot = &stress->slots[i];
        unsigned ends = slot->run + slot->dropped + slot->lost;
        assert_int_equal(ends, slot->accepted ? 1 : 0);
        run += slot->run;
        dropped += slot->dropped;
        lost += slot->lost;
    }
    assert_int_equal(stats.jobs_spawned, stress->accepted);
    assert_int_equal(stats.jobs_run, run);
    assert_int_equal(stats.jobs_dropped, dropped);
    assert_int_equal(stats.jobs_lost, lost);
}

struct slots_wanted {
    struct stress *stress;
    unsigned count;
};

static bool are_accepted(void *arg)
{
    const struct slots_wanted *wanted = arg;
    return atomic_load(&wanted->stress->accepted) >= wanted->count;
}

static void stress_round(struct pool_kit *kit, uint32_t threads, uint32_t mode, bool to_the_end)
{
    bool unbounded = kit_can(kit, KVS_POOL_UNBOUNDED);
    struct stress stress = {.kit = kit, .slot_count = unbounded ? 2000 : 20000};
    stress.slots = calloc(stress.slot_count, sizeof(*stress.slots));
    assert_non_null(stress.slots);
    for (unsigned i = 0; i < stress.slot_count; i++) {
        stress.slots[i].stress = &stress;
        stress.slots[i].kind = i % 5 == 0 ? KIND_SPAWNS : KIND_PLAIN;
        if (i % LOSS_EVERY == 0 && kit_can(kit, KVS_POOL_SURVIVES_THREAD_EXIT))
            stress.slots[i].kind = KIND_EXITS;
    }
    struct kvs_pool_config config = kit_config(kit, threads);
    config.queue_limit = 64;
    config.job_lost = report_lost;
    kit_create_with(kit, &config);

    pthread_t producers[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, thread_produces, &stress), 0);
    if (to_the_end) {
        for (unsigned i = 0; i < PRODUCERS; i++)
            (void)pthread_join(producers[i], NULL);
    } else {
        struct slots_wanted wanted = {&stress, stress.slot_count / 4};
        wait_until(are_accepted, &wanted);
    }
    kit_shutdown(kit, mode);
    if (!to_the_end) {
        for (unsigned i = 0; i < PRODUCERS; i++)
            (void)pthread_join(producers[i], NULL);
    }
    check_slots(&stress, kit_stats(kit));
    kit_destroy(kit);
    free(stress.slots);
}

static void test_to_the_end(void **state)
{
    for (uint32_t threads = 1; threads <= 4; threads++)
        stress_round(*state, threads, KVS_POOL_DRAIN, true);
}

static void test_drained_in_the_middle(void **state)
{
    for (uint32_t round = 0; round < ROUNDS; round++)
        stress_round(*state, 1 + round % 3, KVS_POOL_DRAIN, false);
}

static void test_dropped_in_the_middle(void **state)
{
    for (uint32_t round = 0; round < ROUNDS; round++)
        stress_round(*state, 1 + round % 3, KVS_POOL_DROP, false);
}

/* Producers that must wait for each answer: a lost wake-up shows as a hang. */
struct asker {
    struct pool_kit *kit;
    unsigned rounds;
    atomic_uint refused;
};

static void job_answers(void *arg)
{
    gate_open(arg);
}

static void *thread_asks(void *arg)
{
    struct asker *asker = arg;
    for (unsigned i = 0; i < asker->rounds; i++) {
        struct gate gate;
        gate_init(&gate);
        struct kvs_job job = {.run = job_answers, .arg = &gate};
        while (asker->kit->ops->spawn(asker->kit->pool, &job) != KVS_OK)
            atomic_fetch_add(&asker->refused, 1);
        job_wait_at_gate(&gate);
        gate_deinit(&gate);
    }
    return NULL;
}

static void test_no_answer_is_lost(void **state)
{
    struct pool_kit *kit = *state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct asker asker = {.kit = kit, .rounds = kit_can(kit, KVS_POOL_UNBOUNDED) ? 200 : 2000};
        pthread_t askers[PRODUCERS];
        kit_create(kit, threads);
        for (unsigned i = 0; i < threads; i++)
            assert_int_equal(pthread_create(&askers[i], NULL, thread_asks, &asker), 0);
        for (unsigned i = 0; i < threads; i++)
            (void)pthread_join(askers[i], NULL);
        kit_finish(kit, KVS_POOL_DRAIN);
        assert_int_equal(atomic_load(&asker.refused), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_end),
        cmocka_unit_test(test_drained_in_the_middle),
        cmocka_unit_test(test_dropped_in_the_middle),
        cmocka_unit_test(test_no_answer_is_lost),
    };
    return kit_run("stress", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
