/*
 * The least that can answer: one thread that accepts, reads, answers and closes, in the native
 * protocol, with no server around it. What it takes is the kernel's and the clients' own time.
 */
#ifndef BENCH_CLASSIC_BARE_H
#define BENCH_CLASSIC_BARE_H

#include <stdint.h>

#include <kvs/types.h>

struct bare;

/* Listens on a free port of 127.0.0.1. A set is done, every key holds value_size bytes of 'x'.
   KVS_OK, KVS_NETWORK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status bare_start(uint32_t value_size, struct bare **ret_bare,
                                   struct kvs_error *err);
uint16_t bare_port(const struct bare *bare);
void bare_stop(struct bare *bare); /* NULL is fine */

#endif
