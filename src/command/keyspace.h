/*
 * What belongs to all keys together: counting and listing them, removing all, and removing those
 * that expired.
 *
 * A key that expired reads as missing at once, whatever happens here. The sweeper, a thread of low
 * priority, walks over the store piece by piece and removes such keys for good, each only if it
 * still holds the value that expired. It rests while there is nothing that expires, and until the
 * earliest moment at which something will; it keeps no list, so a restart forgets nothing.
 *
 * Thread-safe, but for new and free.
 */
#ifndef COMMAND_KEYSPACE_H
#define COMMAND_KEYSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "command/store.h"

struct keyspace;

struct keyspace_config {
    struct store *store;       /* open; closed only after keyspace_free */
    const struct log *log;     /* outlives it */
    int64_t (*now_ms)(void *); /* the clock, Unix time; NULL: the system's */
    void *now_arg;
};

/* Before the store is opened. KVS_OK or KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status keyspace_new(const struct keyspace_config *config,
                                     struct keyspace **ret_keyspace, struct kvs_error *err);
/* After it was opened: starts the thread. Where the engine cannot list its keys there is none to start.
   KVS_OK or KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status keyspace_start(struct keyspace *keyspace, struct kvs_error *err);
/* Ends the thread, at the end of the piece at hand; who waits for a flush gets KVS_CLOSED, and so does
   who asks for one later. One that was not started or is stopped is fine; so is NULL. */
void keyspace_stop(struct keyspace *keyspace);
/* Stops it, too. NULL is fine. */
void keyspace_free(struct keyspace *keyspace);

/* How many keys there are, those included that expired and are not removed yet; UINT64_MAX: the
   engine does not say. */
uint64_t keyspace_count(const struct store *store);

/*
 * Removes every key that is there when it begins, in the background. Not all at one moment; what is
 * written meanwhile may stay or go. KVS_PENDING: complete(arg, status) is called once. KVS_UNSUPPORTED:
 * the engine cannot list its keys; KVS_NO_MEMORY; KVS_CLOSED. err lives until the completion.
 */
KVS_MUST_USE kvs_status keyspace_flush(struct keyspace *keyspace,
                                       void (*complete)(void *arg, kvs_status status), void *arg,
                                       struct kvs_error *err);

/* One piece of SCAN: shows about `limit` keys from *cursor (0: the start) on and moves it (0: the end).
   KVS_OK; KVS_INVALID: no cursor from here, or one that was forgotten; or a fault. */
KVS_MUST_USE kvs_status keyspace_scan(struct keyspace *keyspace, struct kvs_tls *tls,
                                      uint64_t *cursor, uint64_t limit, uint32_t flags,
                                      int32_t (*visit)(void *arg, struct kvs_bytes key,
                                                       struct kvs_bytes stored),
                                      void *arg, struct kvs_error *err);

/* Shows up to `limit` keys from a place that is another one each time. As keyspace_scan. */
KVS_MUST_USE kvs_status keyspace_sample(struct keyspace *keyspace, struct kvs_tls *tls,
                                        uint64_t limit,
                                        int32_t (*visit)(void *arg, struct kvs_bytes key,
                                                         struct kvs_bytes stored),
                                        void *arg, struct kvs_error *err);

/* The sweeper's figures: expired_keys, sweep_keys, sweep_passes; and expiring_keys as of the
   last pass. */
void keyspace_visit_stats(const struct keyspace *keyspace, kvs_stat_fn visit, void *arg);

/*
 * For tests, where it was not started: does one piece of what there is to do (of a flush, of a pass). The moment in Unix
 * milliseconds at which there is more: INT64_MAX: not before something changes.
 */
int64_t keyspace_work(struct keyspace *keyspace);

#endif
