/*
 * Numbers for places in an ordered store, for clients that know cursors as numbers only (SCAN). A
 * number stands for a key behind which to go on, kept in memory for as long as there is room: of
 * SCAN_CURSORS_MAX walks at once the one that rested longest is forgotten. A restart forgets all.
 *
 * Thread-safe.
 */
#ifndef COMMAND_SCAN_CURSORS_H
#define COMMAND_SCAN_CURSORS_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#define SCAN_CURSORS_MAX 1024u

struct scan_cursors;

/* NULL: out of memory. */
struct scan_cursors *scan_cursors_new(void);
/* NULL is fine. */
void scan_cursors_free(struct scan_cursors *cursors);

/*
 * A number (never 0) for the place behind this key. `before`: the number that the walk had until
 * now, or 0 for one that begins; it stays good until the new one is used, so that an answer that got
 * lost can be asked for again. 0: out of memory.
 */
uint64_t scan_cursors_put(struct scan_cursors *cursors, uint64_t before, struct kvs_bytes key);

/* Shows the key of a number. False: it is not known (any more). */
bool scan_cursors_find(struct scan_cursors *cursors, uint64_t number,
                       void (*show)(void *arg, struct kvs_bytes key), void *arg);

#endif
