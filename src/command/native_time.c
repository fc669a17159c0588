/* See native_time.h. */
#include "command/native_time.h"

#include "protocol/native_body.h"

kvs_status native_moment(struct native_call *call, uint32_t how, int64_t time, int64_t *ret_ms)
{
    int64_t moment_ms = time;
    switch (how) {
    case NATIVE_EXPIRES_NEVER:
        *ret_ms = VALUE_NEVER;
        return KVS_OK;
    case NATIVE_EXPIRES_KEEP:
        *ret_ms = TRANSACTION_KEEP;
        return KVS_OK;
    case NATIVE_EXPIRES_IN:
    case NATIVE_EXPIRES_AT:
        break;
    default:
        return kvs_error_set(call->err, KVS_UNSUPPORTED, 0,
                             "this kind of expiry (%u) is not known here", how);
    }
    if (time <= 0 ||
        (how == NATIVE_EXPIRES_IN && __builtin_add_overflow(time, call->now_ms, &moment_ms)))
        return kvs_error_set(call->err, KVS_INVALID, 0,
                             "a time to expire is at least 1 millisecond, and has an end");
    *ret_ms = moment_ms;
    return KVS_OK;
}
