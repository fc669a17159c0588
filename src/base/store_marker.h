/*
 * The host's files in a data directory. Their names begin with "kvs.", which engines leave alone.
 *
 * kvs.store makes the directory a store and names the engine that made it. While a copy (a
 * checkpoint, a salvaged store) is being made the same content has the name kvs.incomplete, so that
 * what a crash left half done is never opened as a store: completing it is one rename.
 */
#ifndef BASE_STORE_MARKER_H
#define BASE_STORE_MARKER_H

#define STORE_LOCK_NAME       "kvs.lock"      /* locked (flock) while somebody has the directory */
#define STORE_MARKER_NAME     "kvs.store"     /* a key file */
#define STORE_MARKER_TEMP     "kvs.store.tmp" /* while it is being written */
#define STORE_PLAIN_NAME      "kvs.plain" /* empty; while it is there nothing in the store expires */
#define STORE_INCOMPLETE_NAME "kvs.incomplete" /* instead of kvs.store, until a copy is whole */

#define STORE_MARKER_GROUP  "store"
#define STORE_MARKER_FORMAT 1

/* printf format of the content: the format's number (int) and the engine's name. */
#define STORE_MARKER_CONTENT                                                                       \
    "# Which engine made this directory. Do not edit.\n[" STORE_MARKER_GROUP                       \
    "]\nformat=%d\nengine=%s\n"

#endif
