/* See memory_faults.h. The linker takes these functions in place of the C library's (--wrap). */
#include "support/memory_faults.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How many calls are left until the one that fails; negative: no more of them fails. Written by the test
   and by each call of any thread, relaxed: a count and no more. */
static _Atomic int64_t left = -1;
static _Atomic bool failed;

void memory_faults_begin(uint64_t skip)
{
    atomic_store(&failed, false);
    atomic_store(&left, (int64_t)skip);
}

bool memory_faults_end(void)
{
    atomic_store(&left, -1);
    return atomic_load(&failed);
}

static bool fails(void)
{
    if (atomic_load_explicit(&left, memory_order_relaxed) < 0 ||
        atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) != 0)
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails() ? NULL : __real_strndup(text, size);
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
    va_list arguments;
    if (fails())
        return -1;
    va_start(arguments, format);
    int length = vasprintf(ret, format, arguments);
    va_end(arguments);
    return length;
}
