/*
 * A simulated machine with disks, in memory, that knows what is durable and what is not, for tests
 * of power loss. It has folders; each is a disk (disk.h), and files can be linked between them.
 *
 * What a file holds is kept twice, by sectors of 512 bytes: as the running system sees it, and as it
 * is on stable storage. disk_file_sync() brings the second up to the first; so do names by
 * disk_sync_folder(). Mappings are real shared memory, compared with the stored sectors when it
 * matters.
 *
 *     struct disk_sim *sim = disk_sim_new();
 *     struct disk *disk = disk_sim_folder(sim, "data");
 *     ... run ...
 *     struct disk_sim *after = disk_sim_power_cut(sim, seed, 0);     sim runs on, unaffected
 *     ... open disk_sim_folder(after, "data"): is all there that was promised before the cut? ...
 *
 * Limits: a write of the same bytes through a mapping is not seen as a write (through
 * disk_file_write it is); sectors that were written several times since the last sync are on stable
 * storage in their former or their last content, not in one between. No signal is raised where a
 * mapped write finds the disk full.
 *
 * Threads: any, like a disk.
 */
#ifndef TESTS_DISK_SIM_H
#define TESTS_DISK_SIM_H

#include "disk.h"

#define DISK_SIM_SECTOR_BYTES 512u
#define DISK_SIM_BLOCK_BYTES  4096u /* in which space is counted */

struct disk_sim;

struct disk_sim *disk_sim_new(void);

/* All its disks are closed. NULL is fine. */
void disk_sim_free(struct disk_sim *sim);

/* Opens a folder, which is made, durably, when it is not there. disk_close() closes it. */
struct disk *disk_sim_folder(struct disk_sim *sim, const char *name);

/* ---- the ways in which it ends ------------------------------------------------------------ */

/* A machine as this one is now, with what is durable and what is not: as the next process finds it
   after this one was killed. Nobody writes through a mapping meanwhile. */
struct disk_sim *disk_sim_kill(struct disk_sim *sim);

enum {
    /* A sector that was being written may have a new beginning and an old end. */
    DISK_SIM_TEAR_SECTORS = 1u << 0,
    /* A sector that was being written may be all zeros. Not for sectors with durable content that
       something else was added to: no disk does that. */
    DISK_SIM_ZERO_SECTORS = 1u << 1,
};

/* A machine as it may come up when this one loses its power now. Of what was not durable the seed
   chooses, per file: nothing, all, the first sectors, or any of them; another size, or not; and of
   the changes to a folder's names: none, all, the first ones, or any of them. flags: DISK_SIM_*. */
struct disk_sim *disk_sim_power_cut(struct disk_sim *sim, uint64_t seed, uint32_t flags);

/* Calls that changed something, or made it durable, so far. */
uint64_t disk_sim_changes(struct disk_sim *sim);

/* Keeps the state just before change number nth (from 0; the count above), as disk_sim_kill() would
   give it. To cut the power at that moment, cut that machine's. */
void disk_sim_freeze_at(struct disk_sim *sim, uint64_t nth);

/* The machine that was kept, now the caller's; NULL: it did not come to that. */
struct disk_sim *disk_sim_take_frozen(struct disk_sim *sim);

/* Calls watch(arg, sim, nth) just before each change from now on, on the thread that makes it, with
   the machine locked: of all functions here only disk_sim_keep() may be called in it, which gives the
   machine as disk_sim_kill() does. NULL: no more. */
void disk_sim_watch(struct disk_sim *sim,
                    void (*watch)(void *arg, struct disk_sim *sim, uint64_t nth), void *arg);
struct disk_sim *disk_sim_keep(struct disk_sim *sim);

/* ---- what goes wrong while it runs -------------------------------------------------------- */

/* Bytes that fit, in blocks that are written or reserved. At first: any number. */
void disk_sim_set_capacity(struct disk_sim *sim, uint64_t bytes);

/* The same, with so many bytes free now. */
void disk_sim_set_room(struct disk_sim *sim, uint64_t bytes);

/* false: reserving is KVS_UNSUPPORTED. */
void disk_sim_set_can_reserve(struct disk_sim *sim, bool can_reserve);

/* After `skip` syncs of files, `count` fail as they do on Linux: some sectors are stored and some
   are not, but all are taken for stored: a later sync works and does not write them, while reading
   still shows them. Writing them again (with disk_file_write) helps. */
void disk_sim_fail_syncs(struct disk_sim *sim, uint64_t skip, uint64_t count, uint64_t seed);

/* After `skip` syncs of folders all fail: what was changed in one since the last good one is as durable as
   before. A machine that is made of this one starts anew. */
void disk_sim_fail_folder_syncs(struct disk_sim *sim, uint64_t skip);

#endif
