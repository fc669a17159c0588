/*
 * Slabs, regions and tables; see index_arena.h.
 *
 * A slab is aligned to its size, so a table's address gives its slab. It begins with its own
 * description (struct index_slab), which readers never look at. A region holds tables from its
 * front to its back, and a descriptor for each (shard and buckets) from its back to its front:
 *
 *     slab    | description | region | region | ...
 *     region  | table | table | ...  free  ... | descriptor | descriptor |
 *
 * Invariants:
 * A1  Memory of a region is handed out only from free units, and units become free only in the
 *     region's run(), a grace period after its last table left.
 * A2  A region is in the list exactly while it is open or has a live table.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "index_internal.h"

#define SLAB_SIZE       (UINT64_C(2) << 20) /* and alignment; a larger table has a larger slab */
#define SLAB_UNITS      32u
#define UNIT_SIZE       (SLAB_SIZE / SLAB_UNITS)
#define ALL_UNITS       UINT32_MAX
#define HUGE_FROM       (UINT64_C(2) << 20)   /* mapped bytes from which on slabs use huge pages */
#define SPARE_FROM      (UINT64_C(32) << 20)  /* mapped bytes from which on a free slab is kept */
#define FREE_BYTES      (UINT64_C(256) << 10) /* free memory that is kept in any case */
#define REGION_SHARE    64u                   /* a region is at most this part of all regions */
#define DESCRIPTOR_SIZE sizeof(struct index_descriptor)

struct index_descriptor {
    uint32_t shard;
    uint32_t buckets;
};

struct index_region {
    struct epoch_retired retired;
    TAILQ_ENTRY(index_region) link;
    struct index_slab *slab;
    uint64_t number; /* regions are numbered as they are opened */
    uint32_t units;  /* of the slab; 0: no region begins here */
    uint32_t unit;   /* the first of them */
    uint32_t tables; /* descriptors */
    uint32_t live_tables;
    uint32_t swept;      /* descriptors whose table is known to have left */
    uint64_t size;       /* bytes, in front the slab's description where unit is 0 */
    uint64_t used;       /* bytes from the front, tables (and description) */
    uint64_t swept_used; /* where the first table that is not swept begins */
};

struct index_slab {
    struct index_arena *arena;
    TAILQ_ENTRY(index_slab) link;
    uint64_t size;
    bool huge;           /* in huge pages, which are not given back unit by unit: slab_split() */
    uint32_t free_units; /* bit per unit */
    uint32_t idle_units; /* never touched */
    struct index_region regions[SLAB_UNITS]; /* by first unit */
};

_Static_assert(sizeof(struct index_slab) < UNIT_SIZE / 4, "the description fits in the first unit");

#define SLAB_FRONT ((sizeof(struct index_slab) + 63) / 64 * 64)

/* ---- slabs -------------------------------------------------------------------------------- */

static struct index_slab *slab_of(struct index_bucket *table)
{
    /* A table begins in the first 2 MiB of its slab, also in a larger one. */
    return (struct index_slab *)((uintptr_t)table & ~(uintptr_t)(SLAB_SIZE - 1));
}

static char *slab_map(uint64_t size)
{
    uint64_t mapped = size + SLAB_SIZE;
    char *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    char *begin = (char *)(((uintptr_t)at + SLAB_SIZE - 1) & ~(uintptr_t)(SLAB_SIZE - 1));
    if (begin != at)
        (void)munmap(at, (size_t)(begin - at));
    if (begin + size != at + mapped)
        (void)munmap(begin + size, (size_t)(at + mapped - (begin + size)));
    /* A head has 48 bits for an address, which is what user space has unless it asks for more. */
    if ((uint64_t)(uintptr_t)(begin + size) >> 48 != 0) {
        (void)munmap(begin, size);
        return NULL;
    }
    return begin;
}

static struct index_slab *slab_new(struct index_arena *arena, uint64_t size)
{
    if (arena->max_bytes != 0 && arena->slab_bytes + size > arena->max_bytes)
        return NULL;
    char *begin = slab_map(size);
    if (begin == NULL)
        return NULL;
    bool huge = arena->slab_bytes >= HUGE_FROM;
    if (huge)
        (void)madvise(begin, size, MADV_HUGEPAGE); /* refused: small pages do as well */
    struct index_slab *slab = (struct index_slab *)(void *)begin;
    slab->arena = arena;
    slab->size = size;
    slab->huge = huge;
    slab->free_units = ALL_UNITS;
    slab->idle_units = huge ? 0 : ALL_UNITS;
    TAILQ_INSERT_HEAD(&arena->slabs, slab, link);
    arena->slab_bytes += size;
    arena->idle_bytes += huge ? 0 : size;
    return slab;
}

static void slab_free(struct index_arena *arena, struct index_slab *slab)
{
    TAILQ_REMOVE(&arena->slabs, slab, link);
    arena->slab_bytes -= slab->size;
    arena->idle_bytes -= slab->size / SLAB_UNITS * (unsigned)__builtin_popcount(slab->idle_units);
    (void)munmap(slab, slab->size);
}

/* The slab is all free. A large index keeps one such slab: the next region will want it soon. */
static void slab_spare(struct index_arena *arena, struct index_slab *slab)
{
    struct index_slab *other;
    bool keep = slab->size == SLAB_SIZE && arena->slab_bytes >= SPARE_FROM;
    TAILQ_FOREACH(other, &arena->slabs, link)
    keep = keep && (other == slab || other->free_units != ALL_UNITS);
    if (!keep)
        slab_free(arena, slab);
}

static uint32_t units_mask(uint32_t unit, uint32_t units)
{
    return (units == SLAB_UNITS ? ALL_UNITS : (UINT32_C(1) << units) - 1) << unit;
}

/* The first aligned run of free units, or -1. units is a power of two. */
static int slab_find_units(const struct index_slab *slab, uint32_t units)
{
    for (uint32_t unit = 0; unit < SLAB_UNITS; unit += units) {
        uint32_t mask = units_mask(unit, units);
        if ((slab->free_units & mask) == mask)
            return (int)unit;
    }
    return -1;
}

/* ---- regions ------------------------------------------------------------------------------ */

static char *region_begin(const struct index_region *region)
{
    return (char *)region->slab + region->unit * (region->slab->size / SLAB_UNITS);
}

static uint64_t region_front(const struct index_region *region)
{
    return region->unit == 0 ? SLAB_FRONT : 0;
}

static struct index_descriptor *region_descriptor(const struct index_region *region, uint32_t i)
{
    char *end = region_begin(region) + region->size;
    return (struct index_descriptor *)(void *)end - (i + 1);
}

static uint64_t region_room(const struct index_region *region)
{
    return region->size - region->used - region->tables * DESCRIPTOR_SIZE;
}

/* True when a good part of what was touched is free, after a peak or in a small index. */
static bool region_much_is_free(const struct index_arena *arena)
{
    uint64_t held = arena->slab_bytes - arena->idle_bytes;
    uint64_t used = arena->region_bytes + arena->retired_bytes;
    return held > used + used / 8 + FREE_BYTES;
}

/* Gives the memory of free units back to the system, and keeps their addresses. */
static void slab_untouch(struct index_arena *arena, struct index_slab *slab, uint32_t unit,
                         uint32_t units)
{
    uint64_t unit_size = slab->size / SLAB_UNITS;
    if (madvise((char *)slab + unit * unit_size, units * unit_size, MADV_DONTNEED) != 0)
        return;
    slab->idle_units |= units_mask(unit, units);
    arena->idle_bytes += units * unit_size;
}

/* Gives up the huge pages of a slab of which half is free, to give back that half. */
static void slab_split(struct index_arena *arena, struct index_slab *slab)
{
    if ((unsigned)__builtin_popcount(slab->free_units) < SLAB_UNITS / 2 ||
        madvise(slab, slab->size, MADV_NOHUGEPAGE) != 0)
        return;
    slab->huge = false;
    for (uint32_t unit = 1; unit < SLAB_UNITS; unit++) { /* the description is in the first */
        if ((slab->free_units & units_mask(unit, 1)) != 0)
            slab_untouch(arena, slab, unit, 1);
    }
}

static void region_reclaim(struct epoch_retired *retired)
{
    struct index_region *region = (struct index_region *)(void *)retired;
    struct index_slab *slab = region->slab;
    struct index_arena *arena = slab->arena;
    pthread_mutex_lock(&arena->lock);
    slab->free_units |= units_mask(region->unit, region->units); /* A1 */
    arena->retired_bytes -= region->size;
    if (region_much_is_free(arena) && slab->huge)
        slab_split(arena, slab);
    else if (region_much_is_free(arena) && region->unit != 0)
        slab_untouch(arena, slab, region->unit, region->units);
    region->units = 0;
    if (slab->free_units == ALL_UNITS)
        slab_spare(arena, slab); /* unmaps the region's description too */
    pthread_mutex_unlock(&arena->lock);
}

/* A2: out of the list, and into the epoch's hands. */
static void region_retire(struct index_arena *arena, struct index_region *region)
{
    TAILQ_REMOVE(&arena->regions, region, link);
    arena->region_bytes -= region->size;
    arena->retired_bytes += region->size;
    epoch_retire(arena->epoch, &region->retired, region_reclaim);
}

static void region_close(struct index_arena *arena)
{
    struct index_region *region = arena->open;
    arena->open = NULL;
    if (region != NULL && region->live_tables == 0)
        region_retire(arena, region);
}

static uint32_t region_units(const struct index_arena *arena, uint64_t at_least)
{
    uint32_t units = 1;
    while (units < SLAB_UNITS &&
           (units * UNIT_SIZE < at_least || units * UNIT_SIZE * REGION_SHARE < arena->region_bytes))
        units *= 2;
    return units;
}

static struct index_slab *region_slab(struct index_arena *arena, uint32_t units, int *ret_unit)
{
    struct index_slab *slab;
    TAILQ_FOREACH(slab, &arena->slabs, link)
    {
        *ret_unit = slab_find_units(slab, units);
        if (*ret_unit >= 0)
            return slab;
    }
    *ret_unit = 0;
    return slab_new(arena, SLAB_SIZE);
}

static bool region_open(struct index_arena *arena, uint64_t table_size)
{
    uint64_t at_least = SLAB_FRONT + table_size + DESCRIPTOR_SIZE;
    uint32_t units = region_units(arena, at_least);
    int unit = 0;
    struct index_slab *slab;
    if (at_least > SLAB_SIZE)
        slab = slab_new(arena, (at_least + SLAB_SIZE - 1) / SLAB_SIZE * SLAB_SIZE);
    else
        slab = region_slab(arena, units, &unit);
    if (slab == NULL)
        return false;
    uint32_t mask = units_mask((uint32_t)unit, units);
    uint64_t unit_size = slab->size / SLAB_UNITS;
    slab->free_units &= ~mask;
    arena->idle_bytes -= unit_size * (unsigned)__builtin_popcount(slab->idle_units & mask);
    slab->idle_units &= ~mask;

    struct index_region *region = &slab->regions[unit];
    *region = (struct index_region){
        .slab = slab,
        .number = arena->next_number++,
        .units = units,
        .unit = (uint32_t)unit,
        .size = units * unit_size,
    };
    region->used = region->swept_used = region_front(region);
    region_close(arena);
    TAILQ_INSERT_TAIL(&arena->regions, region, link);
    arena->region_bytes += region->size;
    arena->open = region;
    return true;
}

/* ---- the calls ---------------------------------------------------------------------------- */

void index_arena_init(struct index_arena *arena, struct epoch *epoch, uint64_t max_bytes)
{
    *arena = (struct index_arena){.epoch = epoch, .max_bytes = max_bytes};
    pthread_mutex_init(&arena->lock, NULL);
    TAILQ_INIT(&arena->regions);
    TAILQ_INIT(&arena->slabs);
}

void index_arena_deinit(struct index_arena *arena)
{
    epoch_barrier(arena->epoch);
    while (!TAILQ_EMPTY(&arena->slabs))
        slab_free(arena, TAILQ_FIRST(&arena->slabs));
    pthread_mutex_destroy(&arena->lock);
}

struct index_bucket *index_arena_alloc(struct index_arena *arena, uint32_t shard, uint32_t buckets)
{
    uint64_t size = buckets * sizeof(struct index_bucket);
    struct index_bucket *table = NULL;
    pthread_mutex_lock(&arena->lock);
    if ((arena->open != NULL && region_room(arena->open) >= size + DESCRIPTOR_SIZE) ||
        region_open(arena, size)) {
        struct index_region *region = arena->open;
        table = (struct index_bucket *)(void *)(region_begin(region) + region->used);
        *region_descriptor(region, region->tables) = (struct index_descriptor){shard, buckets};
        region->used += size;
        region->tables++;
        region->live_tables++;
        arena->table_bytes += size;
    }
    pthread_mutex_unlock(&arena->lock);
    return table;
}

void index_arena_leave(struct index_arena *arena, struct index_bucket *table, uint32_t buckets)
{
    struct index_slab *slab = slab_of(table);
    uint64_t unit = (uint64_t)((char *)table - (char *)slab) / (slab->size / SLAB_UNITS);
    pthread_mutex_lock(&arena->lock);
    while (slab->regions[unit].units == 0) /* the table's region may begin before its unit */
        unit--;
    struct index_region *region = &slab->regions[unit];
    assert(region->live_tables > 0);
    region->live_tables--;
    arena->table_bytes -= buckets * sizeof(struct index_bucket);
    if (region->live_tables == 0 && region != arena->open)
        region_retire(arena, region);
    pthread_mutex_unlock(&arena->lock);
}

/* Skips what has left; true when a live table is next. */
static bool region_next(struct index_region *region, const _Atomic uint64_t *heads,
                        struct index_table_ref *ret)
{
    while (region->swept < region->tables) {
        struct index_descriptor *descriptor = region_descriptor(region, region->swept);
        struct index_bucket *table =
            (struct index_bucket *)(void *)(region_begin(region) + region->swept_used);
        uint64_t head = atomic_load_explicit(&heads[descriptor->shard], memory_order_relaxed);
        if (index_head_table(head) == table) {
            *ret = (struct index_table_ref){descriptor->shard, descriptor->buckets, table};
            return true;
        }
        region->swept++;
        region->swept_used += descriptor->buckets * sizeof(struct index_bucket);
    }
    /* A table that was not yet published looks like one that has left: look again the next time. */
    region->swept = 0;
    region->swept_used = region_front(region);
    return false;
}

bool index_arena_oldest(struct index_arena *arena, const _Atomic uint64_t *heads,
                        struct index_table_ref *ret)
{
    bool found = false;
    struct index_region *region;
    pthread_mutex_lock(&arena->lock);
    TAILQ_FOREACH(region, &arena->regions, link)
    {
        found = region_next(region, heads, ret);
        if (found)
            break;
    }
    if (found && region == arena->open)
        region_close(arena); /* what is moved must go elsewhere */
    pthread_mutex_unlock(&arena->lock);
    return found;
}

void index_arena_figures(struct index_arena *arena, struct index_arena_figures *ret)
{
    pthread_mutex_lock(&arena->lock);
    const struct index_region *oldest = TAILQ_FIRST(&arena->regions);
    uint64_t room = arena->open != NULL ? region_room(arena->open) : 0;
    *ret = (struct index_arena_figures){
        .table_bytes = arena->table_bytes,
        .garbage_bytes = arena->region_bytes - arena->table_bytes - room,
        .region_bytes = arena->region_bytes,
        .retired_bytes = arena->retired_bytes,
        .held_bytes = arena->slab_bytes - arena->idle_bytes,
        .oldest_number = oldest != NULL ? oldest->number : arena->next_number,
        .next_number = arena->next_number,
    };
    pthread_mutex_unlock(&arena->lock);
}
