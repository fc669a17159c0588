/* See thread_faults.h. */
#include "pools/thread_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef int (*create_fn)(pthread_t *thread, const pthread_attr_t *attributes,
                         void *(*main)(void *arg), void *arg);

/* Where a sanitizer's runtime is linked into the program itself (clang), its own goes first. */
extern int __interceptor_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                        void *(*main)(void *arg), void *arg) __attribute__((weak));

static atomic_long left = LONG_MAX;
static atomic_uint failed;

void thread_faults_begin(unsigned count)
{
    atomic_store(&failed, 0);
    atomic_store(&left, (long)count);
}

void thread_faults_end(void)
{
    atomic_store(&left, LONG_MAX);
}

unsigned thread_faults_count(void)
{
    return atomic_load(&failed);
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*main)(void *arg), void *arg)
{
    if (atomic_load(&left) != LONG_MAX && atomic_fetch_sub(&left, 1) <= 0) {
        atomic_fetch_add(&failed, 1);
        return EAGAIN;
    }
    create_fn create = __interceptor_pthread_create;
    if (create == NULL) {
        void *found = dlsym(RTLD_NEXT, "pthread_create");
        if (found == NULL)
            abort();
        memcpy(&create, &found, sizeof(create)); /* ISO C has no cast from one to the other */
    }
    return create(thread, attributes, main, arg);
}
