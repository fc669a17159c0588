/*
 * A crowd of Redis clients in one thread: each connection sends rounds of commands, waits for the
 * replies of a round, and checks every byte of them. All connections are open at once.
 */
#ifndef TESTS_SYSTEM_RESP_LOAD_H
#define TESTS_SYSTEM_RESP_LOAD_H

#include <stdint.h>

struct resp_load {
    uint16_t port; /* of 127.0.0.1 */
    unsigned connections;
    unsigned rounds; /* of each connection: SET, GET, INCR of a shared counter, GET of nothing */
    unsigned value_size; /* bytes */
};

#define RESP_LOAD_COUNTERS 64u /* "counter:0" and so on, which the connections share */

/* Runs it; what is not as it should be fails the test. */
void resp_load_run(const struct resp_load *load);

#endif
