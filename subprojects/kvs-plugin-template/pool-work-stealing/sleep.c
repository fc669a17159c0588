/*
 * See sleep.h. Parked workers are not told apart: there are as many inside sleep_park as state says
 * are parked, plus one for each claim whose permit was not taken yet. So a claimer need not know
 * whom it wakes, and a worker that finds work at the last look may claim "one of the parked",
 * and leave in its place.
 *
 * I1  (until closed) workers inside sleep_park behind its first step = parked + claims not yet
 *     taken. A claim is taken by whoever takes its permit, or by the one that leaves.
 */
#include "sleep.h"

#define SEARCHING_ONE  UINT64_C(1)
#define PARKED_ONE     (UINT64_C(1) << 32)
#define SEARCHING_MASK (PARKED_ONE - 1)

void sleep_init(struct sleep *sleep)
{
    *sleep = (struct sleep){.permits = 0};
    pthread_mutex_init(&sleep->lock, NULL);
    pthread_cond_init(&sleep->permit_given, NULL);
}

void sleep_deinit(struct sleep *sleep)
{
    pthread_cond_destroy(&sleep->permit_given);
    pthread_mutex_destroy(&sleep->lock);
}

void sleep_begin_search(struct sleep *sleep)
{
    atomic_fetch_add_explicit(&sleep->state, SEARCHING_ONE, memory_order_seq_cst);
}

bool sleep_end_search(struct sleep *sleep)
{
    uint64_t before = atomic_fetch_sub_explicit(&sleep->state, SEARCHING_ONE, memory_order_seq_cst);
    return (before & SEARCHING_MASK) == 1;
}

uint32_t sleep_searching(struct sleep *sleep)
{
    return (uint32_t)(atomic_load_explicit(&sleep->state, memory_order_relaxed) & SEARCHING_MASK);
}

/* Makes one parked worker a searching one, if there is one and nobody searches. */
static bool claim(struct sleep *sleep)
{
    uint64_t state = atomic_load_explicit(&sleep->state, memory_order_seq_cst);
    do {
        if (state < PARKED_ONE || (state & SEARCHING_MASK) != 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&sleep->state, &state,
                                                    state - PARKED_ONE + SEARCHING_ONE,
                                                    memory_order_seq_cst, memory_order_seq_cst));
    return true;
}

void sleep_wake_one(struct sleep *sleep)
{
    if (!claim(sleep))
        return;
    atomic_fetch_add_explicit(&sleep->wakeups, 1, memory_order_relaxed);
    pthread_mutex_lock(&sleep->lock);
    sleep->permits++;
    pthread_cond_signal(&sleep->permit_given);
    pthread_mutex_unlock(&sleep->lock);
}

bool sleep_park(struct sleep *sleep, bool (*has_work)(void *arg), void *arg)
{
    atomic_fetch_add_explicit(&sleep->state, PARKED_ONE - SEARCHING_ONE, memory_order_seq_cst);
    /* If the claim fails, either somebody searches and will find the work, or every parked worker
       was claimed by others: then there is a permit for this one on its way. */
    if (has_work(arg) && claim(sleep))
        return true;
    pthread_mutex_lock(&sleep->lock);
    while (sleep->permits == 0 && !sleep->closed)
        pthread_cond_wait(&sleep->permit_given, &sleep->lock);
    bool permitted = !sleep->closed;
    if (permitted)
        sleep->permits--;
    pthread_mutex_unlock(&sleep->lock);
    return permitted;
}

void sleep_close(struct sleep *sleep)
{
    pthread_mutex_lock(&sleep->lock);
    sleep->closed = true;
    pthread_cond_broadcast(&sleep->permit_given);
    pthread_mutex_unlock(&sleep->lock);
}
