/*
 * The compactor's output: copies of records, in frames, in segments of their own; and the index's slots,
 * which are moved to them.
 */
#ifndef ENGINE_LOG_COPIER_H
#define ENGINE_LOG_COPIER_H

#include "store.h"

#define COPIER_RECORDS_MAX 2048u /* in a frame */

/* A record that was copied, and its slot. */
struct copy {
    uint64_t hash;
    uint64_t old_place;
    uint64_t new_place;
    uint64_t sequence;
    uint32_t bytes;
    bool tombstone;
};

/* A frame that is being filled in the output (kvs_db.compact_output). The compactor's thread only. */
struct copier {
    struct kvs_db *db;
    struct segment *victim; /* what is copied from */
    uint64_t frame_offset;  /* in the output */
    uint8_t *frame;         /* there; or a buffer, where the output is not mapped for writing */
    uint8_t *buffer;
    uint64_t buffer_cap;
    uint64_t bytes; /* of the frame so far */
    uint64_t first_sequence;
    uint32_t count;
    struct copy copies[COPIER_RECORDS_MAX];
};

void copier_init(struct copier *copier, struct kvs_db *db);
void copier_deinit(struct copier *copier);

/* Begins with a victim. What was not flushed of the one before is forgotten. */
void copier_begin(struct copier *copier, struct segment *victim);

/*
 * Copies the record at old_place, of the victim, whose CRC is right. Its slot is moved, if it still leads
 * to old_place, when the frame is full or flushed. KVS_OK, KVS_NO_SPACE, KVS_NO_MEMORY, KVS_IO,
 * KVS_CORRUPT (the victim became unreadable meanwhile).
 */
KVS_MUST_USE kvs_status copier_add(struct copier *copier, const struct record *record,
                                   uint64_t hash, uint64_t old_place, struct kvs_error *err);

/* Writes the frame's header, then moves the slots of its records. */
KVS_MUST_USE kvs_status copier_flush(struct copier *copier, struct kvs_error *err);

/* Syncs the output and says in the manifest how far it is durable. */
KVS_MUST_USE kvs_status copier_sync(struct kvs_db *db, struct kvs_error *err);

/* Syncs and seals the output, if there is one; there is none afterwards. */
KVS_MUST_USE kvs_status copier_seal(struct kvs_db *db, struct kvs_error *err);

/* KVS_CORRUPT, with a message that says that the victim is damaged at this offset, or cannot be read. */
kvs_status copier_say_damaged(const struct segment *victim, uint64_t offset, struct kvs_error *err);

#endif
