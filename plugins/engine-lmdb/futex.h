/*
 * Two small things to wait on, over the futex system call: a baton and a gate. All their atomics
 * are sequentially consistent; baton users rely on it (writer.c, I2).
 */
#ifndef ENGINE_LMDB_FUTEX_H
#define ENGINE_LMDB_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A lock that is usually only tried: who gets it leads, who does not goes on. Unlike with a mutex,
 * a failed try and a release are totally ordered with all other sequentially consistent atomics.
 */
struct baton {
    atomic_uint state; /* 0 free, 1 held, 2 held and somebody may wait */
};

void baton_init(struct baton *baton);
bool baton_try(struct baton *baton);
void baton_take(struct baton *baton); /* waits */
void baton_pass(struct baton *baton); /* releases; only the holder */

/*
 * Opens once; lives on the stack of the one thread that waits for it. gate_open's last touch of the
 * struct is an atomic exchange, so the waiter may let it go as soon as gate_wait returns.
 */
struct gate {
    atomic_uint state; /* 0 closed, 1 open, 2 closed and the waiter sleeps */
};

void gate_init(struct gate *gate);
void gate_open(struct gate *gate);
/* Spins for spins rounds before it sleeps. */
void gate_wait(struct gate *gate, uint32_t spins);

#endif
