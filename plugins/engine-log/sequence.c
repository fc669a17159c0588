/* See sequence.h. */
#include "sequence.h"

#include <stdlib.h>

/* What may come next. */
enum next_rule {
    NEXT_UNKNOWN,  /* any number */
    NEXT_AT_LEAST, /* `next` or a later one: sealed segments in between may be gone */
    NEXT_EXACTLY,
};

/* Where one walks along the numbers. */
struct judge {
    uint64_t claimed; /* all up to this number was durable */
    enum next_rule rule;
    uint64_t next;
    uint32_t where;                      /* the segment behind which `next` belongs */
    const struct sequence_segment *ruin; /* since then: one without a first frame, or NULL */
    bool broken; /* a number is missing that was not durable: nothing counts any more */
    struct sequence_verdict verdict;
};

static bool is_empty(const struct sequence_segment *segment)
{
    return segment->sealed ? segment->sequence_min == 0
                           : segment->scan.first_sequence == 0 && segment->scan.behind_bytes == 0;
}

/* Its first number, or about where it belongs. */
static uint64_t position(const struct sequence_segment *segment)
{
    if (segment->sealed)
        return segment->sequence_min;
    if (segment->scan.first_sequence != 0)
        return segment->scan.first_sequence;
    return segment->scan.behind_sequence != 0 ? segment->scan.behind_sequence : segment->birth;
}

static int compare(const void *a, const void *b)
{
    uint64_t one = position(a);
    uint64_t two = position(b);
    if (one != two)
        return one < two ? -1 : 1;
    /* One that seems to begin where another does has lost its begin. */
    uint64_t first = ((const struct sequence_segment *)a)->scan.first_sequence;
    uint64_t second = ((const struct sequence_segment *)b)->scan.first_sequence;
    return (first == 0) - (second == 0);
}

static uint64_t claimed_by_all(const struct sequence_segment *segments, uint32_t count)
{
    uint64_t claimed = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t claim =
            segments[i].sealed ? segments[i].sequence_max : segments[i].scan.durable_sequence;
        if (claim > claimed)
            claimed = claim;
    }
    return claimed;
}

/* A number is missing. */
static void miss(struct judge *judge, uint64_t missing, uint32_t where)
{
    if (judge->claimed >= missing)
        judge->verdict = (struct sequence_verdict){true, missing, where};
    judge->broken = true;
}

/* The ruin held something: its first number is missing, as far as that is known. seen: a later number
   that is there, or 0. */
static void miss_in_ruin(struct judge *judge, uint64_t seen)
{
    const struct sequence_segment *ruin = judge->ruin;
    /* It was made before the number that should come next was written: nothing is in between. */
    bool follows =
        judge->rule == NEXT_EXACTLY || (judge->rule == NEXT_AT_LEAST && ruin->birth <= judge->next);
    if (follows)
        miss(judge, judge->next, ruin->user);
    else if (judge->rule == NEXT_UNKNOWN && ruin->birth <= 1)
        miss(judge, 1, ruin->user);
    else if (ruin->scan.behind_sequence > 1)
        miss(judge, ruin->scan.behind_sequence - 1, ruin->user);
    else if (seen > 1)
        miss(judge, seen - 1, ruin->user);
    else
        judge->broken = true;
}

static void pass_sealed(struct judge *judge, const struct sequence_segment *segment)
{
    if (judge->rule == NEXT_EXACTLY && segment->sequence_min != judge->next)
        miss(judge, judge->next, judge->where);
    judge->rule = NEXT_AT_LEAST;
    judge->next = segment->sequence_max + 1;
    judge->where = segment->user;
    judge->ruin = NULL;
}

static void pass_frames(struct judge *judge, const struct sequence_segment *segment)
{
    uint64_t first = segment->scan.first_sequence;
    if (judge->broken) {
        miss(judge, first - 1, judge->where);
        return;
    }
    if (judge->ruin != NULL && (judge->rule == NEXT_UNKNOWN || first != judge->next)) {
        miss_in_ruin(judge, first);
        return;
    }
    if ((judge->rule == NEXT_EXACTLY && first != judge->next) ||
        (judge->rule == NEXT_AT_LEAST && first < judge->next)) {
        miss(judge, judge->next, judge->where);
        return;
    }
    judge->rule = NEXT_EXACTLY;
    judge->next = segment->scan.next_sequence;
    judge->where = segment->user;
    judge->ruin = NULL; /* there was no number left for it: it was empty */
}

static void pass_end(struct judge *judge)
{
    if (judge->broken)
        return;
    if (judge->ruin != NULL)
        miss_in_ruin(judge, 0);
    else if (judge->rule == NEXT_EXACTLY)
        miss(judge, judge->next, judge->where);
}

struct sequence_verdict sequence_judge(struct sequence_segment *segments, uint32_t count)
{
    struct judge judge = {.rule = NEXT_UNKNOWN, .claimed = claimed_by_all(segments, count)};
    if (count > 0)
        qsort(segments, count, sizeof(segments[0]), compare);
    for (uint32_t i = 0; i < count && !judge.verdict.damaged; i++) {
        struct sequence_segment *segment = &segments[i];
        segment->dropped = false;
        if (is_empty(segment))
            continue;
        if (segment->sealed)
            pass_sealed(&judge, segment);
        else if (segment->scan.first_sequence != 0)
            pass_frames(&judge, segment);
        else if (judge.ruin == NULL)
            judge.ruin = segment;
        segment->dropped = judge.broken && !segment->sealed;
    }
    if (!judge.verdict.damaged)
        pass_end(&judge);
    return judge.verdict;
}
