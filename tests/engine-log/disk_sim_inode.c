/* The simulated disk's files: what is in them, and what of it is stored. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk_sim_internal.h"

#define SECTOR DISK_SIM_SECTOR_BYTES
#define BLOCK  DISK_SIM_BLOCK_BYTES

void *sim_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    if (memory == NULL)
        abort();
    return memory;
}

static void must(bool works)
{
    if (!works)
        abort(); /* the test's own machine is at its end */
}

struct sim_inode *sim_inode_new(void)
{
    struct sim_inode *inode = sim_alloc(sizeof(*inode));
    inode->fd = memfd_create("disk-sim", MFD_CLOEXEC);
    must(inode->fd >= 0);
    return inode;
}

void sim_inode_free(struct sim_inode *inode)
{
    (void)close(inode->fd);
    free(inode->durable);
    free(inode->believed);
    free(inode->dirty);
    free(inode->allocated);
    free(inode);
}

void sim_inode_reference(struct sim_inode *inode)
{
    inode->references++;
}

void sim_inode_release(struct sim_inode *inode)
{
    if (--inode->references == 0)
        sim_inode_free(inode);
}

/* ---- the arrays --------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static void grow(uint8_t **array, uint64_t from, uint64_t to)
{
    *array = realloc(*array, to);
    must(*array != NULL);
    memset(*array + from, 0, to - from);
}

/* Makes room in the arrays for so many bytes of content. */
static void sim_inode_extend(struct sim_inode *inode, uint64_t bytes)
{
    uint64_t from = inode->stored_bytes;
    uint64_t to = round_up(bytes, BLOCK);
    if (to <= from)
        return;
    if (to < from + from / 2)
        to = round_up(from + from / 2, BLOCK);
    grow(&inode->durable, from, to);
    if (inode->believed != NULL)
        grow(&inode->believed, from, to);
    grow(&inode->dirty, from / SECTOR, to / SECTOR);
    grow(&inode->allocated, from / BLOCK, to / BLOCK);
    inode->stored_bytes = to;
}

/* ---- what the running system does --------------------------------------------------------- */

uint64_t sim_inode_read(struct sim_inode *inode, uint64_t offset, void *to, uint64_t bytes)
{
    uint64_t got = 0;
    while (got < bytes) {
        ssize_t done = pread(inode->fd, (uint8_t *)to + got, bytes - got, (off_t)(offset + got));
        must(done >= 0);
        if (done == 0)
            break;
        got += (uint64_t)done;
    }
    return got;
}

void sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *from, uint64_t bytes)
{
    if (bytes == 0)
        return;
    for (uint64_t done = 0; done < bytes;) {
        ssize_t now =
            pwrite(inode->fd, (const uint8_t *)from + done, bytes - done, (off_t)(offset + done));
        must(now > 0);
        done += (uint64_t)now;
    }
    sim_inode_extend(inode, offset + bytes);
    for (uint64_t sector = offset / SECTOR; sector <= (offset + bytes - 1) / SECTOR; sector++)
        inode->dirty[sector] = 1;
    if (offset + bytes > inode->bytes)
        inode->bytes = offset + bytes;
}

void sim_inode_resize(struct sim_inode *inode, uint64_t bytes)
{
    must(ftruncate(inode->fd, (off_t)bytes) == 0);
    sim_inode_extend(inode, bytes);
    for (uint64_t block = round_up(bytes, BLOCK) / BLOCK; block < inode->stored_bytes / BLOCK;
         block++) {
        inode->blocks -= inode->allocated[block];
        inode->allocated[block] = 0;
    }
    inode->bytes = bytes;
}

uint64_t sim_inode_allocate(struct sim_inode *inode, uint64_t offset, uint64_t bytes,
                            uint64_t *room)
{
    sim_inode_extend(inode, offset + bytes);
    for (uint64_t block = offset / BLOCK; block * BLOCK < offset + bytes; block++) {
        if (inode->allocated[block])
            continue;
        if (*room == 0)
            return block * BLOCK > offset ? block * BLOCK - offset : 0;
        --*room;
        inode->allocated[block] = 1;
        inode->blocks++;
    }
    return bytes;
}

/* ---- syncing ------------------------------------------------------------------------------ */

/* The content that the running system sees, up to stored_bytes, to be freed. */
static uint8_t *sim_inode_now(struct sim_inode *inode)
{
    uint8_t *now = sim_alloc(inode->stored_bytes);
    (void)sim_inode_read(inode, 0, now, inode->bytes);
    return now;
}

/* True: the system knows that this sector has yet to be stored. */
static bool sim_inode_is_pending(const struct sim_inode *inode, const uint8_t *now, uint64_t sector)
{
    const uint8_t *believed = inode->believed != NULL ? inode->believed : inode->durable;
    return inode->dirty[sector] ||
           memcmp(believed + sector * SECTOR, now + sector * SECTOR, SECTOR) != 0;
}

void sim_inode_sync(struct sim_inode *inode, struct sim_random *random)
{
    sim_inode_extend(inode, inode->bytes);
    if (random != NULL && inode->believed == NULL) {
        inode->believed = sim_alloc(inode->stored_bytes);
        if (inode->stored_bytes > 0)
            memcpy(inode->believed, inode->durable, inode->stored_bytes);
    }
    uint8_t *now = sim_inode_now(inode);
    for (uint64_t sector = 0; sector < inode->stored_bytes / SECTOR; sector++) {
        uint64_t at = sector * SECTOR;
        if (!sim_inode_is_pending(inode, now, sector))
            continue;
        if (random == NULL || sim_random_below(random, 2) == 0)
            memcpy(inode->durable + at, now + at, SECTOR);
        if (inode->believed != NULL)
            memcpy(inode->believed + at, now + at, SECTOR);
        inode->dirty[sector] = 0;
    }
    if (random == NULL || sim_random_below(random, 2) == 0)
        inode->durable_bytes = inode->bytes;
    if (inode->stored_bytes > inode->durable_bytes)
        memset(inode->durable + inode->durable_bytes, 0,
               inode->stored_bytes - inode->durable_bytes);
    free(now);
}

/* ---- ends --------------------------------------------------------------------------------- */

static void *duplicate(const void *from, uint64_t bytes)
{
    void *copy = sim_alloc(bytes);
    if (bytes > 0)
        memcpy(copy, from, bytes);
    return copy;
}

struct sim_inode *sim_inode_copy(struct sim_inode *inode)
{
    struct sim_inode *copy = sim_inode_new();
    sim_inode_extend(inode, inode->bytes);
    uint8_t *now = sim_inode_now(inode);
    sim_inode_write(copy, 0, now, inode->bytes);
    sim_inode_resize(copy, inode->bytes);
    free(now);
    free(copy->durable);
    free(copy->dirty);
    free(copy->allocated);
    copy->stored_bytes = inode->stored_bytes;
    copy->durable_bytes = inode->durable_bytes;
    copy->blocks = inode->blocks;
    copy->durable = duplicate(inode->durable, inode->stored_bytes);
    copy->dirty = duplicate(inode->dirty, inode->stored_bytes / SECTOR);
    copy->allocated = duplicate(inode->allocated, inode->stored_bytes / BLOCK);
    if (inode->believed != NULL)
        copy->believed = duplicate(inode->believed, inode->stored_bytes);
    return copy;
}

/* How much of what was pending is there after a power cut. */
enum sim_fate {
    FATE_NOTHING,
    FATE_ALL,
    FATE_FIRST,
    FATE_ANY,
    FATE_COUNT
};

struct sim_chance {
    enum sim_fate fate;
    uint64_t first;  /* FATE_FIRST: so many */
    unsigned chance; /* FATE_ANY: of 16 */
};

static struct sim_chance sim_chance_draw(struct sim_random *random, uint64_t count)
{
    return (struct sim_chance){
        .fate = (enum sim_fate)sim_random_below(random, FATE_COUNT),
        .first = sim_random_below(random, count + 1),
        .chance = 1 + (unsigned)sim_random_below(random, 15),
    };
}

static bool sim_chance_keeps(const struct sim_chance *chance, struct sim_random *random, uint64_t i)
{
    if (chance->fate == FATE_ANY)
        return sim_random_below(random, 16) < chance->chance;
    return chance->fate == FATE_ALL || (chance->fate == FATE_FIRST && i < chance->first);
}

/* What a sector that was being written has become: `to` has its durable content. */
static void sim_sector_cut(uint8_t *to, const uint8_t *now, bool keeps, struct sim_random *random,
                           uint32_t flags)
{
    if ((flags & DISK_SIM_ZERO_SECTORS) != 0 && sim_random_below(random, 8) == 0)
        memset(to, 0, SECTOR);
    else if ((flags & DISK_SIM_TEAR_SECTORS) != 0 && sim_random_below(random, 8) == 0)
        memcpy(to, now, sim_random_below(random, SECTOR));
    else if (keeps)
        memcpy(to, now, SECTOR);
}

static uint64_t sim_inode_cut_size(const struct sim_inode *inode, struct sim_random *random)
{
    uint64_t choice = sim_random_below(random, 3);
    if (choice == 0)
        return inode->durable_bytes;
    if (choice == 1 || inode->bytes <= inode->durable_bytes)
        return inode->bytes;
    return inode->durable_bytes + sim_random_below(random, inode->bytes - inode->durable_bytes + 1);
}

struct sim_inode *sim_inode_cut(struct sim_inode *inode, struct sim_random *random, uint32_t flags)
{
    sim_inode_extend(inode,
                     inode->bytes > inode->durable_bytes ? inode->bytes : inode->durable_bytes);
    uint8_t *now = sim_inode_now(inode);
    uint8_t *left = duplicate(inode->durable, inode->stored_bytes);
    uint64_t bytes = sim_inode_cut_size(inode, random);
    /* Where the file was cut short, its end comes back whole or not at all. */
    uint64_t sectors = round_up(inode->bytes, SECTOR) / SECTOR;
    uint64_t pending = 0;
    for (uint64_t sector = 0; sector < sectors; sector++)
        pending += sim_inode_is_pending(inode, now, sector);
    struct sim_chance chance = sim_chance_draw(random, pending);
    pending = 0;
    for (uint64_t sector = 0; sector < sectors; sector++) {
        if (!sim_inode_is_pending(inode, now, sector))
            continue;
        bool keeps = sim_chance_keeps(&chance, random, pending++);
        sim_sector_cut(left + sector * SECTOR, now + sector * SECTOR, keeps, random, flags);
    }
    struct sim_inode *cut = sim_inode_new();
    sim_inode_write(cut, 0, left, bytes);
    uint64_t room = UINT64_MAX;
    (void)sim_inode_allocate(cut, 0, bytes, &room);
    sim_inode_sync(cut, NULL);
    free(now);
    free(left);
    return cut;
}
