/*
 * Control figures: what this machine itself costs at this moment. A virtual machine's two cores may
 * be near or far apart, and change from one second to the next; a neighbour may take the memory
 * bandwidth. So they are taken next to every sample, and a figure that moved together with its
 * control says something about the machine, not about the code.
 */
#ifndef BENCH_HARNESS_CONTROLS_H
#define BENCH_HARNESS_CONTROLS_H

#include <kvs/types.h>

struct controls_reading {
    double bounce_ns;   /* handing a cache line from one core to another, one way; 0 on one CPU */
    double multiply_ns; /* one dependent multiplication: the core's clock rate */
    double memory_ns;   /* one dependent load out of CONTROLS_MEMORY_BYTES: a cache miss, mostly */
};

#define CONTROLS_MEMORY_BYTES (UINT64_C(64) << 20)

struct controls;

/* KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status controls_new(struct controls **ret_controls, struct kvs_error *err);
void controls_free(struct controls *controls); /* NULL is fine */

/* Takes a few milliseconds (at most about 40, when other processes keep the cores busy). */
struct controls_reading controls_read(struct controls *controls);

/* The bounce alone, between two CPUs that this process may use. */
double controls_bounce_ns(void);

#endif
