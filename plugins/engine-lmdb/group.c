/*
 * See group.h.
 *
 * I1  Each batch is all or nothing: it is applied in one transaction, completely or not at all,
 *     whatever happens to the others. A transaction that was spoilt is aborted, and what was in it
 *     is tried again: all together after the map has grown, else one by one, so that only the batch
 *     that cannot be applied fails.
 * I2  A transaction that failed in its commit for any other reason than a full disk or map is not
 *     tried again: the disk may hold anything of it. The store turns read-only, and is opened anew
 *     for reading, because LMDB itself refuses even that after some failures.
 */
#include "group.h"

#include <errno.h>
#include <stdbool.h>

#include <lmdb.h>

#include "apply.h"
#include "fault.h"
#include "limits.h"
#include "request.h"

/* A transaction is closed to further batches at either of these: it should not make the first one
   wait for long. */
#define GROUP_OPS_MAX   UINT64_C(8192)
#define GROUP_BYTES_MAX (UINT64_C(16) << 20)

/* What a group may need, to be sure of room before it starts. */
struct group_need {
    uint64_t op_count;
    uint64_t payload_bytes; /* of keys and values, each value rounded up to pages */
    bool removes_only;
    bool must_last; /* has a KVS_BATCH_DURABLE */
};

static void need_add(struct group_need *need, const struct kvs_batch *batch, uint64_t page_bytes)
{
    need->op_count += batch->op_count;
    need->must_last = need->must_last || (batch->flags & KVS_BATCH_DURABLE) != 0;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        const struct kvs_op *op = &batch->ops[i];
        if (op->kind != KVS_OP_SET || op->value.len > LIMITS_VALUE_MAX)
            continue;
        need->removes_only = false;
        need->payload_bytes += op->key.len + op->value.len;
        if (op->value.len >= page_bytes / 4) /* may get pages of its own */
            need->payload_bytes += page_bytes;
    }
}

/* Cuts the front off: in order, at least one, up to the limits. */
static struct kvs_batch *cut(struct kvs_batch **list, uint64_t page_bytes, struct group_need *need)
{
    struct kvs_batch *first = *list;
    struct kvs_batch *last = first;
    *need = (struct group_need){.removes_only = true};
    need_add(need, first, page_bytes);
    for (struct kvs_batch *next = request_next(last); next != NULL; next = request_next(last)) {
        if (need->op_count + next->op_count > GROUP_OPS_MAX ||
            need->payload_bytes > GROUP_BYTES_MAX)
            break;
        need_add(need, next, page_bytes);
        last = next;
    }
    *list = request_next(last);
    request_set_next(last, NULL);
    return first;
}

/*
 * Fresh pages that a group takes at most: the pages on the way to each key are copied (but each at
 * most once), new records fill pages at least half, and the list of free pages has pages too.
 */
static uint64_t estimate_bytes(const struct store *store, const struct group_need *need)
{
    MDB_stat stat;
    (void)mdb_env_stat(store->env, &stat);
    uint64_t tree_pages = stat.ms_branch_pages + stat.ms_leaf_pages;
    uint64_t paths = need->op_count * (stat.ms_depth + 1);
    uint64_t copied_pages = paths < tree_pages ? paths : tree_pages;
    uint64_t new_pages = 2 * (need->payload_bytes / store->page_bytes + 1);
    return (copied_pages + new_pages + copied_pages / 64 + 64) * store->page_bytes;
}

static void fail_all(struct kvs_batch *list, kvs_status status, int code, const char *what)
{
    for (struct kvs_batch *batch = list; batch != NULL; batch = request_next(batch)) {
        request_clear_fault(batch);
        (void)kvs_error_set(request_fault(batch), status, code > 0 ? code : 0, "%s: %s", what,
                            mdb_strerror(code));
        request_set_status(batch, status);
    }
}

/* LMDB calls a full disk a full map (space.h). Who meets it should hear which disk, and what helps.
 */
static void fail_full(const struct group_context *context, struct kvs_batch *list)
{
    for (struct kvs_batch *batch = list; batch != NULL; batch = request_next(batch)) {
        request_clear_fault(batch);
        (void)kvs_error_set(request_fault(batch), KVS_NO_SPACE, ENOSPC,
                            "the disk of %s is full: free space on it or remove keys; reading and "
                            "removing still work",
                            context->store->dir);
        request_set_status(batch, KVS_NO_SPACE);
    }
}

static void refuse_all(const struct group_context *context, struct kvs_batch *list)
{
    for (struct kvs_batch *batch = list; batch != NULL; batch = request_next(batch)) {
        request_clear_fault(batch);
        request_set_status(batch, health_check(context->health, request_fault(batch)));
    }
}

/* The store stays as it was before the transaction, for reading (I2). */
static void give_up_writing(struct group_context *context, int code)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    health_fail(context->health, code, "a commit failed");
    durable_condemn(context->durable);
    reader_pool_drain(context->readers);
    reader_pool_end_transactions(context->readers);
    durable_block(context->durable);
    if (store_reopen_read_only(context->store, context->store_config, context->health, &error) !=
        KVS_OK)
        health_log(context->health, KVS_LOG_ERROR, "%s", message);
    durable_unblock(context->durable);
    reader_pool_resume(context->readers);
}

/* One attempt at the whole list. 0 or a code; *ret_in_commit says where it came from. */
static int try_commit(struct group_context *context, struct kvs_batch *list, bool must_last,
                      bool *ret_in_commit)
{
    MDB_txn *txn;
    *ret_in_commit = false;
    int code = mdb_txn_begin(context->store->env, NULL, 0, &txn);
    if (code != 0)
        return code;
    for (struct kvs_batch *batch = list; batch != NULL && code == 0; batch = request_next(batch))
        code = apply_batch(txn, context->store->dbi, batch);
    if (code == 0)
        code = durable_before_commit(context->durable, must_last);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    *ret_in_commit = true;
    reader_pool_commit_begins(context->readers, mdb_txn_id(txn));
    code = mdb_txn_commit(txn);
    durable_after_commit(context->durable);
    return code;
}

/* Makes room and commits, again with more room while the map was too small. 0 or a code. */
static int commit_with_room(struct group_context *context, struct kvs_batch *list,
                            const struct group_need *need, bool *ret_in_commit)
{
    uint64_t need_bytes = estimate_bytes(context->store, need);
    *ret_in_commit = false;
    int code = space_prepare(context->space, need_bytes, need->removes_only);
    while (code == 0) {
        code = try_commit(context, list, need->must_last, ret_in_commit);
        if (code != MDB_MAP_FULL || context->space->full)
            return code;
        need_bytes *= 2;
        *ret_in_commit = false;
        code = space_grow_map(context->space, need_bytes);
    }
    return code;
}

/* Whether a failure leaves it open what the disk holds (I2). LMDB's own codes come before it writes
   anything, but for the one that says that an earlier write of a meta page failed. */
static bool is_fatal(int code, bool in_commit)
{
    if (code == MDB_PANIC)
        return true;
    return in_commit && code > 0 && code != ENOMEM && !fault_is_full(code);
}

/* What was committed is on the disk before it is answered, where that was asked for. */
static void finish_durable(struct group_context *context, struct kvs_batch *list)
{
    int code = durable_finish(context->durable);
    for (struct kvs_batch *batch = list; code != 0 && batch != NULL; batch = request_next(batch)) {
        if ((batch->flags & KVS_BATCH_DURABLE) == 0)
            continue;
        (void)fault_set(request_fault(batch), code, "cannot flush data.mdb");
        request_set_status(batch, KVS_IO);
    }
}

/* Commits a list as one. False: nothing of it was, and it is worth trying its parts. */
static bool commit_list(struct group_context *context, struct kvs_batch *list,
                        const struct group_need *need)
{
    bool in_commit;
    if (health_check(context->health, NULL) != KVS_OK) {
        refuse_all(context, list);
        return true;
    }
    int code = commit_with_room(context, list, need, &in_commit);
    if (code == 0) {
        if (need->must_last)
            finish_durable(context, list);
        (void)atomic_fetch_add_explicit(&context->commits, 1, memory_order_relaxed);
        return true;
    }
    if (is_fatal(code, in_commit)) {
        give_up_writing(context, code);
        fail_all(list, KVS_IO, code, "cannot write to data.mdb");
        return true;
    }
    if (request_next(list) != NULL)
        return false;
    if (fault_status(code) == KVS_NO_SPACE)
        fail_full(context, list);
    else
        fail_all(list, fault_status(code), code, "cannot write to data.mdb");
    return true;
}

static void commit_one_by_one(struct group_context *context, struct kvs_batch *list)
{
    struct kvs_batch *next;
    for (struct kvs_batch *batch = list; batch != NULL; batch = next) {
        struct kvs_batch *rest = batch;
        struct group_need need;
        next = request_next(batch);
        request_set_next(batch, NULL);
        (void)cut(&rest, context->store->page_bytes, &need);
        (void)commit_list(context, batch, &need);
        request_set_next(batch, next);
    }
}

struct kvs_batch *group_commit(struct group_context *context, struct kvs_batch **list)
{
    struct group_need need;
    uint64_t count = 0;
    struct kvs_batch *group = cut(list, context->store->page_bytes, &need);
    if (!commit_list(context, group, &need))
        commit_one_by_one(context, group);
    for (struct kvs_batch *batch = group; batch != NULL; batch = request_next(batch))
        count++;
    (void)atomic_fetch_add_explicit(&context->batches, count, memory_order_relaxed);
    return group;
}
