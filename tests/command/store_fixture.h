/*
 * Stores of every kind for tests of commands: the real engines, with writes that complete at once and
 * later, and simple ones without batches (memory_engine.h).
 */
#ifndef TESTS_COMMAND_STORE_FIXTURE_H
#define TESTS_COMMAND_STORE_FIXTURE_H

#include "base/log.h"
#include "command/store.h"
#include "plugin/host.h"
#include "support/support.h"

struct store_fixture {
    struct store store;
    struct plugin *plugin; /* NULL: a simple engine */
    struct plugin_host *host;
    struct log log;
    char *dir;
    uint32_t durability;
};

/* "memory", "memory-one-writer"; "log", "lmdb" (fast), "log-always", "lmdb-always" (durable). NULL
   ends the list of those that this build has. */
const char *const *store_fixture_kinds(void);

/* Opens a new store of a kind. Fails the test when it cannot. */
void store_fixture_open(struct store_fixture *fixture, const char *kind);
/* Closes it and opens it again on the same data. Not for the simple ones, which keep nothing. */
void store_fixture_reopen(struct store_fixture *fixture);
void store_fixture_close(struct store_fixture *fixture);

#endif
