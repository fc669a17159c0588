/*
 * One open store of the engine under check, seen as the server sees it: through the checked table
 * of operations and the host's services. Writes to an engine that takes one at a time are
 * serialised here, and a write that gives KVS_BUSY is made again, as a host does.
 *
 * What takes no status back fails the rule by itself. All of it may be called from any thread.
 */
#ifndef PLUGIN_CHECK_SESSION_H
#define PLUGIN_CHECK_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <kvs/engine.h>

#include "check.h"
#include "plugin/host.h"

#define SESSION_KEY_MAX   16u /* bytes of a key that session_key makes */
#define SESSION_VALUE_MAX 64u /* bytes of the values of rules that are not about sizes */

struct session {
    struct check *check;
    const struct kvs_engine_ops *ops;
    struct kvs_db *db;
    struct plugin_host *host;
    const char *dir;
    uint32_t durability;
    pthread_mutex_t write_lock;
};

/* The status of open in dir. On KVS_OK the session is to be closed. */
kvs_status session_try_open(struct session *session, struct check *check, const char *dir,
                            uint32_t flags, uint32_t durability, struct check_error *error);
/* Opens or makes the store in the rule's folder, with KVS_DURABILITY_NONE. */
void session_open(struct session *session, struct check *check);
void session_open_in(struct session *session, struct check *check, const char *dir, uint32_t flags,
                     uint32_t durability);
void session_close(struct session *session);
void session_reopen(struct session *session);

bool session_has(const struct check *check, uint64_t capabilities);

/* ---- bytes --------------------------------------------------------------------------------- */

struct kvs_bytes session_text(const char *text);
/* "k0000042", in text. */
struct kvs_bytes session_key(char text[SESSION_KEY_MAX], unsigned number);
bool session_equal(struct kvs_bytes a, struct kvs_bytes b);

/* What a visitor was shown. */
struct shown {
    unsigned calls;
    uint64_t len;
    uint8_t *data;  /* owned; NULL before the first call */
    int32_t answer; /* what the visitor returns */
};
int32_t session_visit(void *shown, struct kvs_bytes value);
void session_forget(struct shown *shown);

/* ---- operations ---------------------------------------------------------------------------- */

kvs_status session_set(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct kvs_bytes value, struct check_error *error);
kvs_status session_remove(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                          struct check_error *error);
kvs_status session_get(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct shown *shown, struct check_error *error);

void session_put(struct session *session, struct kvs_bytes key, struct kvs_bytes value);
void session_drop(struct session *session, struct kvs_bytes key);
/* Fails unless key has this value; `after` says since what it must. */
void session_expect(struct session *session, struct kvs_bytes key, struct kvs_bytes value,
                    const char *after);
void session_expect_none(struct session *session, struct kvs_bytes key, const char *after);
/* The figure "keys" of stats; fails when it is not there exactly once. */
uint64_t session_count_keys(struct session *session);

/* A thread's state, or NULL where the engine has none. */
struct kvs_tls *session_attach(struct session *session);
void session_detach(struct session *session, struct kvs_tls *tls);

/* ---- batches ------------------------------------------------------------------------------- */

/* A batch under way. It must stay where it is until it was waited for. */
struct submission {
    struct kvs_batch batch;
    struct check_error error;
    struct session *session;
    kvs_status started;      /* what submit returned */
    kvs_status status;       /* how it ended; written before completions counts */
    atomic_uint completions; /* how often complete() was called */
};

struct kvs_op session_op_set(struct kvs_bytes key, struct kvs_bytes value);
struct kvs_op session_op_remove(struct kvs_bytes key);

void session_submission(struct submission *submission, struct session *session, struct kvs_op *ops,
                        uint64_t count, uint32_t flags);
void session_start(struct submission *submission, struct kvs_tls *tls);
/* Waits for the completion where one is due, and checks that it came exactly as often as it must.
   The final status. */
kvs_status session_await(struct submission *submission);
/* Both. */
kvs_status session_submit(struct session *session, struct kvs_op *ops, uint64_t count,
                          uint32_t flags);

#endif
