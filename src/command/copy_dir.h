/*
 * The directory of a copy of a store: a checkpoint, or what was salvaged of a damaged one. Made here,
 * filled by an engine, and a store only when it is complete: a server refuses it until then
 * (base/store_marker.h).
 *
 * Threads: one at a time for each struct.
 */
#ifndef COMMAND_COPY_DIR_H
#define COMMAND_COPY_DIR_H

#include <stdbool.h>

#include <kvs/types.h>

struct copy_dir {
    char *path; /* owned; as it was given */
    int fd;
    int lock_fd;
    bool made; /* it was not there before */
};

/*
 * Makes the directory, with its parents, or takes an empty one; locks it, and says durably that a
 * copy of this engine is being made in it. KVS_OK; KVS_INVALID (it is not empty, no directory, no
 * name), KVS_LOCKED, KVS_DENIED, KVS_NO_SPACE, KVS_NO_MEMORY, KVS_IO: nothing is left to end, and what
 * was there is as it was. Ends with one of the two below.
 */
KVS_MUST_USE kvs_status copy_dir_begin(struct copy_dir *dir, const char *path, const char *engine,
                                       struct kvs_error *err);

/* Makes it a store, durably; all that the engine wrote is durable already. On failure it is none. */
KVS_MUST_USE kvs_status copy_dir_finish(struct copy_dir *dir, struct kvs_error *err);

/* Takes it back after the engine failed. Where the engine left files behind, they and the sign that
   they are no store stay. */
void copy_dir_abandon(struct copy_dir *dir);

#endif
