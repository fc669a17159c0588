/*
 * The project's one cleanup idiom: a variable that frees what it holds when it leaves its scope,
 * and a macro that takes the content out so that it survives.
 *
 *     _cleanup_(connection_freep) struct connection *connection = connection_new();
 *     ...
 *     *ret_connection = TAKE(connection);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* The pointer's value; the pointer itself becomes NULL. */
#define TAKE(pointer)                                                                              \
    (__extension__({                                                                               \
        __typeof__(pointer) *take_from_ = &(pointer);                                              \
        __typeof__(pointer) taken_ = *take_from_;                                                  \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    }))

/* The descriptor; the variable becomes -1. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#endif
