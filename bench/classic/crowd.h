/*
 * A thousand clients: threads that are made once and wait. In an iteration each of them opens a
 * connection, sets or gets its own key, checks the reply and closes; the iteration ends when the
 * last of them has, which is told by one signal.
 */
#ifndef BENCH_CLASSIC_CROWD_H
#define BENCH_CLASSIC_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "harness/histogram.h"
#include "load/wire.h"

#define CROWD_CLIENTS    1000u
#define CROWD_VALUE_SIZE 100u

struct crowd;

/* What an iteration does. */
struct crowd_task {
    uint16_t port; /* of 127.0.0.1, native protocol */
    enum wire_command command;
    uint64_t version; /* of the values that are set, or that gets must find... */
    bool constant;    /* ...unless they must find nothing but 'x' (null-engine) */
};

/* What came of it. */
struct crowd_result {
    uint64_t wall_ns;
    uint64_t retransmits; /* segments that these connections sent twice; SYNs mostly */
};

/* Makes the threads and raises the limit of open files. KVS_OK, KVS_NO_MEMORY, KVS_INVALID. */
KVS_MUST_USE kvs_status crowd_new(struct crowd **ret_crowd, struct kvs_error *err);
void crowd_free(struct crowd *crowd); /* NULL is fine */

/* One iteration. Each client's time from connect to the checked reply goes into latency (NULL: it
   does not). KVS_OK; KVS_NETWORK, KVS_PROTOCOL, KVS_CORRUPT: what the first client met with. */
KVS_MUST_USE kvs_status crowd_run(struct crowd *crowd, const struct crowd_task *task,
                                  struct histogram *latency, struct crowd_result *ret,
                                  struct kvs_error *err);

#endif
