/*
 * A kvs engine plugin, called through its ABI as the server calls it: with the host's services, a
 * per-thread state, one operation after the other from each thread; and, for an engine without
 * KVS_ENGINE_CONCURRENT_WRITERS, one writer at a time.
 *
 * A batch goes through submit; a thread that gets KVS_PENDING waits for the completion on a
 * semaphore of its own. An engine without submit gets its writes one by one.
 *
 * Who owns what: the ops and requests in struct peer_thread are the engine's from the call to the
 * completion, and the thread's otherwise. outstanding counts completions that have yet to come,
 * plus one for the thread itself while it still submits; whoever takes it to zero ends the wait.
 * Its decrement releases what the completion wrote, and the last one acquires it.
 */
#include "peers/peers.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "plugin/host.h"

struct kvs_peer {
    struct plugin *plugin;
    struct log log;
    GPtrArray *options; /* of "NAME=VALUE", owned */
};

struct peer_store {
    const struct kvs_engine_ops *ops;
    struct kvs_db *db;
    struct plugin_host *host;
    bool serialise; /* writers take turns under writers */
    pthread_mutex_t writers;
};

struct peer_thread {
    struct kvs_tls *tls;
    sem_t done;
    _Atomic uint32_t outstanding;
    _Atomic kvs_status failed; /* the first fault of a completion, relaxed: read after the last */
    struct kvs_batch batches[PEER_WINDOW_MAX];
    struct kvs_op ops[PEER_BATCH_MAX];
    struct kvs_get_many many;
    struct kvs_lookup lookups[PEER_MANY_MAX];
    struct peer_value *values; /* of the get_many under way */
};

/* ---- opening ------------------------------------------------------------------------------ */

static kvs_status store_open(const struct peer *peer, const struct peer_config *config,
                             struct peer_store **ret_store, struct kvs_error *err)
{
    const struct kvs_peer *own = peer->context;
    const struct plugin_host_config host_config = {
        .plugin = own->plugin,
        .log = &own->log,
        .options = (const char *const *)own->options->pdata,
        .option_count = own->options->len,
    };
    _cleanup_(freep) struct peer_store *store = g_new0(struct peer_store, 1);
    kvs_status status = plugin_host_new(&host_config, &store->host, err);
    if (status != KVS_OK)
        return status;
    store->ops = &own->plugin->ops.engine;
    store->serialise = (store->ops->capabilities & KVS_ENGINE_CONCURRENT_WRITERS) == 0;
    const struct kvs_engine_config engine_config = {
        .size = sizeof(engine_config),
        .flags = KVS_OPEN_CREATE,
        .durability = config->sync ? KVS_DURABILITY_ALWAYS : KVS_DURABILITY_NONE,
        .threads = config->threads,
        .data_dir = config->dir,
        .host = plugin_host_services(store->host),
    };
    status = store->ops->open(&engine_config, &store->db, err);
    if (status != KVS_OK) {
        plugin_host_free(store->host);
        return status;
    }
    (void)pthread_mutex_init(&store->writers, NULL);
    *ret_store = TAKE(store);
    return KVS_OK;
}

static kvs_status store_close(struct peer_store *store, struct kvs_error *err)
{
    kvs_status status = store->ops->close(store->db, err);
    plugin_host_free(store->host);
    (void)pthread_mutex_destroy(&store->writers);
    free(store);
    return status;
}

static kvs_status thread_begin(struct peer_store *store, struct peer_thread **ret_thread,
                               struct kvs_error *err)
{
    struct peer_thread *thread = g_new0(struct peer_thread, 1);
    if (store->ops->thread_attach != NULL) {
        kvs_status status = store->ops->thread_attach(store->db, &thread->tls, err);
        if (status != KVS_OK) {
            free(thread);
            return status;
        }
    }
    (void)sem_init(&thread->done, 0, 0);
    *ret_thread = thread;
    return KVS_OK;
}

static void thread_end(struct peer_store *store, struct peer_thread *thread)
{
    if (store->ops->thread_detach != NULL && thread->tls != NULL)
        store->ops->thread_detach(store->db, thread->tls);
    (void)sem_destroy(&thread->done);
    free(thread);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int32_t take_value(void *arg, struct kvs_bytes value)
{
    return peer_value_copy(arg, value.ptr, value.len) == KVS_OK ? 0 : 1;
}

static kvs_status store_get(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    kvs_status status = store->ops->get(store->db, thread->tls, key, take_value, value, err);
    return status == KVS_STOPPED ? KVS_TOO_LARGE : status;
}

static int32_t take_one_of_many(void *arg, uint64_t index, struct kvs_bytes value)
{
    struct peer_thread *thread = arg;
    return peer_value_copy(&thread->values[index], value.ptr, value.len) == KVS_OK ? 0 : 1;
}

/* Takes one off the count of what is awaited; the last one wakes the thread. */
static void thread_release(struct peer_thread *thread)
{
    if (atomic_fetch_sub_explicit(&thread->outstanding, 1, memory_order_acq_rel) == 1)
        (void)sem_post(&thread->done);
}

/* Waits until everything that was submitted has completed; the first fault, or KVS_OK. */
static kvs_status thread_wait(struct peer_thread *thread)
{
    thread_release(thread);
    while (sem_wait(&thread->done) != 0 && errno == EINTR)
        continue;
    return atomic_load_explicit(&thread->failed, memory_order_relaxed);
}

static void thread_expect(struct peer_thread *thread)
{
    atomic_store_explicit(&thread->outstanding, 1, memory_order_relaxed);
    atomic_store_explicit(&thread->failed, KVS_OK, memory_order_relaxed);
}

static void complete_many(void *arg, struct kvs_get_many *request, kvs_status status)
{
    struct peer_thread *thread = arg;
    (void)request;
    if (status != KVS_OK)
        atomic_store_explicit(&thread->failed, status, memory_order_relaxed);
    thread_release(thread);
}

static kvs_status many_by_get(struct peer_store *store, struct peer_thread *thread,
                              const struct kvs_bytes *keys, uint32_t count,
                              struct peer_value *values, struct kvs_error *err);

static kvs_status store_get_many(struct peer_store *store, struct peer_thread *thread,
                                 const struct kvs_bytes *keys, uint32_t count,
                                 struct peer_value *values, struct kvs_error *err)
{
    if (store->ops->get_many == NULL)
        return many_by_get(store, thread, keys, count, values, err);
    for (uint32_t i = 0; i < count; i++)
        thread->lookups[i] = (struct kvs_lookup){.key = keys[i]};
    thread->values = values;
    thread->many = (struct kvs_get_many){
        .size = sizeof(thread->many),
        .lookups = thread->lookups,
        .lookup_count = count,
        .visit = take_one_of_many,
        .complete = complete_many,
        .arg = thread,
        .err = err,
    };
    thread_expect(thread);
    atomic_fetch_add_explicit(&thread->outstanding, 1, memory_order_relaxed);
    kvs_status status = store->ops->get_many(store->db, thread->tls, &thread->many);
    if (status == KVS_PENDING)
        status = thread_wait(thread);
    for (uint32_t i = 0; i < count; i++)
        values[i].status = thread->lookups[i].status;
    return status == KVS_STOPPED ? KVS_TOO_LARGE : status;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void writer_begin(struct peer_store *store)
{
    if (store->serialise)
        (void)pthread_mutex_lock(&store->writers);
}

static void writer_end(struct peer_store *store)
{
    if (store->serialise)
        (void)pthread_mutex_unlock(&store->writers);
}

static kvs_status store_set(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    for (;;) {
        writer_begin(store);
        kvs_status status = store->ops->set(store->db, thread->tls, key, value, err);
        writer_end(store);
        if (status != KVS_BUSY)
            return status;
        (void)sched_yield(); /* the engine asks for a moment: as the server would, try again */
    }
}

static kvs_status store_remove(struct peer_store *store, struct peer_thread *thread,
                               struct kvs_bytes key, struct kvs_error *err)
{
    for (;;) {
        writer_begin(store);
        kvs_status status = store->ops->remove(store->db, thread->tls, key, err);
        writer_end(store);
        if (status != KVS_BUSY)
            return status;
        (void)sched_yield();
    }
}

static void complete_batch(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct peer_thread *thread = arg;
    (void)batch;
    if (status != KVS_OK)
        atomic_store_explicit(&thread->failed, status, memory_order_relaxed);
    thread_release(thread);
}

/* Submits ops[first] and count - 1 that follow as the thread's batch number slot. */
static kvs_status submit(struct peer_store *store, struct peer_thread *thread, uint32_t slot,
                         uint32_t first, uint32_t count, struct kvs_error *err)
{
    struct kvs_batch *batch = &thread->batches[slot];
    kvs_status status;
    do {
        *batch = (struct kvs_batch){
            .size = sizeof(*batch),
            .ops = &thread->ops[first],
            .op_count = count,
            .complete = complete_batch,
            .arg = thread,
            .err = err,
        };
        atomic_fetch_add_explicit(&thread->outstanding, 1, memory_order_relaxed);
        writer_begin(store);
        status = store->ops->submit(store->db, thread->tls, batch);
        writer_end(store);
        if (status != KVS_PENDING) /* no completion comes */
            atomic_fetch_sub_explicit(&thread->outstanding, 1, memory_order_relaxed);
        if (status == KVS_BUSY)
            (void)sched_yield();
    } while (status == KVS_BUSY);
    return status;
}

static void thread_take_items(struct peer_thread *thread, const struct peer_item *items,
                              uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        thread->ops[i] =
            (struct kvs_op){.kind = KVS_OP_SET, .key = items[i].key, .value = items[i].value};
}

/* The first operation that failed, if any did. */
static kvs_status thread_check_ops(const struct peer_thread *thread, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (thread->ops[i].status != KVS_OK)
            return thread->ops[i].status;
    }
    return KVS_OK;
}

static kvs_status store_batch(struct peer_store *store, struct peer_thread *thread,
                              const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    if (store->ops->submit == NULL) {
        for (uint32_t i = 0; i < count && status == KVS_OK; i++)
            status = store_set(store, thread, items[i].key, items[i].value, err);
        return status;
    }
    thread_take_items(thread, items, count);
    thread_expect(thread);
    status = submit(store, thread, 0, 0, count, err);
    if (status == KVS_PENDING)
        status = thread_wait(thread);
    return status == KVS_OK ? thread_check_ops(thread, count) : status;
}

static kvs_status store_window(struct peer_store *store, struct peer_thread *thread,
                               const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    if (store->ops->submit == NULL)
        return store_batch(store, thread, items, count, err);
    thread_take_items(thread, items, count);
    thread_expect(thread);
    for (uint32_t i = 0; i < count && status == KVS_OK; i++) {
        status = submit(store, thread, i, i, 1, err);
        if (status == KVS_PENDING)
            status = KVS_OK;
    }
    kvs_status completed = thread_wait(thread);
    if (status == KVS_OK)
        status = completed;
    return status == KVS_OK ? thread_check_ops(thread, count) : status;
}

static void store_stats(struct peer_store *store, kvs_stat_fn visit, void *arg)
{
    if (store->ops->stats != NULL)
        store->ops->stats(store->db, visit, arg);
}

/* ---- the peer ----------------------------------------------------------------------------- */

static void kvs_free(struct peer *peer)
{
    struct kvs_peer *own = peer->context;
    plugin_free(own->plugin);
    g_ptr_array_free(own->options, TRUE);
    free(own);
}

static const struct peer_ops kvs_ops = {
    .open = store_open,
    .close = store_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = store_get,
    .get_many = store_get_many,
    .set = store_set,
    .remove = store_remove,
    .batch = store_batch,
    .window = store_window,
    .stats = store_stats,
    .free = kvs_free,
};

static kvs_status many_by_get(struct peer_store *store, struct peer_thread *thread,
                              const struct kvs_bytes *keys, uint32_t count,
                              struct peer_value *values, struct kvs_error *err)
{
    return peer_get_many_by_get(store, thread, keys, count, values, err, &kvs_ops);
}

/* The options that are meant for this engine, without its name. */
static GPtrArray *options_of(const struct peers_config *config, const char *name)
{
    GPtrArray *options = g_ptr_array_new_with_free_func(g_free);
    size_t size = strlen(name);
    for (uint32_t i = 0; i < config->engine_option_count; i++) {
        const char *option = config->engine_options[i];
        if (strncmp(option, name, size) == 0 && option[size] == ':')
            g_ptr_array_add(options, g_strdup(option + size + 1));
    }
    return options;
}

kvs_status peer_kvs_new(const struct peers_config *config, const char *name, struct peer **ret_peer,
                        struct kvs_error *err)
{
    struct plugin *plugin;
    kvs_status status = plugin_open(config->dirs, KVS_PLUGIN_ENGINE, name, &plugin, err);
    if (status != KVS_OK)
        return status;
    struct kvs_peer *own = g_new0(struct kvs_peer, 1);
    own->plugin = plugin;
    own->options = options_of(config, name);
    log_init(&own->log, KVS_LOG_WARN, NULL, NULL);
    uint32_t flags = PEER_READS | PEER_MIXES | PEER_REMOVES;
    if (plugin->ops.engine.capabilities & KVS_ENGINE_DURABLE)
        flags |= PEER_REOPENS | PEER_SYNCS;
    _cleanup_(freep) char *peer_name = g_strdup_printf("kvs-%s", name);
    *ret_peer = peer_new(&kvs_ops, peer_name, plugin->descriptor->version,
                         "through its ABI; no sync: KVS_DURABILITY_NONE, sync: ALWAYS", flags, own);
    (*ret_peer)->key_max = plugin->ops.engine.key_max;
    return KVS_OK;
}
