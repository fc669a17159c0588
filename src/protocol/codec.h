/*
 * One wire protocol, as the rest of the server sees it: how requests are read and replies written.
 * A connection has one codec for its life. Codecs hold no state and are constants.
 *
 * Reply writers append one whole reply to out. KVS_OK or KVS_NO_MEMORY (out unchanged).
 */
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include "base/buffer.h"
#include "protocol/request.h"

struct codec {
    const char *name;

    /* See native_decode_request. */
    enum decode_result (*decode)(struct kvs_bytes from, const struct request_limits *limits,
                                 struct request *ret_request, uint64_t *ret_size,
                                 struct kvs_error *err);

    /* The answer to request id: a status, with bytes when it is KVS_OK (they are copied; empty
       where there is nothing to say), with a message for people when it is negative. */
    kvs_status (*reply)(struct buffer *out, uint64_t id, kvs_status status, struct kvs_bytes body);
};

extern const struct codec native_codec;

#endif
