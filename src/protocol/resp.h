/*
 * Reading RESP requests: arrays of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), and inline
 * commands ("GET k\r\n", with quotes as in redis-cli).
 *
 * The arguments are views of the bytes that were decoded; nothing is copied, but for inline
 * arguments with quotes in them (see resp_arguments.unquoted). A request that comes in pieces is
 * looked at once while it grows, and read once when it is whole, however small the pieces are.
 *
 * Pure: no sockets, no clock. A parser belongs to a connection, the arguments to whoever serves at
 * the moment (a thread's, used for one connection after another). Neither is thread-safe.
 */
#ifndef PROTOCOL_RESP_H
#define PROTOCOL_RESP_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/buffer.h"
#include "protocol/request.h"

#define RESP_ARGUMENTS_MAX 1048576u /* of a request: what Redis takes */
#define RESP_INLINE_MAX    65536u   /* bytes of an inline command: likewise */

/* What Redis takes of a client that has not given its password yet. */
#define RESP_STRANGER_ARGUMENTS_MAX 10u
#define RESP_STRANGER_BULK_MAX      16384u

/* What is accepted. All are at least 1. */
struct resp_limits {
    uint64_t request_max;   /* bytes of a request, its framing included */
    uint32_t bulk_max;      /* bytes of one argument */
    uint32_t arguments_max; /* of a request */
    uint32_t inline_max;    /* bytes of an inline command */
    bool stranger;          /* the client is not authenticated: messages say so */
};

/* How far the request at the front was looked at. A zeroed one is good for a new connection. */
struct resp_parser {
    uint64_t scanned;   /* bytes, up to the first argument (or line) that is not whole */
    uint32_t remaining; /* arguments from there on */
};

/* The arguments of one request. A zeroed one is empty, without memory. */
struct resp_arguments {
    struct kvs_bytes *items; /* owned; the first is the command's name */
    uint32_t count;
    uint32_t capacity;
    /* Where unquoted inline arguments are: buffer_size() > 0 says that some items are views of it
       and not of the input. It is overwritten by the next decode; who needs the arguments longer
       than that (a write that waits) takes this buffer out, leaving a zeroed one. */
    struct buffer unquoted;
};

/* Frees the memory; the arguments are then empty and usable. */
void resp_arguments_deinit(struct resp_arguments *arguments);

/*
 * Looks at the bytes of from, which begin with a request: after DECODE_MORE the same one as before,
 * at any address, with at least as many bytes. limits may differ from call to call.
 *
 * DECODE_REQUEST: arguments and *ret_size (bytes to consume) are set. A count of 0 is a blank line
 * or an empty array: to be skipped without an answer.
 * DECODE_MORE: *ret_size bytes in all are needed to get further, as the client says: do not reserve
 * that much before some of it came.
 * DECODE_BROKEN: err says why, in Redis' words ("Protocol error: ..."), with KVS_PROTOCOL,
 * KVS_TOO_LARGE or KVS_NO_MEMORY: answer "-ERR " and that, close.
 * Never DECODE_REJECT.
 */
enum decode_result resp_decode(struct resp_parser *parser, struct kvs_bytes from,
                               const struct resp_limits *limits, struct resp_arguments *arguments,
                               uint64_t *ret_size, struct kvs_error *err);

#endif
