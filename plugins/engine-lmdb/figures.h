/* The engine's figures. */
#ifndef ENGINE_LMDB_FIGURES_H
#define ENGINE_LMDB_FIGURES_H

#include <kvs/engine.h>

#include "db.h"

/* As kvs_engine_ops.stats. Reads the whole list of free pages. */
void figures_visit(struct kvs_db *db, kvs_stat_fn visit, void *arg);

#endif
