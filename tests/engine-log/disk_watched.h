/*
 * A disk in front of the real one that knows what is durable: the content of a file as of its last
 * sync, the names as of the last sync of the folder. At any moment it can write down what a power
 * failure would leave. It can also hold syncs back, and say that the disk is full, or that it cannot
 * reserve space.
 *
 * Threads: any, like a disk.
 */
#ifndef TESTS_DISK_WATCHED_H
#define TESTS_DISK_WATCHED_H

#include <stdatomic.h>

#include "disk.h"

/* Opens the real folder. The disk is the caller's, or whose it is given to; it goes with disk_close,
   what it knows with watched_free. */
struct watched;
struct watched *watched_new(const char *path);
struct disk *watched_disk(struct watched *watched);
void watched_free(struct watched *watched);

/* Syncs of files whose names end in suffix wait from now on, until they are let go; then they are
   done, or fail with the status. */
void watched_hold_syncs(struct watched *watched, const char *suffix);
void watched_release_syncs(struct watched *watched, kvs_status status);
/* How many wait now; how many were asked for, waiting or not, of files with that suffix. */
unsigned watched_held(struct watched *watched);
unsigned watched_syncs(struct watched *watched);

/* What reserving space gives from now on: KVS_OK as it is, KVS_NO_SPACE, KVS_UNSUPPORTED. With
   KVS_NO_SPACE there are also no free bytes. */
void watched_reserve_gives(struct watched *watched, kvs_status status);

enum power_loss {
    LOSE_ALL,  /* nothing is left but what is durable */
    LOSE_SOME, /* each page that was written since may be there or not; so may the names */
};

/* Writes what a power failure now would leave into the empty folder. seed: of the dice. */
void watched_power_loss(struct watched *watched, enum power_loss kind, uint64_t seed,
                        const char *into);

#endif
