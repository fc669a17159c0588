/* See native_keys.h; the bodies are described in docs/protocol.md. Batches are in native_batch.c. */
#include "command/native_keys.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "command/glob.h"
#include "command/keyspace.h"
#include "command/native_time.h"
#include "command/word.h"
#include "protocol/native.h"
#include "protocol/native_body.h"

#define REPLY_MAX         ((size_t)NATIVE_VALUE_MAX + 65536u) /* bytes of a reply's body */
#define SCAN_COUNT_USUAL  10u
#define SCAN_COUNT_MOST   100000u
#define INTEGER_MAX_BYTES 24u

static kvs_status no_memory(struct native_call *call)
{
    return kvs_error_set(call->err, KVS_NO_MEMORY, 0, "out of memory");
}

/* What the transaction said becomes the reply's message. */
static kvs_status fault(struct native_call *call, kvs_status status)
{
    return status < 0 ? kvs_error_set(call->err, status, 0, "%s", transaction_message(call->txn))
                      : status;
}

static kvs_status malformed(struct native_call *call)
{
    return kvs_error_set(call->err, KVS_PROTOCOL, 0,
                         "the sizes in the request do not fit its body of %" PRIu64 " bytes",
                         call->request->value.len);
}

static kvs_status check_key(struct native_call *call, struct kvs_bytes key)
{
    return fault(call, transaction_check(call->txn, key, 0));
}

kvs_status native_run_set(struct native_call *call)
{
    return fault(call,
                 transaction_set(call->txn, call->request->key, call->request->value, VALUE_NEVER));
}

kvs_status native_run_remove(struct native_call *call)
{
    uint64_t len;
    int64_t expires_at_ms;
    kvs_status status = transaction_look(call->txn, call->request->key, &len, &expires_at_ms);
    if (status == KVS_OK)
        status = transaction_remove(call->txn, call->request->key);
    return fault(call, status);
}

/* i64 step, then the key; the reply: i64, the sum. */
kvs_status native_run_increment(struct native_call *call)
{
    struct native_reader body = native_reader_of(call->request->value);
    struct value value = {.expires_at_ms = VALUE_NEVER};
    int64_t step = (int64_t)native_read_u64(&body);
    struct kvs_bytes key = native_read_bytes(&body, body.left);
    int64_t number = 0;
    int64_t sum;
    if (body.broken)
        return malformed(call);
    kvs_status status = check_key(call, key);
    if (status != KVS_OK)
        return status;
    status = transaction_get(call->txn, key, &value);
    if (status < 0)
        return fault(call, status);
    if (status == KVS_OK && !word_integer(value.content, &number))
        return kvs_error_set(call->err, KVS_INVALID, 0,
                             "the value is not an integer, or does not fit 64 bits");
    if (__builtin_add_overflow(number, step, &sum))
        return kvs_error_set(call->err, KVS_INVALID, 0, "the sum does not fit 64 bits");
    char *text = transaction_memory(call->txn, INTEGER_MAX_BYTES);
    if (text == NULL || native_put_u64(call->reply, (uint64_t)sum) != KVS_OK)
        return no_memory(call);
    int len = snprintf(text, INTEGER_MAX_BYTES, "%" PRId64, sum);
    return fault(
        call, transaction_set(call->txn, key, bytes_of(text, (uint64_t)len), value.expires_at_ms));
}

/* ---- reading ------------------------------------------------------------------------------ */

static kvs_status put_result(struct native_call *call, kvs_status found, struct kvs_bytes content)
{
    struct buffer *reply = call->reply;
    if (buffer_size(reply) + 8 + content.len > REPLY_MAX)
        return kvs_error_set(call->err, KVS_TOO_LARGE, 0,
                             "the values together are over the limit of %zu bytes: ask for fewer "
                             "keys at once",
                             REPLY_MAX);
    if (native_put_u32(reply, (uint32_t)found) != KVS_OK ||
        native_put_u32(reply, (uint32_t)content.len) != KVS_OK ||
        (content.len > 0 && buffer_append(reply, content.ptr, content.len) != KVS_OK))
        return no_memory(call);
    return KVS_OK;
}

/* u32 count, then u32 size and the key for each; the reply: i32 status, u32 size, value for each. */
kvs_status native_run_mget(struct native_call *call)
{
    struct native_reader body = native_reader_of(call->request->value);
    for (uint32_t left = native_read_u32(&body); left > 0 && !body.broken; left--) {
        struct kvs_bytes key = native_read_bytes(&body, native_read_u32(&body));
        struct value value = {.content = {NULL, 0}};
        if (body.broken)
            break;
        kvs_status status = check_key(call, key);
        if (status == KVS_OK)
            status = fault(call, transaction_get(call->txn, key, &value));
        if (status >= 0)
            status = put_result(call, status, value.content);
        if (status != KVS_OK)
            return status;
    }
    return body.broken || body.left > 0 ? malformed(call) : KVS_OK;
}

/* The key; the reply: u64 size of the value, i64 when it expires (0: never), i64 in how many
   milliseconds (-1: never). */
kvs_status native_run_look(struct native_call *call)
{
    uint64_t len;
    int64_t expires_at_ms;
    kvs_status status = transaction_look(call->txn, call->request->key, &len, &expires_at_ms);
    if (status != KVS_OK)
        return fault(call, status);
    int64_t left_ms = expires_at_ms == VALUE_NEVER ? -1 : expires_at_ms - call->now_ms;
    if (native_put_u64(call->reply, len) != KVS_OK ||
        native_put_u64(call->reply, (uint64_t)expires_at_ms) != KVS_OK ||
        native_put_u64(call->reply, (uint64_t)left_ms) != KVS_OK)
        return no_memory(call);
    return KVS_OK;
}

struct listing {
    struct native_call *call;
    struct kvs_bytes pattern; /* empty: all keys */
    uint32_t count;
    bool failed;
};

static int32_t list_key(void *arg, struct kvs_bytes key, struct kvs_bytes stored)
{
    struct listing *listing = arg;
    struct value value = value_decode(stored);
    if (value_is_expired(&value, listing->call->now_ms) ||
        (listing->pattern.len > 0 && !glob_match(listing->pattern, key)))
        return 0;
    listing->count++;
    listing->failed = native_put_u32(listing->call->reply, (uint32_t)key.len) != KVS_OK ||
                      buffer_append(listing->call->reply, key.ptr, key.len) != KVS_OK;
    return listing->failed;
}

/* u64 cursor, u32 how many keys to look at, u32 0, then the pattern; the reply: u64 cursor, u32 count,
   then u32 size and the key for each. */
kvs_status native_run_scan(struct native_call *call)
{
    struct native_reader body = native_reader_of(call->request->value);
    uint64_t cursor = native_read_u64(&body);
    uint32_t limit = native_read_u32(&body);
    uint32_t reserved = native_read_u32(&body);
    struct listing listing = {.call = call, .pattern = native_read_bytes(&body, body.left)};
    if (body.broken)
        return malformed(call);
    if (reserved != 0)
        return kvs_error_set(call->err, KVS_UNSUPPORTED, 0, "scan flags %u are not known here",
                             reserved);
    if (call->context->keyspace == NULL)
        return kvs_error_set(call->err, KVS_UNSUPPORTED, 0, "this engine cannot list its keys");
    if (limit == 0)
        limit = SCAN_COUNT_USUAL;
    if (limit > SCAN_COUNT_MOST)
        limit = SCAN_COUNT_MOST;
    /* The front is filled in when it is known. */
    if (native_put_u64(call->reply, 0) != KVS_OK || native_put_u32(call->reply, 0) != KVS_OK)
        return no_memory(call);
    kvs_status status = keyspace_scan(call->context->keyspace, call->tls, &cursor, limit, 0,
                                      list_key, &listing, call->err);
    if (listing.failed)
        return no_memory(call);
    if (status != KVS_OK)
        return status;
    if (buffer_size(call->reply) > REPLY_MAX)
        return kvs_error_set(call->err, KVS_TOO_LARGE, 0,
                             "the keys together are over the limit of %zu bytes: look at fewer at "
                             "once",
                             REPLY_MAX);
    store_le64(buffer_content(call->reply), cursor);
    store_le32(buffer_content(call->reply) + 8, listing.count);
    return KVS_OK;
}

/* ---- expiry ------------------------------------------------------------------------------- */

/* u32 NATIVE_EXPIRES_*, u32 0, i64 time, then the key; the reply is empty. */
kvs_status native_run_expire(struct native_call *call)
{
    struct native_reader body = native_reader_of(call->request->value);
    uint32_t how = native_read_u32(&body);
    uint32_t reserved = native_read_u32(&body);
    int64_t time = (int64_t)native_read_u64(&body);
    struct kvs_bytes key = native_read_bytes(&body, body.left);
    struct value value;
    int64_t moment_ms;
    if (body.broken)
        return malformed(call);
    if (reserved != 0 || how == NATIVE_EXPIRES_KEEP)
        return kvs_error_set(call->err, KVS_UNSUPPORTED, 0,
                             "this kind of expiry (%u, %u) is not known here", how, reserved);
    kvs_status status = check_key(call, key);
    if (status == KVS_OK)
        status = native_moment(call, how, time, &moment_ms);
    if (status == KVS_OK)
        status = fault(call, transaction_get(call->txn, key, &value));
    if (status != KVS_OK)
        return status;
    if (moment_ms != VALUE_NEVER && moment_ms <= call->now_ms)
        return fault(call, transaction_remove(call->txn, key));
    if (moment_ms == value.expires_at_ms)
        return KVS_OK;
    return fault(call, transaction_set(call->txn, key, value.content, moment_ms));
}
