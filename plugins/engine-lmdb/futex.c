/*
 * See futex.h. The baton is the three-state mutex of "Futexes Are Tricky" (Drepper): state 2 is
 * sticky while anybody may sleep, so a release without sleepers makes no system call.
 */
#include "futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex_wait(atomic_uint *word, unsigned expected)
{
    /* Woken, interrupted or changed meanwhile: the caller looks again in each case. */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake_one(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

void baton_init(struct baton *baton)
{
    atomic_init(&baton->state, 0);
}

bool baton_try(struct baton *baton)
{
    unsigned expected = 0;
    return atomic_compare_exchange_strong(&baton->state, &expected, 1);
}

void baton_take(struct baton *baton)
{
    if (baton_try(baton))
        return;
    while (atomic_exchange(&baton->state, 2) != 0)
        futex_wait(&baton->state, 2);
}

void baton_pass(struct baton *baton)
{
    if (atomic_exchange(&baton->state, 0) == 2)
        futex_wake_one(&baton->state);
}

void gate_init(struct gate *gate)
{
    atomic_init(&gate->state, 0);
}

void gate_open(struct gate *gate)
{
    /* The waiter may be gone after the exchange: waking an address that means something else by
       then is at worst a wake-up that its sleeper ignores. */
    atomic_uint *word = &gate->state;
    if (atomic_exchange(word, 1) == 2)
        futex_wake_one(word);
}

void gate_wait(struct gate *gate, uint32_t spins)
{
    for (uint32_t i = 0; i < spins; i++) {
        if (atomic_load(&gate->state) == 1)
            return;
        relax();
    }
    unsigned expected = 0;
    (void)atomic_compare_exchange_strong(&gate->state, &expected, 2);
    while (atomic_load(&gate->state) != 1)
        futex_wait(&gate->state, 2);
}
