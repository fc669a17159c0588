/*
 * Salvaging a stopped store into a new one.
 *
 * Every record that is sound by itself is found, whatever else is damaged or missing: manifest,
 * headers, frames, footers. Of each key the newest version counts, by its sequence number; a removed
 * key stays removed. Where the newest version of a key is known to be damaged, an older one is not
 * passed off as it: the key is left out and reported, unless the option repair-older asks for the older
 * one. Which keys were in a damaged place tells the segment's footer. Where that is missing too it
 * cannot be known, and then an older value may be what the new store has: the report says so.
 *
 * Of a batch that is damaged in part, what is sound is brought back, and the damage is reported. Of
 * unsealed segments that a start would take exactly that is brought back which a start takes: what is
 * unfinished is left out with all that follows it, and is no loss. (One write more, where all of its
 * records are there and only its frame's header is damaged.) Where a start would refuse them, all that
 * is sound comes back, and numbers that are missing are reported.
 *
 * The source is only read. The new store holds the newest versions only, with new numbers.
 */
#ifndef ENGINE_LOG_REPAIR_H
#define ENGINE_LOG_REPAIR_H

#include <kvs/engine.h>

#include "disk.h"

/* As kvs_engine_ops.repair. KVS_OK: nothing was lost. KVS_CORRUPT: the new store is there, and each
   loss was reported (KVS_LOG_ERROR). KVS_MISSING: there is no store; KVS_INCOMPATIBLE: a later kvs made
   it; KVS_NO_SPACE, KVS_NO_MEMORY, KVS_IO: there is no new store. */
kvs_status repair_store(const struct kvs_engine_config *config, const char *target_dir,
                        kvs_report_fn report, void *arg, struct kvs_error *err);

/* The folder of the new store. It is opened several times, and closed again each time. */
struct repair_target {
    const char *name; /* for messages */
    kvs_status (*open)(const struct repair_target *target, struct disk **ret_disk,
                       struct kvs_error *err);
    void *arg; /* open's */
};

/* The same for a source that is open, and wherever the new store goes. */
KVS_MUST_USE kvs_status repair_disk_to(struct disk *disk, const struct kvs_host *host,
                                       const struct repair_target *target, kvs_report_fn report,
                                       void *arg, struct kvs_error *err);

/* The same into a real folder. */
KVS_MUST_USE kvs_status repair_disk(struct disk *disk, const struct kvs_host *host,
                                    const char *target_dir, kvs_report_fn report, void *arg,
                                    struct kvs_error *err);

#endif
