/*
 * See scan.h. Any thread. A scan sees one snapshot and may take long, so it pins the map: growing
 * it waits for the scan without keeping gets from beginning (reader.c, I4).
 */
#include "scan.h"

#include <stdbool.h>

#include "fault.h"
#include "limits.h"
#include "value.h"

/* The largest prefix that any key can have. */
#define PREFIX_MAX LIMITS_KEY_MAX

static bool has_prefix(struct kvs_bytes key, struct kvs_bytes prefix)
{
    return prefix.len == 0 ||
           (key.len >= prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) == 0);
}

static bool is_in_range(const struct kvs_scan *scan, struct kvs_bytes key)
{
    return has_prefix(key, scan->prefix) && value_compare(key, scan->from) >= 0 &&
           (scan->to.len == 0 || value_compare(key, scan->to) < 0);
}

/* The smallest key that is larger than all with this prefix, built in buffer; empty if none is. */
static struct kvs_bytes prefix_end(struct kvs_bytes prefix, uint8_t buffer[PREFIX_MAX])
{
    uint64_t size = prefix.len;
    if (size > 0)
        memcpy(buffer, prefix.ptr, size);
    while (size > 0 && buffer[size - 1] == UINT8_MAX)
        size--;
    if (size > 0)
        buffer[size - 1]++;
    return (struct kvs_bytes){.ptr = buffer, .len = size};
}

/* The first key at or after a place; an empty place is the begin. 0 or a code. */
static int seek_up(MDB_cursor *cursor, struct kvs_bytes place, MDB_val *key, MDB_val *value)
{
    if (place.len == 0)
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    *key = value_of(place);
    return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
}

/* The last key before a place; an empty place is the end. 0 or a code. */
static int seek_down(MDB_cursor *cursor, struct kvs_bytes place, MDB_val *key, MDB_val *value)
{
    if (place.len == 0)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    int code = seek_up(cursor, place, key, value);
    if (code == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    return code == 0 ? mdb_cursor_get(cursor, key, value, MDB_PREV) : code;
}

static int seek(MDB_cursor *cursor, const struct kvs_scan *scan, MDB_val *key, MDB_val *value)
{
    uint8_t buffer[PREFIX_MAX];
    if (scan->prefix.len > PREFIX_MAX)
        return MDB_NOTFOUND;
    if ((scan->flags & KVS_SCAN_REVERSE) == 0) {
        bool from_first = value_compare(scan->from, scan->prefix) > 0;
        return seek_up(cursor, from_first ? scan->from : scan->prefix, key, value);
    }
    struct kvs_bytes end = prefix_end(scan->prefix, buffer);
    bool to_first = scan->to.len > 0 && (end.len == 0 || value_compare(scan->to, end) < 0);
    return seek_down(cursor, to_first ? scan->to : end, key, value);
}

/* Walks with an open cursor. KVS_OK, KVS_STOPPED, or a fault. */
static kvs_status walk(MDB_cursor *cursor, struct kvs_scan *scan, struct kvs_error *err)
{
    MDB_cursor_op step = (scan->flags & KVS_SCAN_REVERSE) != 0 ? MDB_PREV : MDB_NEXT;
    MDB_val key;
    MDB_val value;
    int code = seek(cursor, scan, &key, &value);
    for (uint64_t shown = 0; code == 0 && is_in_range(scan, value_bytes(&key)); shown++) {
        struct kvs_bytes seen = {NULL, 0};
        scan->cursor = 1;
        if (scan->limit != 0 && shown == scan->limit)
            return KVS_OK;
        if ((scan->flags & KVS_SCAN_KEYS_ONLY) == 0)
            seen = value_bytes(&value);
        if (scan->visit(scan->arg, value_bytes(&key), seen) != 0)
            return KVS_STOPPED;
        code = mdb_cursor_get(cursor, &key, &value, step);
    }
    if (code != 0 && code != MDB_NOTFOUND)
        return fault_set(err, code, "cannot read data.mdb");
    scan->cursor = 0;
    return KVS_OK;
}

kvs_status scan_run(struct reader_pool *readers, struct kvs_tls *tls, struct kvs_scan *scan,
                    struct kvs_error *err)
{
    struct reader *reader;
    MDB_cursor *cursor;
    reader_pin(readers);
    kvs_status status = reader_begin(readers, tls, &reader, err);
    if (status == KVS_OK) {
        int code = mdb_cursor_open(reader->txn, readers->store->dbi, &cursor);
        if (code == 0) {
            status = walk(cursor, scan, err);
            mdb_cursor_close(cursor);
        } else {
            status = fault_set(err, code, "cannot read data.mdb");
        }
        reader_end(readers, tls, reader);
    }
    reader_unpin(readers);
    return status;
}
