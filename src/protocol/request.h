/*
 * What every codec turns bytes into: a request, or why there is none (yet).
 *
 * Codecs are pure: bytes in, requests out. A request's key and value are views of the bytes that
 * were decoded.
 */
#ifndef PROTOCOL_REQUEST_H
#define PROTOCOL_REQUEST_H

#include <stdint.h>

#include <kvs/types.h>

enum request_command {
    REQUEST_PING = 1,
    REQUEST_HELLO = 2,
    REQUEST_GET = 3,
    REQUEST_SET = 4,
    REQUEST_REMOVE = 5,
    REQUEST_STATS = 6,
    REQUEST_AUTH = 7,
    REQUEST_BATCH = 8,
    REQUEST_INCREMENT = 9,
    REQUEST_MGET = 10,
    REQUEST_SCAN = 11,
    REQUEST_EXPIRE = 12,
    REQUEST_LOOK = 13,
};

struct request {
    uint64_t id; /* chosen by the client, echoed in the reply */
    uint32_t command;
    struct kvs_bytes key;
    struct kvs_bytes value;
};

/* What a server accepts, in bytes. */
struct request_limits {
    uint32_t key_max;
    uint32_t value_max;
};

enum decode_result {
    DECODE_REQUEST, /* *ret_size bytes were one request */
    DECODE_MORE,    /* incomplete: *ret_size bytes in all are needed to get further */
    DECODE_REJECT, /* one request that cannot be served: answer err, skip *ret_size bytes (which may
                      be more than there are yet; they need not be kept), go on */
    DECODE_BROKEN, /* no request can be told apart any more: answer err, then close */
};

#endif
