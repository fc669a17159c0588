/* The deque alone: order, capacity, and that each job is taken exactly once under thieves. */
#include "host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "deque.h"

#define THIEVES 3
#define JOBS    200000u

static void never_run(void *arg)
{
    (void)arg;
    abort();
}

static struct kvs_job job_of(uintptr_t number)
{
    return (struct kvs_job){
        .run = never_run, .arg = (void *)number, .prio = (uint32_t)number, .flags = 7};
}

static struct deque *deque_new(void)
{
    struct deque *deque = aligned_alloc(alignof(struct deque), sizeof(*deque));
    assert_non_null(deque);
    memset(deque, 0, sizeof(*deque));
    return deque;
}

static void owner_pops_newest_thief_steals_oldest(void **state)
{
    (void)state;
    struct deque *deque = deque_new();
    struct kvs_job job = {.run = NULL};
    assert_false(deque_pop(deque, &job));
    assert_int_equal(deque_steal(deque, &job), DEQUE_EMPTY);
    for (uintptr_t i = 1; i <= 4; i++) {
        struct kvs_job pushed = job_of(i);
        assert_true(deque_push(deque, &pushed));
    }
    assert_int_equal(deque_count(deque), 4);
    assert_int_equal(deque_steal(deque, &job), DEQUE_TAKEN);
    assert_int_equal((uintptr_t)job.arg, 1);
    assert_int_equal(job.prio, 1);
    assert_int_equal(job.flags, 7);
    assert_ptr_equal(job.run, never_run);
    assert_true(deque_pop(deque, &job));
    assert_int_equal((uintptr_t)job.arg, 4);
    assert_true(deque_pop(deque, &job));
    assert_true(deque_pop(deque, &job));
    assert_int_equal((uintptr_t)job.arg, 2);
    assert_false(deque_pop(deque, &job));
    assert_int_equal(deque_count(deque), 0);
    free(deque);
}

/* I1, I2: it fills up to its size, again and again as the indices go round. */
static void full_deque_refuses(void **state)
{
    (void)state;
    struct deque *deque = deque_new();
    struct kvs_job job, taken;
    for (uintptr_t round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < DEQUE_SIZE; i++) {
            job = job_of(i);
            assert_true(deque_push(deque, &job));
        }
        assert_false(deque_push(deque, &job));
        assert_int_equal(deque_steal(deque, &taken), DEQUE_TAKEN);
        assert_int_equal((uintptr_t)taken.arg, 0);
        assert_true(deque_push(deque, &job));
        for (uintptr_t i = 0; i < DEQUE_SIZE; i++)
            assert_true(deque_pop(deque, &taken));
        assert_false(deque_pop(deque, &taken));
    }
    free(deque);
}

struct contest {
    struct deque *deque;
    _Atomic unsigned char taken[JOBS]; /* how often each job was taken */
    _Atomic bool done;
};

static void take_note(struct contest *contest, const struct kvs_job *job)
{
    uintptr_t number = (uintptr_t)job->arg;
    if (job->run != never_run || job->prio != (uint32_t)number || job->flags != 7)
        abort(); /* a mixture of two jobs */
    atomic_fetch_add_explicit(&contest->taken[number], 1, memory_order_relaxed);
}

static void *thief_main(void *arg)
{
    struct contest *contest = arg;
    struct kvs_job job;
    for (;;) {
        bool done = atomic_load(&contest->done);
        enum deque_result result = deque_steal(contest->deque, &job);
        if (result == DEQUE_TAKEN)
            take_note(contest, &job);
        else if (result == DEQUE_EMPTY && done)
            return NULL;
    }
}

/* I3. The owner keeps the deque short most of the time, so that the last job is fought over, and
   lets it grow now and then. */
static void each_job_is_taken_once(void **state)
{
    (void)state;
    struct contest *contest = calloc(1, sizeof(*contest));
    pthread_t thieves[THIEVES];
    struct kvs_job job;
    contest->deque = deque_new();
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&thieves[i], NULL, thief_main, contest), 0);
    for (uintptr_t i = 0; i < JOBS; i++) {
        job = job_of(i);
        while (!deque_push(contest->deque, &job)) {
            struct kvs_job other;
            if (deque_pop(contest->deque, &other))
                take_note(contest, &other);
        }
        if (i % 4096 < 3072 && i % 3 != 0 && deque_pop(contest->deque, &job))
            take_note(contest, &job);
    }
    while (deque_pop(contest->deque, &job))
        take_note(contest, &job);
    atomic_store(&contest->done, true);
    for (int i = 0; i < THIEVES; i++)
        (void)pthread_join(thieves[i], NULL);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(contest->taken[i], 1);
    free(contest->deque);
    free(contest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_pops_newest_thief_steals_oldest),
        cmocka_unit_test(full_deque_refuses),
        cmocka_unit_test(each_job_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
