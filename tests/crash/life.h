/*
 * One life of a store on a simulated machine, from its opening to its close: random steps of the model are
 * done to it, by one caller who does not wait for each, while the engine's own threads do what they
 * do. At changes to the disk that a seed chooses the machine is kept as it is then, with what the store
 * had promised by then.
 *
 * Threads: one calls. Whatever is wrong fails the test.
 */
#ifndef TESTS_CRASH_LIFE_H
#define TESTS_CRASH_LIFE_H

#include <pthread.h>
#include <stdatomic.h>

#include "disk_sim.h"
#include "model.h"
#include "store.h"

#define LIFE_MOMENTS_MAX 12u /* kept in one life */
#define LIFE_FOLDER      "data"

/* A moment of a life. The bounds are numbers of states of the model. */
struct moment {
    struct disk_sim *machine;
    uint64_t nth;              /* the change that it is before; UINT64_MAX: between two steps */
    uint32_t durable;          /* what came up to here survives a power loss, */
    uint32_t visible;          /* ... and up to here the end of the process */
    uint32_t most;             /* nothing later had begun */
    uint64_t durable_sequence; /* as the engine knew it */
    uint32_t copy_least;       /* of the checkpoint, as below; copy_state says how far it is */
    uint32_t copy_most;
    uint32_t copy_state;
};

enum life_copy { /* of the checkpoint into the folder "copy" */
    LIFE_COPY_NONE,
    LIFE_COPY_BEGUN,
    LIFE_COPY_DONE,
};

struct life_config {
    uint32_t durability;
    uint64_t segment_bytes;
    bool read_only;
    bool may_fail;   /* syncs fail, or the disk is full: calls may say so */
    bool one_by_one; /* each step waits for the one before: after one that fails none has begun */
};

struct life {
    struct life_config config;
    struct kvs_host host;
    struct model *model;
    struct disk_sim *machine; /* not owned */
    char copy_folder[16];
    uint64_t first_sequence; /* of this life's first record */
    bool failed;             /* a sync failed: the store is read-only */

    /* Raised by any thread before it tells anybody, read by the one that makes a change: relaxed is
       enough, the machine's lock or the engine's locks come between. */
    _Atomic uint32_t durable;
    _Atomic uint32_t visible;
    _Atomic uint32_t begun;
    _Atomic uint32_t copy_state;
    _Atomic uint32_t copy_least;
    _Atomic uint32_t copy_most;
    _Atomic(struct kvs_db *) db; /* NULL while it is being opened */

    /* Under the machine's lock while the life goes on. */
    uint64_t cut_seed;
    uint32_t cut_chance; /* one change of so many is kept */
    uint32_t moment_count;
    struct moment moments[LIFE_MOMENTS_MAX + 1]; /* the last place is for after a failed sync */
};

/* A life without a store, for its host. */
void life_host_init(struct life *life, const struct life_config *config);

/* Opens the store of a folder and gives the status; the message is the caller's to print. */
kvs_status life_open_folder(struct life *life, struct disk_sim *machine, const char *folder,
                            uint32_t flags, const struct life_config *config,
                            struct kvs_error *err);
/* Closes it. */
void life_close(struct life *life);
/* Ends it without the work of a close: nothing more is written, as after a fault of the disk. */
void life_abandon(struct life *life);

/* All keys as the open store has them; checks each value, a whole scan, and the number of keys. */
void life_read_all(struct life *life, struct model_state *ret_state);

/* Does so many steps, and keeps moments. The model begins with what the store has. */
void life_run(struct life *life, struct model *model, struct sim_random *random, uint32_t steps);

/* What must be there after a power loss, with what the engine knew. */
uint32_t life_durable_at(const struct life *life, const struct moment *moment);

#endif
