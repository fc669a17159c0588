/* The native protocol behind the codec interface: native.h's frames, written into a buffer. */
#include "protocol/codec.h"

#include <string.h>

#include "protocol/native.h"

static kvs_status native_reply(struct buffer *out, uint64_t id, kvs_status status,
                               struct kvs_bytes body)
{
    kvs_status reserved = buffer_reserve(out, NATIVE_HEADER_SIZE + body.len);
    if (reserved != KVS_OK)
        return reserved;
    uint8_t *to = out->data + out->end;
    native_encode_reply(to, id, status, (uint32_t)body.len);
    if (body.len > 0)
        memcpy(to + NATIVE_HEADER_SIZE, body.ptr, body.len);
    buffer_commit(out, NATIVE_HEADER_SIZE + body.len);
    return KVS_OK;
}

const struct codec native_codec = {
    .name = "native",
    .decode = native_decode_request,
    .reply = native_reply,
};
