/* LMDB's list of free pages: its database 0, which mdb_stat reads too: per transaction that freed
   some, an array of page numbers behind their count. */
#ifndef ENGINE_LMDB_FREELIST_H
#define ENGINE_LMDB_FREELIST_H

#include <stdint.h>

#include <lmdb.h>

#include <kvs/types.h>

/* Counts the free pages that txn sees. 0 or a code. */
KVS_MUST_USE int freelist_count(MDB_txn *txn, uint64_t *ret_pages);

/* Called with one entry: count numbers at pages, unaligned. Non-zero stops. */
typedef int (*freelist_fn)(void *arg, const void *pages, uint64_t count);

/* Shows each entry. 0, a code, or what visit returned. An entry that is too short for its count is
   MDB_CORRUPTED. */
KVS_MUST_USE int freelist_visit(MDB_txn *txn, freelist_fn visit, void *arg);

#endif
