/*
 * Verifying a stopped store: every byte of it is read and checked, nothing is changed.
 *
 * Damage is what a bit that turned, a lost write, or a missing file leaves: KVS_LOG_ERROR. What a
 * crash leaves and the next start deals with (a torn tail, a file that is not needed) is KVS_LOG_WARN
 * or KVS_LOG_INFO. Not looked at are only files that hold nothing: those of segments that are being
 * removed, or that no manifest names.
 */
#ifndef ENGINE_LOG_VERIFY_H
#define ENGINE_LOG_VERIFY_H

#include <kvs/engine.h>

#include "disk.h"

/* As kvs_engine_ops.verify. */
KVS_MUST_USE kvs_status verify_store(const struct kvs_engine_config *config, kvs_report_fn report,
                                     void *arg, struct kvs_error *err);

/* The same for a folder that is open; host for the log. KVS_OK: sound; KVS_CORRUPT: there is damage,
   each was reported; KVS_MISSING: there is no store; KVS_INCOMPATIBLE, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status verify_disk(struct disk *disk, const struct kvs_host *host,
                                    kvs_report_fn report, void *arg, struct kvs_error *err);

#endif
