/* Reading: get, get_many, scan. Never a lock, never a wait, nothing shared is written. */
#ifndef ENGINE_LOG_READER_H
#define ENGINE_LOG_READER_H

#include <kvs/engine.h>

/* As in engine.h. */
kvs_status reader_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                      kvs_value_fn visit, void *arg, struct kvs_error *err);
kvs_status reader_get_many(struct kvs_db *db, struct kvs_tls *tls, struct kvs_get_many *request);
kvs_status reader_scan(struct kvs_db *db, struct kvs_tls *tls, struct kvs_scan *scan,
                       struct kvs_error *err);

/* Begins to fetch what a batch's operations will look at, so that their cache misses overlap: a hint,
   without the append lock. */
void reader_prefetch(struct kvs_db *db, const struct kvs_op *ops, uint64_t count);

#endif
