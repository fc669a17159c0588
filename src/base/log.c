/*
 * See log.h. A line for stderr is put together on the stack and written with one write(), so lines
 * of different threads (and processes on one pipe) do not mix. A stderr that cannot be written is
 * ignored: there is nowhere to report it.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *level_name(uint32_t level)
{
    switch (level) {
    case KVS_LOG_ERROR:
        return "ERROR";
    case KVS_LOG_WARN:
        return "WARN";
    case KVS_LOG_INFO:
        return "INFO";
    default:
        return "DEBUG";
    }
}

void log_stamp(char *to)
{
    struct timespec now;
    struct tm calendar;
    char seconds[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &calendar);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &calendar);
    (void)snprintf(to, LOG_STAMP_MAX, "%s.%03uZ", seconds, (unsigned)(now.tv_nsec / 1000000));
}

void log_sink_text(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    char stamp[LOG_STAMP_MAX];
    char line[LOG_LINE_MAX + 64];
    log_stamp(stamp);
    int size = snprintf(line, sizeof(line), "%s %s %s\n", stamp, level_name(level), message);
    if (size >= (int)sizeof(line)) {
        size = (int)sizeof(line) - 1;
        line[size - 1] = '\n';
    }
    ssize_t written = write(STDERR_FILENO, line, (size_t)size);
    (void)written;
}

void log_init(struct log *log, uint32_t level, log_sink_fn sink, void *sink_arg)
{
    log->sink = sink != NULL ? sink : log_sink_text;
    log->sink_arg = sink_arg;
    log_set_level(log, level);
}

void log_set_level(struct log *log, uint32_t level)
{
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

bool log_enabled(const struct log *log, uint32_t level)
{
    return level <= __atomic_load_n(&log->level, __ATOMIC_RELAXED);
}

void log_write(const struct log *log, uint32_t level, const char *message)
{
    if (log_enabled(log, level))
        log->sink(log->sink_arg, level, message);
}

void log_printf(const struct log *log, uint32_t level, const char *format, ...)
{
    if (!log_enabled(log, level))
        return;
    char message[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    log->sink(log->sink_arg, level, message);
}

bool log_level_parse(const char *text, uint32_t *ret_level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_level = KVS_LOG_ERROR + i;
            return true;
        }
    }
    return false;
}
