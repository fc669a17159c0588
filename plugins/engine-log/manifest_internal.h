/* What the manifest's files share. See manifest.c for the whole. */
#ifndef ENGINE_LOG_MANIFEST_INTERNAL_H
#define ENGINE_LOG_MANIFEST_INTERNAL_H

#include "manifest_format.h"

#define MANIFEST_NEW_NAME MANIFEST_NAME ".new"

/* The segments, by number. */
struct manifest_table {
    struct manifest_segment *segments; /* owned */
    uint32_t count;
    uint32_t capacity;
};

struct manifest {
    struct disk *disk;      /* the caller's */
    struct disk_file *file; /* owned */
    struct manifest_header header;
    uint32_t header_checksum;
    bool read_only;   /* as asked for */
    bool can_reserve; /* the file system can take space ahead */
    bool broken;      /* M3 */
    uint64_t next_generation;
    uint64_t torn_bytes; /* cut off when it was opened */

    uint64_t end;      /* where the next frame goes */
    uint64_t durable;  /* M1: before here all is on stable storage; at most end */
    uint64_t reserved; /* before here space is taken; 0: nothing known */

    struct manifest_table live; /* M2: what the file says */

    /* A transaction, from begin to commit. */
    bool begun;
    bool changed;   /* pending and frame are in use */
    bool no_memory; /* a change was lost */
    uint32_t entries;
    struct manifest_table pending; /* live and the changes so far */
    uint8_t *frame;                /* owned: room for the frame's own fields, then entries */
    uint64_t frame_capacity;       /* bytes */
};

/* ---- manifest_table.c --------------------------------------------------------------------- */

void manifest_table_deinit(struct manifest_table *table);

/* False: no memory, nothing changed. */
KVS_MUST_USE bool manifest_table_copy(struct manifest_table *to, const struct manifest_table *from);
KVS_MUST_USE bool manifest_table_put(struct manifest_table *table,
                                     const struct manifest_segment *segment);

/* A number that is not there is fine. */
void manifest_table_remove(struct manifest_table *table, uint32_t number);

const struct manifest_segment *manifest_table_find(const struct manifest_table *table,
                                                   uint32_t number);

/* ---- manifest_file.c ---------------------------------------------------------------------- */

/* Writes the live segments to a new file and puts it in the place of the old one, if there is one.
   On success the manifest uses it. After a failure it still uses the old one, and is broken unless
   it was KVS_NO_SPACE or KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status manifest_file_rewrite(struct manifest *manifest, struct kvs_error *err);

/* Adds the transaction's frame, durably. KVS_NO_SPACE: nothing changed; other failures: broken. */
KVS_MUST_USE kvs_status manifest_file_append(struct manifest *manifest, struct kvs_error *err);

/* Makes sure that the space of the file, whose length is `bytes`, is taken. */
KVS_MUST_USE kvs_status manifest_file_claim(struct manifest *manifest, uint64_t bytes,
                                            struct kvs_error *err);

/* Makes durable and seals what was read: content is the file's, of which the part before
   manifest->end is good, and what follows is cut off up to tail_end. */
KVS_MUST_USE kvs_status manifest_file_settle(struct manifest *manifest, const uint8_t *content,
                                             uint64_t tail_end, struct kvs_error *err);

/* True: far longer than what is live. */
bool manifest_file_is_long(const struct manifest *manifest);

/* ---- manifest_read.c ---------------------------------------------------------------------- */

/* Reads the open file into the manifest, and settles it unless that is read-only. */
KVS_MUST_USE kvs_status manifest_read(struct manifest *manifest, struct kvs_error *err);

#endif
