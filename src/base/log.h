/*
 * A log: lines of a level, written to a sink. A struct that main (or an embedding program) owns;
 * there is no process-wide log. Safe from any thread: a line is handed to the sink in one call.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/plugin.h>

#define LOG_LINE_MAX 2048u /* bytes of a message; longer ones are cut */

typedef void (*log_sink_fn)(void *arg, uint32_t level, const char *message);

struct log {
    uint32_t level; /* KVS_LOG_*: the most talkative one that is written. Atomic: written by
                       log_set_level, read by all, relaxed: only a filter */
    log_sink_fn sink;
    void *sink_arg;
};

/* sink NULL: log_sink_text. */
void log_init(struct log *log, uint32_t level, log_sink_fn sink, void *sink_arg);
void log_set_level(struct log *log, uint32_t level);
bool log_enabled(const struct log *log, uint32_t level);

/* Writes a message as it is. */
void log_write(const struct log *log, uint32_t level, const char *message);

KVS_PRINTF(3, 4)
void log_printf(const struct log *log, uint32_t level, const char *format, ...);

#define log_error(log, ...) log_printf((log), KVS_LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_printf((log), KVS_LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_printf((log), KVS_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)                                                                        \
    do {                                                                                           \
        if (log_enabled((log), KVS_LOG_DEBUG))                                                     \
            log_printf((log), KVS_LOG_DEBUG, __VA_ARGS__);                                         \
    } while (0)

/* The default sink: one line on stderr, "2026-01-31T12:00:00.000Z INFO message". */
void log_sink_text(void *arg, uint32_t level, const char *message);

/* The time now, as lines begin with it. to: LOG_STAMP_MAX bytes. */
#define LOG_STAMP_MAX 40u
void log_stamp(char *to);

/* "error", "warn", "info", "debug" to a level; false for anything else. */
bool log_level_parse(const char *text, uint32_t *ret_level);

#endif
