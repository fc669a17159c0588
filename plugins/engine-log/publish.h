/*
 * Publishing: how appended records get into the index, and the bytes of live records are counted.
 *
 * One publisher at a time, in the order of sequence numbers: the holder of the append lock, or with
 * KVS_DURABILITY_ALWAYS the leader of a commit round. Readers and the compactor run meanwhile.
 */
#ifndef ENGINE_LOG_PUBLISH_H
#define ENGINE_LOG_PUBLISH_H

#include "store.h"

KVS_MUST_USE kvs_status publish_init(struct kvs_db *db, struct kvs_error *err);
void publish_deinit(struct kvs_db *db);

/* Publishes the one record of a write. Inside a read section. */
void publish_one(struct kvs_db *db, const struct placed *placed);

/*
 * Publishes the records of one batch so that they become visible at one moment: publish_begin with
 * the number of its first record, publish_add for each in order, publish_end. All inside one read
 * section.
 */
void publish_begin(struct kvs_db *db, uint64_t first_sequence);
void publish_add(struct kvs_db *db, const struct placed *placed);
void publish_end(struct kvs_db *db);
/* After publish_end, for each record of the batch. */
void publish_settle(struct kvs_db *db, const struct placed *placed);

/* What a key's slot led to: record is what is at the place, if that is one. */
static inline struct past publish_past(uint64_t place, const struct record *record)
{
    struct past past = {.place = place};
    if (place != PLACE_NONE && record->kind == RECORD_SET)
        past.bytes = record_bytes(record->key.len, record->value.len);
    return past;
}

/* Returns when no batch that was being published at the call is any more: a place that left the
   index before the call is then in no old_places. */
void publish_barrier(struct kvs_db *db);

/*
 * The place to read instead of `place`, whose record has number `sequence`: itself when that is
 * visible, else what was there before, or PLACE_NONE. Inside a read section that began before `place`
 * was found.
 */
static inline uint64_t publish_visible(const struct kvs_db *db, uint64_t place, uint64_t sequence)
{
    uint64_t from = atomic_load_explicit(&db->publishing_from, memory_order_acquire);
    if (__builtin_expect(sequence < from, 1))
        return place;
    uint64_t index = sequence - from;
    if (index >= STORE_BATCH_OPS_MAX)
        return place;
    uint64_t past = atomic_load_explicit(&db->old_places[index], memory_order_acquire);
    /* What was read may be the past of a later batch (I6); then this one is over, and visible. */
    return atomic_load_explicit(&db->publishing_from, memory_order_acquire) == from ? past : place;
}

#endif
