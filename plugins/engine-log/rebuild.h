/*
 * Rebuilding the index when a store is opened, from the entries of all segments (footer.h). Of each
 * key the record with the largest sequence number counts; if that is a tombstone, the key is absent.
 *
 * Works with several threads of its own, which are gone when it returns.
 */
#ifndef ENGINE_LOG_REBUILD_H
#define ENGINE_LOG_REBUILD_H

#include <stdint.h>

#include <kvs/types.h>

#include "footer.h"
#include "segment.h"
#include "store.h"

/*
 * Gets the entries of each segment. Of a sealed one (segment->sealed) from its footer, or if that is
 * missing or damaged (which is logged) from its frames, whose CRCs are then checked; of others from
 * their frames, which recovery has checked. segment->end says where the frames end. ret_entries has
 * room for count and is filled when KVS_OK is returned; the caller deinits each. threads: at most so
 * many work on it. Uses db->host, db->index. KVS_OK, KVS_CORRUPT, KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status rebuild_entries(struct kvs_db *db, struct segment *const *segments,
                                        uint32_t count, uint32_t threads, struct kvs_bytes secret,
                                        struct footer_entries *ret_entries, struct kvs_error *err);

/*
 * Fills db->index, which is empty, from entries[i] of segments[i]. Sets each segment's live_bytes and
 * tombstone_bytes, and stores the largest sequence number of all (0: there is none) at
 * ret_sequence_max. Two entries with the same number and key (a record and its copy by the
 * compactor) count once: the one in the segment that comes first. Logs its progress when it takes
 * long. KVS_OK, KVS_NO_MEMORY (the index is then filled in part: free it).
 */
KVS_MUST_USE kvs_status rebuild_index(struct kvs_db *db, struct segment *const *segments,
                                      const struct footer_entries *entries, uint32_t count,
                                      uint32_t threads, uint64_t *ret_sequence_max,
                                      struct kvs_error *err);

#endif
