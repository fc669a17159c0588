/* One open store: what its parts are, and in which order they are built and taken down. */
#ifndef ENGINE_LMDB_DB_H
#define ENGINE_LMDB_DB_H

#include <kvs/engine.h>

#include "durable.h"
#include "group.h"
#include "health.h"
#include "reader.h"
#include "space.h"
#include "store.h"
#include "writer.h"

/* Lock order: the leader's baton (writer.h), the readers' pins, then the locks inside the parts,
   each of which is let go before its part calls another. */
struct kvs_db {
    struct store_config store_config; /* dir points to the store's own copy */
    struct health health;
    struct store store;
    struct reader_pool readers;
    struct space space;
    struct durable durable;
    struct group_context group;
    struct writer writer;
};

/* As kvs_engine_ops.open and close. */
KVS_MUST_USE kvs_status db_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                                struct kvs_error *err);
KVS_MUST_USE kvs_status db_close(struct kvs_db *db, struct kvs_error *err);

#endif
