/*
 * Whole stores of the log engine for tests that look inside or stand on a disk of their own: small
 * segments, a host that keeps what was logged, and values that tell whose they are.
 *
 * Keys are numbers, and a value says which key it belongs to and which version it is, with a
 * checksum. Functions that return a status are safe in any thread and in a forked child.
 */
#ifndef TESTS_STORE_SUPPORT_H
#define TESTS_STORE_SUPPORT_H

#include <pthread.h>

#include "engine.h"
#include "store.h"
#include "support/stub_host.h"
#include "support/support.h"

#define STORE_TEST_SEGMENT (UINT64_C(1) << 20)
#define STORE_LOG_MAX      8192u
#define STORE_VALUE_LEAST  32u
#define STORE_KEY_BYTES    8u
#define STORE_BATCH_MAX    64u

struct test_store {
    struct stub_host stub;
    struct kvs_db *db;
    pthread_mutex_t lock;
    char logged[STORE_LOG_MAX]; /* under the lock: lines of level warning and worse */
};

/* Opens on the real folder, or on a disk (path NULL). durability and flags as in the ABI. */
kvs_status test_store_open(struct test_store *store, const char *path, struct disk *disk,
                           uint32_t durability, uint32_t flags, struct test_error *error);
void must_open_store(struct test_store *store, const char *path, uint32_t durability);
kvs_status test_store_close(struct test_store *store);
void must_close_store(struct test_store *store);
/* True when such a warning or error was logged since it was opened. */
bool test_store_logged(struct test_store *store, const char *part);

/* For wait_until, with the store: the keeper has made the spare, sealed what is complete, removed what was
   dropped. */
bool test_store_keeper_is_idle(void *store);

/* A figure of stats. */
uint64_t test_store_stat(struct test_store *store, const char *name);

/* bytes: of the value, at least STORE_VALUE_LEAST. */
kvs_status put(struct test_store *store, uint64_t key, uint64_t version, uint64_t bytes);
kvs_status del(struct test_store *store, uint64_t key);
/* KVS_OK with the version; KVS_NOT_FOUND, KVS_CORRUPT (as the engine says it), KVS_INTERNAL: what was
   returned is not a value of this key. */
kvs_status look(struct test_store *store, uint64_t key, uint64_t *ret_version);

/* The version, or 0 when it is not there; fails the test otherwise. */
uint64_t version_of(struct test_store *store, uint64_t key);

/* Makes a value; the buffer has `bytes`. Checks one. */
void value_make(uint64_t key, uint64_t version, uint8_t *value, uint64_t bytes);
bool value_check(uint64_t key, struct kvs_bytes value, uint64_t *ret_version);
void key_of(uint64_t number, uint8_t key[STORE_KEY_BYTES]);

/* Sets keys, at most STORE_BATCH_MAX, to a version in one batch, and waits. */
kvs_status put_batch(struct test_store *store, const uint64_t *keys, unsigned count,
                     uint64_t version, uint64_t bytes);
/* Sets the keys first and first + 1 to a version in one batch, and waits. */
kvs_status put_pair(struct test_store *store, uint64_t first, uint64_t version, uint64_t bytes);

/* Numbers in a row that look random; state is any number. */
uint64_t dice_next(uint64_t *state);

/* Removes all files of a folder that is otherwise kept. */
void empty_folder(const char *path);
/* Copies all files of one folder into another one, which is emptied before. */
void copy_folder(const char *from, const char *to);
/* Files whose names end in suffix. */
unsigned count_files(const char *path, const char *suffix);

#endif
