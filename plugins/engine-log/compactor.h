/*
 * Compaction: live records of a segment with much dead space are copied forward, and the segment is
 * dropped. On a thread of its own; readers and writers go on meanwhile.
 */
#ifndef ENGINE_LOG_COMPACTOR_H
#define ENGINE_LOG_COMPACTOR_H

#include "store.h"

/* Starts the thread. KVS_OK, KVS_NO_MEMORY (no thread to be had). */
KVS_MUST_USE kvs_status compactor_start(struct kvs_db *db, struct kvs_error *err);
/* Ends the thread between two records at the latest. One that was not started is fine. */
void compactor_stop(struct kvs_db *db);

/* Says that a segment was sealed. Any thread; takes no lock but compact_lock. */
void compactor_look(struct kvs_db *db);

/* Compacts every sealed segment that has anything dead in it. Returns when that is done. */
KVS_MUST_USE kvs_status compactor_run_all(struct kvs_db *db, struct kvs_error *err);

#endif
