/*
 * The native protocol's frames, for both sides. docs/protocol.md describes them for the world; the
 * offsets below are the same.
 *
 * All integers are little-endian. A request:
 *     0  u8   0xC7           3  u8   flags, 0          8  u64  request id
 *     1  u8   version, 1     4  u32  body bytes       16  body
 *     2  u8   command
 * A reply:
 *     0  u8   0xC8           2  i16  status            8  u64  request id
 *     1  u8   version, 1     4  u32  body bytes       16  body
 * Bodies. get, remove: the key. set: u32 key bytes, key, value (the rest). ping: anything, echoed.
 * auth: the password. hello, stats: empty; the reply is text, a "name value" line each. look: the key.
 * batch, increment, mget, scan, expire: see native_body.h. The body of a reply with a negative status is the
 * error message.
 */
#ifndef PROTOCOL_NATIVE_H
#define PROTOCOL_NATIVE_H

#include <stdint.h>

#include <kvs/types.h>

#include "protocol/request.h"

#define NATIVE_MAGIC_REQUEST 0xC7u
#define NATIVE_MAGIC_REPLY   0xC8u
#define NATIVE_VERSION       1u
#define NATIVE_HEADER_SIZE   16u
#define NATIVE_ID_OFFSET     8u /* of the request id in the header */
#define NATIVE_SET_PREFIX    4u /* bytes of the key length in front of a set's key */

#define NATIVE_PASSWORD_MAX 512u /* bytes */

#define NATIVE_KEY_MAX   65536u    /* bytes: the most that a server may be configured to */
#define NATIVE_VALUE_MAX 67108864u /* bytes: likewise */

/* The largest body that a server with these limits reads at all. */
static inline uint64_t native_body_max(const struct request_limits *limits)
{
    return (uint64_t)NATIVE_SET_PREFIX + limits->key_max + limits->value_max;
}

/*
 * Looks at the bytes of from, which begin with a request. See enum decode_result; ret_request is
 * complete with DECODE_REQUEST, its id is good with DECODE_REJECT, and with DECODE_BROKEN the id is
 * that of the frame, or 0 where no frame begins. err is filled with DECODE_REJECT and
 * DECODE_BROKEN: its status is KVS_PROTOCOL, KVS_TOO_LARGE, KVS_INVALID or KVS_UNSUPPORTED.
 */
enum decode_result native_decode_request(struct kvs_bytes from, const struct request_limits *limits,
                                         struct request *ret_request, uint64_t *ret_size,
                                         struct kvs_error *err);

/*
 * Writes a request's header (flags 0), and for REQUEST_SET the key length behind it, to out. Behind
 * these bytes come the key and then the value. Returns how many bytes were written. The sizes are
 * within NATIVE_KEY_MAX and NATIVE_VALUE_MAX.
 */
uint32_t native_encode_request(uint8_t out[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX],
                               const struct request *request);

/* Writes a reply's header; body_size bytes follow it. A status that no i16 holds goes out as
   KVS_INTERNAL. */
void native_encode_reply(uint8_t out[NATIVE_HEADER_SIZE], uint64_t id, kvs_status status,
                         uint32_t body_size);

struct native_reply {
    uint64_t id;
    kvs_status status;
    uint32_t body_size; /* bytes that follow the header */
};

/* Reads a reply's header (NATIVE_HEADER_SIZE bytes). KVS_OK, or KVS_PROTOCOL with a message. */
KVS_MUST_USE kvs_status native_decode_reply(const uint8_t header[NATIVE_HEADER_SIZE],
                                            struct native_reply *ret, struct kvs_error *err);

#endif
