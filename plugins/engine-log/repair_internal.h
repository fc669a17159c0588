/* What the files of repairing share. See repair.h, and repair.c for the order of things. */
#ifndef ENGINE_LOG_REPAIR_INTERNAL_H
#define ENGINE_LOG_REPAIR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "findings.h"
#include "index.h"
#include "manifest_internal.h"
#include "repair.h"
#include "segment.h"

/* What is left of the manifest. */
struct repair_manifest {
    bool found;
    bool sound;
    bool has_secret; /* as it stands there; whether it is right shows with the first salt */
    uint8_t secret[MANIFEST_SECRET_BYTES];
    struct manifest_table table; /* owned: what is readable of it */
};

enum {
    REPAIR_TOMBSTONE = 1u << 0,
    REPAIR_LOST = 1u << 1,  /* it was there, and is damaged */
    REPAIR_GUESS = 1u << 2, /* a lost one; what it was is only what its damaged bytes say */
};

/* One version of a key. hash and check together stand for the key, as in a footer. */
struct repair_entry {
    uint64_t hash;
    uint64_t check;
    uint64_t sequence;
    uint32_t file;   /* index in repair.files */
    uint32_t offset; /* of the record, in RECORD_ALIGNMENT */
    uint32_t size;   /* in RECORD_ALIGNMENT */
    uint32_t flags;
};

/* The newest version of a key, which is lost, and the newest sound one before it. */
struct repair_loss {
    struct repair_entry entry;
    struct repair_entry older;
    bool has_older;
    bool is_newer_sound; /* of a guess: a newer version of what seems to be its key is there */
};

/* One segment's file. */
struct repair_file {
    char name[SEGMENT_NAME_MAX];
    uint32_t number;
    const struct manifest_segment *known; /* in the manifest's table, or NULL */
    uint32_t salt;
    bool is_judged;  /* unsealed, and a start would take its frames up to `end` and no more */
    bool is_dropped; /* is_judged: its frames follow a write that was not finished */
    uint64_t end;    /* is_judged */
};

/* What stands at the end of an unsealed segment that was not judged and is no whole frame: damage or an
   unfinished write, as the other segments tell. */
struct repair_tail {
    uint32_t file;
    enum segment_kind kind; /* 0: not known, the header is damaged */
    uint64_t begin;
    uint64_t end;           /* of the file */
    uint64_t next_sequence; /* of its first record; 0: not known */
};

struct repair {
    struct disk *disk;
    const struct kvs_host *host;
    bool keep_older; /* the option repair-older */
    struct findings findings;
    struct repair_manifest manifest;
    struct epoch *epoch; /* owned */
    struct index *index; /* owned: an empty one, for the hash */
    uint64_t check_seed;
    struct repair_file *files; /* owned */
    uint32_t file_count;
    struct repair_entry *entries; /* owned */
    uint64_t entry_count;
    uint64_t entry_cap;
    struct repair_loss *losses; /* owned */
    uint64_t loss_count;
    uint64_t loss_cap;
    struct repair_tail *tails; /* owned; one at most for each file */
    uint32_t tail_count;
    uint64_t sequence_max; /* of all frames that are sound */
    uint64_t claimed;      /* they say that all up to this number was durable */
    uint64_t next;         /* a start would go on with this number; 0: not known */
    bool lacks_unsealed;   /* a segment that was not sealed has no file */
    bool is_missing; /* a start would refuse the unsealed segments: there is a gap in the numbers */
    uint64_t missing; /* is_missing: the first number of the gap */
    uint64_t found;   /* is_missing: the first one behind it; 0: none */
    uint64_t unknown; /* damaged places of which it is not known what was there */
};

/* ---- repair_manifest.c -------------------------------------------------------------------- */

/* Reads what can be read, and reports what cannot. KVS_OK (also without one), KVS_INCOMPATIBLE,
   KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status repair_manifest_read(struct repair *repair, struct kvs_error *err);

/* ---- repair_sequence.c -------------------------------------------------------------------- */

/* Finds how far a start would take each unsealed segment. KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status repair_judge(struct repair *repair, struct kvs_error *err);

/* Reports numbers that are missing and of which no damaged place is known, once all is collected. */
void repair_report_missing(struct repair *repair);

/* ---- repair_collect.c --------------------------------------------------------------------- */

/* Adds the entries of all records of a file, sound and lost ones, and reports damage of which nothing
   else is known. KVS_OK, KVS_INCOMPATIBLE, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status repair_collect(struct repair *repair, uint32_t file, struct kvs_error *err);

/* The same for a tail, once all files were collected. */
KVS_MUST_USE kvs_status repair_collect_tail(struct repair *repair, const struct repair_tail *tail,
                                            struct kvs_error *err);

/* ---- repair_choose.c ---------------------------------------------------------------------- */

/* Leaves in entries only those that the new store is to have, in the order of files and offsets, and
   fills losses. */
KVS_MUST_USE kvs_status repair_choose(struct repair *repair, struct kvs_error *err);

/* ---- repair_write.c ----------------------------------------------------------------------- */

/* Reports the losses that were chosen. KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status repair_report(struct repair *repair, struct kvs_error *err);

/* Makes the new store of the entries that were chosen. On failure there is none. */
KVS_MUST_USE kvs_status repair_write(struct repair *repair, const struct repair_target *target,
                                     struct kvs_error *err);

#endif
