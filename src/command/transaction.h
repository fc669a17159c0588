/*
 * Reading and writing keys so that it looks as if nobody else were there: the one way in which
 * commands read, modify and write, alone or several in a row (MULTI).
 *
 * It is optimistic. Reads go to the engine at once and are remembered; writes are kept until the
 * commit, which is one batch, all or none, in which every key that was read has the condition that
 * it still holds what was read. KVS_CONDITION_FAILED then says that somebody was faster: begin again
 * and run the same commands again. On an engine without batches the store decides the conditions
 * under locks of its own, so that this holds too, but a crash can leave a part of several writes.
 *
 * A key that expired reads as missing; its condition is still what is stored.
 *
 * Where writes wait for the disk, a read can be a guess at what another transaction is about to write.
 * It is checked by the commit: so a transaction that is not read-only is committed even when it wrote
 * nothing, before anything is told of what it read.
 *
 * One thread's at a time; from a commit that gave KVS_PENDING to its completion nobody's. Memory is
 * kept from one use to the next, so that the usual ones allocate nothing.
 */
#ifndef COMMAND_TRANSACTION_H
#define COMMAND_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "command/store.h"
#include "command/value.h"

#define TRANSACTION_KEEP INT64_MIN /* as a moment to expire: the one that the key has */

enum {                              /* transaction_begin */
    TRANSACTION_READ_ONLY = 1u << 0 /* nothing is written, so reads are not remembered: cheaper */
};

struct transaction;

/* NULL: out of memory. */
struct transaction *transaction_new(void);
/* NULL is fine. Not while a commit is pending. */
void transaction_free(struct transaction *txn);

/* Forgets all of the last use and begins. store and tls are good until the commit returned. now_ms:
   Unix time, the moment at which all that follows happens. */
void transaction_begin(struct transaction *txn, struct store *store, struct kvs_tls *tls,
                       int64_t now_ms, uint32_t flags);

/* The text of the last fault that a call here gave. Good until the next begin. */
const char *transaction_message(const struct transaction *txn);

/*
 * What the key holds, with what this transaction wrote. KVS_OK; KVS_NOT_FOUND; or a fault of the
 * engine. The content is good until the next begin, also when the key is written.
 */
KVS_MUST_USE kvs_status transaction_get(struct transaction *txn, struct kvs_bytes key,
                                        struct value *ret);

/* The same, but the content's bytes need not be there: only its length and when it expires. */
KVS_MUST_USE kvs_status transaction_look(struct transaction *txn, struct kvs_bytes key,
                                         uint64_t *ret_len, int64_t *ret_expires_at_ms);

/*
 * Says whether the key can hold content of len bytes: KVS_OK, KVS_INVALID (an empty key),
 * KVS_TOO_LARGE. For commands that must know before they write anything.
 */
KVS_MUST_USE kvs_status transaction_check(struct transaction *txn, struct kvs_bytes key,
                                          uint64_t len);

/*
 * Sets the key. expires_at_ms: at least 1, VALUE_NEVER, or TRANSACTION_KEEP (which reads the key).
 * KVS_OK, what transaction_check says, KVS_NO_MEMORY, or what reading gave; then nothing is written
 * by this call. key and content are views, to be good until the commit is complete.
 */
KVS_MUST_USE kvs_status transaction_set(struct transaction *txn, struct kvs_bytes key,
                                        struct kvs_bytes content, int64_t expires_at_ms);

/* Removes the key, which need not be there. KVS_OK, KVS_NO_MEMORY. key: as above. */
KVS_MUST_USE kvs_status transaction_remove(struct transaction *txn, struct kvs_bytes key);

/* Forgets what was written, not what was read: that is still checked by the commit. For who decides,
   after reading, that nothing is to be written, and tells so. */
void transaction_forget_writes(struct transaction *txn);

/* Memory for content (or anything else) that is good until the next begin. NULL: out of memory;
   transaction_message says so, and nothing that was written will be committed. */
void *transaction_memory(struct transaction *txn, size_t size);

/* ---- WATCH ------------------------------------------------------------------------------ */

/* What is stored under the key (see value.h), to be remembered by who watches it: good until the
   next begin. KVS_OK, KVS_NOT_FOUND (empty), or a fault. Not in a read-only transaction. */
KVS_MUST_USE kvs_status transaction_stored(struct transaction *txn, struct kvs_bytes key,
                                           struct kvs_bytes *ret);

/* What transaction_stored gave, and when. */
struct watched {
    struct kvs_bytes key;
    bool present;
    struct kvs_bytes stored;
    int64_t now_ms;
};

/*
 * Makes it a condition that the key holds what it held. KVS_OK; KVS_CONDITION_FAILED when it does not
 * already (also: when it has expired since); or a fault. What it points to is good until the commit
 * is complete.
 */
KVS_MUST_USE kvs_status transaction_watch(struct transaction *txn, const struct watched *watched);

/* ---- the end ------------------------------------------------------------------------------ */

/*
 * Writes. KVS_OK: it is done, or there was nothing to write. KVS_CONDITION_FAILED: nothing was
 * written, run it again. KVS_PENDING: complete(arg, status) is called once with the status, perhaps
 * before this returns, on any thread; it must not block or call into the engine. Or a fault. After
 * anything but KVS_PENDING complete is not called.
 */
KVS_MUST_USE kvs_status transaction_commit(struct transaction *txn,
                                           void (*complete)(void *arg, kvs_status status),
                                           void *arg);

/*
 * Makes the commit do this instead, for what is no matter of keys (FLUSHALL). What was written is
 * forgotten. run: as transaction_commit; err lives until the completion.
 */
void transaction_replace(struct transaction *txn,
                         kvs_status (*run)(void *arg,
                                           void (*complete)(void *complete_arg, kvs_status status),
                                           void *complete_arg, struct kvs_error *err),
                         void *arg);

/* True when transaction_commit has something to do in the engine. */
bool transaction_has_work(const struct transaction *txn);

#endif
