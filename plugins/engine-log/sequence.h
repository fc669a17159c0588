/*
 * Judging the numbers of a stopped store: which writes in segments that were not sealed count, and
 * whether one is missing that was acknowledged. For recovery and for verifying, so that both say the
 * same. Pure: no disk, no state.
 *
 * What is known of appended segments:
 *   - Numbers follow each other without a gap, within a segment and from one to the next that was
 *     appended to. The order is that of their numbers, not of their generations: a segment for a
 *     large value may be made after the spare that is used later.
 *   - A segment is sealed only when all before it is sealed or at least synced, and in order; only
 *     sealed ones are ever compacted. So numbers may be missing in front of a sealed segment or of the
 *     first unsealed one, but nowhere behind that.
 *   - A frame says up to which number all was durable when it was written.
 * So at the first number that is missing among or behind the unsealed segments: if a frame, or a
 * sealed segment, says that it was durable, then acknowledged data is damaged. Else it is a torn
 * tail, nobody was told of it, and nothing that comes later counts.
 *
 * Not certain is one case: the begin of the first unsealed segment is gone, and the sealed segment
 * before it was compacted away. Which number it began with is then not known, only that it had the
 * one before the first that is left of it; damage is seen if that one was durable.
 */
#ifndef ENGINE_LOG_SEQUENCE_H
#define ENGINE_LOG_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "scan.h"

/* One appended segment. */
struct sequence_segment {
    bool sealed;
    uint64_t birth;          /* of the segment's header */
    uint64_t sequence_min;   /* sealed; 0: it holds nothing */
    uint64_t sequence_max;   /* sealed */
    struct scan_result scan; /* unsealed */
    uint32_t user;           /* the caller's: the array is sorted */
    bool dropped;            /* out: unsealed, and its frames do not count */
};

struct sequence_verdict {
    bool damaged;
    uint64_t missing; /* damaged: this number was durable and is not there */
    uint32_t where; /* damaged: the `user` of the segment in which, or behind which, it should be */
};

/* Sorts the segments and judges them. */
struct sequence_verdict sequence_judge(struct sequence_segment *segments, uint32_t count);

#endif
