/*
 * See check.h.
 *
 * I1  A verdict is written by exactly one thread: the one that changed its kind from NONE to
 *     WRITING. All others that come to one wait for the process to end.
 */
#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define PAUSE_NS     200000L
#define THREAD_STACK (UINT64_C(256) << 10)

void check_error_init(struct check_error *error)
{
    memset(error, 0, sizeof(*error));
    error->error = (struct kvs_error)KVS_ERROR_INIT(error->message);
}

/* Gives the verdict and ends the process (I1). */
KVS_PRINTF(3, 0)
static _Noreturn void end(struct verdict *verdict, uint32_t kind, const char *format,
                          va_list arguments)
{
    uint32_t none = VERDICT_NONE;
    if (__atomic_compare_exchange_n(&verdict->kind, &none, VERDICT_WRITING, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        (void)vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
        __atomic_store_n(&verdict->kind, kind, __ATOMIC_RELEASE);
        _exit(EXIT_SUCCESS);
    }
    for (;;)
        (void)pause();
}

void check_fail(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(check->verdict, VERDICT_FAIL, format, arguments);
    // cppcheck-suppress va_end_missing ; it does not return
}

void check_skip(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(check->verdict, VERDICT_SKIP, format, arguments);
    // cppcheck-suppress va_end_missing ; it does not return
}

void check_doing(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(check->verdict->doing, sizeof(check->verdict->doing), format, arguments);
    va_end(arguments);
}

void check_status(struct check *check, const char *what, kvs_status wanted, kvs_status actual,
                  const struct check_error *error)
{
    if (actual == wanted)
        return;
    const char *message = error != NULL ? error->message : "";
    check_fail(check, "%s gave '%s' (%d), not '%s' (%d)%s%s", what, kvs_status_text(actual), actual,
               kvs_status_text(wanted), wanted, message[0] != '\0' ? ": " : "", message);
}

/* ---- waiting ------------------------------------------------------------------------------- */

bool check_wait_quietly(const struct check *check, bool (*condition)(void *arg), void *arg)
{
    const struct timespec pause_time = {0, PAUSE_NS};
    uint64_t deadline_ns = clock_now_ns() + (uint64_t)check->wait_ms * 1000000u;
    while (!condition(arg)) {
        if (clock_now_ns() > deadline_ns)
            return false;
        (void)nanosleep(&pause_time, NULL);
    }
    return true;
}

void check_wait(struct check *check, const char *what, bool (*condition)(void *arg), void *arg)
{
    check_doing(check, "waiting for %s", what);
    if (!check_wait_quietly(check, condition, arg))
        check_fail(check, "waited %u ms in vain for %s", check->wait_ms, what);
}

/* ---- threads ------------------------------------------------------------------------------- */

struct starter {
    pthread_t thread;
    unsigned index;
    void (*run)(void *arg, unsigned index);
    void *arg;
};

static void *start(void *arg)
{
    struct starter *starter = arg;
    starter->run(starter->arg, starter->index);
    return NULL;
}

void check_threads(struct check *check, unsigned count, void (*run)(void *arg, unsigned index),
                   void *arg)
{
    struct starter *starters = check_memory(check, count * sizeof(*starters));
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    for (unsigned i = 0; i < count; i++) {
        starters[i] = (struct starter){.index = i, .run = run, .arg = arg};
        int code = pthread_create(&starters[i].thread, &attributes, start, &starters[i]);
        if (code != 0)
            check_skip(check, "cannot start %u threads here: %s", count, strerror(code));
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(starters[i].thread, NULL);
    (void)pthread_attr_destroy(&attributes);
    free(starters);
}

void *check_memory(struct check *check, uint64_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL)
        check_skip(check, "no memory for %llu bytes", (unsigned long long)size);
    return memory;
}

bool check_is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}

/* ---- what the process holds ------------------------------------------------------------------ */

static unsigned count_entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

unsigned check_count_threads(void)
{
    return count_entries("/proc/self/task");
}

unsigned check_count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

unsigned check_count_mappings(void)
{
    unsigned lines = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    if (file == NULL)
        return 0;
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file))
        lines += byte == '\n';
    (void)fclose(file);
    return lines;
}

uint64_t check_heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
