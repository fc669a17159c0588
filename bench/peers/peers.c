/* See peers.h. */
#include "peers/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "peers/built.h"
#include "plugin/files.h"

struct peer *peer_new(const struct peer_ops *ops, const char *name, const char *version,
                      const char *settings, uint32_t flags, void *context)
{
    struct peer *peer = g_new0(struct peer, 1);
    *peer = (struct peer){
        .ops = ops,
        .name = g_strdup(name),
        .version = g_strdup(version),
        .settings = settings,
        .flags = flags,
        .key_max = UINT64_MAX,
        .context = context,
    };
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->ops->free != NULL)
        peer->ops->free(peer);
    free(peer->name);
    free(peer->version);
    free(peer);
}

kvs_status peer_get_many_by_get(struct peer_store *store, struct peer_thread *thread,
                                const struct kvs_bytes *keys, uint32_t count,
                                struct peer_value *values, struct kvs_error *err,
                                const struct peer_ops *ops)
{
    for (uint32_t i = 0; i < count; i++) {
        values[i].status = ops->get(store, thread, keys[i], &values[i], err);
        if (values[i].status < 0)
            return values[i].status;
    }
    return KVS_OK;
}

static void peer_destroy(gpointer data)
{
    peer_free(data);
}

/* Is the name in the list? An empty list (NULL) holds every name. */
static bool is_wanted(gchar **wanted, const char *name)
{
    return wanted == NULL || g_strv_contains((const gchar *const *)wanted, name);
}

/* Adds the peer, or frees it when it is not wanted. */
static void peers_add(GPtrArray *peers, gchar **wanted, struct peer *peer)
{
    if (is_wanted(wanted, peer->name))
        g_ptr_array_add(peers, peer);
    else
        peer_free(peer);
}

static kvs_status add_engines(GPtrArray *peers, gchar **wanted, const struct peers_config *config,
                              struct kvs_error *err)
{
    struct plugin_files files;
    kvs_status status = plugin_files_find(config->dirs, KVS_PLUGIN_ENGINE, &files);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "cannot list the engine plugins");
    for (size_t i = 0; i < files.count && status == KVS_OK; i++) {
        struct peer *peer;
        _cleanup_(freep) char *name = g_strdup_printf("kvs-%s", files.items[i].name);
        if (!is_wanted(wanted, name))
            continue;
        status = peer_kvs_new(config, files.items[i].name, &peer, err);
        if (status == KVS_OK)
            g_ptr_array_add(peers, peer);
    }
    plugin_files_deinit(&files);
    return status;
}

static void add_stores(GPtrArray *peers, gchar **wanted)
{
#if PEER_HAS_LMDB
    peers_add(peers, wanted, peer_lmdb_new());
#endif
#if PEER_HAS_TKRZW
    peers_add(peers, wanted, peer_tkrzw_new());
#endif
#if PEER_HAS_LEVELDB
    peers_add(peers, wanted, peer_leveldb_new());
#endif
#if PEER_HAS_ROCKSDB
    peers_add(peers, wanted, peer_rocksdb_new());
#endif
    peers_add(peers, wanted, peer_append_new());
    peers_add(peers, wanted, peer_table_new());
}

static bool peers_have(const GPtrArray *peers, const char *name)
{
    for (guint i = 0; i < peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(peers, i);
        if (strcmp(peer->name, name) == 0)
            return true;
    }
    return false;
}

static char *peers_names(const GPtrArray *peers)
{
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(peers, i);
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", peer->name);
    }
    return g_string_free(names, FALSE);
}

/* Complains about the first wanted name that is not among the peers. */
static kvs_status check_wanted(const struct peers_config *config, const GPtrArray *peers,
                               gchar **wanted, struct kvs_error *err)
{
    for (guint i = 0; wanted != NULL && wanted[i] != NULL; i++) {
        if (peers_have(peers, wanted[i]))
            continue;
        struct peers_config all_config = *config;
        GPtrArray *all = NULL;
        all_config.names = NULL;
        kvs_status status = peers_find(&all_config, &all, err);
        if (status != KVS_OK)
            return status;
        _cleanup_(freep) char *names = peers_names(all);
        g_ptr_array_free(all, TRUE);
        return kvs_error_set(err, KVS_INVALID, 0, "there is no peer '%s'; there are: %s", wanted[i],
                             names);
    }
    return KVS_OK;
}

kvs_status peers_find(const struct peers_config *config, GPtrArray **ret_peers,
                      struct kvs_error *err)
{
    GPtrArray *peers = g_ptr_array_new_with_free_func(peer_destroy);
    gchar **wanted = config->names != NULL ? g_strsplit(config->names, ",", -1) : NULL;
    kvs_status status = add_engines(peers, wanted, config, err);
    if (status == KVS_OK) {
        add_stores(peers, wanted);
        status = check_wanted(config, peers, wanted, err);
    }
    g_strfreev(wanted);
    if (status != KVS_OK) {
        g_ptr_array_free(peers, TRUE);
        return status;
    }
    *ret_peers = peers;
    return KVS_OK;
}
