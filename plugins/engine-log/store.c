/* See store.h: what all parts of the engine call. */
#include "store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "footer.h"

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
    return record_view(from, limit, ret_record) && bytes_equal(ret_record->key, key);
}

bool store_is_sound(const struct kvs_db *db, uint64_t place)
{
    const struct segment *segment;
    struct record record;
    const uint8_t *from = store_record_at(db, place, &segment);
    return record_view(from, segment->bytes - place_offset_bytes(place), &record) &&
           record_is_sound(from, segment->salt, &record);
}

kvs_status store_say_damaged(const struct kvs_db *db, uint64_t place, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    const struct segment *segment = segment_at(&db->table, place_segment(place));
    if (segment_failed(segment)) /* zeros, not the file's */
        return segment_say_failed(segment, err);
    segment_name(segment->number, name);
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "the record at %s offset %" PRIu64
                         " is damaged (CRC mismatch); stop the server, and see --verify and "
                         "--repair",
                         name, place_offset_bytes(place));
}

/* A damaged record whose key nobody knows any more. That the hash of the key led here is all there is: that
   some key which shares its bits is said to be damaged is better than that this one seems never to have
   been there. */
static bool may_have_had_key(const struct kvs_db *db, uint64_t place, struct kvs_bytes key,
                             struct record *ret_record)
{
    const struct segment *segment;
    const uint8_t *from = store_record_at(db, place, &segment);
    if (!record_view(from, segment->bytes - place_offset_bytes(place), ret_record))
        *ret_record = (struct record){.kind = RECORD_SET};
    ret_record->key = key;
    return true;
}

/* True when a record that does not seem to have the key has it all the same, only that its bytes are
   damaged. */
static bool had_key(const struct kvs_db *db, uint64_t place, uint64_t hash, struct kvs_bytes key,
                    struct record *ret_record)
{
    const struct segment *segment = segment_at(&db->table, place_segment(place));
    struct footer_entry entry;
    if (store_is_sound(db, place))
        return false;
    if (atomic_load_explicit(&segment->sealed, memory_order_acquire) == 0 ||
        footer_find(segment, place_offset_bytes(place), &entry, NULL) != KVS_OK)
        return may_have_had_key(db, place, key, ret_record);
    struct kvs_bytes secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES};
    if (entry.hash != hash || entry.check != footer_check_of(footer_seed(secret), key))
        return false;
    *ret_record = (struct record){
        .sequence = entry.sequence,
        .kind = footer_entry_is_tombstone(&entry) ? RECORD_TOMBSTONE : RECORD_SET,
        .key = key,
        .value = {NULL, footer_entry_bytes(&entry) - RECORD_HEADER_BYTES - key.len},
    };
    return true;
}

uint64_t store_find(const struct kvs_db *db, uint64_t hash, struct kvs_bytes key,
                    struct record *ret_record)
{
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, db->index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE) {
        if (store_has_key(db, place, key, ret_record) || had_key(db, place, hash, key, ret_record))
            return place;
    }
    return PLACE_NONE;
}
