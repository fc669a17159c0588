/*
 * A small store made by hand that has all there can be: sealed segments, appended and compacted, one
 * that is not sealed, an empty one, overwritten and removed keys, frames of one record and of several,
 * a snapshot. And what it holds: each version of each key, and where its record is.
 */
#ifndef TESTS_SMALL_STORE_H
#define TESTS_SMALL_STORE_H

#include "log_fixture.h"
#include "manifest.h"

#define SMALL_STORE_KEYS         8u
#define SMALL_STORE_VERSIONS_MAX 64u
#define SMALL_STORE_SEGMENTS     4u

enum { /* numbers of its segments */
    SMALL_STORE_COMPACTED = 0,
    SMALL_STORE_SEALED = 1,
    SMALL_STORE_ACTIVE = 2,
    SMALL_STORE_SPARE = 3,
};

/* One record. */
struct small_version {
    uint32_t key;
    uint64_t sequence;
    bool tombstone;
    uint64_t value_bytes; /* of the value that log_fixture_record() makes */
    uint32_t segment;
    uint64_t offset; /* of the record */
    uint64_t bytes;
};

struct small_store {
    struct log_fixture *fixture; /* its disk is the store's; syncs do nothing */
    struct manifest *manifest;
    uint64_t sequence; /* the last one */
    struct small_version versions[SMALL_STORE_VERSIONS_MAX];
    uint32_t version_count;
    struct segment *segments[SMALL_STORE_SEGMENTS];
};

/* snapshot: with one, and then without the unsealed segments, as after a clean stop. */
struct small_store *small_store_new(bool snapshot);
void small_store_free(struct small_store *store);

/* The newest version of a key whose record does not contain this byte of this segment's file; NULL:
   there is none. segment UINT32_MAX: whichever is the newest. */
const struct small_version *small_store_newest(const struct small_store *store, uint32_t key,
                                               uint32_t segment, uint64_t offset);

/* Makes syncing do nothing on a faulty disk: these tests crash nothing. */
void small_store_no_sync(struct disk *disk);

/* Checks that a store has exactly the expected version of each key (NULL: none), as an engine would
   see it: the manifest, the segments, the footers, the index. */
void small_store_check(struct disk *disk, const struct kvs_host *host,
                       const struct small_version *const expected[SMALL_STORE_KEYS]);

/* Counts what verifying or repairing reports; report function and argument. */
struct small_report {
    uint64_t lines[KVS_LOG_DEBUG + 1]; /* by level */
    bool print;
    char text[8192]; /* all lines so far, as far as there is room */
};
void small_report_line(void *arg, uint32_t level, const char *message);

#endif
