/* What the appender's files share. See appender.h. */
#ifndef ENGINE_LOG_APPENDER_INTERNAL_H
#define ENGINE_LOG_APPENDER_INTERNAL_H

#include "store.h"

/* The batch at hand. */
struct batch_plan {
    struct kvs_batch *batch;
    uint64_t count;   /* staged operations: those that will be written */
    uint64_t bytes;   /* of their records */
    bool waits;       /* rests on a pending write (appender.c, I3) */
    bool use_pending; /* its operations are entered in the pending table */
    kvs_status status;
};

/*
 * Decides each operation of plan->batch against what is there, and stages in db->staged those that will be
 * written. append_lock is held, inside a read section. KVS_OK: each operation has its status;
 * KVS_CONDITION_FAILED, or a fault: nothing is staged.
 */
KVS_MUST_USE kvs_status appender_decide(struct kvs_db *db, struct batch_plan *plan);

/* Undoes the staging. append_lock is held. */
void appender_forget_staged(struct kvs_db *db, struct batch_plan *plan);

#endif
