/*
 * See rounds.h. All wait on one futex, each with the bit of its round's number, so that the end of a
 * round is one system call however many wait for it, and wakes nobody who waits for the next one.
 *
 * I1  `ended` is written before `word`, and a thread reads `word` before it looks at `ended`: if it
 *     finds its round not over, the word that it sleeps on is to change yet, or has changed and the
 *     kernel does not let it sleep.
 * I2  Two rounds with the same bit are 32 apart. Who is woken for the other one looks and sleeps on.
 */
#include "rounds.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t bit_of(uint64_t round)
{
    return UINT32_C(1) << (round % 32);
}

void rounds_end(struct rounds *rounds, uint64_t round)
{
    atomic_store_explicit(&rounds->ended, round, memory_order_release);
    atomic_store_explicit(&rounds->word, (uint32_t)round, memory_order_release);
    (void)syscall(SYS_futex, &rounds->word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL,
                  bit_of(round));
}

void rounds_wait(struct rounds *rounds, uint64_t round)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&rounds->word, memory_order_acquire); /* I1 */
        if (atomic_load_explicit(&rounds->ended, memory_order_acquire) >= round)
            return;
        /* Woken, interrupted or changed meanwhile: it looks again in each case. */
        (void)syscall(SYS_futex, &rounds->word, FUTEX_WAIT_BITSET_PRIVATE, word, NULL, NULL,
                      bit_of(round));
    }
}
