/* See store.h: what all parts of the engine call. */
#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 1024u

void store_log(const struct kvs_db *db, uint32_t level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    if (!db->host->log_enabled(db->host, level))
        return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    db->host->log(db->host, level, line);
}

void store_fail(struct kvs_db *db, const struct kvs_error *cause)
{
    bool first = false;
    (void)pthread_mutex_lock(&db->fault_lock);
    if (atomic_load_explicit(&db->fault, memory_order_relaxed) == KVS_OK) {
        first = true;
        (void)snprintf(db->fault_message, sizeof(db->fault_message), "%s",
                       cause->msg != NULL ? cause->msg : "a write failed");
        atomic_store_explicit(&db->fault, cause->status, memory_order_release);
    }
    (void)pthread_mutex_unlock(&db->fault_lock);
    if (first)
        store_log(db, KVS_LOG_ERROR,
                  "the store is read-only from now on: %s; what was acknowledged is safe; restart "
                  "when the disk is well again",
                  db->fault_message);
}

kvs_status store_check_writable(struct kvs_db *db, struct kvs_error *err)
{
    if (db->read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "the store was opened read-only");
    if (atomic_load_explicit(&db->fault, memory_order_acquire) != KVS_OK)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "the store is read-only after a fault: %s",
                             db->fault_message);
    return KVS_OK;
}

bool store_has_key(const struct kvs_db *db, uint64_t place, struct kvs_bytes key,
                   struct record *ret_record)
{
    const struct segment *segment;
    const uint8_t *from = store_record_at(db, place, &segment);
    uint64_t limit = segment->bytes - place_offset_bytes(place);
    return record_view(from, limit, ret_record) && ret_record->key.len == key.len &&
           memcmp(ret_record->key.ptr, key.ptr, key.len) == 0;
}

uint64_t store_find(const struct kvs_db *db, uint64_t hash, struct kvs_bytes key,
                    struct record *ret_record)
{
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, db->index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE) {
        if (store_has_key(db, place, key, ret_record))
            return place;
    }
    return PLACE_NONE;
}
