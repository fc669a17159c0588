/* See freelist.h. */
#include "freelist.h"

#include <string.h>

#define FREELIST_DBI 0u

int freelist_visit(MDB_txn *txn, freelist_fn visit, void *arg)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_open(txn, FREELIST_DBI, &cursor);
    if (code != 0)
        return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (code == 0) {
        size_t count = 0;
        if (value.mv_size >= sizeof(count))
            memcpy(&count, value.mv_data, sizeof(count));
        if (value.mv_size / sizeof(count) < 1 || count > value.mv_size / sizeof(count) - 1)
            code = MDB_CORRUPTED;
        else
            code = visit(arg, (const char *)value.mv_data + sizeof(count), count);
        if (code == 0)
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int add_count(void *arg, const void *pages, uint64_t count)
{
    uint64_t *sum = arg;
    (void)pages;
    *sum += count;
    return 0;
}

int freelist_count(MDB_txn *txn, uint64_t *ret_pages)
{
    uint64_t sum = 0;
    int code = freelist_visit(txn, add_count, &sum);
    if (code == 0)
        *ret_pages = sum;
    return code;
}
