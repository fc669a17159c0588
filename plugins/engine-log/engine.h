/* The operations table of the log engine, for the descriptor (plugin.c) and white-box tests. */
#ifndef ENGINE_LOG_ENGINE_H
#define ENGINE_LOG_ENGINE_H

#include <kvs/engine.h>

#include "disk.h"

extern const struct kvs_engine_ops engine_log_ops;

/* As the table's open, on a disk of the caller's: it is the store's from here on, also on failure. */
KVS_MUST_USE kvs_status engine_open_on(struct disk *disk, const struct kvs_engine_config *config,
                                       struct kvs_db **ret_db, struct kvs_error *err);

#endif
