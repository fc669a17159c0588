/*
 * See reader.h. Any thread runs this; the draining half only the leader (writer.h).
 *
 * A slot is FREE, OWNED (by an attached thread, idle) or ACTIVE. ACTIVE belongs to one thread.
 *
 * I1  A transaction is used, made or ended only by the thread that made its slot ACTIVE, or while
 *     drained. Both follow from one protocol: a reader makes its slot ACTIVE and then looks at
 *     draining; the drainer sets draining and then looks at the slots. All four are sequentially
 *     consistent, so at least one of the two sees the other.
 * I2  No wake-up is lost: who waits for a slot to be left counts itself in watchers and then looks
 *     at the slots; who leaves one stores its state and then looks at watchers, and signals under
 *     the mutex.
 * I3  A reader never works on a meta page that is being overwritten. LMDB registers a reader with
 *     transaction N and then copies the root from meta page N % 2; a reader that is preempted in
 *     between can find N + 2 there, half written, or with KVS_DURABILITY_ALWAYS not yet durable.
 *     The leader says before each commit which one begins; who sees after its copy that N + 2 had
 *     begun tries again.
 * I4  draining ends soon: sections are short (a get's visitor may not block); long ones hold pins,
 *     which the drainer waits for first, while gets still go on. Lock order: pins, then mutex.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "fault.h"

enum {
    SLOT_FREE,
    SLOT_OWNED,
    SLOT_ACTIVE
};

#define LENT_SHARE  4u  /* one in so many slots is never owned, so that those without get along */
#define USUAL_COUNT 32u /* borrowers begin to look within so many: a writer looks at all in use */

kvs_status reader_pool_init(struct reader_pool *pool, const struct store *store,
                            uint32_t max_readers, struct kvs_error *err)
{
    pthread_rwlockattr_t attributes;
    memset(pool, 0, sizeof(*pool));
    pool->slots = aligned_alloc(READER_LINE, max_readers * sizeof(*pool->slots));
    if (pool->slots == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for %u readers; lower max-readers",
                             max_readers);
    for (uint32_t i = 0; i < max_readers; i++) {
        atomic_init(&pool->slots[i].state, SLOT_FREE);
        pool->slots[i].txn = NULL;
    }
    pool->store = store;
    pool->count = max_readers;
    pool->lent_count = (max_readers + LENT_SHARE - 1) / LENT_SHARE; /* at least 1 */
    pool->usual_count = pool->lent_count < USUAL_COUNT ? pool->lent_count : USUAL_COUNT;
    atomic_init(&pool->draining, false);
    atomic_init(&pool->watchers, 0);
    atomic_init(&pool->committing_txn, 0);
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->changed, NULL);
    (void)pthread_rwlockattr_init(&attributes);
    /* Else a scan after the other could keep a drainer, and all writes with it, waiting. */
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&pool->pins, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
    return KVS_OK;
}

void reader_pool_end_transactions(struct reader_pool *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        mdb_txn_abort(pool->slots[i].txn);
        pool->slots[i].txn = NULL;
    }
    atomic_store(&pool->committing_txn, 0);
}

void reader_pool_deinit(struct reader_pool *pool)
{
    if (pool->slots == NULL)
        return;
    reader_pool_end_transactions(pool);
    (void)pthread_rwlock_destroy(&pool->pins);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool->slots);
    pool->slots = NULL;
}

/* Takes a FREE slot of [first, pool->count), beginning at the hint; NULL when there is none. */
static struct reader *take_free(struct reader_pool *pool, uint32_t first, uint32_t hint,
                                unsigned new_state)
{
    uint32_t span = pool->count - first;
    for (uint32_t i = 0; i < span; i++) {
        struct reader *reader = &pool->slots[first + (hint + i) % span];
        unsigned expected = SLOT_FREE;
        if (atomic_load_explicit(&reader->state, memory_order_relaxed) == SLOT_FREE &&
            atomic_compare_exchange_strong(&reader->state, &expected, new_state))
            return reader;
    }
    return NULL;
}

static void leave(struct reader_pool *pool, struct reader *reader, unsigned new_state)
{
    atomic_store(&reader->state, new_state);
    if (atomic_load(&pool->watchers) == 0)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->mutex);
}

void reader_attach(struct reader_pool *pool, struct kvs_tls *tls)
{
    tls->reader = NULL;
    if (pool->lent_count < pool->count)
        tls->reader = take_free(pool, pool->lent_count, 0, SLOT_OWNED);
}

void reader_detach(struct reader_pool *pool, struct kvs_tls *tls)
{
    if (tls->reader != NULL)
        leave(pool, tls->reader, SLOT_FREE);
    tls->reader = NULL;
}

/* A usual slot, likely another one in another thread: by where its stack is. */
static uint32_t thread_hint(const struct reader_pool *pool)
{
    return ((uint32_t)((uintptr_t)pthread_self() >> 12) * UINT32_C(2654435769) >> 16) %
           pool->usual_count;
}

static struct reader *borrow(struct reader_pool *pool)
{
    struct reader *reader = take_free(pool, 0, thread_hint(pool), SLOT_ACTIVE);
    if (reader != NULL)
        return reader;
    (void)pthread_mutex_lock(&pool->mutex);
    (void)atomic_fetch_add(&pool->watchers, 1);
    while ((reader = take_free(pool, 0, thread_hint(pool), SLOT_ACTIVE)) == NULL)
        (void)pthread_cond_wait(&pool->changed, &pool->mutex);
    (void)atomic_fetch_sub(&pool->watchers, 1);
    (void)pthread_mutex_unlock(&pool->mutex);
    return reader;
}

static void await_resume(struct reader_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->draining))
        (void)pthread_cond_wait(&pool->changed, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* The slot of a section that begins, ACTIVE (I1). */
static struct reader *enter(struct reader_pool *pool, struct kvs_tls *tls)
{
    for (;;) {
        bool owned = tls != NULL && tls->reader != NULL;
        struct reader *reader = owned ? tls->reader : borrow(pool);
        if (owned)
            atomic_store(&reader->state, SLOT_ACTIVE);
        if (!atomic_load(&pool->draining))
            return reader;
        leave(pool, reader, owned ? SLOT_OWNED : SLOT_FREE);
        await_resume(pool);
    }
}

/* Orders LMDB's plain loads of the meta page, which happened inside the library, before ours of
   committing_txn. No atomic of ours can do that, so this is a fence; ThreadSanitizer knows none,
   and does not see into LMDB either. */
static void order_meta_copy(void)
{
#if !defined(__SANITIZE_THREAD__)
    atomic_thread_fence(memory_order_acquire);
#endif
}

/* Renews the transaction, until it has a sound root (I3). 0 or a code. */
static int renew(const struct reader_pool *pool, struct reader *reader)
{
    for (;;) {
        int code = reader->txn != NULL
                       ? mdb_txn_renew(reader->txn)
                       : mdb_txn_begin(pool->store->env, NULL, MDB_RDONLY, &reader->txn);
        if (code != 0)
            return code;
        order_meta_copy();
        uint64_t committing = atomic_load_explicit(&pool->committing_txn, memory_order_acquire);
        if (committing < (uint64_t)mdb_txn_id(reader->txn) + 2)
            return 0;
        mdb_txn_reset(reader->txn);
    }
}

kvs_status reader_begin(struct reader_pool *pool, struct kvs_tls *tls, struct reader **ret_reader,
                        struct kvs_error *err)
{
    struct reader *reader = enter(pool, tls);
    int code = pool->store->is_lost ? MDB_PANIC : renew(pool, reader);
    if (code == 0) {
        *ret_reader = reader;
        return KVS_OK;
    }
    leave(pool, reader, tls != NULL && reader == tls->reader ? SLOT_OWNED : SLOT_FREE);
    return fault_set(err, code, "cannot begin to read");
}

void reader_end(struct reader_pool *pool, struct kvs_tls *tls, struct reader *reader)
{
    mdb_txn_reset(reader->txn);
    leave(pool, reader, tls != NULL && reader == tls->reader ? SLOT_OWNED : SLOT_FREE);
}

void reader_pin(struct reader_pool *pool)
{
    (void)pthread_rwlock_rdlock(&pool->pins);
}

void reader_unpin(struct reader_pool *pool)
{
    (void)pthread_rwlock_unlock(&pool->pins);
}

void reader_pool_drain(struct reader_pool *pool)
{
    (void)pthread_rwlock_wrlock(&pool->pins);
    (void)pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->draining, true);
    (void)atomic_fetch_add(&pool->watchers, 1);
    for (uint32_t i = 0; i < pool->count; i++) {
        while (atomic_load(&pool->slots[i].state) == SLOT_ACTIVE)
            (void)pthread_cond_wait(&pool->changed, &pool->mutex);
    }
    (void)atomic_fetch_sub(&pool->watchers, 1);
    (void)pthread_mutex_unlock(&pool->mutex);
}

void reader_pool_resume(struct reader_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->draining, false);
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_rwlock_unlock(&pool->pins);
}

void reader_pool_commit_begins(struct reader_pool *pool, uint64_t txn_id)
{
    atomic_store(&pool->committing_txn, txn_id);
}
