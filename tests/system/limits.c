/* See limits.h. */
#include "system/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/support.h"

#define STATUS_MAX ((size_t)8192)

bool raise_descriptor_limit(unsigned count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return true;
    if (limit.rlim_max < count) {
        print_message("skipped: %u descriptors are needed, the hard limit (ulimit -Hn) is %llu\n",
                      count, (unsigned long long)limit.rlim_max);
        return false;
    }
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return true;
}

/* The number behind "NAME:" in /proc/PID/status. */
static uint64_t status_number(pid_t pid, const char *name)
{
    char path[64];
    char line[64];
    char text[STATUS_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    (void)snprintf(line, sizeof(line), "\n%s:", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

uint64_t process_memory_bytes(pid_t pid)
{
    return status_number(pid, "VmRSS") * 1024;
}

unsigned process_thread_count(pid_t pid)
{
    return (unsigned)status_number(pid, "Threads");
}

bool built_with_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}
