/* The native protocol (docs/protocol.md) for the load generator; see wire.h. */
#include "load/wire.h"
#include "protocol/native.h"

static void kvs_describe(enum wire_command command, uint32_t value_size, struct wire_template *ret)
{
    static const uint8_t no_key[DATA_KEY_SIZE];
    const struct request request = {
        .command = command == WIRE_GET ? REQUEST_GET : REQUEST_SET,
        .key = bytes_of(no_key, DATA_KEY_SIZE),
        .value = bytes_of(NULL, command == WIRE_GET ? 0 : value_size),
    };
    uint8_t head[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    uint32_t key_at = native_encode_request(head, &request);
    *ret = (struct wire_template){
        .key_at = key_at,
        .value_at = command == WIRE_GET ? WIRE_NOTHING : key_at + DATA_KEY_SIZE,
        .id_at = 8,
        .head_size = key_at + DATA_KEY_SIZE,
        .size = key_at + DATA_KEY_SIZE + (command == WIRE_GET ? 0 : value_size),
    };
    memcpy(ret->head, head, key_at);
}

static enum wire_outcome kvs_parse(enum wire_command command, const uint8_t *key, uint64_t id,
                                   const uint8_t *from, uint64_t size, struct wire_reply *ret)
{
    struct native_reply head;
    (void)key;
    if (size < NATIVE_HEADER_SIZE)
        return WIRE_MORE;
    if (native_decode_reply(from, &head, NULL) != KVS_OK)
        return WIRE_BROKEN;
    if (size - NATIVE_HEADER_SIZE < head.body_size)
        return WIRE_MORE;
    if (head.id != id)
        return WIRE_BROKEN;
    *ret = (struct wire_reply){
        .size = NATIVE_HEADER_SIZE + (uint64_t)head.body_size,
        .bytes = bytes_of(from + NATIVE_HEADER_SIZE, head.body_size),
    };
    if (head.status < 0)
        return WIRE_ERROR;
    if (command == WIRE_SET)
        return head.status == KVS_OK ? WIRE_DONE : WIRE_BROKEN;
    if (head.status == KVS_NOT_FOUND)
        return WIRE_MISS;
    return head.status == KVS_OK ? WIRE_VALUE : WIRE_BROKEN;
}

static uint32_t kvs_log_in(const char *password, uint8_t *to)
{
    const struct request request = {.command = REQUEST_AUTH, .value = bytes_of_text(password)};
    uint32_t head_size = native_encode_request(to, &request);
    memcpy(to + head_size, password, request.value.len);
    return head_size + (uint32_t)request.value.len;
}

const struct wire wire_kvs = {
    .name = "kvs",
    .describe = kvs_describe,
    .parse = kvs_parse,
    .log_in = kvs_log_in,
    .reply_around = NATIVE_HEADER_SIZE,
};
