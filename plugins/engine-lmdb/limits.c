/* See limits.h. */
#include "limits.h"

kvs_status limits_check_key(struct kvs_bytes key, struct kvs_error *err)
{
    if (key.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (key.len > LIMITS_KEY_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "the key has %llu bytes; the lmdb engine takes at most %u",
                             (unsigned long long)key.len, LIMITS_KEY_MAX);
    return KVS_OK;
}

kvs_status limits_check_op(const struct kvs_op *op, struct kvs_error *err)
{
    kvs_status status = limits_check_key(op->key, err);
    if (status != KVS_OK)
        return status;
    if (op->kind < KVS_OP_SET || op->kind > KVS_OP_CHECK)
        return kvs_error_set(err, KVS_INVALID, 0, "there is no kind of operation %u", op->kind);
    if (op->condition > KVS_IF_EQUAL)
        return kvs_error_set(err, KVS_INVALID, 0, "there is no condition %u", op->condition);
    if (op->kind == KVS_OP_SET && op->value.len > LIMITS_VALUE_MAX)
        return kvs_error_set(
            err, KVS_TOO_LARGE, 0, "the value has %llu bytes; the lmdb engine takes at most %llu",
            (unsigned long long)op->value.len, (unsigned long long)LIMITS_VALUE_MAX);
    return KVS_OK;
}

kvs_status limits_check_batch(const struct kvs_batch *batch, struct kvs_error *err)
{
    uint64_t bytes = 0;
    if (batch->op_count == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a batch has at least 1 operation");
    if (batch->op_count > LIMITS_BATCH_OPS_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "the batch has %llu operations; the lmdb engine takes at most %llu",
                             (unsigned long long)batch->op_count,
                             (unsigned long long)LIMITS_BATCH_OPS_MAX);
    for (uint64_t i = 0; i < batch->op_count; i++) {
        const struct kvs_op *op = &batch->ops[i];
        /* One that is too large by itself fails alone, and is not applied. */
        if (limits_check_op(op, NULL) == KVS_OK)
            bytes += op->key.len + (op->kind == KVS_OP_SET ? op->value.len : 0);
    }
    if (bytes > LIMITS_BATCH_BYTES_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "the batch has %llu bytes; the lmdb engine takes at most %llu",
                             (unsigned long long)bytes, (unsigned long long)LIMITS_BATCH_BYTES_MAX);
    return KVS_OK;
}
