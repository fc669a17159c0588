/* The peers that there are on this machine. */
#ifndef BENCH_PEERS_PEERS_H
#define BENCH_PEERS_PEERS_H

#include <glib.h>
#include <kvs/types.h>

#include "peers/peer.h"
#include "plugin/loader.h"

struct peers_config {
    const struct plugin_dirs *dirs; /* outlives the peers */
    const char *const
        *engine_options; /* "ENGINE:NAME=VALUE" each; outlive the peers; may be NULL */
    uint32_t engine_option_count;
    const char *names; /* "kvs-log,lmdb": these only; NULL: all */
};

/*
 * Collects the peers (struct peer *; free the array with g_ptr_array_free): "kvs-NAME" for each
 * engine plugin, then the other stores that were built in, then the floors. KVS_OK; KVS_INVALID for
 * a name that there is not (the message lists those that there are); what opening a plugin says.
 */
KVS_MUST_USE kvs_status peers_find(const struct peers_config *config, GPtrArray **ret_peers,
                                   struct kvs_error *err);

/* Makes one peer. All are always declared; those whose library is missing are not defined. */
struct peer *peer_lmdb_new(void);
struct peer *peer_rocksdb_new(void);
struct peer *peer_leveldb_new(void);
struct peer *peer_tkrzw_new(void);
struct peer *peer_append_new(void);
struct peer *peer_table_new(void);

/* The engine plugin of that name, as "kvs-NAME". options as in peers_config. */
KVS_MUST_USE kvs_status peer_kvs_new(const struct peers_config *config, const char *name,
                                     struct peer **ret_peer, struct kvs_error *err);

/* Frees a peer that has no store open. NULL is fine. */
void peer_free(struct peer *peer);

/* Makes a peer of its parts, which takes keys of any length; texts are copied but for settings.
   Aborts without memory. */
struct peer *peer_new(const struct peer_ops *ops, const char *name, const char *version,
                      const char *settings, uint32_t flags, void *context);

#endif
