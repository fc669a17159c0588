/*
 * See sequence.h. What lies behind a segment's frames is a torn write, or the footer that was being
 * written; whether something is missing shows in the next segment, or at the end.
 */
#include "sequence.h"

#include <stdlib.h>

/* By first number; those without a frame come last. */
static int by_first_number(const void *a, const void *b)
{
    uint64_t one = ((const struct sequence_segment *)a)->scan.first_sequence - 1;
    uint64_t two = ((const struct sequence_segment *)b)->scan.first_sequence - 1;
    return (one > two) - (one < two);
}

/* Where a frame is missing: behind the last one that follows, or at the beginning of the segment that
   should have it. */
static const struct sequence_segment *where_it_broke(const struct sequence_segment *segments,
                                                     uint32_t count,
                                                     const struct sequence_segment *last)
{
    if (last != NULL && last->scan.behind_bytes > 0)
        return last;
    for (uint32_t i = 0; i < count; i++)
        if (segments[i].scan.first_sequence == 0 && segments[i].scan.behind_bytes > 0)
            return &segments[i];
    return last != NULL ? last : segments;
}

/* A number that is missing in the middle of one, up to which all was durable; or NULL. */
static const struct sequence_segment *find_hole(const struct sequence_segment *segments,
                                                uint32_t count, uint64_t durable)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct scan_result *scan = &segments[i].scan;
        if (scan->first_sequence != 0 && scan->behind_sequence > scan->next_sequence &&
            scan->next_sequence <= durable)
            return &segments[i];
    }
    return NULL;
}

static uint64_t claimed_by_all(const struct sequence_segment *segments, uint32_t count)
{
    uint64_t claimed = 0;
    for (uint32_t i = 0; i < count; i++)
        if (segments[i].scan.durable_sequence > claimed)
            claimed = segments[i].scan.durable_sequence;
    return claimed;
}

/* The smallest number above this one with which something begins, or 0. */
static uint64_t find_above(const struct sequence_segment *segments, uint32_t count, uint64_t number)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t begins[] = {segments[i].scan.first_sequence,
                                   segments[i].scan.behind_sequence};
        for (uint32_t n = 0; n < 2; n++)
            if (begins[n] > number && (found == 0 || begins[n] < found))
                found = begins[n];
    }
    return found;
}

struct sequence_verdict sequence_judge(uint64_t sealed_max, struct sequence_segment *segments,
                                       uint32_t count)
{
    struct sequence_verdict verdict = {.next = sealed_max + 1};
    const struct sequence_segment *last = NULL; /* the one with the last frame that follows */
    bool broken = false;                        /* something is missing: what comes later goes */
    uint64_t claimed = claimed_by_all(segments, count);
    if (count == 0)
        return verdict;
    qsort(segments, count, sizeof(segments[0]), by_first_number);
    for (uint32_t i = 0; i < count; i++) {
        const struct scan_result *scan = &segments[i].scan;
        broken = broken || scan->first_sequence > verdict.next;
        segments[i].dropped = broken;
        if (!broken && scan->first_sequence != 0 && scan->next_sequence > verdict.next) {
            verdict.next = scan->next_sequence;
            last = &segments[i];
        }
    }
    const struct sequence_segment *hole =
        find_hole(segments, count, claimed > sealed_max ? claimed : sealed_max);
    if (hole == NULL && claimed < verdict.next)
        return verdict;
    verdict.damaged = true;
    verdict.missing = verdict.next;
    if (hole != NULL && hole->scan.next_sequence < verdict.next) {
        verdict.missing = hole->scan.next_sequence;
        last = hole;
    }
    verdict.found = find_above(segments, count, verdict.missing);
    verdict.where = where_it_broke(segments, count, last)->user;
    return verdict;
}
