/* See removal.h. */
#include "command/removal.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"

void removal_deinit(struct removal *removal)
{
    arena_deinit(&removal->arena);
    removal->count = 0;
}

static bool copy(struct removal *removal, struct kvs_bytes from, struct kvs_bytes *ret)
{
    void *memory = arena_take(&removal->arena, from.len);
    if (memory == NULL)
        return false;
    if (from.len > 0)
        memcpy(memory, from.ptr, from.len);
    *ret = bytes_of(memory, from.len);
    return true;
}

kvs_status removal_add(struct removal *removal, struct kvs_bytes key,
                       const struct kvs_bytes *stored)
{
    assert(!removal_is_full(removal));
    struct kvs_op *op = &removal->ops[removal->count];
    *op = (struct kvs_op){.kind = KVS_OP_REMOVE,
                          .condition = stored != NULL ? KVS_IF_EQUAL : KVS_IF_ALWAYS};
    if (!copy(removal, key, &op->key) || (stored != NULL && !copy(removal, *stored, &op->expected)))
        return KVS_NO_MEMORY;
    removal->count++;
    return KVS_OK;
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    kvs_status status; /* under the lock; KVS_PENDING until it is complete */
};

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct waiting *waiting = arg;
    (void)batch;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->status = status;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static kvs_status submit_and_wait(struct store *store, struct kvs_tls *tls, struct kvs_op *ops,
                                  uint64_t count, struct kvs_error *err)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, KVS_PENDING};
    struct kvs_batch batch = {.size = sizeof(batch),
                              .ops = ops,
                              .op_count = count,
                              .complete = on_complete,
                              .arg = &waiting,
                              .err = err};
    kvs_status status = store_submit(store, tls, &batch);
    if (status != KVS_PENDING)
        return status;
    (void)pthread_mutex_lock(&waiting.lock);
    while (waiting.status == KVS_PENDING)
        (void)pthread_cond_wait(&waiting.changed, &waiting.lock);
    status = waiting.status;
    (void)pthread_mutex_unlock(&waiting.lock);
    return status;
}

kvs_status removal_run(struct removal *removal, struct store *store, struct kvs_tls *tls,
                       uint64_t *ret_removed, struct kvs_error *err)
{
    uint64_t removed = 0;
    kvs_status status = KVS_OK;
    /* The engine may take fewer at once. */
    for (uint64_t first = 0; first < removal->count && status == KVS_OK;) {
        uint64_t count = removal->count - first;
        if (count > store->batch_ops_max)
            count = store->batch_ops_max;
        status = submit_and_wait(store, tls, &removal->ops[first], count, err);
        for (uint64_t i = first; i < first + count && status == KVS_OK; i++) {
            if (removal->ops[i].status < 0)
                status = removal->ops[i].status;
            removed += removal->ops[i].status == KVS_OK;
        }
        first += count;
    }
    removal->count = 0;
    arena_reset(&removal->arena);
    if (status == KVS_OK)
        *ret_removed = removed;
    return status;
}
