/*
 * See keyspace.h. The thread does flushes first, then pieces of the sweeper's passes.
 *
 * I1  The lock guards the list of flushes and the thread's beginning and end: nobody holds it while
 *     the engine is called. The sweep and the removal belong to the thread.
 * I2  Each accepted flush is answered once: by the thread, or with KVS_CLOSED by keyspace_stop.
 */
#include "command/keyspace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "command/scan_cursors.h"
#include "command/sweep.h"

#define NICE            10              /* of the thread: whoever serves clients comes first */
#define WAIT_MOST_MS    INT64_C(600000) /* then the clock is looked at again: it may have been set */
#define STATS_NAME_KEYS "keys"

struct flush {
    struct flush *next;
    void (*complete)(void *arg, kvs_status status);
    void *arg;
    struct kvs_error *err;
};

struct keyspace {
    /* Constant. */
    struct store *store;
    const struct log *log;
    int64_t (*now_ms)(void *);
    void *now_arg;
    struct scan_cursors *cursors; /* for engines with an order, else NULL */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct flush *flushes; /* owned; oldest first; under the lock */
    bool stop;             /* under the lock */
    bool has_thread;       /* under the lock: it is to be joined */
    pthread_t thread;

    /* The thread's. */
    struct sweep sweep;
    struct walk flush_walk;
    struct removal removal;
    bool told_fault; /* the last pass failed: said once */

    pthread_mutex_t sample_lock;
    struct walk sample; /* under it: where the next sample begins */
};

static int64_t system_now_ms(void *arg)
{
    struct timespec now;
    (void)arg;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t now_ms(const struct keyspace *keyspace)
{
    return keyspace->now_ms(keyspace->now_arg);
}

static void wake(void *arg)
{
    struct keyspace *keyspace = arg;
    (void)pthread_mutex_lock(&keyspace->lock);
    (void)pthread_cond_signal(&keyspace->changed);
    (void)pthread_mutex_unlock(&keyspace->lock);
}

/* ---- flushing ----------------------------------------------------------------------------- */

kvs_status keyspace_flush(struct keyspace *keyspace, void (*complete)(void *arg, kvs_status status),
                          void *arg, struct kvs_error *err)
{
    if (!walk_is_possible(keyspace->store))
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "this engine cannot list its keys");
    struct flush *flush = malloc(sizeof(*flush));
    if (flush == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    *flush = (struct flush){.complete = complete, .arg = arg, .err = err};
    (void)pthread_mutex_lock(&keyspace->lock);
    bool stop = keyspace->stop;
    if (!stop) {
        struct flush **last = &keyspace->flushes;
        while (*last != NULL)
            last = &(*last)->next;
        *last = flush;
        (void)pthread_cond_signal(&keyspace->changed);
    }
    (void)pthread_mutex_unlock(&keyspace->lock);
    if (!stop)
        return KVS_PENDING;
    free(flush);
    return kvs_error_set(err, KVS_CLOSED, 0, "the server is stopping");
}

static int32_t take_along(void *arg, struct kvs_bytes key, struct kvs_bytes stored)
{
    struct removal *removal = arg;
    (void)stored;
    return removal_add(removal, key, NULL) != KVS_OK || removal_is_full(removal);
}

/* The oldest flush, or NULL. Who took it answers it. */
static struct flush *take_flush(struct keyspace *keyspace)
{
    (void)pthread_mutex_lock(&keyspace->lock);
    struct flush *flush = keyspace->flushes;
    if (flush != NULL)
        keyspace->flushes = flush->next;
    (void)pthread_mutex_unlock(&keyspace->lock);
    return flush;
}

static bool is_stopping(struct keyspace *keyspace)
{
    (void)pthread_mutex_lock(&keyspace->lock);
    bool stop = keyspace->stop;
    (void)pthread_mutex_unlock(&keyspace->lock);
    return stop;
}

static kvs_status remove_all(struct keyspace *keyspace, struct kvs_tls *tls, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    walk_restart(&keyspace->flush_walk);
    do {
        uint64_t removed;
        status = walk_step(&keyspace->flush_walk, keyspace->store, tls, REMOVAL_MAX,
                           KVS_SCAN_KEYS_ONLY, take_along, &keyspace->removal, err);
        if (status == KVS_OK)
            status = removal_run(&keyspace->removal, keyspace->store, tls, &removed, err);
        if (status == KVS_OK && is_stopping(keyspace))
            status = kvs_error_set(err, KVS_CLOSED, 0, "the server is stopping");
    } while (status == KVS_OK && !keyspace->flush_walk.ended);
    return status;
}

/* ---- the thread --------------------------------------------------------------------------- */

static void sweep(struct keyspace *keyspace, struct kvs_tls *tls)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = sweep_piece(&keyspace->sweep, tls, now_ms(keyspace), &error);
    if (status != KVS_OK && status != KVS_READ_ONLY && !keyspace->told_fault)
        log_warn(keyspace->log, "cannot remove expired keys, which take room until then: %s",
                 message[0] != '\0' ? message : kvs_status_text(status));
    keyspace->told_fault = status != KVS_OK;
}

/* Does one piece of what there is to do. The moment at which there is more. */
static int64_t work(struct keyspace *keyspace, struct kvs_tls *tls)
{
    struct flush *flush = take_flush(keyspace);
    if (flush != NULL) {
        kvs_status status = remove_all(keyspace, tls, flush->err);
        flush->complete(flush->arg, status); /* I2 */
        free(flush);
        return 0;
    }
    if (now_ms(keyspace) >= sweep_due_ms(&keyspace->sweep))
        sweep(keyspace, tls);
    return sweep_due_ms(&keyspace->sweep);
}

int64_t keyspace_work(struct keyspace *keyspace)
{
    return work(keyspace, NULL);
}

/* Waits until there is something to do, or for the end. False: the end. */
static bool wait_until_due(struct keyspace *keyspace)
{
    (void)pthread_mutex_lock(&keyspace->lock);
    /* Under the lock, so that whoever lowers it afterwards finds us waiting. */
    int64_t due_ms = sweep_due_ms(&keyspace->sweep);
    int64_t wait_ms = due_ms == INT64_MAX ? INT64_MAX : due_ms - now_ms(keyspace);
    if (!keyspace->stop && keyspace->flushes == NULL && wait_ms > 0) {
        if (wait_ms > WAIT_MOST_MS)
            wait_ms = WAIT_MOST_MS;
        uint64_t end_ns = clock_now_ns() + (uint64_t)wait_ms * NS_PER_MS;
        struct timespec end = {(time_t)(end_ns / NS_PER_S), (long)(end_ns % NS_PER_S)};
        /* Whatever ended it: everything is looked at again. */
        (void)pthread_cond_timedwait(&keyspace->changed, &keyspace->lock, &end);
    }
    bool goes_on = !keyspace->stop;
    (void)pthread_mutex_unlock(&keyspace->lock);
    return goes_on;
}

static void *run(void *arg)
{
    struct keyspace *keyspace = arg;
    const struct kvs_engine_ops *engine = keyspace->store->engine;
    struct kvs_tls *tls = NULL;
    (void)pthread_setname_np(pthread_self(), "kvs-sweeper");
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* without it, it is only less polite */
    if (engine->thread_attach != NULL &&
        engine->thread_attach(keyspace->store->db, &tls, NULL) != KVS_OK)
        tls = NULL; /* slower, and fine */
    while (wait_until_due(keyspace))
        (void)work(keyspace, tls);
    if (tls != NULL)
        engine->thread_detach(keyspace->store->db, tls);
    return NULL;
}

kvs_status keyspace_new(const struct keyspace_config *config, struct keyspace **ret_keyspace,
                        struct kvs_error *err)
{
    struct keyspace *keyspace = calloc(1, sizeof(*keyspace));
    if (keyspace == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&keyspace->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&keyspace->lock, NULL);
    (void)pthread_mutex_init(&keyspace->sample_lock, NULL);
    keyspace->store = config->store;
    keyspace->log = config->log;
    keyspace->now_ms = config->now_ms != NULL ? config->now_ms : system_now_ms;
    keyspace->now_arg = config->now_arg;
    sweep_init(&keyspace->sweep, config->store);
    if (walk_has_order(config->store))
        keyspace->cursors = scan_cursors_new();
    if (walk_has_order(config->store) && keyspace->cursors == NULL) {
        keyspace_free(keyspace);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    }
    config->store->expiry_lowered_arg = keyspace;
    config->store->expiry_lowered = wake;
    *ret_keyspace = keyspace;
    return KVS_OK;
}

kvs_status keyspace_start(struct keyspace *keyspace, struct kvs_error *err)
{
    if (!walk_is_possible(keyspace->store))
        return KVS_OK;
    int error = 0;
    (void)pthread_mutex_lock(&keyspace->lock);
    if (!keyspace->stop) {
        error = pthread_create(&keyspace->thread, NULL, run, keyspace);
        keyspace->has_thread = error == 0;
    }
    (void)pthread_mutex_unlock(&keyspace->lock);
    return error == 0 ? KVS_OK
                      : kvs_error_set(err, KVS_NO_MEMORY, error,
                                      "cannot start the sweeper's thread: %s", strerror(error));
}

void keyspace_stop(struct keyspace *keyspace)
{
    struct flush *flush;
    if (keyspace == NULL)
        return;
    (void)pthread_mutex_lock(&keyspace->lock);
    keyspace->stop = true;
    bool has_thread = keyspace->has_thread;
    keyspace->has_thread = false;
    (void)pthread_cond_signal(&keyspace->changed);
    (void)pthread_mutex_unlock(&keyspace->lock);
    if (has_thread)
        (void)pthread_join(keyspace->thread, NULL);
    while ((flush = take_flush(keyspace)) != NULL) { /* I2 */
        flush->complete(flush->arg,
                        kvs_error_set(flush->err, KVS_CLOSED, 0, "the server is stopping"));
        free(flush);
    }
}

void keyspace_free(struct keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    keyspace_stop(keyspace);
    keyspace->store->expiry_lowered = NULL;
    sweep_deinit(&keyspace->sweep);
    walk_deinit(&keyspace->flush_walk);
    walk_deinit(&keyspace->sample);
    removal_deinit(&keyspace->removal);
    scan_cursors_free(keyspace->cursors);
    (void)pthread_mutex_destroy(&keyspace->sample_lock);
    (void)pthread_mutex_destroy(&keyspace->lock);
    (void)pthread_cond_destroy(&keyspace->changed);
    free(keyspace);
}

/* ---- counting and listing ----------------------------------------------------------------- */

static void take_count(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, STATS_NAME_KEYS) == 0)
        *(uint64_t *)arg = value;
}

uint64_t keyspace_count(const struct store *store)
{
    uint64_t count = UINT64_MAX;
    if (store->engine->stats != NULL)
        store->engine->stats(store->db, take_count, &count);
    return count;
}

static uint64_t figure(const _Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

void keyspace_visit_stats(const struct keyspace *keyspace, kvs_stat_fn visit, void *arg)
{
    const struct sweep_figures *figures = &keyspace->sweep.figures;
    visit(arg, "expired_keys", figure(&figures->expired_keys));
    visit(arg, "expiring_keys", figure(&figures->expiring_keys));
    visit(arg, "sweep_keys", figure(&figures->seen_keys));
    visit(arg, "sweep_passes", figure(&figures->passes));
}

struct placing {
    struct walk *walk;
    kvs_status status;
};

static void place(void *arg, struct kvs_bytes key)
{
    struct placing *placing = arg;
    placing->status = walk_set_key(placing->walk, key);
}

kvs_status keyspace_scan(struct keyspace *keyspace, struct kvs_tls *tls, uint64_t *cursor,
                         uint64_t limit, uint32_t flags,
                         int32_t (*visit)(void *arg, struct kvs_bytes key, struct kvs_bytes stored),
                         void *arg, struct kvs_error *err)
{
    _cleanup_(walk_deinit) struct walk walk = {.cursor = *cursor};
    if (keyspace->cursors != NULL && *cursor != 0) {
        struct placing placing = {&walk, KVS_OK};
        if (!scan_cursors_find(keyspace->cursors, *cursor, place, &placing))
            return kvs_error_set(err, KVS_INVALID, 0,
                                 "this cursor is not known, or no longer: begin again with 0");
        if (placing.status != KVS_OK)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    }
    kvs_status status = walk_step(&walk, keyspace->store, tls, limit, flags, visit, arg, err);
    if (status != KVS_OK)
        return status;
    if (walk.ended)
        *cursor = 0;
    else if (keyspace->cursors == NULL)
        *cursor = walk.cursor;
    else if ((*cursor = scan_cursors_put(keyspace->cursors, *cursor,
                                         bytes_of(walk.key, walk.key_len))) == 0)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    return KVS_OK;
}

kvs_status keyspace_sample(struct keyspace *keyspace, struct kvs_tls *tls, uint64_t limit,
                           int32_t (*visit)(void *arg, struct kvs_bytes key,
                                            struct kvs_bytes stored),
                           void *arg, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&keyspace->sample_lock);
    kvs_status status =
        walk_step(&keyspace->sample, keyspace->store, tls, limit, 0, visit, arg, err);
    (void)pthread_mutex_unlock(&keyspace->sample_lock);
    return status;
}
