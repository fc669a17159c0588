/* What the files of verifying share. See verify.h. */
#ifndef ENGINE_LOG_VERIFY_INTERNAL_H
#define ENGINE_LOG_VERIFY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "findings.h"
#include "index.h"
#include "manifest.h"
#include "scan.h"
#include "segment.h"
#include "verify.h"

/* One segment of the manifest, and what was found in it. */
struct verified {
    struct manifest_segment known;
    char name[SEGMENT_NAME_MAX];
    bool readable; /* there is a file, and its header is sound */
    enum segment_kind kind;
    uint64_t end; /* behind its frames */
    uint64_t records;
    uint64_t sequence_min;
    uint64_t sequence_max;
    struct scan_result scan; /* unsealed */
};

struct verify {
    struct disk *disk;
    const struct kvs_host *host;
    struct findings findings;
    struct manifest *manifest; /* owned */
    struct kvs_bytes secret;
    struct epoch *epoch;       /* owned */
    struct index *index;       /* owned: an empty one, for the hash */
    struct verified *segments; /* owned; those not being removed, by generation */
    uint32_t count;
    uint64_t sealed_max; /* the largest number that a sealed segment has, or had */
};

/* verify_segment.c: looks at one segment by itself. KVS_OK, also if there is damage; KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status verify_segment(struct verify *verify, struct verified *segment,
                                       struct kvs_error *err);

/* verify_snapshot.c: compares the snapshot, if there is one, with what the segments say, which are
   sound. KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status verify_snapshot(struct verify *verify, struct kvs_error *err);

#endif
