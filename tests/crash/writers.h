/*
 * Clients that change keys until the server is gone: a process of its own with LEDGER_WRITERS
 * connections in one thread, most of which speak the Redis protocol and some the native one.
 */
#ifndef TESTS_CRASH_WRITERS_H
#define TESTS_CRASH_WRITERS_H

#include <stdint.h>
#include <sys/types.h>

#include "crash/ledger.h"

/* Starts the process. It notes in the ledger what it sends and what is acknowledged, and ends when
   the server has closed all connections, or with a failure in the ledger. */
pid_t writers_start(struct ledger *ledger, uint16_t port, unsigned seed);
/* Waits for its end; fails the test if a reply was not as it should be. */
void writers_join(struct ledger *ledger, pid_t pid);

#endif
