/* When something expires, as the native protocol says it (native_body.h). */
#ifndef COMMAND_NATIVE_TIME_H
#define COMMAND_NATIVE_TIME_H

#include "command/native_keys.h"

/* The moment of NATIVE_EXPIRES_* and its time: VALUE_NEVER, TRANSACTION_KEEP, or Unix milliseconds.
   KVS_OK; KVS_INVALID: it is not positive or cannot be counted; KVS_UNSUPPORTED: no such kind. */
KVS_MUST_USE kvs_status native_moment(struct native_call *call, uint32_t how, int64_t time,
                                      int64_t *ret_ms);

#endif
