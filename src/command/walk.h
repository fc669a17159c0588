/*
 * A walk over all keys of a store, piece by piece, on engines with and without an order. Each key
 * that is there from the first piece to the last is shown; one that is not, perhaps; without an order
 * one may be shown twice while the store changes. Between pieces the walk holds nothing of the engine.
 *
 * One thread's at a time. A zeroed walk is at the start.
 */
#ifndef COMMAND_WALK_H
#define COMMAND_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "command/store.h"

struct walk {
    uint64_t cursor; /* without an order: the engine's */
    /* With an order: the last key shown, in owned memory. */
    uint8_t *key;
    uint64_t key_len;
    uint64_t key_cap;
    bool ended; /* all was shown; the next step begins anew */
};

void walk_deinit(struct walk *walk);

/* Forgets where it was. */
void walk_restart(struct walk *walk);

/* Puts it behind this key, on an engine with an order. KVS_OK or KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status walk_set_key(struct walk *walk, struct kvs_bytes key);

/* True when the store's engine can be walked at all. */
bool walk_is_possible(const struct store *store);
/* True when its keys have an order, so that a walk remembers a key. */
bool walk_has_order(const struct store *store);

/*
 * Shows about `limit` more keys (0: all that are left). flags: KVS_SCAN_KEYS_ONLY. A visitor that
 * returns non-zero ends the step: the walk goes on behind that key, or a few keys before it where
 * there is no order. KVS_OK (also then), KVS_UNSUPPORTED (an engine that has no scan), KVS_NO_MEMORY,
 * or the engine's fault.
 */
KVS_MUST_USE kvs_status walk_step(struct walk *walk, const struct store *store, struct kvs_tls *tls,
                                  uint64_t limit, uint32_t flags,
                                  int32_t (*visit)(void *arg, struct kvs_bytes key,
                                                   struct kvs_bytes value),
                                  void *arg, struct kvs_error *err);

#endif
