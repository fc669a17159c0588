/*
 * What LMDB and the system answered, as a kvs_status. Both share one number space: LMDB's own codes
 * are negative (MDB_*), the system's are errno values.
 */
#ifndef ENGINE_LMDB_FAULT_H
#define ENGINE_LMDB_FAULT_H

#include <stdbool.h>

#include <kvs/types.h>

/* The status of a code; 0 is KVS_OK. */
KVS_MUST_USE kvs_status fault_status(int code);

/* Fills err with "WHAT: reason" (code is not 0; err may be NULL) and returns fault_status(code). */
kvs_status fault_set(struct kvs_error *err, int code, const char *what);

/* The disk or a quota is full, or a file may not grow: a later try may succeed. */
KVS_MUST_USE bool fault_is_full(int code);

/* As fault_is_full, or memory or descriptors are short, or a signal came: it says nothing about the disk's health. */
KVS_MUST_USE bool fault_is_passing(int code);

#endif
