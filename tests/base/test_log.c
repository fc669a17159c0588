/* The log: levels, the caller's sink, and the lines on stderr. */
#include "support/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define LINE_PATTERN "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

/* What a sink was given. */
struct sunk {
    uint32_t count;
    uint32_t level;
    char message[LOG_LINE_MAX];
};

static void sink(void *arg, uint32_t level, const char *message)
{
    struct sunk *sunk = arg;
    sunk->count++;
    sunk->level = level;
    (void)snprintf(sunk->message, sizeof(sunk->message), "%s", message);
}

static void a_level_hides_the_more_talkative(void **state)
{
    (void)state;
    const uint32_t levels[] = {KVS_LOG_ERROR, KVS_LOG_WARN, KVS_LOG_INFO, KVS_LOG_DEBUG};
    for (uint32_t set = 0; set < 4; set++) {
        struct sunk sunk = {0};
        struct log log;
        log_init(&log, levels[set], sink, &sunk);
        for (uint32_t at = 0; at < 4; at++) {
            sunk.count = 0;
            assert_int_equal(log_enabled(&log, levels[at]), at <= set);
            log_write(&log, levels[at], "%s is not a format here");
            assert_int_equal(sunk.count, at <= set);
            log_printf(&log, levels[at], "%d", 5);
            assert_int_equal(sunk.count, at <= set ? 2 : 0);
            if (at <= set)
                assert_int_equal(sunk.level, levels[at]);
        }
    }
}

static void messages_reach_the_sink(void **state)
{
    (void)state;
    struct sunk sunk = {0};
    struct log log;
    log_init(&log, KVS_LOG_DEBUG, sink, &sunk);
    log_write(&log, KVS_LOG_INFO, "100% plain");
    assert_string_equal(sunk.message, "100% plain");
    log_error(&log, "%s %d", "error", 1);
    assert_string_equal(sunk.message, "error 1");
    assert_int_equal(sunk.level, KVS_LOG_ERROR);
    log_warn(&log, "warn");
    assert_int_equal(sunk.level, KVS_LOG_WARN);
    log_info(&log, "info");
    assert_int_equal(sunk.level, KVS_LOG_INFO);
    log_debug(&log, "%s", "debug");
    assert_int_equal(sunk.level, KVS_LOG_DEBUG);
    assert_string_equal(sunk.message, "debug");
    log_set_level(&log, KVS_LOG_ERROR);
    log_debug(&log, "%s", "hidden");
    log_warn(&log, "hidden");
    assert_int_equal(sunk.count, 5);
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    struct sunk sunk = {0};
    struct log log;
    char text[2 * LOG_LINE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_init(&log, KVS_LOG_INFO, sink, &sunk);
    log_info(&log, "%s", text);
    assert_int_equal(strlen(sunk.message), LOG_LINE_MAX - 1);
}

static void levels_have_names(void **state)
{
    (void)state;
    uint32_t level = 99;
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("INFO", &level));
    assert_false(log_level_parse("info ", &level));
    assert_false(log_level_parse("trace", &level));
    assert_int_equal(level, 99);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, KVS_LOG_ERROR);
    assert_true(log_level_parse("warn", &level));
    assert_int_equal(level, KVS_LOG_WARN);
    assert_true(log_level_parse("info", &level));
    assert_int_equal(level, KVS_LOG_INFO);
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, KVS_LOG_DEBUG);
}

/* Runs write_lines with stderr led into memory; returns what came, malloced. */
static char *captured(void (*write_lines)(const struct log *log))
{
    struct log log;
    log_init(&log, KVS_LOG_DEBUG, NULL, NULL);
    int memory = memfd_create("stderr", MFD_CLOEXEC);
    int saved = dup(STDERR_FILENO);
    assert_true(memory >= 0 && saved >= 0);
    /* Each write goes to the end: no lock guards the offset of a file in memory. */
    assert_int_equal(fcntl(memory, F_SETFL, O_APPEND), 0);
    assert_true(dup2(memory, STDERR_FILENO) >= 0);
    write_lines(&log);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    struct stat info;
    assert_int_equal(fstat(memory, &info), 0);
    char *text = calloc(1, (size_t)info.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(memory, text, (size_t)info.st_size, 0), info.st_size);
    (void)close(memory);
    (void)close(saved);
    return text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("'%s' is not as '%s'", text, pattern);
    regfree(&regex);
}

static void write_each_level(const struct log *log)
{
    log_error(log, "e%d", 1);
    log_warn(log, "w");
    log_info(log, "i");
    log_debug(log, "d");
}

static void lines_on_stderr_have_time_and_level(void **state)
{
    (void)state;
    char *text = captured(write_each_level);
    assert_matches(text, "^" LINE_PATTERN "ERROR e1\n" LINE_PATTERN "WARN w\n" LINE_PATTERN
                         "INFO i\n" LINE_PATTERN "DEBUG d\n$");
    free(text);
}

static void write_a_huge_line(const struct log *log)
{
    char text[2 * LOG_LINE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_write(log, KVS_LOG_INFO, text);
    log_write(log, KVS_LOG_INFO, "next");
}

static void a_huge_line_stays_one_line(void **state)
{
    (void)state;
    char *text = captured(write_a_huge_line);
    assert_matches(text, "^" LINE_PATTERN "INFO x+\n" LINE_PATTERN "INFO next\n$");
    free(text);
}

#define WRITERS          4
#define LINES_PER_WRITER 500

static void *writer_main(void *arg)
{
    for (int i = 0; i < LINES_PER_WRITER; i++)
        log_info(arg, "begin %060d end", i);
    return NULL;
}

static void write_from_threads(const struct log *log)
{
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer_main, (void *)(uintptr_t)log), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void lines_of_different_threads_do_not_mix(void **state)
{
    (void)state;
    char *text = captured(write_from_threads);
    char *rest = text;
    int count = 0;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n"), count++)
        assert_matches(line, "^" LINE_PATTERN "INFO begin [0-9]{60} end$");
    assert_int_equal(count, WRITERS * LINES_PER_WRITER);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_hides_the_more_talkative),
        cmocka_unit_test(messages_reach_the_sink),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(lines_on_stderr_have_time_and_level),
        cmocka_unit_test(a_huge_line_stays_one_line),
        cmocka_unit_test(lines_of_different_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
