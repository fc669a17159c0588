/*
 * Where kvs-server's log lines go and in which form. All sinks may be called from any thread, and
 * hand a line over in one call, so that lines do not mix. What cannot be written is dropped: there
 * is nowhere to report it.
 */
#ifndef SERVER_LOG_SINKS_H
#define SERVER_LOG_SINKS_H

#include "base/log.h"

enum log_format {
    LOG_FORMAT_AUTO,    /* JOURNALD where stderr is the journal, else TEXT */
    LOG_FORMAT_TEXT,    /* stderr: 2026-01-31T12:00:00.000Z INFO message */
    LOG_FORMAT_JSON,    /* stderr: {"time":"...","level":"info","message":"..."} */
    LOG_FORMAT_JOURNALD /* the journal's socket: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER; TEXT where
                           that cannot be reached */
};

/* "auto", "text", "json", "journald"; false for anything else. */
bool log_format_parse(const char *text, enum log_format *ret_format);

/* The sink of a format; its arg is NULL. NULL for text: the log's own default. */
log_sink_fn log_sink_of(enum log_format format);

/* Writes one line of JSON, newline and terminator included, and returns its size without the
   terminator. to: LOG_JSON_MAX bytes. Bytes that are no UTF-8 become U+FFFD. */
#define LOG_JSON_MAX (6 * LOG_LINE_MAX + 128)
size_t log_json_line(char *to, const char *stamp, uint32_t level, const char *message);

#endif
