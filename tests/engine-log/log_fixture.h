/*
 * What the tests of the log engine's files share: a folder with a disk, an index, and segments that are
 * filled by hand. No engine is opened.
 */
#ifndef TESTS_LOG_FIXTURE_H
#define TESTS_LOG_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>

#include "record.h"
#include "segment.h"
#include "store.h"

#define FIXTURE_SECRET "a secret of more than 16 bytes!!"

struct log_fixture {
    char *dir; /* owned */
    struct kvs_host host;
    struct disk *below; /* of the folder; db->disk is a disk_faulty in front of it */
    struct kvs_db *db;  /* with host, disk, epoch and index, nothing else */
    struct kvs_bytes secret;
    /* Lines that were logged, by level. Added to by any thread, relaxed. */
    _Atomic uint32_t logged[KVS_LOG_DEBUG + 1];
};

/* Also usable as a cmocka setup with teardown: state is the fixture. */
struct log_fixture *log_fixture_new(uint32_t shard_bits);
void log_fixture_free(struct log_fixture *fixture);

/* Frees the index and makes an empty one. */
void log_fixture_new_index(struct log_fixture *fixture, uint32_t shard_bits);

/* A new segment of this number; its generation is 100 + number. */
struct segment *log_fixture_segment(struct log_fixture *fixture, uint32_t number, uint64_t bytes);

/* Closes it and opens it again as it is on the disk, sealed, with the same end. */
struct segment *log_fixture_reopen(struct log_fixture *fixture, struct segment *segment);

/* Appends one frame. Gives the offset of its first record. */
uint64_t log_fixture_append(struct segment *segment, const struct record *records, uint32_t count);

/* The same; durable: what the frame says was durable when it was written. */
uint64_t log_fixture_append_durable(struct segment *segment, const struct record *records,
                                    uint32_t count, uint64_t durable);

/* A record of the key "key NUMBER" with a value of value_bytes bytes. The key's text is in
   `text`, which lives as long as the record. */
struct record log_fixture_record(char text[32], uint32_t key, uint64_t sequence,
                                 uint64_t value_bytes);
struct record log_fixture_tombstone(char text[32], uint32_t key, uint64_t sequence);

/* Overwrites bytes of a file in the folder, or inverts the bits of mask in one. */
void log_fixture_flip(const struct log_fixture *fixture, const char *name, uint64_t offset,
                      uint8_t mask);

/* Size of a file in the folder, in bytes. */
uint64_t log_fixture_size(const struct log_fixture *fixture, const char *name);

/* All of it; malloced. */
uint8_t *log_fixture_content(const struct log_fixture *fixture, const char *name,
                             uint64_t *ret_bytes);

/* A number below bound, from a xorshift generator. */
uint64_t log_fixture_random(uint64_t *state, uint64_t bound);

#endif
