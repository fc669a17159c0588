/*
 * See apply.h.
 *
 * I1  An operation changes the transaction only after all that can be wrong with it was checked, so
 *     a fault of one operation leaves the others, and other batches in the same transaction, alone.
 *     What fails later (no room, no memory, damage) spoils the whole transaction.
 * I2  A batch that is all or none is decided before the first change, against the transaction and
 *     the batch's own earlier operations (overlay): LMDB cannot take single changes back, and its
 *     nested transactions are too dear (megabytes of bookkeeping each).
 */
#include "apply.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "overlay.h"
#include "request.h"
#include "value.h"

/* value is what the key holds, if it is present. */
static bool condition_holds(const struct kvs_op *op, bool present, struct kvs_bytes value)
{
    switch (op->condition) {
    case KVS_IF_ABSENT:
        return !present;
    case KVS_IF_PRESENT:
        return present;
    case KVS_IF_EQUAL:
        return present && value_compare(value, op->expected) == 0;
    default:
        return true;
    }
}

/* Looks a key up in the transaction. 0 or a code; a missing key is no code. */
static int look_up(MDB_txn *txn, MDB_dbi dbi, struct kvs_bytes key, bool *ret_present,
                   struct kvs_bytes *ret_value)
{
    MDB_val wanted = value_of(key);
    MDB_val found;
    int code = mdb_get(txn, dbi, &wanted, &found);
    if (code != 0 && code != MDB_NOTFOUND)
        return code;
    *ret_present = code == 0;
    if (code == 0)
        *ret_value = value_bytes(&found);
    return 0;
}

/* Changes the transaction. 0 or a code. */
static int change(MDB_txn *txn, MDB_dbi dbi, struct kvs_op *op)
{
    MDB_val key = value_of(op->key);
    MDB_val value = value_of(op->value);
    op->status = KVS_OK;
    if (op->kind == KVS_OP_CHECK)
        return 0;
    if (op->kind == KVS_OP_SET)
        return mdb_put(txn, dbi, &key, &value, 0);
    int code = mdb_del(txn, dbi, &key, NULL);
    if (code != MDB_NOTFOUND)
        return code;
    op->status = KVS_NOT_FOUND;
    return 0;
}

/* One operation of a batch that applies what it can. 0 or a code. */
static int apply_op(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch, struct kvs_op *op)
{
    if (limits_check_op(op, NULL) != KVS_OK) {
        op->status = limits_check_op(op, request_fault(batch));
        return 0;
    }
    if (op->condition != KVS_IF_ALWAYS) {
        bool present = false;
        struct kvs_bytes value = {NULL, 0};
        int code = look_up(txn, dbi, op->key, &present, &value);
        if (code != 0)
            return code;
        if (!condition_holds(op, present, value)) {
            op->status = KVS_CONDITION_FAILED;
            return 0;
        }
    }
    return change(txn, dbi, op);
}

static int apply_each(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch)
{
    for (uint64_t i = 0; i < batch->op_count; i++) {
        int code = apply_op(txn, dbi, batch, &batch->ops[i]);
        if (code != 0)
            return code;
    }
    request_set_status(batch, KVS_OK);
    return 0;
}

/* Decides one operation of a batch that is all or none, without changing anything. 0 or a code. */
static int decide_op(MDB_txn *txn, MDB_dbi dbi, struct overlay *overlay, struct kvs_op *op)
{
    bool present = false;
    struct kvs_bytes value = {NULL, 0};
    op->status = KVS_OK;
    if (op->condition != KVS_IF_ALWAYS) {
        const struct kvs_op *earlier = overlay_find(overlay, op);
        int code = 0;
        if (earlier == NULL) {
            code = look_up(txn, dbi, op->key, &present, &value);
        } else if (earlier->kind == KVS_OP_SET) {
            present = true;
            value = earlier->value;
        }
        if (code != 0)
            return code;
    }
    if (!condition_holds(op, present, value)) {
        op->status = KVS_CONDITION_FAILED;
        return 0;
    }
    if (op->kind == KVS_OP_CHECK)
        return 0;
    return overlay_add(overlay, op) ? 0 : ENOMEM;
}

/* Whether a whole that is all or none may be applied: its status says so. 0 or a code. */
static int decide_all(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch)
{
    struct overlay overlay = {NULL};
    int code = 0;
    request_set_status(batch, KVS_OK);
    for (uint64_t i = 0; i < batch->op_count && code == 0; i++) {
        code = decide_op(txn, dbi, &overlay, &batch->ops[i]);
        if (batch->ops[i].status != KVS_OK)
            request_set_status(batch, KVS_CONDITION_FAILED);
    }
    overlay_deinit(&overlay);
    return code;
}

static int apply_all_or_none(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch)
{
    bool conditional = false;
    kvs_status fault = KVS_OK;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        struct kvs_op *op = &batch->ops[i];
        op->status = limits_check_op(op, NULL);
        if (op->status != KVS_OK && fault == KVS_OK)
            fault = limits_check_op(op, request_fault(batch));
        conditional = conditional || op->condition != KVS_IF_ALWAYS;
    }
    if (fault != KVS_OK) {
        request_set_status(batch, fault);
        return 0;
    }
    int code = 0;
    request_set_status(batch, KVS_OK);
    if (conditional)
        code = decide_all(txn, dbi, batch);
    if (request_status(batch) != KVS_OK)
        return code;
    for (uint64_t i = 0; i < batch->op_count && code == 0; i++)
        code = change(txn, dbi, &batch->ops[i]);
    return code;
}

int apply_batch(MDB_txn *txn, MDB_dbi dbi, struct kvs_batch *batch)
{
    request_clear_fault(batch);
    if ((batch->flags & KVS_BATCH_ALL_OR_NONE) != 0)
        return apply_all_or_none(txn, dbi, batch);
    return apply_each(txn, dbi, batch);
}
