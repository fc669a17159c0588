/*
 * See native.h. A request is judged from its header (and for a set from the key length behind it)
 * before its body is there, so a size over a limit is refused before any memory is taken for it.
 */
#include "protocol/native.h"

#include <assert.h>

#include "base/bytes.h"

static kvs_status check_header(const uint8_t *header, const struct request_limits *limits,
                               struct kvs_error *err)
{
    if (header[0] != NATIVE_MAGIC_REQUEST)
        return kvs_error_set(err, KVS_PROTOCOL, 0,
                             "a request begins with byte 0x%02X, this one with 0x%02X",
                             NATIVE_MAGIC_REQUEST, header[0]);
    if (header[1] != NATIVE_VERSION)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                             "protocol version %u is not spoken here, only version %u", header[1],
                             NATIVE_VERSION);
    uint32_t body_size = load_le32(header + 4);
    if (body_size > native_body_max(limits))
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a request body of %u bytes is over the limit of %llu bytes",
                             body_size, (unsigned long long)native_body_max(limits));
    return KVS_OK;
}

/* A flag that is not known here may change what the request means, so it cannot be ignored. */
static kvs_status check_flags(uint8_t flags, struct kvs_error *err)
{
    if (flags != 0)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "request flags 0x%02X are not known here",
                             flags);
    return KVS_OK;
}

static kvs_status check_key(uint64_t key_size, const struct request_limits *limits,
                            struct kvs_error *err)
{
    if (key_size == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (key_size > limits->key_max)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a key of %llu bytes is over the limit of %u bytes",
                             (unsigned long long)key_size, limits->key_max);
    return KVS_OK;
}

/* Judges a set by the key length at the start of its body. */
static kvs_status check_set(uint32_t key_size, uint32_t body_size,
                            const struct request_limits *limits, struct kvs_error *err)
{
    uint32_t rest = body_size - NATIVE_SET_PREFIX;
    if (key_size > rest)
        return kvs_error_set(err, KVS_PROTOCOL, 0,
                             "a set's key of %u bytes does not fit into its body of %u bytes",
                             key_size, body_size);
    kvs_status status = check_key(key_size, limits, err);
    if (status != KVS_OK)
        return status;
    if (rest - key_size > limits->value_max)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a value of %u bytes is over the limit of %u bytes", rest - key_size,
                             limits->value_max);
    return KVS_OK;
}

/* Judges a request by what is there of it: the header, and have bytes of the body. */
static kvs_status check_body(const struct request *request, const uint8_t *body, uint64_t have,
                             uint32_t body_size, const struct request_limits *limits,
                             struct kvs_error *err)
{
    switch (request->command) {
    case REQUEST_GET:
    case REQUEST_REMOVE:
    case REQUEST_LOOK:
        return check_key(body_size, limits, err);
    case REQUEST_SET:
        if (body_size < NATIVE_SET_PREFIX)
            return kvs_error_set(err, KVS_PROTOCOL, 0,
                                 "a set's body of %u bytes has no room for its key's length",
                                 body_size);
        if (have < NATIVE_SET_PREFIX)
            return KVS_OK;
        return check_set(load_le32(body), body_size, limits, err);
    case REQUEST_PING:
        if (body_size > limits->key_max)
            return kvs_error_set(err, KVS_TOO_LARGE, 0,
                                 "a ping of %u bytes is over the limit of %u bytes", body_size,
                                 limits->key_max);
        return KVS_OK;
    case REQUEST_AUTH:
        if (body_size > NATIVE_PASSWORD_MAX)
            return kvs_error_set(err, KVS_TOO_LARGE, 0,
                                 "a password of %u bytes is over the limit of %u bytes", body_size,
                                 NATIVE_PASSWORD_MAX);
        return KVS_OK;
    case REQUEST_BATCH:
    case REQUEST_INCREMENT:
    case REQUEST_MGET:
    case REQUEST_SCAN:
    case REQUEST_EXPIRE:
        return KVS_OK; /* the command looks into it */
    case REQUEST_HELLO:
    case REQUEST_STATS:
        if (body_size != 0)
            return kvs_error_set(err, KVS_INVALID, 0, "this command takes no body");
        return KVS_OK;
    default:
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "command %u is not known here",
                             request->command);
    }
}

static void view_body(struct request *request, const uint8_t *body, uint32_t body_size)
{
    if (request->command == REQUEST_SET) {
        uint32_t key_size = load_le32(body);
        request->key = bytes_of(body + NATIVE_SET_PREFIX, key_size);
        request->value =
            bytes_of(body + NATIVE_SET_PREFIX + key_size, body_size - NATIVE_SET_PREFIX - key_size);
    } else if (request->command == REQUEST_GET || request->command == REQUEST_REMOVE ||
               request->command == REQUEST_LOOK) {
        request->key = bytes_of(body, body_size);
    } else {
        request->value = bytes_of(body, body_size);
    }
}

enum decode_result native_decode_request(struct kvs_bytes from, const struct request_limits *limits,
                                         struct request *ret_request, uint64_t *ret_size,
                                         struct kvs_error *err)
{
    const uint8_t *header = from.ptr;
    *ret_request = (struct request){0};
    *ret_size = NATIVE_HEADER_SIZE;
    if (from.len < NATIVE_HEADER_SIZE) {
        /* A first byte that cannot begin a request is told at once, not after 16 of them. */
        if (from.len > 0 && header[0] != NATIVE_MAGIC_REQUEST) {
            (void)check_header(header, limits, err);
            return DECODE_BROKEN;
        }
        return DECODE_MORE;
    }
    /* Every version of the protocol has the id in this place; what is no frame has no id. */
    if (header[0] == NATIVE_MAGIC_REQUEST)
        ret_request->id = load_le64(header + 8);
    ret_request->command = header[2];
    if (check_header(header, limits, err) != KVS_OK)
        return DECODE_BROKEN;

    const uint8_t *body = header + NATIVE_HEADER_SIZE;
    uint32_t body_size = load_le32(header + 4);
    uint64_t have = from.len - NATIVE_HEADER_SIZE;
    if (check_flags(header[3], err) != KVS_OK ||
        check_body(ret_request, body, have, body_size, limits, err) != KVS_OK) {
        *ret_size = (uint64_t)NATIVE_HEADER_SIZE + body_size;
        return DECODE_REJECT;
    }
    if (have < body_size) {
        /* A set is judged again once its key length is there, before its whole body is. */
        bool unjudged = ret_request->command == REQUEST_SET && have < NATIVE_SET_PREFIX;
        *ret_size = NATIVE_HEADER_SIZE + (unjudged ? NATIVE_SET_PREFIX : (uint64_t)body_size);
        return DECODE_MORE;
    }
    view_body(ret_request, body, body_size);
    *ret_size = (uint64_t)NATIVE_HEADER_SIZE + body_size;
    return DECODE_REQUEST;
}

uint32_t native_encode_request(uint8_t out[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX],
                               const struct request *request)
{
    bool is_set = request->command == REQUEST_SET;
    uint64_t body_size = request->key.len + request->value.len + (is_set ? NATIVE_SET_PREFIX : 0);
    assert(request->key.len <= UINT32_MAX && body_size <= UINT32_MAX);
    out[0] = NATIVE_MAGIC_REQUEST;
    out[1] = NATIVE_VERSION;
    out[2] = (uint8_t)request->command;
    out[3] = 0;
    store_le32(out + 4, (uint32_t)body_size);
    store_le64(out + 8, request->id);
    if (!is_set)
        return NATIVE_HEADER_SIZE;
    store_le32(out + NATIVE_HEADER_SIZE, (uint32_t)request->key.len);
    return NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX;
}

void native_encode_reply(uint8_t out[NATIVE_HEADER_SIZE], uint64_t id, kvs_status status,
                         uint32_t body_size)
{
    /* A plugin may return any number; one that the field cannot hold must not turn into another. */
    if (status < INT16_MIN || status > INT16_MAX)
        status = KVS_INTERNAL;
    out[0] = NATIVE_MAGIC_REPLY;
    out[1] = NATIVE_VERSION;
    store_le16(out + 2, (uint16_t)status);
    store_le32(out + 4, body_size);
    store_le64(out + 8, id);
}

kvs_status native_decode_reply(const uint8_t header[NATIVE_HEADER_SIZE], struct native_reply *ret,
                               struct kvs_error *err)
{
    if (header[0] != NATIVE_MAGIC_REPLY || header[1] != NATIVE_VERSION)
        return kvs_error_set(err, KVS_PROTOCOL, 0,
                             "the reply begins with bytes 0x%02X 0x%02X: is this a kvs server?",
                             header[0], header[1]);
    ret->status = (int16_t)load_le16(header + 2);
    ret->body_size = load_le32(header + 4);
    ret->id = load_le64(header + 8);
    return KVS_OK;
}
