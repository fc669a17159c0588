/*
 * Conditions, expiry, counters and several keys at once: the functions of <kvs/client.h> whose bodies are
 * put together from fields (protocol/native_body.h).
 */
#include "client/call.h"

#include "base/bytes.h"
#include "protocol/native.h"
#include "protocol/native_body.h"

static kvs_status no_memory(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the request");
}

static kvs_status bad_reply(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_PROTOCOL, 0,
                         "the reply does not fit the request: is this a kvs "
                         "server?");
}

static bool put_bytes(struct buffer *out, struct kvs_bytes bytes)
{
    return bytes.len == 0 || buffer_append(out, bytes.ptr, bytes.len) == KVS_OK;
}

/* What no request has room for is refused before it is copied. */
static kvs_status check_room(const struct buffer *body, struct kvs_bytes bytes,
                             struct kvs_error *err)
{
    if (bytes.len > NATIVE_VALUE_MAX || buffer_size(body) + bytes.len > NATIVE_VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "all keys and values together are over the limit of %u bytes",
                             NATIVE_VALUE_MAX);
    return KVS_OK;
}

static kvs_status call_with(struct kvs_client *client, uint32_t command, const struct buffer *body,
                            struct kvs_bytes *ret_body, struct kvs_error *err)
{
    struct request request = {.command = command,
                              .value = bytes_of(buffer_content(body), buffer_size(body))};
    return client_call(client, &request, ret_body, err);
}

/* ---- batch -------------------------------------------------------------------------------- */

static kvs_status put_op(struct buffer *body, const struct kvs_client_op *op, struct kvs_error *err)
{
    uint8_t head[NATIVE_BATCH_OP_SIZE] = {(uint8_t)op->kind, (uint8_t)op->condition,
                                          (uint8_t)op->expires};
    const struct kvs_bytes value =
        op->kind == KVS_CLIENT_SET ? op->value : (struct kvs_bytes){NULL, 0};
    const struct kvs_bytes expected =
        op->condition == KVS_CLIENT_IF_EQUAL ? op->expected : (struct kvs_bytes){NULL, 0};
    if (op->kind > UINT8_MAX || op->condition > UINT8_MAX || op->expires > UINT8_MAX)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "an operation's kind, condition or expiry is none of those in "
                             "kvs/client.h");
    kvs_status status = check_room(body, op->key, err);
    if (status == KVS_OK)
        status = check_room(body, value, err);
    if (status == KVS_OK)
        status = check_room(body, expected, err);
    if (status != KVS_OK)
        return status;
    store_le32(head + 4, (uint32_t)op->key.len);
    store_le32(head + 8, (uint32_t)value.len);
    store_le32(head + 12, (uint32_t)expected.len);
    store_le64(head + 16, (uint64_t)op->time_ms);
    if (buffer_append(body, head, sizeof(head)) != KVS_OK || !put_bytes(body, op->key) ||
        !put_bytes(body, value) || !put_bytes(body, expected))
        return no_memory(err);
    return KVS_OK;
}

kvs_status kvs_client_batch(struct kvs_client *client, struct kvs_client_op *ops, uint32_t count,
                            uint32_t flags, struct kvs_error *err)
{
    struct buffer *body = client_body(client);
    struct kvs_bytes reply;
    if (native_put_u32(body, flags) != KVS_OK || native_put_u32(body, count) != KVS_OK)
        return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        kvs_status status = put_op(body, &ops[i], err);
        if (status != KVS_OK)
            return status;
    }
    kvs_status status = call_with(client, REQUEST_BATCH, body, &reply, err);
    if (status != KVS_OK && status != KVS_CONDITION_FAILED)
        return status;
    if (reply.len != (uint64_t)count * sizeof(uint16_t))
        return bad_reply(err);
    struct native_reader reader = native_reader_of(reply);
    for (uint32_t i = 0; i < count; i++)
        ops[i].status = (int16_t)native_read_u16(&reader);
    return status;
}

/* ---- one key ------------------------------------------------------------------------------ */

kvs_status kvs_client_increment(struct kvs_client *client, struct kvs_bytes key, int64_t step,
                                int64_t *ret_sum, struct kvs_error *err)
{
    struct buffer *body = client_body(client);
    struct kvs_bytes reply;
    kvs_status status = check_room(body, key, err);
    if (status != KVS_OK)
        return status;
    if (native_put_u64(body, (uint64_t)step) != KVS_OK || !put_bytes(body, key))
        return no_memory(err);
    status = call_with(client, REQUEST_INCREMENT, body, &reply, err);
    if (status != KVS_OK)
        return status;
    if (reply.len != sizeof(int64_t))
        return bad_reply(err);
    *ret_sum = (int64_t)load_le64(reply.ptr);
    return KVS_OK;
}

kvs_status kvs_client_expire(struct kvs_client *client, struct kvs_bytes key, uint32_t expires,
                             int64_t time_ms, struct kvs_error *err)
{
    struct buffer *body = client_body(client);
    struct kvs_bytes reply;
    kvs_status status = check_room(body, key, err);
    if (status != KVS_OK)
        return status;
    if (native_put_u32(body, expires) != KVS_OK || native_put_u32(body, 0) != KVS_OK ||
        native_put_u64(body, (uint64_t)time_ms) != KVS_OK || !put_bytes(body, key))
        return no_memory(err);
    return call_with(client, REQUEST_EXPIRE, body, &reply, err);
}

kvs_status kvs_client_look(struct kvs_client *client, struct kvs_bytes key,
                           struct kvs_client_info *ret_info, struct kvs_error *err)
{
    struct request request = {.command = REQUEST_LOOK, .key = key};
    struct kvs_bytes reply;
    kvs_status status = client_call(client, &request, &reply, err);
    if (status != KVS_OK)
        return status;
    struct native_reader reader = native_reader_of(reply);
    struct kvs_client_info info = {.value_size = native_read_u64(&reader)};
    info.expires_at_ms = (int64_t)native_read_u64(&reader);
    info.left_ms = (int64_t)native_read_u64(&reader);
    if (reader.broken)
        return bad_reply(err);
    *ret_info = info;
    return KVS_OK;
}

/* ---- several keys ------------------------------------------------------------------------- */

kvs_status kvs_client_mget(struct kvs_client *client, struct kvs_client_lookup *lookups,
                           uint32_t count, struct kvs_error *err)
{
    struct buffer *body = client_body(client);
    struct kvs_bytes reply;
    if (native_put_u32(body, count) != KVS_OK)
        return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        kvs_status status = check_room(body, lookups[i].key, err);
        if (status != KVS_OK)
            return status;
        if (native_put_u32(body, (uint32_t)lookups[i].key.len) != KVS_OK ||
            !put_bytes(body, lookups[i].key))
            return no_memory(err);
    }
    kvs_status status = call_with(client, REQUEST_MGET, body, &reply, err);
    if (status != KVS_OK)
        return status;
    struct native_reader reader = native_reader_of(reply);
    for (uint32_t i = 0; i < count; i++) {
        lookups[i].status = (int32_t)native_read_u32(&reader);
        lookups[i].value = native_read_bytes(&reader, native_read_u32(&reader));
    }
    return reader.broken || reader.left > 0 ? bad_reply(err) : KVS_OK;
}

kvs_status kvs_client_scan(struct kvs_client *client, uint64_t *cursor, uint32_t limit,
                           struct kvs_bytes pattern,
                           int32_t (*visit)(void *arg, struct kvs_bytes key), void *arg,
                           struct kvs_error *err)
{
    struct buffer *body = client_body(client);
    struct kvs_bytes reply;
    kvs_status status = check_room(body, pattern, err);
    if (status != KVS_OK)
        return status;
    if (native_put_u64(body, *cursor) != KVS_OK || native_put_u32(body, limit) != KVS_OK ||
        native_put_u32(body, 0) != KVS_OK || !put_bytes(body, pattern))
        return no_memory(err);
    status = call_with(client, REQUEST_SCAN, body, &reply, err);
    if (status != KVS_OK)
        return status;
    struct native_reader reader = native_reader_of(reply);
    uint64_t next = native_read_u64(&reader);
    for (uint32_t left = native_read_u32(&reader); left > 0 && !reader.broken; left--) {
        struct kvs_bytes key = native_read_bytes(&reader, native_read_u32(&reader));
        if (!reader.broken && visit(arg, key) != 0)
            return KVS_STOPPED;
    }
    if (reader.broken)
        return bad_reply(err);
    *cursor = next;
    return KVS_OK;
}
