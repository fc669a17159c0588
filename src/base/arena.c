/*
 * See arena.h. A list of blocks, each twice as large as the one before it up to BLOCK_MOST, or as
 * large as the piece that did not fit. A reset frees all but one of at most ARENA_KEPT_MAX bytes, so one large use is not paid for by all that follow.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define BLOCK_LEAST ((size_t)1024)
#define BLOCK_MOST  ((size_t)1024 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t size; /* of bytes */
    alignas(max_align_t) uint8_t bytes[];
};

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_deinit(struct arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    while (kept != NULL && kept->size > ARENA_KEPT_MAX) {
        struct arena_block *older = kept->older;
        free(kept);
        kept = older;
    }
    if (kept != NULL) {
        free_blocks(kept->older);
        kept->older = NULL;
    }
    *arena = (struct arena){.blocks = kept};
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    size_t block_size = arena->blocks != NULL ? arena->blocks->size * 2 : BLOCK_LEAST;
    if (block_size > BLOCK_MOST)
        block_size = BLOCK_MOST;
    if (block_size < size)
        block_size = size;
    struct arena_block *block = malloc(sizeof(*block) + block_size);
    if (block == NULL)
        return NULL;
    block->size = block_size;
    block->older = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
    return block;
}

void *arena_take(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->blocks;
    if (size > SIZE_MAX / 4)
        return NULL;
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if ((block == NULL || block->size - arena->used < rounded) &&
        (block = add_block(arena, rounded)) == NULL)
        return NULL;
    void *piece = block->bytes + arena->used;
    arena->used += rounded;
    arena->total += rounded;
    return piece;
}
