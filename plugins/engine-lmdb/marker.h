/*
 * The file "unsynced": data.mdb has writes of which nobody knows in which order, or whether, they
 * reached the disk. It is only sound as long as the kernel that holds them in memory lives; the
 * file's content is the id of that kernel's boot, or says that a flush failed.
 */
#ifndef ENGINE_LMDB_MARKER_H
#define ENGINE_LMDB_MARKER_H

#include <stdbool.h>

#include <kvs/types.h>

#define MARKER_FILE "unsynced"
#define MARKER_NEW_FILE                                                                            \
    "unsynced.new" /* a marker in the making: says nothing, whoever opens the store removes it */

/* What a marker in a directory says about data.mdb. */
enum marker {
    MARKER_NONE,    /* every write was ordered by a flush */
    MARKER_CURRENT, /* unsynced writes, all still there: the machine has not gone down since */
    MARKER_LOST,    /* unsynced writes, and the machine went down: data.mdb may be anything */
    MARKER_FAILED   /* a flush failed: what the kernel shows may not be what the disk has */
};

/* 0 or errno. A boot id that cannot be read never equals another. */
KVS_MUST_USE int marker_look(int dir_fd, enum marker *ret_marker);

/* What happened, as a part of a sentence. */
const char *marker_text(enum marker marker);

/* Makes the marker of this boot, durable when it returns. 0 or errno. */
KVS_MUST_USE int marker_set(int dir_fd);

/* Makes the marker of a failed flush, as far as the disk lets it. 0 or errno. */
KVS_MUST_USE int marker_condemn(int dir_fd);

/* Removes it, durably. There may be none. 0 or errno. */
KVS_MUST_USE int marker_clear(int dir_fd);

#endif
