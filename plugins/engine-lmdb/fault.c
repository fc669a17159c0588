/* See fault.h. */
#include "fault.h"

#include <errno.h>

#include <lmdb.h>

bool fault_is_full(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

bool fault_is_passing(int code)
{
    return fault_is_full(code) || code == ENOMEM || code == EMFILE || code == ENFILE ||
           code == EINTR;
}

static kvs_status status_of_lmdb(int code)
{
    switch (code) {
    case MDB_NOTFOUND:
        return KVS_NOT_FOUND;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
        return KVS_CORRUPT;
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return KVS_INCOMPATIBLE;
    case MDB_MAP_FULL:
        return KVS_NO_SPACE;
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
        return KVS_TOO_LARGE;
    case MDB_READERS_FULL:
        return KVS_BUSY;
    case MDB_PANIC:
        return KVS_IO;
    default:
        return KVS_INTERNAL;
    }
}

kvs_status fault_status(int code)
{
    if (code == 0)
        return KVS_OK;
    if (code < 0)
        return status_of_lmdb(code);
    if (fault_is_full(code))
        return KVS_NO_SPACE;
    switch (code) {
    case ENOMEM:
        return KVS_NO_MEMORY;
    case ENOENT:
        return KVS_MISSING;
    case EACCES:
    case EPERM:
    case EROFS:
        return KVS_DENIED;
    case EAGAIN: /* also EWOULDBLOCK, from flock */
        return KVS_LOCKED;
    default:
        return KVS_IO;
    }
}

kvs_status fault_set(struct kvs_error *err, int code, const char *what)
{
    return kvs_error_set(err, fault_status(code), code > 0 ? code : 0, "%s: %s", what,
                         mdb_strerror(code));
}
