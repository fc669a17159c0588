/* See lookup.h. Any thread. Values are shown where they lie in the map, inside the section. */
#include "lookup.h"

#include "fault.h"
#include "limits.h"
#include "value.h"

/* Finds key in the section's snapshot. Statuses as get, but for KVS_STOPPED. */
static kvs_status find(const struct reader_pool *readers, const struct reader *reader,
                       struct kvs_bytes key, MDB_val *ret_value, struct kvs_error *err)
{
    if (limits_check_key(key, NULL) != KVS_OK)
        return KVS_NOT_FOUND; /* LMDB would fail; but no store holds such a key */
    MDB_val wanted = value_of(key);
    int code = mdb_get(reader->txn, readers->store->dbi, &wanted, ret_value);
    if (code == 0 || code == MDB_NOTFOUND)
        return fault_status(code);
    return fault_set(err, code, "cannot read data.mdb");
}

kvs_status lookup_one(struct reader_pool *readers, struct kvs_tls *tls, struct kvs_bytes key,
                      kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    struct reader *reader;
    MDB_val value;
    kvs_status status = reader_begin(readers, tls, &reader, err);
    if (status != KVS_OK)
        return status;
    status = find(readers, reader, key, &value, err);
    if (status == KVS_OK && visit(arg, value_bytes(&value)) != 0)
        status = KVS_STOPPED;
    reader_end(readers, tls, reader);
    return status;
}

kvs_status lookup_many(struct reader_pool *readers, struct kvs_tls *tls,
                       struct kvs_get_many *request)
{
    struct reader *reader;
    struct kvs_error *err = request->err;
    kvs_status status = reader_begin(readers, tls, &reader, err);
    if (status != KVS_OK)
        return status;
    for (uint64_t i = 0; i < request->lookup_count && status == KVS_OK; i++) {
        struct kvs_lookup *lookup = &request->lookups[i];
        MDB_val value;
        lookup->status = find(readers, reader, lookup->key, &value, err);
        if (lookup->status < 0)
            err = NULL; /* it has the first fault */
        if (lookup->status == KVS_OK && request->visit(request->arg, i, value_bytes(&value)) != 0)
            status = KVS_STOPPED;
    }
    reader_end(readers, tls, reader);
    return status;
}
