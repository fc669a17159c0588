/*
 * Feeds bytes to the RESP parser as a connection does, and aborts where it breaks a promise of
 * resp.h: sizes, limits, views inside the request. Each input is read twice: whole, and in pieces
 * whose sizes the input's first bytes choose, each time from other memory of exactly the size of
 * what has come; both must give the same requests and the same end. For libFuzzer and replay.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED_SIZE 4u /* bytes in front of the input */

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* What is compared: every request's arguments and size, and how it ended, as one hash. */
struct digest {
    uint64_t hash;
};

static void digest_add(struct digest *digest, const void *bytes, uint64_t size)
{
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < size; i++)
        digest->hash = (digest->hash ^ at[i]) * UINT64_C(0x100000001b3);
    digest->hash = (digest->hash ^ size) * UINT64_C(0x100000001b3);
}

static bool inside(struct kvs_bytes item, const uint8_t *from, uint64_t size)
{
    const uint8_t *at = item.ptr;
    return at >= from && item.len <= size && (uint64_t)(at - from) <= size - item.len;
}

static void check_request(const struct resp_arguments *arguments, const uint8_t *from,
                          uint64_t size, const struct resp_limits *limits, struct digest *digest)
{
    const struct buffer *unquoted = &arguments->unquoted;
    require(*from == '*' ? size <= limits->request_max : size <= limits->inline_max + 2);
    require(arguments->count <= (*from == '*' ? limits->arguments_max : limits->inline_max));
    for (uint32_t i = 0; i < arguments->count; i++) {
        struct kvs_bytes item = arguments->items[i];
        bool in_copy = buffer_size(unquoted) > 0 &&
                       inside(item, buffer_content(unquoted), buffer_size(unquoted));
        require(in_copy || inside(item, from, size) || (*from != '*' && item.len == 0));
        require(*from != '*' || item.len <= limits->bulk_max);
        digest_add(digest, item.ptr, item.len);
    }
    digest_add(digest, &size, sizeof(size));
}

/* Decodes data + at as far as it goes with only `have` bytes there. Returns the bytes that were
   consumed, or UINT64_MAX: broken. */
static uint64_t decode_some(struct resp_parser *parser, struct resp_arguments *arguments,
                            const uint8_t *data, uint64_t have, const struct resp_limits *limits,
                            struct digest *digest)
{
    uint8_t *copy = malloc(have > 0 ? have : 1);
    require(copy != NULL);
    if (have > 0)
        memcpy(copy, data, have);
    uint64_t at = 0;
    for (;;) {
        char message[KVS_ERROR_MESSAGE_MAX] = "";
        struct kvs_error error = KVS_ERROR_INIT(message);
        uint64_t size = 0;
        enum decode_result result =
            resp_decode(parser, bytes_of(copy + at, have - at), limits, arguments, &size, &error);
        require(result != DECODE_REJECT);
        if (result == DECODE_REQUEST) {
            require(size > 0 && size <= have - at);
            require(parser->scanned == 0);
            check_request(arguments, copy + at, size, limits, digest);
            at += size;
            continue;
        }
        if (result == DECODE_BROKEN) {
            require(error.status < 0 && strncmp(message, "Protocol error: ", 16) == 0);
            digest_add(digest, message, strlen(message));
            at = UINT64_MAX;
        } else {
            require(size > have - at);
        }
        break;
    }
    free(copy);
    return at;
}

/* Feeds the input in pieces of 1 to 1 + seed bytes, by and by; seed 0: whole. */
static uint64_t feed(const uint8_t *data, uint64_t size, uint32_t seed,
                     const struct resp_limits *limits)
{
    struct resp_parser parser = {0};
    struct resp_arguments arguments = {0};
    struct digest digest = {UINT64_C(0xcbf29ce484222325)};
    uint64_t at = 0;
    uint64_t end = seed == 0 ? size : 0;
    do {
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t piece = 1 + (seed >> 16) % (1 + (seed >> 28));
            end = size - end < piece ? size : end + piece;
        }
        uint64_t consumed = decode_some(&parser, &arguments, data + at, end - at, limits, &digest);
        if (consumed == UINT64_MAX)
            break;
        at += consumed;
    } while (end < size);
    resp_arguments_deinit(&arguments);
    return digest.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct resp_limits small = {
        .request_max = 64, .bulk_max = 16, .arguments_max = 4, .inline_max = 24, .stranger = true};
    const struct resp_limits usual = {.request_max = UINT32_MAX,
                                      .bulk_max = UINT32_MAX,
                                      .arguments_max = RESP_ARGUMENTS_MAX,
                                      .inline_max = RESP_INLINE_MAX};
    if (size < SEED_SIZE)
        return 0;
    uint32_t seed = load_le32(data) | 1;
    data += SEED_SIZE;
    size -= SEED_SIZE;
    require(feed(data, size, 0, &small) == feed(data, size, seed, &small));
    require(feed(data, size, 0, &usual) == feed(data, size, seed, &usual));
    return 0;
}
