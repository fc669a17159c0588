/* Waiting for rounds: nobody goes on before his round is over, everybody does afterwards, and sees what
   its leader wrote. More rounds than there are bits to tell them apart. */
#include <pthread.h>

#include "rounds.h"
#include "support/support.h"

#define WAITERS 8u
#define ROUNDS  200u

struct fixture {
    struct rounds rounds;
    uint64_t results[ROUNDS + 1]; /* written by the leader before the end of each round */
    _Atomic uint64_t arrived;     /* waits that have begun */
};

struct waiter {
    struct fixture *fixture;
    uint64_t first;
    uint64_t step;
    uint64_t wrong;
    pthread_t thread;
};

static void *wait_main(void *arg)
{
    struct waiter *waiter = arg;
    for (uint64_t round = waiter->first; round <= ROUNDS; round += waiter->step) {
        (void)atomic_fetch_add(&waiter->fixture->arrived, 1);
        rounds_wait(&waiter->fixture->rounds, round);
        if (waiter->fixture->results[round] != round * round)
            waiter->wrong++;
    }
    return NULL;
}

static void start(struct waiter *waiter)
{
    assert_int_equal(0, pthread_create(&waiter->thread, NULL, wait_main, waiter));
}

static void join(struct waiter *waiter)
{
    assert_int_equal(0, pthread_join(waiter->thread, NULL));
    assert_int_equal(0, waiter->wrong);
}

static void end_round(struct fixture *fixture, uint64_t round)
{
    fixture->results[round] = round * round;
    rounds_end(&fixture->rounds, round);
}

static bool all_arrived(void *arg)
{
    return atomic_load(&((struct fixture *)arg)->arrived) == WAITERS;
}

/* Each waits for round after round, some for every one, some for every second one, and so on. */
static void test_each_round_wakes_its_own(void **state)
{
    (void)state;
    struct fixture fixture = {.arrived = 0};
    struct waiter waiters[WAITERS];
    for (uint64_t i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.fixture = &fixture, .first = 1 + i, .step = 1 + i};
        start(&waiters[i]);
    }
    wait_until(all_arrived, &fixture);
    for (uint64_t round = 1; round <= ROUNDS; round++)
        end_round(&fixture, round);
    for (uint64_t i = 0; i < WAITERS; i++)
        join(&waiters[i]);
}

/* Two rounds that are told apart by no bit: the end of the first wakes both waits and ends one. */
static void test_same_bit(void **state)
{
    (void)state;
    struct fixture fixture = {.arrived = 0};
    struct waiter early = {.fixture = &fixture, .first = 3, .step = ROUNDS};
    struct waiter late = {.fixture = &fixture, .first = 35, .step = ROUNDS};
    start(&late);
    start(&early);
    for (uint64_t round = 1; round <= 3; round++)
        end_round(&fixture, round);
    join(&early);
    for (uint64_t round = 4; round <= 35; round++)
        end_round(&fixture, round);
    join(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_round_wakes_its_own),
        cmocka_unit_test(test_same_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
