/*
 * See space.h.
 *
 * I1  The map is moved only while drained: LMDB unmaps the old one, and every transaction and every
 *     value shown points into it.
 * I2  While the disk has room, data.mdb is longer than any page the next commit writes, by the
 *     estimate in group.c. Should the estimate ever be short, the commit fails cleanly with ENOSPC,
 *     or, cut off in the middle of a write, turns the store read-only; it never loses data.
 * I3  RESERVE_BYTES at the end of the file are left to transactions that only remove: copying pages
 *     on write, LMDB needs room even for that.
 */
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

#define KIB           UINT64_C(1024)
#define MIB           (1024 * KIB)
#define RESERVE_BYTES (1 * MIB)
#define STEP_MIN      (1 * MIB)  /* by which the file grows: an eighth of what is used */
#define STEP_MAX      (64 * MIB) /* within these */

void space_init(struct space *space, struct store *store, struct reader_pool *readers,
                struct health *health)
{
    space->store = store;
    space->readers = readers;
    space->health = health;
    atomic_init(&space->growths, 0);
    space_reset(space);
}

void space_reset(struct space *space)
{
    space->roomy_map_bytes = space->store->map_bytes;
    space->full = false;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* Whether so much address space is to be had: LMDB gives up the old map before it asks for the new
   one, and has none if that fails. */
static int probe_address_space(uint64_t bytes)
{
    void *probe = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return errno;
    (void)munmap(probe, bytes);
    return 0;
}

/* Gives the map another size (I1). LMDB takes at least what is used. 0 or a code. */
static int resize_map(struct space *space, uint64_t map_bytes)
{
    struct store *store = space->store;
    if (map_bytes == store->map_bytes)
        return 0;
    int code = probe_address_space(map_bytes);
    if (code != 0)
        return code;
    reader_pool_drain(space->readers);
    code = mdb_env_set_mapsize(store->env, map_bytes);
    if (code != 0) {
        /* No map at all: LMDB would read through a null pointer, and it does not map again (called once
           more it says that it did). */
        health_fail(space->health, code, "the map is lost");
        store->is_lost = true;
    } else {
        store->map_bytes = map_bytes;
    }
    reader_pool_resume(space->readers);
    return code;
}

int space_grow_map(struct space *space, uint64_t need_bytes)
{
    struct store *store = space->store;
    uint64_t wanted = store_used_bytes(store) + 2 * need_bytes;
    if (space->full || wanted <= store->map_bytes)
        return 0;
    uint64_t map_bytes = space->roomy_map_bytes;
    while (map_bytes < wanted)
        map_bytes *= 2;
    map_bytes = round_up(map_bytes, store->page_bytes);
    int code = resize_map(space, map_bytes);
    if (code != 0)
        return code;
    space->roomy_map_bytes = map_bytes;
    (void)atomic_fetch_add_explicit(&space->growths, 1, memory_order_relaxed);
    health_log(space->health, KVS_LOG_INFO, "%s: the map is %llu MiB now", store->dir,
               (unsigned long long)(map_bytes / MIB));
    return 0;
}

/* Makes the file file_bytes long, with the space behind it taken. 0 or errno. */
static int lengthen(struct store *store, uint64_t file_bytes)
{
    off_t begin = (off_t)store->file_bytes;
    int result;
    do {
        result = fallocate(store->data_fd, 0, begin, (off_t)file_bytes - begin);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EOPNOTSUPP) /* this file system cannot: at least the length */
        result = ftruncate(store->data_fd, (off_t)file_bytes);
    if (result != 0)
        return errno;
    store->file_bytes = file_bytes;
    return 0;
}

/* Sees to it that the file reaches to end_bytes and the reserve. 0, or errno when it cannot. */
static int reserve_file(struct space *space, uint64_t end_bytes)
{
    struct store *store = space->store;
    uint64_t step = store->file_bytes / 8;
    step = step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step;
    end_bytes = round_up(end_bytes + RESERVE_BYTES, store->page_bytes);
    if (end_bytes <= store->file_bytes)
        return 0;
    uint64_t roomy_bytes = round_up(store->file_bytes + step, store->page_bytes);
    int code = lengthen(store, roomy_bytes < end_bytes ? end_bytes : roomy_bytes);
    if (fault_is_full(code))
        code = lengthen(store, end_bytes);
    return code;
}

/* The disk is full: ends the map where the file ends, before the reserve if that is kept (I3). */
static int limit_map(struct space *space, bool removes_only)
{
    struct store *store = space->store;
    uint64_t limit = store->file_bytes;
    if (!removes_only)
        limit -= limit < RESERVE_BYTES ? limit : RESERVE_BYTES;
    limit = limit / store->page_bytes * store->page_bytes;
    uint64_t used_bytes = store_used_bytes(store);
    return resize_map(space, limit < used_bytes ? used_bytes : limit);
}

static void note_full(struct space *space, bool full, int code)
{
    if (full == space->full)
        return;
    space->full = full;
    if (full)
        health_log(space->health, KVS_LOG_ERROR, "%s: no room for more: %s", space->store->dir,
                   mdb_strerror(code));
    else
        health_log(space->health, KVS_LOG_INFO, "%s: there is room again", space->store->dir);
}

int space_prepare(struct space *space, uint64_t need_bytes, bool removes_only)
{
    uint64_t end_bytes = store_used_bytes(space->store) + need_bytes;
    int code = reserve_file(space, end_bytes);
    if (code != 0 && !fault_is_full(code))
        return code;
    note_full(space, code != 0, code);
    if (space->full)
        return limit_map(space, removes_only);
    if (end_bytes > space->roomy_map_bytes)
        return space_grow_map(space, need_bytes);
    return resize_map(space, space->roomy_map_bytes);
}
