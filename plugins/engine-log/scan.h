/*
 * Scanning a segment that was not sealed: how far its frames are sound, and what lies behind.
 */
#ifndef ENGINE_LOG_SCAN_H
#define ENGINE_LOG_SCAN_H

#include "segment.h"

struct scan_result {
    uint64_t end;              /* offset behind the last sound frame that follows without a gap */
    uint64_t first_sequence;   /* of the first frame; 0: there is none */
    uint64_t next_sequence;    /* the number that would come next; 0: there is no frame */
    uint64_t durable_sequence; /* the largest that any sound frame claims, also behind `end` */
    uint64_t behind_sequence;  /* of the first sound frame behind `end`; 0: there is none */
    uint64_t behind_bytes;     /* from `end` to the last byte that is not zero */
    uint64_t records;
    uint64_t sequence_min;
    uint64_t sequence_max;
};

/* Reads the whole segment. Appended segments: their numbers must follow each other. */
void scan_segment(const struct segment *segment, struct scan_result *ret);

#endif
