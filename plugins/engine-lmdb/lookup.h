/* get and get_many: point reads in one read section. */
#ifndef ENGINE_LMDB_LOOKUP_H
#define ENGINE_LMDB_LOOKUP_H

#include <kvs/engine.h>

#include "reader.h"

/* As kvs_engine_ops.get. */
KVS_MUST_USE kvs_status lookup_one(struct reader_pool *readers, struct kvs_tls *tls,
                                   struct kvs_bytes key, kvs_value_fn visit, void *arg,
                                   struct kvs_error *err);

/* As kvs_engine_ops.get_many; never pending: LMDB has nothing to wait for but the page cache. */
KVS_MUST_USE kvs_status lookup_many(struct reader_pool *readers, struct kvs_tls *tls,
                                    struct kvs_get_many *request);

#endif
