/*
 * What the conformance tests of engines share. A test program runs for one engine, which its first
 * argument names; it sees the engine as the server does: through the loader, the host services and
 * the operations table, and expects of it what include/kvs/engine.h says, nothing else.
 *
 * Functions here that take no struct test_error check for themselves and fail the test, so they are
 * for the main thread; cmocka cannot fail from another. Worker threads count what they find wrong
 * in a struct faults, which the main thread checks when they have ended.
 */
#ifndef TESTS_ENGINES_HARNESS_H
#define TESTS_ENGINES_HARNESS_H

#include <pthread.h>
#include <stdatomic.h>

#include "support/support.h"

#include <kvs/engine.h>

#include "base/bytes.h"
#include "base/log.h"
#include "plugin/host.h"

/* Runs the tests for the engine that argv names. The exit code of main: 77 (skipped) with a reason
   when this build has no such engine. */
int engine_tests_run(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                     size_t count);

/* The engine's operations and limits. */
const struct kvs_engine_ops *engine_ops(void);
bool engine_has(uint64_t capability);
/* Ends the test as skipped, with the reason, unless the engine has all these capabilities. */
void engine_require(uint64_t capabilities);
/* An option that the engine has: for tests that are only harder with it. */
bool engine_has_option(const char *name);

/* ---- an open store ------------------------------------------------------------------------ */

struct session {
    struct kvs_db *db;
    struct plugin_host *host;
    struct log log;
    pthread_mutex_t write_lock; /* held around writes, as the host does, where the engine says that
                                   it takes one at a time */
};

struct session_config {
    uint32_t flags;      /* KVS_OPEN_*; 0: KVS_OPEN_CREATE */
    uint32_t durability; /* 0: KVS_DURABILITY_NONE */
    uint64_t interval_ms;
    const char *const *options; /* "NAME=VALUE"; those that the engine does not have are left out */
    uint32_t option_count;
};

/* The status of open; on KVS_OK session is to be closed. config may be NULL. */
kvs_status session_try_open(struct session *session, const char *dir,
                            const struct session_config *config, struct test_error *error);
void session_open(struct session *session, const char *dir, const struct session_config *config);
void session_close(struct session *session);
/* Closes it in any case; close's status. error may be NULL. */
kvs_status session_try_close(struct session *session, struct test_error *error);
void session_reopen(struct session *session, const char *dir, const struct session_config *config);

/* A thread's state, or NULL where the engine has none. Safe in any thread. */
struct kvs_tls *session_attach(struct session *session);
void session_detach(struct session *session, struct kvs_tls *tls);

/* ---- values ------------------------------------------------------------------------------- */

/* A copy of what a visitor was shown. Zeroed is empty; keep it for the next read, then deinit. */
struct copy {
    uint8_t *data;
    uint64_t len;
    uint64_t cap;
};
void copy_deinit(struct copy *copy);

/*
 * Values that tell what they are: of size bytes (at least PATTERN_MIN), with the key they belong
 * to, a number and a checksum over all.
 */
#define PATTERN_MIN 32u
void pattern_make(struct kvs_bytes key, uint64_t number, void *value, uint64_t size);
/* False when it is not a whole pattern of this key. */
bool pattern_check(struct kvs_bytes key, struct kvs_bytes value, uint64_t *ret_number);

#define KEY_TEXT_MAX 64u
/* "PREFIX-0000000042" in text; the view of it. */
struct kvs_bytes key_make(char text[KEY_TEXT_MAX], const char *prefix, uint64_t number);

/* ---- operations. Statuses are returned; safe in any thread; error may be NULL --------------- */

kvs_status session_set(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct kvs_bytes value, struct test_error *error);
kvs_status session_remove(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                          struct test_error *error);
kvs_status session_get(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct copy *copy, struct test_error *error);

/* ---- the same, checked ---------------------------------------------------------------------- */

void check_set(struct session *session, struct kvs_bytes key, struct kvs_bytes value);
void check_value(struct session *session, struct kvs_bytes key, struct kvs_bytes value);
void check_missing(struct session *session, struct kvs_bytes key);
void check_set_pattern(struct session *session, struct kvs_bytes key, uint64_t number,
                       uint64_t size);
void check_pattern(struct session *session, struct kvs_bytes key, uint64_t number);
/* The figure "keys" of stats, or UINT64_MAX where the engine has none. */
uint64_t session_key_count(struct session *session);

/* ---- batches ------------------------------------------------------------------------------- */

/* A batch under way, and how often it was completed. */
struct submission {
    struct kvs_batch batch;
    struct test_error error;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    kvs_status status;       /* what submit returned, or else the completion's */
    unsigned complete_count; /* under mutex */
};
void submission_init(struct submission *submission, struct kvs_op *ops, uint64_t count,
                     uint32_t flags);
void submission_deinit(struct submission *submission);
/* Submits; the status, KVS_PENDING too. */
kvs_status submission_start(struct session *session, struct kvs_tls *tls,
                            struct submission *submission);
/* Waits for the completion if started was KVS_PENDING; the final status, or KVS_TIMEOUT. */
kvs_status submission_wait(struct submission *submission, kvs_status started);
/* All of it, and that it was completed exactly as often as it must be. Any thread; KVS_INTERNAL
   when it was not. */
kvs_status session_submit(struct session *session, struct kvs_tls *tls, struct kvs_op *ops,
                          uint64_t count, uint32_t flags, struct test_error *error);

struct kvs_op op_set(struct kvs_bytes key, struct kvs_bytes value);
struct kvs_op op_remove(struct kvs_bytes key);
struct kvs_op op_check(struct kvs_bytes key);

/* ---- threads ------------------------------------------------------------------------------- */

/* What workers found wrong. */
struct faults {
    atomic_uint count;
    char first[256]; /* written by whoever made count 1 */
};
KVS_PRINTF(2, 3)
void faults_add(struct faults *faults, const char *format, ...);
#define faults_check(faults) faults_check_at((faults), __FILE__, __LINE__)
void faults_check_at(struct faults *faults, const char *file, int line);

/* Runs count threads with small stacks: run(arg, index) each; returns when all have ended. */
void run_threads(unsigned count, void (*run)(void *arg, unsigned index), void *arg);

#endif
