/*
 * The memory of the index's tables: allocated by moving a mark, freed a region at a time.
 *
 * Slabs of 2 MiB come from mmap; each is cut into regions of 64 KiB to 2 MiB. Tables are allocated
 * one behind the other in the newest region and never freed singly: a table leaves when its shard
 * has got another one, and when the last table of a region has left, the region is retired as a
 * whole and reused after a grace period. To keep holes from lasting, the growth moves the tables
 * of the oldest region on to the newest (index_growth.c).
 *
 * Threads: all calls take the arena's lock; it is the last in the order of the index's locks.
 */
#ifndef ENGINE_LOG_INDEX_ARENA_H
#define ENGINE_LOG_INDEX_ARENA_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "epoch.h"

struct index_bucket;
struct index_region;
struct index_slab;

TAILQ_HEAD(index_regions, index_region);
TAILQ_HEAD(index_slabs, index_slab);

struct index_arena {
    /* Constant after init. */
    struct epoch *epoch;
    uint64_t max_bytes;

    pthread_mutex_t lock;         /* guards all below, and the slabs and regions themselves */
    struct index_regions regions; /* with live tables, and the open one; oldest first */
    struct index_region *open;    /* where the next table goes, or NULL */
    struct index_slabs slabs;
    uint64_t next_number;   /* of a region */
    uint64_t slab_bytes;    /* mapped */
    uint64_t idle_bytes;    /* of mapped slabs: never touched */
    uint64_t region_bytes;  /* of the regions in the list */
    uint64_t retired_bytes; /* of regions waiting for their grace period */
    uint64_t table_bytes;   /* of live tables */
};

/* One live table. */
struct index_table_ref {
    uint32_t shard;
    uint32_t buckets;
    struct index_bucket *table;
};

struct index_arena_figures {
    uint64_t table_bytes;
    uint64_t garbage_bytes; /* of regions in use: behind which no live table or free room is */
    uint64_t region_bytes;
    uint64_t retired_bytes;
    uint64_t held_bytes;    /* all that is touched, retired and free regions included */
    uint64_t oldest_number; /* of the oldest region in use; next_number if there is none */
    uint64_t next_number;
};

void index_arena_init(struct index_arena *arena, struct epoch *epoch, uint64_t max_bytes);
/* Waits for what is retired and unmaps everything. */
void index_arena_deinit(struct index_arena *arena);

/* A table of buckets for the shard, with old content; NULL when there is no memory. */
struct index_bucket *index_arena_alloc(struct index_arena *arena, uint32_t shard, uint32_t buckets);

/* The table was taken out of its shard's head: it goes with its region after a grace period. */
void index_arena_leave(struct index_arena *arena, struct index_bucket *table, uint32_t buckets);

/*
 * The next table of the oldest region that is live as its shard's head says, so that it can be
 * moved; the caller, one at a time, checks the head again under the shard's lock, and moves on
 * by asking again: a table that has moved is not live any more. False: there is no table.
 */
bool index_arena_oldest(struct index_arena *arena, const _Atomic uint64_t *heads,
                        struct index_table_ref *ret);

void index_arena_figures(struct index_arena *arena, struct index_arena_figures *ret);

#endif
