/* Checks a store that nobody has open. */
#ifndef ENGINE_LMDB_VERIFY_H
#define ENGINE_LMDB_VERIFY_H

#include <kvs/engine.h>

/*
 * As kvs_engine_ops.verify. LMDB keeps no checksums, so this finds what is wrong with the structure
 * (the tree, the order, the counts, the list of free pages) and what cannot be read, but no value
 * whose bytes were changed in place.
 */
KVS_MUST_USE kvs_status verify_run(const struct kvs_engine_config *config, kvs_report_fn report,
                                   void *arg, struct kvs_error *err);

#endif
