/* Byte views and LMDB's. */
#ifndef ENGINE_LMDB_VALUE_H
#define ENGINE_LMDB_VALUE_H

#include <string.h>

#include <lmdb.h>

#include <kvs/types.h>

static inline MDB_val value_of(struct kvs_bytes bytes)
{
    union {
        const void *in;
        void *out; /* LMDB takes no const, and changes nothing behind it */
    } pointer = {.in = bytes.len > 0 ? bytes.ptr : ""};
    return (MDB_val){.mv_size = bytes.len, .mv_data = pointer.out};
}

static inline struct kvs_bytes value_bytes(const MDB_val *value)
{
    return (struct kvs_bytes){.ptr = value->mv_data, .len = value->mv_size};
}

/* Less than, equal to or greater than 0, in the order of LMDB's keys. */
static inline int value_compare(struct kvs_bytes a, struct kvs_bytes b)
{
    uint64_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

#endif
