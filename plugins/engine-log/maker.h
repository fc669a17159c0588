/*
 * Making segments for the appender: one ahead of use (the spare), and others when they are asked for. All
 * of it happens on the maker's thread: nobody holds the append lock while a segment is made.
 */
#ifndef ENGINE_LOG_MAKER_H
#define ENGINE_LOG_MAKER_H

#include "store.h"

/* Starts the thread. KVS_OK, KVS_NO_MEMORY (no thread to be had). */
KVS_MUST_USE kvs_status maker_start(struct kvs_db *db, struct kvs_error *err);
/* Ends the thread; who waits for a segment gets KVS_CLOSED. One that was not started is fine. */
void maker_stop(struct kvs_db *db);

/*
 * Gives an empty segment with room for a frame of `bytes`. removes_only: for writes that lead to less: they
 * may have the last one that the disk has room for. append_lock is held.
 *
 * KVS_BUSY: there is none, and one is being made. When it is there, or cannot be made, db->making is 0
 * again and the maker takes the append lock once; then ask again.
 * KVS_NO_SPACE, KVS_NO_MEMORY (descriptors too; it is tried again by itself), KVS_CLOSED. A failure of the
 * disk turns the store read-only.
 */
KVS_MUST_USE kvs_status maker_take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                                           struct segment **ret_segment, struct kvs_error *err);

/* Returns when what the appender asked for was made, or could not be. No lock is held. */
void maker_await(struct kvs_db *db);

/* Says that files were removed: what failed for lack of space may be tried at once. keeper_lock is held. */
void maker_look(struct kvs_db *db);

/* Gives up the spare, so that a segment can be made with its space on a full disk, and makes no other
   until maker_return_spare. False: there is none to be had. The compactor's thread. */
KVS_MUST_USE bool maker_lend_spare(struct kvs_db *db);
void maker_return_spare(struct kvs_db *db);

/* Removes what was made and not used, when the store closes; the thread is stopped, nobody reads. */
void maker_discard(struct kvs_db *db);

#endif
