/* Comparing what a server has with the ledger. Whatever is not as it must be fails the test. */
#ifndef TESTS_CRASH_CHECK_H
#define TESTS_CRASH_CHECK_H

#include <stdint.h>

#include "crash/ledger.h"

/* Reads every key of every writer, and the list of all keys, and settles what was under way. No
   writer runs. Waits while the server still loads. */
void check_store(struct ledger *ledger, uint16_t port);

/* Sends a command without arguments over the Redis protocol; the first line of the reply, malloced. */
char *ask(uint16_t port, const char *command);

#endif
