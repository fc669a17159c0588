/*
 * Memory that is given out in pieces and taken back all at once. Pieces stay where they are until
 * then. Not thread-safe. A zeroed struct is an empty arena without memory.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_KEPT_MAX ((size_t)64 * 1024) /* bytes that stay after a reset, for the next use */

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned; the newest first */
    size_t used;                /* bytes of the newest one */
    size_t total;               /* bytes given out since the reset */
};

void arena_deinit(struct arena *arena);

/* Takes all pieces back. */
void arena_reset(struct arena *arena);

/* size bytes (which may be 0), aligned for everything; NULL: out of memory. */
void *arena_take(struct arena *arena, size_t size);

#endif
