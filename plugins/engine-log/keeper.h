/*
 * Keeping segments: sealing complete ones, removing dropped ones, and the manifest that says which there
 * are. Most of it happens on the keeper's thread, so that no writer waits for it. What is made ahead of use
 * is the maker's (maker.h).
 */
#ifndef ENGINE_LOG_KEEPER_H
#define ENGINE_LOG_KEEPER_H

#include "store.h"

#define KEEPER_STEP_BYTES (UINT64_C(8) << 20)

/* Starts the thread. KVS_OK, KVS_NO_MEMORY (no thread to be had). */
KVS_MUST_USE kvs_status keeper_start(struct kvs_db *db, struct kvs_error *err);
/* Seals what is complete, removes what is dropped, and ends the thread. One that was not started is
   fine. */
void keeper_stop(struct kvs_db *db);

/* Makes a segment, durably: its file and its place in the manifest, the table too. A
   compacted one's birth is compact_birth. reserve: bytes that take space at once; 0: all. */
KVS_MUST_USE kvs_status keeper_make_segment(struct kvs_db *db, uint64_t bytes,
                                            enum segment_kind kind, uint64_t reserve, bool zero,
                                            struct segment **ret_segment, struct kvs_error *err);

/* Takes segments (linked by next) to which nobody appends any more, to be sealed. synced: all their
   content is durable and published; otherwise they are only kept until the store closes. */
void keeper_take_complete(struct kvs_db *db, struct segment *list, bool synced);

/* Wakes the thread. To be called when the appender has come to another KEEPER_STEP_BYTES of its segment. */
void keeper_look(struct kvs_db *db);

/* Puts a complete, synced segment aside until the disk has room. */
void keeper_seal_later(struct kvs_db *db, struct segment *segment);

/* Writes the footer of a complete, synced segment and says in the manifest that it is sealed.
   KVS_NO_SPACE, KVS_NO_MEMORY: the keeper will try again. */
KVS_MUST_USE kvs_status keeper_seal(struct kvs_db *db, struct segment *segment,
                                    struct kvs_error *err);

/* Says in the manifest, durably, that an unsealed segment's content is durable up to its end. */
KVS_MUST_USE kvs_status keeper_note_durable(struct kvs_db *db, const struct segment *segment,
                                            struct kvs_error *err);

/* Says in the manifest, durably, that a segment's file may be gone. manifest_lock is held, or nobody
   else is there yet. */
KVS_MUST_USE kvs_status keeper_mark_removing(struct kvs_db *db, uint32_t number,
                                             struct kvs_error *err);

/* Drops a segment that the index does not lead to any more. The manifest says so durably before this
   returns; the file goes after a grace period. */
KVS_MUST_USE kvs_status keeper_drop(struct kvs_db *db, struct segment *segment,
                                    struct kvs_error *err);

/* Takes a segment whose file is gone out of the manifest, or keeps its entry as the one that says how
   far the sequence went (I5). manifest_lock is held, or no thread runs yet. */
KVS_MUST_USE kvs_status keeper_forget(struct kvs_db *db, uint32_t number, struct kvs_error *err);

/* Frees a segment that nobody can reach, and removes its file; then its number may be given out again. */
KVS_MUST_USE kvs_status keeper_remove(struct kvs_db *db, struct segment *segment,
                                      struct kvs_error *err);

/* Removes a segment that nothing was ever appended to, when the store closes: nobody reads any more,
   the thread is stopped. NULL is fine. */
void keeper_discard_empty(struct kvs_db *db, struct segment *segment);

/* Lets files go again after a checkpoint, which said under keeper_lock that they must stay
   (kvs_db.holds). */
void keeper_release(struct kvs_db *db);

/* Waits until what is complete at the call is sealed, and what was dropped before it is gone. */
void keeper_wait(struct kvs_db *db);

/* Puts a complete segment in line for sealing before the thread runs (recovery). */
void keeper_enqueue(struct kvs_db *db, struct segment *segment);

#endif
