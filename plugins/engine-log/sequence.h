/*
 * Judging the numbers of a stopped store: which writes in segments that were not sealed count, and
 * whether one is missing that was acknowledged. For recovery, verifying and repairing, so that all
 * say the same. Pure: no disk, no state.
 *
 * What is known of appended segments:
 *   - Numbers follow each other without a gap, within a segment and from one to the next that was
 *     appended to. The order is that of their numbers, not of their generations: a segment for a
 *     large value may be made after the spare that is used later.
 *   - A segment is sealed only when all before it is sealed or at least synced, and in order; only
 *     sealed ones are ever compacted. The manifest keeps the largest number that one had also when
 *     the segment is gone (keeper.c, I5). So from there on no number may be missing in unsealed ones.
 *   - A frame says up to which number all was durable when it was written.
 * So at the first number that is missing among or behind the unsealed segments: if a frame, or a
 * sealed segment, says that it was durable, then acknowledged data is damaged. Else it is a torn
 * tail, nobody was told of it, and nothing that comes later counts.
 *
 * Not seen is damage to the last writes of an unsealed segment that sealed ones follow.
 */
#ifndef ENGINE_LOG_SEQUENCE_H
#define ENGINE_LOG_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "scan.h"

/* One appended segment that is not sealed. */
struct sequence_segment {
    struct scan_result scan;
    uint32_t user; /* the caller's: the array is sorted */
    bool dropped;  /* out: its frames do not count */
};

struct sequence_verdict {
    uint64_t next; /* the first number that is not there */
    bool damaged;  /* it was durable once, or one before it, `missing`, was */
    uint64_t missing;
    uint64_t found; /* damaged: the next number that is there; 0: none is known */
    uint32_t where; /* damaged: the `user` of the segment in which, or behind which, it should be */
};

/* Sorts the segments by their first numbers, and judges them. sealed_max: the largest number that a
   sealed segment has, or had; 0: there was none. count may be 0: nothing is damaged. */
struct sequence_verdict sequence_judge(uint64_t sealed_max, struct sequence_segment *segments,
                                       uint32_t count);

#endif
