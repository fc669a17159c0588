/* The simulated machine as a whole: its space, its copies, the ways in which it ends. */
#include <assert.h>
#include <stdlib.h>

#include "disk_sim_internal.h"

/* ---- all files ---------------------------------------------------------------------------- */

/* Calls visit for each file that a folder knows, perhaps several times. */
static void disk_sim_inodes(struct disk_sim *sim, void (*visit)(struct sim_inode *inode, void *arg),
                            void *arg)
{
    for (struct sim_folder *folder = sim->folders; folder != NULL; folder = folder->next)
        sim_folder_inodes(folder, visit, arg);
}

static void forget_clone(struct sim_inode *inode, void *arg)
{
    (void)arg;
    inode->clone = NULL;
}

static void release_clone(struct sim_inode *inode, void *arg)
{
    (void)arg;
    if (inode->clone != NULL)
        sim_inode_release(inode->clone);
    inode->clone = NULL;
}

/* ---- space -------------------------------------------------------------------------------- */

/* Each file is counted once: it has itself as its clone then. */
static void count_blocks(struct sim_inode *inode, void *arg)
{
    uint64_t *blocks = arg;
    if (inode->clone == NULL)
        *blocks += inode->blocks;
    inode->clone = inode;
}

uint64_t disk_sim_room(struct disk_sim *sim)
{
    uint64_t blocks = 0;
    disk_sim_inodes(sim, forget_clone, NULL);
    disk_sim_inodes(sim, count_blocks, &blocks);
    disk_sim_inodes(sim, forget_clone, NULL);
    uint64_t capacity = sim->capacity / DISK_SIM_BLOCK_BYTES;
    return capacity > blocks ? capacity - blocks : 0;
}

/* ---- copies ------------------------------------------------------------------------------- */

static void clone_as_it_is(struct sim_inode *inode, void *arg)
{
    (void)arg;
    if (inode->clone == NULL) {
        inode->clone = sim_inode_copy(inode);
        sim_inode_reference(inode->clone);
    }
}

struct sim_cut {
    struct sim_random random;
    uint32_t flags;
};

static void clone_cut(struct sim_inode *inode, void *arg)
{
    struct sim_cut *cut = arg;
    if (inode->clone == NULL) {
        inode->clone = sim_inode_cut(inode, &cut->random, cut->flags);
        sim_inode_reference(inode->clone);
    }
}

static void add_folder(struct disk_sim *sim, struct sim_folder *folder)
{
    folder->next = sim->folders;
    sim->folders = folder;
}

struct disk_sim *disk_sim_keep(struct disk_sim *sim)
{
    struct disk_sim *copy = disk_sim_new();
    copy->capacity = sim->capacity;
    copy->can_reserve = sim->can_reserve;
    disk_sim_inodes(sim, clone_as_it_is, NULL);
    for (struct sim_folder *folder = sim->folders; folder != NULL; folder = folder->next)
        add_folder(copy, sim_folder_copy(folder));
    disk_sim_inodes(sim, release_clone, NULL);
    return copy;
}

struct disk_sim *disk_sim_kill(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    struct disk_sim *copy = disk_sim_keep(sim);
    pthread_mutex_unlock(&sim->lock);
    return copy;
}

struct disk_sim *disk_sim_power_cut(struct disk_sim *sim, uint64_t seed, uint32_t flags)
{
    struct disk_sim *after = disk_sim_new();
    struct sim_cut cut = {sim_random_of(seed), flags};
    pthread_mutex_lock(&sim->lock);
    after->capacity = sim->capacity;
    after->can_reserve = sim->can_reserve;
    disk_sim_inodes(sim, clone_cut, &cut);
    for (struct sim_folder *folder = sim->folders; folder != NULL; folder = folder->next)
        add_folder(after, sim_folder_cut(folder, &cut.random));
    disk_sim_inodes(sim, release_clone, NULL);
    pthread_mutex_unlock(&sim->lock);
    return after;
}

/* ---- a moment ----------------------------------------------------------------------------- */

void disk_sim_note_change(struct disk_sim *sim)
{
    if (sim->watch != NULL)
        sim->watch(sim->watch_arg, sim, sim->changes);
    if (sim->changes++ == sim->freeze_at) {
        assert(sim->frozen == NULL);
        sim->frozen = disk_sim_keep(sim);
    }
}

uint64_t disk_sim_changes(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    uint64_t changes = sim->changes;
    pthread_mutex_unlock(&sim->lock);
    return changes;
}

void disk_sim_freeze_at(struct disk_sim *sim, uint64_t nth)
{
    pthread_mutex_lock(&sim->lock);
    sim->freeze_at = nth;
    pthread_mutex_unlock(&sim->lock);
}

struct disk_sim *disk_sim_take_frozen(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    struct disk_sim *frozen = sim->frozen;
    sim->frozen = NULL;
    pthread_mutex_unlock(&sim->lock);
    return frozen;
}

void disk_sim_watch(struct disk_sim *sim,
                    void (*watch)(void *arg, struct disk_sim *sim, uint64_t nth), void *arg)
{
    pthread_mutex_lock(&sim->lock);
    sim->watch = watch;
    sim->watch_arg = arg;
    pthread_mutex_unlock(&sim->lock);
}
