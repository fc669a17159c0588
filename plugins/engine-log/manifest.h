/*
 * The manifest: which segments the store has, and what all of them share. A small append-only file
 * of entries, each with its CRC, that is written anew when it has grown long. What is committed
 * together is one frame with its own CRC.
 *
 * The file is "log.manifest"; a new one is written to "log.manifest.new", synced, renamed over the
 * old one, and the folder is synced. manifest_format.h describes the bytes.
 *
 * Threads: one call at a time; the caller holds its own lock.
 */
#ifndef ENGINE_LOG_MANIFEST_H
#define ENGINE_LOG_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "disk.h"

#define MANIFEST_NAME         "log.manifest"
#define MANIFEST_FORMAT       1u
#define MANIFEST_SECRET_BYTES 32u

/* One segment of the store. */
struct manifest_segment {
    uint32_t number;       /* names the file: NNNNNNNN.seg */
    bool sealed;           /* complete: it has end, counts and a footer */
    bool removing;         /* nothing in it is needed; the file may still be there */
    uint64_t generation;   /* of its content: never the same twice in a store's life */
    uint64_t bytes;        /* of the file */
    uint64_t end;          /* sealed: offset behind the last frame */
    uint64_t records;      /* sealed: how many, tombstones included */
    uint64_t sequence_min; /* sealed: smallest and largest sequence number in it; 0, 0: none */
    uint64_t sequence_max;
};

struct manifest;

/* Makes the manifest of a new store, with a random secret, durably. KVS_INVALID: there is one. */
KVS_MUST_USE kvs_status manifest_create(struct disk *disk, struct manifest **ret_manifest,
                                        struct kvs_error *err);

/*
 * Makes the manifest of a copy of a store, durably: the store's secret, these segments, and generations
 * that the store itself is not going to reach, so that no content of the two is ever taken for the
 * other's. next_generation: the store's. Failure: there may be one.
 */
KVS_MUST_USE kvs_status manifest_create_copy(struct disk *disk, const uint8_t *secret,
                                             uint64_t next_generation,
                                             const struct manifest_segment *segments,
                                             uint32_t count, struct kvs_error *err);

/* Opens the one that is there. A torn last frame (a crash while it was written) is cut off, and what
   is left is durable. KVS_OK, KVS_MISSING, KVS_CORRUPT (with the offset), KVS_INCOMPATIBLE (a later
   format), KVS_IO, KVS_NO_MEMORY. read_only: the folder is not touched, and adding gives
   KVS_READ_ONLY. */
KVS_MUST_USE kvs_status manifest_open(struct disk *disk, bool read_only,
                                      struct manifest **ret_manifest, struct kvs_error *err);

/* Closes the file; the disk stays open. NULL is fine. */
void manifest_free(struct manifest *manifest);

/* How many bytes of a torn last frame manifest_open() cut off (read_only: left out). */
uint64_t manifest_torn_bytes(const struct manifest *manifest);

/* The store's secret: MANIFEST_SECRET_BYTES bytes for the hash of keys. Lives as long as it. */
const uint8_t *manifest_secret(const struct manifest *manifest);

/* A number that no earlier call gave in this store's life, once manifest_put made a segment of that
   generation durable. */
uint64_t manifest_next_generation(struct manifest *manifest);

/* The segments, by number. The pointers die with the next put, remove or commit. Within a
   transaction its changes are seen. */
uint32_t manifest_segment_count(const struct manifest *manifest);
const struct manifest_segment *manifest_segment_at(const struct manifest *manifest, uint32_t index);
const struct manifest_segment *manifest_find(const struct manifest *manifest, uint32_t number);

/*
 * Adds a segment or replaces what is known of it (by number), and removes one. Several changes
 * between manifest_begin and manifest_commit become durable together, or, after a crash, not at
 * all. Durable when manifest_commit gives KVS_OK. A put that fails makes the commit fail, which
 * ends the transaction all the same.
 *
 * A commit that fails leaves the segments as they were at manifest_begin. KVS_NO_SPACE and
 * KVS_NO_MEMORY: nothing changed on disk either, and a later commit may succeed. After any other
 * failure the manifest on disk is unknown: with the changes or without, as the next open will find.
 * Every further commit then gives KVS_READ_ONLY. Some space is always kept, so that a full disk
 * stops some 300 commits later than anything else.
 */
void manifest_begin(struct manifest *manifest);
KVS_MUST_USE kvs_status manifest_put(struct manifest *manifest,
                                     const struct manifest_segment *segment);
void manifest_remove(struct manifest *manifest, uint32_t number);
KVS_MUST_USE kvs_status manifest_commit(struct manifest *manifest, struct kvs_error *err);

#endif
