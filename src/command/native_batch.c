/*
 * The native protocol's batch: conditional writes of several keys, at one moment. See native_keys.h.
 *
 * All operations go through one transaction, so with or without "all or none" the batch takes effect as
 * a whole or not at all; the flag only says what becomes of the others when a condition fails.
 */
#include <inttypes.h>

#include "command/native_keys.h"
#include "command/native_time.h"
#include "protocol/native_body.h"

/* One operation as it was sent. */
struct operation {
    uint8_t kind;      /* KVS_OP_* */
    uint8_t condition; /* KVS_IF_* */
    uint8_t how;       /* NATIVE_EXPIRES_* */
    int64_t time;
    struct kvs_bytes key;
    struct kvs_bytes value;
    struct kvs_bytes expected;
};

static kvs_status fault(struct native_call *call, kvs_status status)
{
    return status < 0 ? kvs_error_set(call->err, status, 0, "%s", transaction_message(call->txn))
                      : status;
}

/* False: the body is not as it should be. */
static bool read_operation(struct native_reader *body, struct operation *ret)
{
    ret->kind = native_read_u8(body);
    ret->condition = native_read_u8(body);
    ret->how = native_read_u8(body);
    uint8_t reserved = native_read_u8(body);
    uint32_t key_size = native_read_u32(body);
    uint32_t value_size = native_read_u32(body);
    uint32_t expected_size = native_read_u32(body);
    ret->time = (int64_t)native_read_u64(body);
    ret->key = native_read_bytes(body, key_size);
    ret->value = native_read_bytes(body, value_size);
    ret->expected = native_read_bytes(body, expected_size);
    return !body->broken && reserved == 0 && ret->kind >= KVS_OP_SET && ret->kind <= KVS_OP_CHECK &&
           ret->condition <= KVS_IF_EQUAL;
}

static bool condition_holds(const struct operation *operation, bool present,
                            const struct value *value)
{
    switch (operation->condition) {
    case KVS_IF_ABSENT:
        return !present;
    case KVS_IF_PRESENT:
        return present;
    case KVS_IF_EQUAL:
        return present && bytes_equal(value->content, operation->expected);
    default:
        return true;
    }
}

static kvs_status set(struct native_call *call, const struct operation *operation)
{
    int64_t moment_ms;
    kvs_status status = native_moment(call, operation->how, operation->time, &moment_ms);
    if (status != KVS_OK)
        return status;
    if (moment_ms != TRANSACTION_KEEP && moment_ms != VALUE_NEVER && moment_ms <= call->now_ms)
        return fault(call, transaction_remove(call->txn, operation->key));
    return fault(call, transaction_set(call->txn, operation->key, operation->value, moment_ms));
}

/* How the operation ended; negative: the whole batch fails. */
static kvs_status run_operation(struct native_call *call, const struct operation *operation)
{
    struct value value = {.content = {NULL, 0}};
    kvs_status status =
        fault(call, transaction_check(call->txn, operation->key, operation->value.len));
    if (status != KVS_OK)
        return status;
    bool present = false;
    if (operation->condition != KVS_IF_ALWAYS || operation->kind == KVS_OP_REMOVE) {
        status = transaction_get(call->txn, operation->key, &value);
        if (status < 0)
            return fault(call, status);
        present = status == KVS_OK;
    }
    if (!condition_holds(operation, present, &value))
        return KVS_CONDITION_FAILED;
    if (operation->kind == KVS_OP_SET)
        return set(call, operation);
    if (operation->kind == KVS_OP_CHECK)
        return KVS_OK;
    return present ? fault(call, transaction_remove(call->txn, operation->key)) : KVS_NOT_FOUND;
}

/* u32 flags, u32 count, then the operations; the reply: i16 status for each. */
kvs_status native_run_batch(struct native_call *call)
{
    struct native_reader body = native_reader_of(call->request->value);
    uint32_t flags = native_read_u32(&body);
    uint32_t count = native_read_u32(&body);
    bool failed = false;
    if ((flags & ~NATIVE_BATCH_ALL_OR_NONE) != 0)
        return kvs_error_set(call->err, KVS_UNSUPPORTED, 0, "batch flags 0x%x are not known here",
                             flags);
    for (uint32_t i = 0; i < count; i++) {
        struct operation operation;
        if (!read_operation(&body, &operation))
            return kvs_error_set(call->err, KVS_PROTOCOL, 0,
                                 "operation %u of the batch is not one, or does not fit into its "
                                 "body",
                                 i);
        kvs_status status = run_operation(call, &operation);
        if (status < 0)
            return status;
        failed = failed || status == KVS_CONDITION_FAILED;
        if (native_put_u16(call->reply, (uint16_t)status) != KVS_OK)
            return kvs_error_set(call->err, KVS_NO_MEMORY, 0, "out of memory");
    }
    if (body.broken || body.left > 0 || count == 0)
        return kvs_error_set(call->err, KVS_PROTOCOL, 0,
                             "a batch has at least one operation, and nothing behind the last one");
    if (!failed || (flags & NATIVE_BATCH_ALL_OR_NONE) == 0)
        return KVS_OK;
    transaction_forget_writes(call->txn);
    return KVS_CONDITION_FAILED;
}
