/*
 * See resp_inline.h. An argument without quotes is a view of the line; one with quotes is copied,
 * unquoted, to arguments->unquoted.
 *
 * I1  What is unquoted is never longer than the line, and room for the whole line is reserved at
 *     the first quote: so the copies never move and views of them stay good.
 */
#include "protocol/resp_inline.h"

#include "base/bytes.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    struct buffer *copy;
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Copies one byte (I1: there is room). */
static void put(struct reader *reader, uint8_t byte)
{
    reader->copy->data[reader->copy->end] = byte;
    buffer_commit(reader->copy, 1);
}

static uint8_t escaped(uint8_t byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return byte;
    }
}

/* Reads what comes behind a backslash in "...". */
static void read_escape(struct reader *reader)
{
    const uint8_t *at = reader->at;
    if (reader->end - at >= 3 && at[0] == 'x' && hex_value(at[1]) >= 0 && hex_value(at[2]) >= 0) {
        put(reader, (uint8_t)(hex_value(at[1]) * 16 + hex_value(at[2])));
        reader->at += 3;
        return;
    }
    put(reader, escaped(*at));
    reader->at++;
}

/* Reads from behind an opening quote to behind the closing one. False: there is none, or something
   follows it. */
static bool read_quoted(struct reader *reader, uint8_t quote)
{
    while (reader->at < reader->end) {
        uint8_t byte = *reader->at++;
        if (byte == quote)
            return reader->at == reader->end || is_blank(*reader->at);
        bool more = reader->at < reader->end;
        if (byte == '\\' && quote == '"' && more)
            read_escape(reader);
        else if (byte == '\\' && quote == '\'' && more && *reader->at == '\'')
            put(reader, *reader->at++);
        else
            put(reader, byte);
    }
    return false;
}

/* Reads an argument that has a quote in it, from its start. */
static kvs_status read_with_quotes(struct reader *reader, struct kvs_bytes *ret_item)
{
    size_t from = buffer_size(reader->copy);
    while (reader->at < reader->end && !is_blank(*reader->at)) {
        uint8_t byte = *reader->at++;
        if (byte != '"' && byte != '\'')
            put(reader, byte);
        else if (!read_quoted(reader, byte))
            return KVS_PROTOCOL;
    }
    *ret_item =
        bytes_of(buffer_content(reader->copy) + from, (uint64_t)(buffer_size(reader->copy) - from));
    return KVS_OK;
}

/* Reads the argument that begins at a byte that is no blank. */
static kvs_status read_argument(struct reader *reader, uint64_t line_size,
                                struct kvs_bytes *ret_item)
{
    const uint8_t *at = reader->at;
    while (at < reader->end && !is_blank(*at) && *at != '"' && *at != '\'')
        at++;
    if (at == reader->end || is_blank(*at)) {
        *ret_item = bytes_of(reader->at, (uint64_t)(at - reader->at));
        reader->at = at;
        return KVS_OK;
    }
    if (buffer_size(reader->copy) == 0) {
        kvs_status status = buffer_reserve(reader->copy, (size_t)line_size);
        if (status != KVS_OK)
            return status;
    }
    return read_with_quotes(reader, ret_item);
}

kvs_status resp_inline_split(struct kvs_bytes line, struct resp_arguments *arguments)
{
    const uint8_t *start = line.ptr;
    struct reader reader = {start, start + line.len, &arguments->unquoted};
    for (;;) {
        while (reader.at < reader.end && is_blank(*reader.at))
            reader.at++;
        if (reader.at == reader.end)
            return KVS_OK;
        struct kvs_bytes item;
        kvs_status status = read_argument(&reader, line.len, &item);
        if (status == KVS_OK)
            status = resp_arguments_add(arguments, item);
        if (status != KVS_OK)
            return status;
    }
}
