/*
 * See resp_reply.h. Every element reserves its room once and is then written without checks.
 *
 * I1  After a failed reservation, and while muted, nothing is written: every write reserves first.
 * I2  No text that is written as a line holds a line end, whatever the caller's arguments were.
 */
#include "protocol/resp_reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define HEADER_MAX 24u /* type, sign, 20 digits, line end */
#define DOUBLE_MAX 32u /* bytes of a printed double */

/* Room for size more bytes, or NULL (I1). */
static uint8_t *reserve(struct resp_writer *writer, size_t size)
{
    if (writer->status != KVS_OK || writer->muted)
        return NULL;
    if (buffer_room(writer->out) < size)
        writer->status = buffer_reserve(writer->out, size);
    return writer->status == KVS_OK ? writer->out->data + writer->out->end : NULL;
}

/* "TYPE NUMBER \r\n" to at; returns the byte behind it. */
static uint8_t *put_number(uint8_t *at, char type, uint64_t number, bool negative)
{
    *at++ = (uint8_t)type;
    if (negative)
        *at++ = '-';
    if (number < 10) {
        *at++ = (uint8_t)('0' + number);
    } else {
        uint8_t digits[20];
        size_t count = 0;
        for (; number > 0; number /= 10)
            digits[count++] = (uint8_t)('0' + number % 10);
        while (count > 0)
            *at++ = digits[--count];
    }
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void write_header(struct resp_writer *writer, char type, uint64_t number)
{
    uint8_t *start = reserve(writer, HEADER_MAX);
    if (start != NULL)
        buffer_commit(writer->out, (size_t)(put_number(start, type, number, false) - start));
}

static void write_text(struct resp_writer *writer, const char *text, size_t size)
{
    uint8_t *at = reserve(writer, size);
    if (at == NULL)
        return;
    memcpy(at, text, size);
    buffer_commit(writer->out, size);
}

/* "TYPE text \r\n" (I2). */
static void write_line(struct resp_writer *writer, char type, const char *text, size_t size)
{
    uint8_t *at = reserve(writer, size + 3);
    if (at == NULL)
        return;
    *at++ = (uint8_t)type;
    for (size_t i = 0; i < size; i++)
        *at++ = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
    *at++ = '\r';
    *at++ = '\n';
    buffer_commit(writer->out, size + 3);
}

void resp_simple(struct resp_writer *writer, const char *text)
{
    write_line(writer, '+', text, strlen(text));
}

void resp_ok(struct resp_writer *writer)
{
    write_text(writer, "+OK\r\n", 5);
}

void resp_error(struct resp_writer *writer, const char *format, ...)
{
    char text[RESP_ERROR_MAX] = "ERR";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_line(writer, '-', text, strlen(text));
}

void resp_fault(struct resp_writer *writer, kvs_status status, const char *message)
{
    const char *code = "ERR";
    if (status == KVS_LOADING)
        code = "LOADING";
    else if (status == KVS_READ_ONLY || status == KVS_NO_SPACE)
        code = "MISCONF";
    else if (status == KVS_DENIED)
        code = "NOPERM";
    resp_error(writer, "%s %s", code,
               message != NULL && *message != '\0' ? message : kvs_status_text(status));
}

void resp_integer(struct resp_writer *writer, int64_t value)
{
    uint8_t *start = reserve(writer, HEADER_MAX);
    if (start == NULL)
        return;
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    buffer_commit(writer->out, (size_t)(put_number(start, ':', magnitude, value < 0) - start));
}

void resp_boolean(struct resp_writer *writer, bool value)
{
    if (writer->version >= 3)
        write_text(writer, value ? "#t\r\n" : "#f\r\n", 4);
    else
        resp_integer(writer, value);
}

void resp_double(struct resp_writer *writer, double value)
{
    char text[DOUBLE_MAX];
    if (isinf(value)) {
        (void)snprintf(text, sizeof(text), value > 0 ? "inf" : "-inf");
    } else if (isnan(value)) {
        (void)snprintf(text, sizeof(text), "nan"); /* its sign means nothing */
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(text, sizeof(text), "%.*g", digits, value);
            double read = strtod(text, NULL);
            // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): -0 is not 0 here
            if (memcmp(&read, &value, sizeof(read)) == 0)
                break;
        }
    }
    if (writer->version >= 3)
        write_line(writer, ',', text, strlen(text));
    else
        resp_bulk_text(writer, text);
}

void resp_bulk(struct resp_writer *writer, struct kvs_bytes value)
{
    if (value.len > SIZE_MAX - HEADER_MAX - 2) {
        writer->status = KVS_NO_MEMORY;
        return;
    }
    uint8_t *start = reserve(writer, HEADER_MAX + (size_t)value.len + 2);
    if (start == NULL)
        return;
    uint8_t *at = put_number(start, '$', value.len, false);
    if (value.len > 0)
        memcpy(at, value.ptr, value.len);
    at += value.len;
    *at++ = '\r';
    *at++ = '\n';
    buffer_commit(writer->out, (size_t)(at - start));
}

void resp_bulk_text(struct resp_writer *writer, const char *text)
{
    resp_bulk(writer, bytes_of_text(text));
}

void resp_verbatim(struct resp_writer *writer, struct kvs_bytes text)
{
    if (writer->version < 3) {
        resp_bulk(writer, text);
        return;
    }
    write_header(writer, '=', text.len + 4);
    write_text(writer, "txt:", 4);
    if (text.len > 0)
        write_text(writer, text.ptr, text.len);
    write_text(writer, "\r\n", 2);
}

void resp_append(struct resp_writer *writer, const struct buffer *elements)
{
    if (buffer_size(elements) > 0)
        write_text(writer, (const char *)buffer_content(elements), buffer_size(elements));
}

void resp_null(struct resp_writer *writer)
{
    if (writer->version >= 3)
        write_text(writer, "_\r\n", 3);
    else
        write_text(writer, "$-1\r\n", 5);
}

void resp_null_array(struct resp_writer *writer)
{
    if (writer->version >= 3)
        write_text(writer, "_\r\n", 3);
    else
        write_text(writer, "*-1\r\n", 5);
}

void resp_array(struct resp_writer *writer, uint64_t element_count)
{
    write_header(writer, '*', element_count);
}

void resp_map(struct resp_writer *writer, uint64_t pair_count)
{
    if (writer->version >= 3)
        write_header(writer, '%', pair_count);
    else
        write_header(writer, '*', pair_count * 2);
}

void resp_set(struct resp_writer *writer, uint64_t element_count)
{
    write_header(writer, writer->version >= 3 ? '~' : '*', element_count);
}

void resp_push(struct resp_writer *writer, uint64_t element_count)
{
    write_header(writer, writer->version >= 3 ? '>' : '*', element_count);
}
