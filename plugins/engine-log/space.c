/*
 * See space.h. The bound: frames take at most 1.5 times what is alive in them, beside the segments in
 * use. Compaction begins well before (DEAD_PERCENT), with the segment of which the largest part is
 * dead: emptying it costs the least copying for each byte that comes free.
 *
 * Tombstones count as dead. Where they are the problem, because old segments keep them from going
 * (compactor.c, I3), it is the segment with the oldest birth that is emptied.
 */
#include "space.h"

#define DEAD_PERCENT      25u /* of all frames: compaction begins */
#define VICTIM_PERCENT    5u  /* a segment with less dead in it is not worth it */
#define SMALL_SHARE       4u  /* a segment with less than this part of its size used is small ... */
#define SMALL_MAX         8u  /* ... and this many of them are merged: short lives leave one each */
#define PACE_FROM_PERCENT 30u /* of all frames dead: writers begin to be slowed down ... */
#define PACE_FULL_PERCENT 40u /* ... and are at their slowest here */
#define PACE_MAX_NS       UINT64_C(50000000) /* for each MiB: 20 MiB/s */

/* What a segment's frames hold. */
static uint64_t content_of(const struct segment *segment)
{
    return atomic_load_explicit(&segment->end, memory_order_acquire) - SEGMENT_HEADER_BYTES;
}

static uint64_t live_of(const struct segment *segment)
{
    int64_t live = atomic_load_explicit(&segment->live_bytes, memory_order_relaxed);
    uint64_t frames = segment->records * FRAME_HEADER_BYTES; /* at most: what frames add */
    uint64_t content = content_of(segment);
    uint64_t all = live <= 0 ? 0 : (uint64_t)live;
    /* A live record needs its frame: its share is alive with it. */
    if (all > 0 && content > 0 && all + frames >= content)
        frames = content > all ? content - all : 0;
    else if (all > 0 && content > 0)
        frames = frames * all / content;
    else
        frames = 0;
    return all + frames < content ? all + frames : content;
}

/* Shows every segment of the store. manifest_lock is taken meanwhile; the segments stay, since only
   the compactor's thread drops any. */
static void each_segment(struct kvs_db *db, void (*visit)(void *arg, struct segment *segment),
                         void *arg)
{
    (void)pthread_mutex_lock(&db->manifest_lock);
    for (uint32_t i = 0; i < manifest_segment_count(db->manifest); i++) {
        const struct manifest_segment *known = manifest_segment_at(db->manifest, i);
        struct segment *segment = segment_at(&db->table, known->number);
        if (segment != NULL && !known->removing)
            visit(arg, segment);
    }
    (void)pthread_mutex_unlock(&db->manifest_lock);
}

static bool is_candidate(const struct segment *segment)
{
    return atomic_load_explicit(&segment->sealed, memory_order_acquire) != 0 && !segment->damaged;
}

/* ---- choosing ----------------------------------------------------------------------------- */

struct survey {
    uint64_t segment_bytes;
    bool everything;
    bool live_too;    /* with everything: also what has nothing dead in it */
    uint64_t content; /* of sealed segments */
    uint64_t live;
    uint64_t tombstones;
    struct segment *best;
    uint64_t best_percent; /* of its content dead */
    struct segment *oldest;
    struct segment *oldest_small;
    uint32_t small;
};

/* No record with a lower number that was removed before is in it. */
static uint64_t birth_of(const struct segment *segment)
{
    if (segment->kind != SEGMENT_APPENDED)
        return segment->birth;
    /* It holds no number below its first one; an empty one will only get numbers to come. */
    uint64_t first = atomic_load_explicit(&segment->sequence_min, memory_order_relaxed);
    return first != 0 ? first : UINT64_MAX;
}

static void survey_segment(void *arg, struct segment *segment)
{
    struct survey *survey = arg;
    if (!is_candidate(segment))
        return;
    uint64_t content = content_of(segment);
    uint64_t live = live_of(segment);
    uint64_t percent = content == 0 ? 100 : (content - live) * 100 / content;
    bool allowed = !survey->everything || (segment->marked && (live < content || survey->live_too));
    survey->content += content;
    survey->live += live;
    survey->tombstones += atomic_load_explicit(&segment->tombstone_bytes, memory_order_relaxed);
    /* On request all go, the oldest first: then nothing old keeps a tombstone from going. */
    bool better =
        survey->best == NULL || (survey->everything ? birth_of(segment) < birth_of(survey->best)
                                                    : percent > survey->best_percent);
    if (allowed && better) {
        survey->best = segment;
        survey->best_percent = percent;
    }
    if (survey->oldest == NULL || birth_of(segment) < birth_of(survey->oldest))
        survey->oldest = segment;
    if (content * SMALL_SHARE >= survey->segment_bytes)
        return;
    survey->small++;
    if (survey->oldest_small == NULL || birth_of(segment) < birth_of(survey->oldest_small))
        survey->oldest_small = segment;
}

struct births {
    const struct segment *except;
    uint64_t oldest;
};

static void note_birth(void *arg, struct segment *segment)
{
    struct births *births = arg;
    uint64_t birth = birth_of(segment);
    if (segment != births->except && birth < births->oldest)
        births->oldest = birth;
}

static struct segment *choose_on_request(struct kvs_db *db)
{
    struct survey survey = {.everything = true, .segment_bytes = db->segment_bytes};
    each_segment(db, survey_segment, &survey);
    if (survey.tombstones * 100 >= survey.content * VICTIM_PERCENT && survey.tombstones > 0) {
        /* Old segments that are all alive keep tombstones from going. */
        survey = (struct survey){
            .everything = true, .live_too = true, .segment_bytes = db->segment_bytes};
        each_segment(db, survey_segment, &survey);
    }
    return survey.best;
}

static struct segment *choose_if_worth_it(struct kvs_db *db)
{
    struct survey survey = {.segment_bytes = db->segment_bytes};
    each_segment(db, survey_segment, &survey);
    uint64_t dead = survey.content - survey.live;
    if (survey.best == NULL || dead * 100 < survey.content * DEAD_PERCENT ||
        survey.best_percent < VICTIM_PERCENT)
        return survey.small >= SMALL_MAX ? survey.oldest_small : NULL;
    return survey.tombstones * 2 > dead ? survey.oldest : survey.best;
}

bool space_choose(struct kvs_db *db, bool everything, struct space_choice *ret)
{
    struct segment *victim = everything ? choose_on_request(db) : choose_if_worth_it(db);
    if (victim == NULL)
        return false;
    victim->marked = false;
    struct births births = {.except = victim, .oldest = UINT64_MAX};
    each_segment(db, note_birth, &births);
    *ret = (struct space_choice){.victim = victim, .oldest_birth = births.oldest};
    return true;
}

static void mark(void *arg, struct segment *segment)
{
    (void)arg;
    segment->marked = is_candidate(segment);
}

void space_mark_all(struct kvs_db *db)
{
    each_segment(db, mark, NULL);
}

/* ---- pace --------------------------------------------------------------------------------- */

void space_set_pace(struct kvs_db *db)
{
    struct survey survey = {.segment_bytes = db->segment_bytes};
    uint64_t pace_ns = 0;
    each_segment(db, survey_segment, &survey);
    uint64_t dead = survey.content - survey.live;
    /* What a few segments hold is no trend. */
    if (survey.content > 3 * db->segment_bytes && survey.content > 0) {
        uint64_t percent = dead * 100 / survey.content;
        if (percent >= PACE_FULL_PERCENT)
            pace_ns = PACE_MAX_NS;
        else if (percent > PACE_FROM_PERCENT)
            pace_ns = PACE_MAX_NS * (percent - PACE_FROM_PERCENT) /
                      (PACE_FULL_PERCENT - PACE_FROM_PERCENT);
    }
    atomic_store_explicit(&db->pace_ns_per_mib, pace_ns, memory_order_relaxed);
}
