/* Walks over the keys, in order, in one read section. */
#ifndef ENGINE_LMDB_SCAN_H
#define ENGINE_LMDB_SCAN_H

#include <kvs/engine.h>

#include "reader.h"

/* As kvs_engine_ops.scan. */
KVS_MUST_USE kvs_status scan_run(struct reader_pool *readers, struct kvs_tls *tls,
                                 struct kvs_scan *scan, struct kvs_error *err);

#endif
