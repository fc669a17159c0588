/* How the store's space is used, and which segment is worth emptying. */
#ifndef ENGINE_LOG_SPACE_H
#define ENGINE_LOG_SPACE_H

#include "store.h"

struct space_choice {
    struct segment *victim;
    uint64_t oldest_birth; /* of all other segments */
};

/*
 * The sealed segment that is most worth compacting, if any is worth it now. everything: any that was
 * marked and has something dead in it. The compactor's thread only.
 */
bool space_choose(struct kvs_db *db, bool everything, struct space_choice *ret);

/* Marks every segment that is sealed now, for space_choose(everything). */
void space_mark_all(struct kvs_db *db);

/* True when more of a complete segment is dead than the bound allows of all: then it will be emptied soon, the
   more so as all that died within the time in which it was written. Any thread. */
bool space_is_emptied_soon(const struct segment *segment);

/* Sets how much writers are slowed down: not at all while compaction keeps up. The compactor's thread
   only, or nobody else's while it does not run. */
void space_set_pace(struct kvs_db *db);

#endif
