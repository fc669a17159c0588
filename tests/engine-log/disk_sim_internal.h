/* What the simulated disk's files share. Everything is guarded by the machine's lock. */
#ifndef TESTS_DISK_SIM_INTERNAL_H
#define TESTS_DISK_SIM_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "disk_sim.h"

#define SIM_NAME_MAX 64u

/* xorshift: the same choices for the same seed, everywhere. */
struct sim_random {
    uint64_t state;
};

static inline struct sim_random sim_random_of(uint64_t seed)
{
    return (struct sim_random){(seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1};
}

static inline uint64_t sim_random_next(struct sim_random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Less than count, which is not 0. */
static inline uint64_t sim_random_below(struct sim_random *random, uint64_t count)
{
    return (sim_random_next(random) >> 11) % count;
}

void *sim_alloc(size_t bytes); /* zeros; never NULL */

/* ---- files: disk_sim_inode.c -------------------------------------------------------------- */

struct sim_inode {
    uint64_t references; /* names of all kinds, open files */
    uint64_t links;      /* names that the running system sees */

    int fd;         /* owned, a memfd: the content that the running system sees */
    uint64_t bytes; /* its size */

    uint64_t durable_bytes;
    uint64_t stored_bytes; /* of the arrays below: whole sectors, at least bytes, durable_bytes */
    uint8_t *durable;      /* what is on stable storage; zeros behind durable_bytes */
    uint8_t *believed;     /* what the system believes is there; NULL: the same */
    uint8_t *dirty;        /* by sector: 1 when it was written by a call since the last sync */
    uint8_t *allocated;    /* by block: 1 when space is taken for it */
    uint64_t blocks;       /* that are allocated */

    struct sim_inode *clone; /* while a machine is copied */
};

struct sim_inode *sim_inode_new(void);
void sim_inode_free(struct sim_inode *inode);
/* As the running system sees it and as it is stored, without references and links. */
struct sim_inode *sim_inode_copy(struct sim_inode *inode);

uint64_t sim_inode_read(struct sim_inode *inode, uint64_t offset, void *to, uint64_t bytes);
void sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *from, uint64_t bytes);
void sim_inode_resize(struct sim_inode *inode, uint64_t bytes);
/* Takes at most *room blocks in that stretch, and lowers *room. The bytes from its beginning for
   which there is space then. */
uint64_t sim_inode_allocate(struct sim_inode *inode, uint64_t offset, uint64_t bytes,
                            uint64_t *room);

/* random NULL: all is stored. Else it fails, and random says what is stored all the same. */
void sim_inode_sync(struct sim_inode *inode, struct sim_random *random);
/* The file after the power was cut. */
struct sim_inode *sim_inode_cut(struct sim_inode *inode, struct sim_random *random, uint32_t flags);

/* ---- folders: disk_sim_folder.c ----------------------------------------------------------- */

struct sim_entry {
    char name[SIM_NAME_MAX];
    struct sim_inode *inode; /* counted; in a change NULL: the name goes */
};

struct sim_names {
    struct sim_entry *entries;
    size_t count;
};

/* What one call did to the names: at once, or not at all. */
struct sim_change {
    struct sim_entry entries[2];
    unsigned count;
};

struct sim_folder {
    struct sim_folder *next;
    char name[SIM_NAME_MAX];
    struct sim_names now;
    struct sim_names durable;
    struct sim_change *changes; /* since durable, in order */
    size_t change_count;
};

struct sim_folder *sim_folder_new(const char *name);
void sim_folder_free(struct sim_folder *folder);
struct sim_inode *sim_folder_find(const struct sim_folder *folder, const char *name);
/* Sets names, or removes them where the inode is NULL. */
void sim_folder_change(struct sim_folder *folder, const struct sim_entry *entries, unsigned count);
void sim_folder_sync(struct sim_folder *folder);
/* With the clones of its inodes. */
struct sim_folder *sim_folder_copy(const struct sim_folder *folder);
/* Its names after the power was cut, with the clones of its inodes. */
struct sim_folder *sim_folder_cut(const struct sim_folder *folder, struct sim_random *random);

void sim_inode_reference(struct sim_inode *inode);
void sim_inode_release(struct sim_inode *inode);

/* Calls visit for each inode that a folder knows, perhaps several times. */
void sim_folder_inodes(const struct sim_folder *folder,
                       void (*visit)(struct sim_inode *inode, void *arg), void *arg);

/* ---- the machine: disk_sim.c, disk_sim_end.c ----------------------------------------------- */

struct disk_sim {
    pthread_mutex_t lock;
    struct sim_folder *folders;
    uint64_t open; /* disks and files */
    uint64_t capacity;
    bool can_reserve;
    uint64_t sync_skip;
    uint64_t sync_failures; /* still to come */
    struct sim_random sync_random;
    uint64_t folder_sync_skip; /* UINT64_MAX: none fails */
    uint64_t changes;
    uint64_t freeze_at; /* UINT64_MAX: never */
    struct disk_sim *frozen;
    void (*watch)(void *arg, struct disk_sim *sim, uint64_t nth); /* may be NULL */
    void *watch_arg;
};

/* Notes a change that is about to be made. The lock is held. */
void disk_sim_note_change(struct disk_sim *sim);

/* Blocks that are left. */
uint64_t disk_sim_room(struct disk_sim *sim);

#endif
