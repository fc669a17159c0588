/*
 * Walking over the frames of a segment that may be damaged: whole frames, and what lies between them;
 * and in there, records that are whole by themselves. Offsets are those in the file.
 */
#ifndef ENGINE_LOG_WALK_H
#define ENGINE_LOG_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

struct walk {
    const uint8_t *memory; /* the file; the caller's */
    uint32_t salt;
    uint64_t at;
    uint64_t end;         /* no frame goes further */
    uint64_t content_end; /* from here to `end` there are zeros, which are not damage */
};

/* sealed: zeros at the end are damage too. */
void walk_begin(struct walk *walk, const uint8_t *memory, uint32_t salt, uint64_t end, bool sealed);

struct walk_piece {
    bool sound; /* one frame, whose header this is; else what is no sound frame */
    uint64_t begin;
    uint64_t end;
    struct frame_header header;
};

/* False: the end was reached. */
bool walk_next(struct walk *walk, struct walk_piece *ret_piece);

/* ---- what is in a damaged piece ------------------------------------------------------------- */

enum ruin_kind {
    RUIN_RECORD,  /* a record that is sound */
    RUIN_SUSPECT, /* a record whose CRC is wrong: what it says may be wrong, too */
    RUIN_HEADER,  /* what seems to be a frame's header: no record is lost with it */
    RUIN_BYTES,   /* anything else */
};

struct ruin {
    enum ruin_kind kind;
    uint64_t begin;
    uint64_t end;
    struct record record; /* of RECORD and SUSPECT */
};

struct ruin_walk {
    const uint8_t *memory;
    uint32_t salt;
    uint64_t begin; /* of the piece */
    uint64_t at;
    uint64_t end;
    uint64_t next_sound; /* where the next sound record is, or end */
};

void ruin_begin(struct ruin_walk *walk, const uint8_t *memory, uint32_t salt,
                const struct walk_piece *piece);
bool ruin_next(struct ruin_walk *walk, struct ruin *ret_ruin);

/* The salt of a segment whose generation or secret is not known: that of the first frame that is
   sound with the salt it seems to have. False: there is none. */
bool walk_find_salt(const uint8_t *memory, uint64_t bytes, uint32_t *ret_salt);

#endif
