/*
 * The work-stealing deque of Chase and Lev: one thread, the owner, pushes and pops at the bottom;
 * any number of thieves take from the top. Neither ever waits for the other.
 *
 *          top                          bottom
 *     ------|----------------------------|------>  indices only grow
 *           | oldest              newest |
 *     steal ^                            ^ push, pop
 *
 * The algorithm and its memory orders follow
 *     N. M. Le, A. Pop, A. Cohen, F. Zappa Nardelli,
 *     "Correct and Efficient Work-Stealing for Weak Memory Models", PPoPP 2013, figure 1,
 * with these differences:
 *   - Where the paper has a sequentially consistent fence between two accesses, here the two
 *     accesses themselves are sequentially consistent (ThreadSanitizer cannot follow fences).
 *   - The ring has a fixed size, so there is no old ring to keep for late thieves. A push into a
 *     full deque fails, and the job goes to the injector (injector.h) instead.
 *   - An element is a job of four words, each an atomic. A thief may read a mixture of two jobs
 *     when the owner reuses the slot meanwhile; but then top has moved on, its compare-and-swap
 *     fails, and it throws the mixture away.
 *   - Indices are signed: pop lowers bottom below top for a moment, on an empty deque to -1.
 *
 * I1  top <= bottom + 1, and bottom - top <= DEQUE_SIZE. top never goes back.
 * I2  Slot i is rewritten only when top > i: push reads top first.
 * I3  Each index is taken once: by the compare-and-swap that raises top over it, or by a pop that
 *     knows that no thief can reach it.
 *
 * Why pop needs no compare-and-swap when more than one job is left: it first lowers bottom to b,
 * then reads top = t < b. A thief takes b only after it read top = b and then bottom > b. That
 * bottom was read before pop lowered it, in the one order of all sequentially consistent
 * operations; so the thief's top = b came even earlier, and pop, which reads top later, would have
 * seen at least b. It saw less: so there is no such thief.
 */
#ifndef DEQUE_H
#define DEQUE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/pool.h>

#define DEQUE_SIZE 1024 /* jobs; a power of two */
#define CACHE_LINE 64

struct deque_slot {
    _Atomic(void (*)(void *)) run;
    _Atomic(void (*)(void *)) drop;
    _Atomic(void *) arg;
    _Atomic uint64_t hints; /* prio in the upper half, flags in the lower */
};

/* A zeroed deque is empty. top and bottom lie apart: thieves write one, the owner the other. */
struct deque {
    alignas(CACHE_LINE) _Atomic int64_t top;    /* raised by whoever takes the job there */
    alignas(CACHE_LINE) _Atomic int64_t bottom; /* written by the owner only */
    alignas(CACHE_LINE) struct deque_slot slots[DEQUE_SIZE];
};

enum deque_result {
    DEQUE_TAKEN,
    DEQUE_EMPTY,
    DEQUE_RACED /* another thread took that one: try again, there may be more */
};

static inline struct deque_slot *deque_slot_at(struct deque *deque, int64_t index)
{
    return &deque->slots[(uint64_t)index % DEQUE_SIZE];
}

/* The words of a job need no order of their own: bottom (push) and top (take) order them. */
static inline void deque_slot_write(struct deque_slot *slot, const struct kvs_job *job)
{
    atomic_store_explicit(&slot->run, job->run, memory_order_relaxed);
    atomic_store_explicit(&slot->drop, job->drop, memory_order_relaxed);
    atomic_store_explicit(&slot->arg, job->arg, memory_order_relaxed);
    atomic_store_explicit(&slot->hints, (uint64_t)job->prio << 32 | job->flags,
                          memory_order_relaxed);
}

static inline struct kvs_job deque_slot_read(struct deque_slot *slot)
{
    uint64_t hints = atomic_load_explicit(&slot->hints, memory_order_relaxed);
    return (struct kvs_job){
        .run = atomic_load_explicit(&slot->run, memory_order_relaxed),
        .drop = atomic_load_explicit(&slot->drop, memory_order_relaxed),
        .arg = atomic_load_explicit(&slot->arg, memory_order_relaxed),
        .prio = (uint32_t)(hints >> 32),
        .flags = (uint32_t)hints,
    };
}

/*
 * Owner only. False when it is full. top is read with acquire: it pairs with the compare-and-swap
 * of whoever took the job that this slot held, so that reading it happened before it is overwritten
 * (I2). bottom is stored sequentially consistent: as release it publishes the job; beyond that, it
 * comes before the pusher's look at who sleeps (sleep.h).
 */
static inline bool deque_push(struct deque *deque, const struct kvs_job *job)
{
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed);
    int64_t top = atomic_load_explicit(&deque->top, memory_order_acquire);
    if (bottom - top >= DEQUE_SIZE)
        return false;
    deque_slot_write(deque_slot_at(deque, bottom), job);
    atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_seq_cst);
    return true;
}

/* Owner only: takes the newest job. False when there is none. */
static inline bool deque_pop(struct deque *deque, struct kvs_job *ret_job)
{
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed) - 1;
    atomic_store_explicit(&deque->bottom, bottom, memory_order_seq_cst);
    int64_t top = atomic_load_explicit(&deque->top, memory_order_seq_cst);
    if (top > bottom) { /* it was empty */
        atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_release);
        return false;
    }
    struct kvs_job job = deque_slot_read(deque_slot_at(deque, bottom));
    if (top == bottom) { /* the last one: thieves are after it as well */
        bool won = atomic_compare_exchange_strong_explicit(
            &deque->top, &top, top + 1, memory_order_seq_cst, memory_order_relaxed);
        atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_release);
        if (!won)
            return false;
    }
    *ret_job = job;
    return true;
}

/* Any thread: takes the oldest job. Reading bottom acquires what push published. */
static inline enum deque_result deque_steal(struct deque *deque, struct kvs_job *ret_job)
{
    int64_t top = atomic_load_explicit(&deque->top, memory_order_seq_cst);
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_seq_cst);
    if (top >= bottom)
        return DEQUE_EMPTY;
    struct kvs_job job = deque_slot_read(deque_slot_at(deque, top)); /* perhaps a mixture */
    if (!atomic_compare_exchange_strong_explicit(&deque->top, &top, top + 1, memory_order_seq_cst,
                                                 memory_order_relaxed))
        return DEQUE_RACED;
    *ret_job = job;
    return DEQUE_TAKEN;
}

/* How many jobs it holds, at some moment during the call. Any thread. */
static inline uint64_t deque_count(struct deque *deque)
{
    int64_t top = atomic_load_explicit(&deque->top, memory_order_seq_cst);
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_seq_cst);
    return bottom > top ? (uint64_t)(bottom - top) : 0;
}

#endif
