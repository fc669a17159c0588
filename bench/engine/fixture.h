/*
 * Stores that many cells share: one per peer, filled with all keys without sync. Opened when the
 * first series needs it, closed and removed when the last one has finished.
 */
#ifndef BENCH_ENGINE_FIXTURE_H
#define BENCH_ENGINE_FIXTURE_H

#include <glib.h>

#include "engine/data.h"
#include "peers/peer.h"

struct fixture {
    const struct peer *peer;
    const struct data *data;
    const char *base_dir;
    uint32_t users; /* series that have yet to finish */
    uint64_t version;
    char *dir;                /* owned; NULL while closed */
    struct peer_store *store; /* NULL while closed */
};

/* Makes the fixture of a peer, closed, with no users. base_dir and data outlive it. */
struct fixture *fixture_new(const struct peer *peer, const struct data *data, const char *base_dir);
/* Closes and removes the store. NULL is fine. */
void fixture_free(struct fixture *fixture);

/* Announces a series that will use it. */
void fixture_use(struct fixture *fixture);
/* Opens and fills the store unless that was done. KVS_OK, or what the store says. */
KVS_MUST_USE kvs_status fixture_open(struct fixture *fixture, struct kvs_error *err);
/* One series less; the last one closes the store. */
void fixture_finish(struct fixture *fixture);

/* Opens a store of the peer in dir. */
KVS_MUST_USE kvs_status fixture_store_open(const struct peer *peer, const struct data *data,
                                           const char *dir, bool sync, uint32_t threads,
                                           struct peer_store **ret_store, struct kvs_error *err);
/* Writes all keys into a store, in batches. */
KVS_MUST_USE kvs_status fixture_fill(const struct peer *peer, struct peer_store *store,
                                     const struct data *data, struct kvs_error *err);

#endif
