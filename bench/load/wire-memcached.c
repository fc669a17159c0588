/* The text protocol of memcached for the load generator: get and set only; see wire.h. */
#include <stdio.h>

#include "load/wire.h"

/* "VALUE <key> 0 <bytes>\r\n", the bytes, "\r\nEND\r\n" */
static const char value_head[] = "VALUE ";
static const char miss[] = "END\r\n";
static const char tail[] = "\r\nEND\r\n";
static const char stored[] = "STORED\r\n";

#define HEAD_SIZE   (sizeof(value_head) - 1)
#define MISS_SIZE   (sizeof(miss) - 1)
#define TAIL_SIZE   (sizeof(tail) - 1)
#define STORED_SIZE (sizeof(stored) - 1)
#define DIGITS_MAX  12u

static void memcached_describe(enum wire_command command, uint32_t value_size,
                               struct wire_template *ret)
{
    char before_value[32];
    if (command == WIRE_GET) {
        wire_describe_text("get ", "\r\n", NULL, 0, ret);
        return;
    }
    (void)snprintf(before_value, sizeof(before_value), " 0 0 %u\r\n", value_size);
    wire_describe_text("set ", before_value, "\r\n", value_size, ret);
}

/* The line that nothing else began like: an error, or something that does not belong here. */
static enum wire_outcome parse_error(const uint8_t *from, uint64_t size, struct wire_reply *ret)
{
    static const char *const beginnings[] = {"ERROR", "CLIENT_ERROR ", "SERVER_ERROR "};
    const uint8_t *end = memchr(from, '\n', size);
    if (end == NULL)
        return WIRE_MORE;
    uint64_t line_size = (uint64_t)(end - from) + 1;
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        size_t beginning_size = strlen(beginnings[i]);
        if (line_size < beginning_size + 2 || memcmp(from, beginnings[i], beginning_size) != 0)
            continue;
        *ret = (struct wire_reply){.size = line_size, .bytes = bytes_of(from, line_size - 2)};
        return WIRE_ERROR;
    }
    return WIRE_BROKEN;
}

static enum wire_outcome parse_value(const uint8_t *key, const uint8_t *from, uint64_t size,
                                     struct wire_reply *ret)
{
    uint64_t at = HEAD_SIZE + DATA_KEY_SIZE;
    uint64_t length = 0;
    if (size < at + 3)
        return WIRE_MORE;
    if (memcmp(from + HEAD_SIZE, key, DATA_KEY_SIZE) != 0 || memcmp(from + at, " 0 ", 3) != 0)
        return WIRE_BROKEN;
    at += 3;
    for (uint64_t first = at; at < size && from[at] != '\r'; at++) {
        if (from[at] < '0' || from[at] > '9' || at - first > DIGITS_MAX)
            return WIRE_BROKEN;
        length = length * 10 + (uint64_t)(from[at] - '0');
    }
    if (size < at + 2 + length + TAIL_SIZE)
        return WIRE_MORE;
    if (memcmp(from + at + 2 + length, tail, TAIL_SIZE) != 0)
        return WIRE_BROKEN;
    *ret = (struct wire_reply){
        .size = at + 2 + length + TAIL_SIZE,
        .bytes = bytes_of(from + at + 2, length),
    };
    return WIRE_VALUE;
}

static enum wire_outcome memcached_parse(enum wire_command command, const uint8_t *key, uint64_t id,
                                         const uint8_t *from, uint64_t size, struct wire_reply *ret)
{
    (void)id;
    if (command == WIRE_SET) {
        if (size >= STORED_SIZE && memcmp(from, stored, STORED_SIZE) == 0) {
            *ret = (struct wire_reply){.size = STORED_SIZE};
            return WIRE_DONE;
        }
        return parse_error(from, size, ret);
    }
    if (size >= MISS_SIZE && memcmp(from, miss, MISS_SIZE) == 0) {
        *ret = (struct wire_reply){.size = MISS_SIZE};
        return WIRE_MISS;
    }
    if (size >= HEAD_SIZE && memcmp(from, value_head, HEAD_SIZE) == 0)
        return parse_value(key, from, size, ret);
    return parse_error(from, size, ret);
}

const struct wire wire_memcached = {
    .name = "memcached",
    .describe = memcached_describe,
    .parse = memcached_parse,
    .reply_around = HEAD_SIZE + DATA_KEY_SIZE + 3 + DIGITS_MAX + 2 + TAIL_SIZE,
    .reply_names_key = true,
};
