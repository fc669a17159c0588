/*
 * See resp.h. `walk` goes through a request's arguments, with the common form of each read by a few
 * compares (`read_bulk`); whatever that cannot read, for lack of bytes or because it is wrong, is
 * told apart by the slow `explain_*` functions.
 *
 * I1  What an input gives does not depend on how it is cut: a fresh walk collects the arguments as
 *     it goes; if bytes are missing it notes where it stopped, and later calls walk on from there,
 *     without collecting, until the request is whole. Then a second walk from its start collects.
 *     So each argument is read twice at most.
 * I2  parser->scanned is 0, or the start of an argument (of a line's unsearched rest for inline
 *     commands); every byte before it was found good.
 * I3  No number line is searched for its end beyond LINE_MAX_SIZE bytes, so looking again at the one
 *     argument that is not whole costs a constant.
 */
#include "protocol/resp.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "protocol/resp_inline.h"

#define LINE_MAX_SIZE    24 /* bytes of "*NUMBER\r\n": enough for any 64-bit number */
#define DIGITS_MAX       10 /* of an argument's length: as many as bulk_max can have */
#define ARGUMENTS_AT_ONE 16u

#define LIKELY(condition) __builtin_expect((condition), 1)

void resp_arguments_deinit(struct resp_arguments *arguments)
{
    free(arguments->items);
    buffer_deinit(&arguments->unquoted);
    *arguments = (struct resp_arguments){0};
}

kvs_status resp_arguments_grow(struct resp_arguments *arguments)
{
    uint32_t capacity =
        arguments->capacity < ARGUMENTS_AT_ONE ? ARGUMENTS_AT_ONE : arguments->capacity * 2;
    struct kvs_bytes *items = capacity < arguments->capacity
                                  ? NULL
                                  : reallocarray(arguments->items, capacity, sizeof(*items));
    if (items == NULL)
        return KVS_NO_MEMORY;
    arguments->items = items;
    arguments->capacity = capacity;
    return KVS_OK;
}

static enum decode_result broken(struct kvs_error *err, const char *message)
{
    (void)kvs_error_set(err, KVS_PROTOCOL, 0, "Protocol error: %s", message);
    return DECODE_BROKEN;
}

static enum decode_result out_of_memory(struct kvs_error *err)
{
    (void)kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the request's arguments");
    return DECODE_BROKEN;
}

static enum decode_result too_big(const struct resp_limits *limits, struct kvs_error *err)
{
    (void)kvs_error_set(err, KVS_TOO_LARGE, 0,
                        "Protocol error: too big request: more than the %" PRIu64
                        " bytes that this server takes",
                        limits->request_max);
    return DECODE_BROKEN;
}

/* ---- what the quick way does not read ------------------------------------------------------ */

enum line {
    LINE_WHOLE, /* a number */
    LINE_PART,  /* its end is missing */
    LINE_BAD,   /* no number */
};

/* Reads the rest of a line, a number written the one way it can be. */
static enum line read_line(const uint8_t *at, const uint8_t *end, int64_t *ret_number,
                           const uint8_t **ret_next)
{
    const uint8_t *limit = end - at > LINE_MAX_SIZE ? at + LINE_MAX_SIZE : end;
    const uint8_t *p = at;
    bool negative = p < limit && *p == '-';
    p += negative;
    const uint8_t *digits = p;
    int64_t number = 0;
    for (; p < limit && isdigit(*p); p++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *p - '0', &number))
            return LINE_BAD;
    if (p == end)
        return LINE_PART;
    bool canonical = p > digits && (*digits != '0' || (p == digits + 1 && !negative));
    if (*p != '\r' || !canonical)
        return LINE_BAD;
    if (p + 1 == end)
        return LINE_PART;
    if (p[1] != '\n')
        return LINE_BAD;
    *ret_number = negative ? -number : number;
    *ret_next = p + 2;
    return LINE_WHOLE;
}

/* Why there is no argument at `at`. start: of the request. */
static enum decode_result explain_bulk(const uint8_t *start, const uint8_t *at, const uint8_t *end,
                                       const struct resp_limits *limits, uint64_t *ret_size,
                                       struct kvs_error *err)
{
    *ret_size = (uint64_t)(end - start) + 1;
    if (at == end)
        return DECODE_MORE;
    if (*at != '$') {
        (void)kvs_error_set(err, KVS_PROTOCOL, 0, "Protocol error: expected '$', got '%c'",
                            isprint(*at) ? *at : '?');
        return DECODE_BROKEN;
    }
    int64_t length;
    const uint8_t *data;
    switch (read_line(at + 1, end, &length, &data)) {
    case LINE_PART:
        return DECODE_MORE;
    case LINE_WHOLE:
        if (length >= 0)
            break;
        __attribute__((fallthrough));
    case LINE_BAD:
    default:
        return broken(err, "invalid bulk length");
    }
    if ((uint64_t)length > limits->bulk_max) {
        if (limits->stranger)
            return broken(err, "unauthenticated bulk length");
        (void)kvs_error_set(err, KVS_TOO_LARGE, 0,
                            "Protocol error: invalid bulk length: %" PRId64
                            " bytes are more than the %" PRIu32 " that this server takes",
                            length, limits->bulk_max);
        return DECODE_BROKEN;
    }
    uint64_t needed = (uint64_t)(data - start) + (uint64_t)length + 2;
    if (needed > limits->request_max)
        return too_big(limits, err);
    if (needed <= (uint64_t)(end - start))
        return broken(err, "expected a line end behind an argument");
    *ret_size = needed;
    return DECODE_MORE;
}

/* Reads "*NUMBER\r\n" the slow way. DECODE_REQUEST: *ret_count is good, *ret_next is behind it. */
static enum decode_result explain_count(const uint8_t *start, const uint8_t *end,
                                        const struct resp_limits *limits, uint32_t *ret_count,
                                        const uint8_t **ret_next, uint64_t *ret_size,
                                        struct kvs_error *err)
{
    int64_t count;
    switch (read_line(start + 1, end, &count, ret_next)) {
    case LINE_PART:
        *ret_size = (uint64_t)(end - start) + 1;
        return DECODE_MORE;
    case LINE_BAD:
    default:
        return broken(err, "invalid multibulk length");
    case LINE_WHOLE:
        break;
    }
    if (count > (int64_t)limits->arguments_max)
        return broken(err, limits->stranger ? "unauthenticated multibulk length"
                                            : "invalid multibulk length");
    *ret_count = count > 0 ? (uint32_t)count : 0;
    return DECODE_REQUEST;
}

/* ---- the quick way ------------------------------------------------------------------------- */

/* Reads a whole argument near the end of what there is. As read_bulk. */
static const uint8_t *read_last_bulk(const uint8_t *at, const uint8_t *end, uint32_t bulk_max,
                                     struct kvs_bytes *ret_item)
{
    int64_t length;
    const uint8_t *data;
    if (at == end || *at != '$' || read_line(at + 1, end, &length, &data) != LINE_WHOLE ||
        length < 0 || length > bulk_max || end - data < length + 2 || data[length] != '\r' ||
        data[length + 1] != '\n')
        return NULL;
    *ret_item = bytes_of(data, (uint64_t)length);
    return data + length + 2;
}

/* Reads a whole "$LENGTH\r\nBYTES\r\n". Returns the byte behind it; NULL: see explain_bulk. */
static inline const uint8_t *read_bulk(const uint8_t *at, const uint8_t *end, uint32_t bulk_max,
                                       struct kvs_bytes *ret_item)
{
    if (!LIKELY(end - at > DIGITS_MAX + 1)) /* so that no digit needs a test for the end */
        return read_last_bulk(at, end, bulk_max, ret_item);
    uint64_t length = (uint64_t)at[1] - '0';
    if (!LIKELY(at[0] == '$' && length <= 9))
        return NULL;
    const uint8_t *p = at + 2;
    if (*p != '\r') {
        if (length == 0)
            return NULL; /* no leading zeros */
        for (; p <= at + DIGITS_MAX && *p >= '0' && *p <= '9'; p++)
            length = length * 10 + (*p - '0');
    }
    uint64_t rest = (uint64_t)(end - p);
    if (!LIKELY(rest >= 4 && p[0] == '\r' && p[1] == '\n' && length <= bulk_max &&
                rest - 4 >= length))
        return NULL;
    const uint8_t *data = p + 2;
    if (!LIKELY(data[length] == '\r' && data[length + 1] == '\n'))
        return NULL;
    *ret_item = bytes_of(data, length);
    return data + length + 2;
}

/* Goes on through the arguments from where the parser stands (I1). collect: where they go, or NULL.
 */
static enum decode_result walk(struct resp_parser *parser, struct kvs_bytes from,
                               const struct resp_limits *limits, struct resp_arguments *collect,
                               uint64_t *ret_size, struct kvs_error *err)
{
    const uint8_t *start = from.ptr;
    const uint8_t *end = start + from.len;
    const uint8_t *at = start + parser->scanned;
    uint32_t remaining = parser->remaining;
    if (parser->scanned == 0) {
        if (LIKELY(from.len >= 4 && start[1] > '0' && start[1] <= '9' && start[2] == '\r' &&
                   start[3] == '\n' && limits->arguments_max >= 9)) {
            remaining = (uint32_t)(start[1] - '0');
            at = start + 4;
        } else {
            enum decode_result result =
                explain_count(start, end, limits, &remaining, &at, ret_size, err);
            if (result != DECODE_REQUEST)
                return result;
        }
    }
    for (; remaining > 0; remaining--) {
        struct kvs_bytes item;
        const uint8_t *next = read_bulk(at, end, limits->bulk_max, &item);
        if (!LIKELY(next != NULL)) {
            parser->scanned = (uint64_t)(at - start);
            parser->remaining = remaining;
            return explain_bulk(start, at, end, limits, ret_size, err);
        }
        if (!LIKELY((uint64_t)(next - start) <= limits->request_max))
            return too_big(limits, err);
        if (collect != NULL && resp_arguments_add(collect, item) != KVS_OK)
            return out_of_memory(err);
        at = next;
    }
    *parser = (struct resp_parser){0};
    *ret_size = (uint64_t)(at - start);
    return DECODE_REQUEST;
}

static enum decode_result decode_inline(struct resp_parser *parser, struct kvs_bytes from,
                                        const struct resp_limits *limits,
                                        struct resp_arguments *arguments, uint64_t *ret_size,
                                        struct kvs_error *err)
{
    const uint8_t *start = from.ptr;
    const uint8_t *newline =
        memchr(start + parser->scanned, '\n', (size_t)(from.len - parser->scanned));
    uint64_t size = newline != NULL ? (uint64_t)(newline - start) : from.len;
    if (size > limits->inline_max)
        return broken(err, "too big inline request");
    if (newline == NULL) {
        parser->scanned = from.len;
        *ret_size = from.len + 1;
        return DECODE_MORE;
    }
    *parser = (struct resp_parser){0};
    *ret_size = size + 1;
    if (size > 0 && start[size - 1] == '\r')
        size--;
    switch (resp_inline_split(bytes_of(start, size), arguments)) {
    case KVS_OK:
        return DECODE_REQUEST;
    case KVS_NO_MEMORY:
        return out_of_memory(err);
    default:
        return broken(err, "unbalanced quotes in request");
    }
}

enum decode_result resp_decode(struct resp_parser *parser, struct kvs_bytes from,
                               const struct resp_limits *limits, struct resp_arguments *arguments,
                               uint64_t *ret_size, struct kvs_error *err)
{
    arguments->count = 0;
    if (arguments->unquoted.end > 0)
        buffer_consume(&arguments->unquoted, buffer_size(&arguments->unquoted));
    if (from.len == 0) {
        *ret_size = 1;
        return DECODE_MORE;
    }
    if (*(const uint8_t *)from.ptr != '*')
        return decode_inline(parser, from, limits, arguments, ret_size, err);
    if (parser->scanned > 0) {
        enum decode_result result = walk(parser, from, limits, NULL, ret_size, err);
        if (result != DECODE_REQUEST)
            return result;
    }
    return walk(parser, from, limits, arguments, ret_size, err);
}
