/* RESP, the protocol of Redis, for the load generator: GET and SET only; see wire.h. */
#include <stdio.h>

#include "load/wire.h"

#define LENGTH_DIGITS_MAX 12u /* more than any length that a load has */

static const char ok[] = "+OK\r\n"; /* by far most replies to sets */
#define OK_SIZE (sizeof(ok) - 1)

static void resp_describe(enum wire_command command, uint32_t value_size, struct wire_template *ret)
{
    char before_value[32];
    if (command == WIRE_GET) {
        wire_describe_text("*2\r\n$3\r\nGET\r\n$16\r\n", "\r\n", NULL, 0, ret);
        return;
    }
    (void)snprintf(before_value, sizeof(before_value), "\r\n$%u\r\n", value_size);
    wire_describe_text("*3\r\n$3\r\nSET\r\n$16\r\n", before_value, "\r\n", value_size, ret);
}

/* A reply of one line: its text without the first byte. */
static enum wire_outcome parse_line(const uint8_t *from, uint64_t size, enum wire_outcome outcome,
                                    struct wire_reply *ret)
{
    const uint8_t *end = memchr(from, '\n', size);
    if (end == NULL)
        return WIRE_MORE;
    uint64_t line_size = (uint64_t)(end - from);
    if (line_size < 2 || end[-1] != '\r')
        return WIRE_BROKEN;
    *ret = (struct wire_reply){
        .size = line_size + 1,
        .bytes = bytes_of(from + 1, line_size - 2),
    };
    return outcome;
}

static enum wire_outcome parse_bulk(const uint8_t *from, uint64_t size, struct wire_reply *ret)
{
    uint64_t length = 0;
    uint64_t at = 1;
    if (size > 1 && from[1] == '-')
        return parse_line(from, size, WIRE_MISS, ret);
    for (; at < size && from[at] != '\r'; at++) {
        if (from[at] < '0' || from[at] > '9' || at > LENGTH_DIGITS_MAX)
            return WIRE_BROKEN;
        length = length * 10 + (uint64_t)(from[at] - '0');
    }
    if (size < at + 2 + length + 2)
        return WIRE_MORE;
    if (from[at + 1] != '\n' || from[at + 2 + length] != '\r' || from[at + 3 + length] != '\n')
        return WIRE_BROKEN;
    *ret = (struct wire_reply){
        .size = at + 2 + length + 2,
        .bytes = bytes_of(from + at + 2, length),
    };
    return WIRE_VALUE;
}

static enum wire_outcome resp_parse(enum wire_command command, const uint8_t *key, uint64_t id,
                                    const uint8_t *from, uint64_t size, struct wire_reply *ret)
{
    (void)key;
    (void)id;
    if (size == 0)
        return WIRE_MORE;
    if (command == WIRE_SET && size >= OK_SIZE && memcmp(from, ok, OK_SIZE) == 0) {
        *ret = (struct wire_reply){.size = OK_SIZE, .bytes = bytes_of(from + 1, OK_SIZE - 3)};
        return WIRE_DONE;
    }
    if (from[0] == '-')
        return parse_line(from, size, WIRE_ERROR, ret);
    if (command == WIRE_GET && from[0] == '$')
        return parse_bulk(from, size, ret);
    if (command == WIRE_GET && from[0] == '_')
        return parse_line(from, size, WIRE_MISS, ret);
    if (command == WIRE_SET && from[0] == '+')
        return parse_line(from, size, WIRE_DONE, ret);
    return WIRE_BROKEN;
}

static uint32_t resp_log_in(const char *password, uint8_t *to)
{
    return (uint32_t)sprintf((char *)to, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", strlen(password),
                             password);
}

const struct wire wire_resp = {
    .name = "resp",
    .describe = resp_describe,
    .parse = resp_parse,
    .log_in = resp_log_in,
    .reply_around = LENGTH_DIGITS_MAX + 5,
};
