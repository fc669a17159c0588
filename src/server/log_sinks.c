/* See log_sinks.h. A line is put together on the stack and written with one call. */
#include "server/log_sinks.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPLACEMENT "\\ufffd"

bool log_format_parse(const char *text, enum log_format *ret_format)
{
    static const char *const names[] = {"auto", "text", "json", "journald"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static char *append(char *to, const char *text)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

/* One character of a JSON string: at most 6 bytes for each byte of the message. */
static char *append_character(char *to, const char *from, size_t size)
{
    unsigned char first = (unsigned char)*from;
    if (first == '"' || first == '\\') {
        *to++ = '\\';
        *to++ = (char)first;
        return to;
    }
    if (first < 0x20)
        return to + sprintf(to, "\\u%04x", first);
    memcpy(to, from, size);
    return to + size;
}

size_t log_json_line(char *to, const char *stamp, uint32_t level, const char *message)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    uint32_t index = level - KVS_LOG_ERROR;
    char *start = to;
    to = append(to, "{\"time\":\"");
    to = append(to, stamp);
    to = append(to, "\",\"level\":\"");
    to = append(to, names[index < 4 ? index : 3]);
    to = append(to, "\",\"message\":\"");
    const char *end = message + strnlen(message, LOG_LINE_MAX);
    while (message < end) {
        gunichar character = g_utf8_get_char_validated(message, end - message);
        if (character == (gunichar)-1 || character == (gunichar)-2) {
            to = append(to, REPLACEMENT);
            message++;
            continue;
        }
        size_t bytes = (size_t)g_unichar_to_utf8(character, NULL);
        to = append_character(to, message, bytes);
        message += bytes;
    }
    to = append(to, "\"}\n");
    *to = '\0';
    return (size_t)(to - start);
}

static void sink_json(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    char stamp[LOG_STAMP_MAX];
    char line[LOG_JSON_MAX];
    log_stamp(stamp);
    ssize_t written = write(STDERR_FILENO, line, log_json_line(line, stamp, level, message));
    (void)written;
}

/* ---- the journal -------------------------------------------------------------------------- */

static void sink_journald(void *arg, uint32_t level, const char *message)
{
    static const char *const priorities[] = {"3", "4", "6", "7"}; /* syslog's */
    uint32_t index = level - KVS_LOG_ERROR;
    const GLogField fields[] = {
        {"MESSAGE", message, -1},
        {"PRIORITY", priorities[index < 4 ? index : 3], -1},
        {"SYSLOG_IDENTIFIER", "kvs-server", -1},
    };
    if (g_log_writer_journald(G_LOG_LEVEL_MESSAGE, fields, G_N_ELEMENTS(fields), NULL) !=
        G_LOG_WRITER_HANDLED)
        log_sink_text(arg, level, message);
}

log_sink_fn log_sink_of(enum log_format format)
{
    if (format == LOG_FORMAT_AUTO && g_log_writer_is_journald(STDERR_FILENO))
        format = LOG_FORMAT_JOURNALD;
    switch (format) {
    case LOG_FORMAT_JSON:
        return sink_json;
    case LOG_FORMAT_JOURNALD:
        return sink_journald;
    case LOG_FORMAT_TEXT:
    case LOG_FORMAT_AUTO:
    default:
        return log_sink_text;
    }
}
