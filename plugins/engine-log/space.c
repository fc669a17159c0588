/*
 * See space.h. The bound: the files take at most 1.5 times the keys and values that are alive, and three
 * segments: the one that is appended to, the spare, and one on its way. Compaction begins when the files
 * would come over that with the next segment (usage_over), and not before: what was written last dies
 * soonest, so a segment that is left alone for longer is cheaper to empty. It takes the segment of which
 * the largest part is dead. Where frames take more than 1.5 times the keys and values by themselves,
 * because those are small, the bound cannot be reached; so besides DEAD_PERCENT of all must be dead.
 *
 * At once goes what is all dead, as that costs next to nothing, and when the disk is nearly full
 * everything that is worth it.
 *
 * Tombstones count as dead. Where they are the problem, because old segments keep them from going
 * (compactor.c, I3), it is the segment with the oldest birth that is emptied.
 */
#include "space.h"

#define DEAD_PERCENT      25u /* of the sealed segments' frames: else nothing is worth it */
#define VICTIM_PERCENT    5u  /* a segment with less dead in it is not worth it */
#define SMALL_SHARE       4u  /* a segment with less than this part of its size used is small ... */
#define SMALL_MAX         8u  /* ... and this many of them are merged: short lives leave one each */
#define SEGMENTS_BESIDE   3u  /* of the bound */
#define MARGIN_SHARE      4u  /* so much of a segment before the bound compaction begins */
#define FREE_SEGMENTS     2u  /* with less room on the disk it does not wait for the bound */
#define PACE_FROM_PERCENT 30u /* of those dead, and over the bound: writers are slowed down ... */
#define PACE_FULL_PERCENT 40u /* ... and are at their slowest here, and so far over the bound: */
#define PACE_SHARE        8u  /* of a segment, this part */
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

/* ---- the bound ---------------------------------------------------------------------------- */

struct usage {
    uint64_t disk;    /* what the segments' files take */
    uint64_t content; /* of segments that can be compacted */
    uint64_t live;
    uint64_t records; /* bytes of live records, of all segments */
};

static void usage_add(struct kvs_db *db, const struct manifest_segment *known, struct usage *usage)
{
    const struct segment *segment = segment_at(&db->table, known->number);
    if (known->removing || segment == NULL) {
        /* One of these entries has no file any more (keeper.c, I5). */
        bool is_gone = db->has_kept && db->kept_number == known->number;
        usage->disk += is_gone ? 0 : known->bytes;
        return;
    }
    bool sealed = atomic_load_explicit(&segment->sealed, memory_order_acquire) != 0;
    int64_t records = atomic_load_explicit(&segment->live_bytes, memory_order_relaxed);
    usage->disk +=
        sealed ? known->bytes : atomic_load_explicit(&segment->reserved, memory_order_relaxed);
    usage->content += is_candidate(segment) ? content_of(segment) : 0;
    usage->live += is_candidate(segment) ? live_of(segment) : 0;
    usage->records += records > 0 ? (uint64_t)records : 0;
}

static void usage_take(struct kvs_db *db, struct usage *ret_usage)
{
    *ret_usage = (struct usage){0};
    (void)pthread_mutex_lock(&db->manifest_lock);
    for (uint32_t i = 0; i < manifest_segment_count(db->manifest); i++)
        usage_add(db, manifest_segment_at(db->manifest, i), ret_usage);
    (void)pthread_mutex_unlock(&db->manifest_lock);
}

/* What the files will take when the active segment is full, in so far as it is: another one is made then. */
static uint64_t growth_ahead(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    uint64_t ahead = db->warming != NULL ? content_of(db->warming) : 0; /* the active one */
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return ahead < db->segment_bytes ? ahead : db->segment_bytes;
}

/* How far the files are over what they may take, when they have grown by so much. Below 0: they are not. */
static int64_t usage_over(struct kvs_db *db, const struct usage *usage, uint64_t growth)
{
    uint64_t heads = index_count(db->index) * RECORD_HEADER_BYTES;
    uint64_t live = usage->records > heads ? usage->records - heads : 0;
    uint64_t bound = live * 3 / 2 + SEGMENTS_BESIDE * db->segment_bytes;
    return (int64_t)(usage->disk + growth) - (int64_t)bound;
}

/* True when it is time to compact what is worth it. */
static bool is_due(struct kvs_db *db)
{
    uint64_t free_bytes;
    struct usage usage;
    usage_take(db, &usage);
    if (usage_over(db, &usage, growth_ahead(db)) > -(int64_t)(db->segment_bytes / MARGIN_SHARE))
        return true;
    return disk_free_bytes(db->disk, &free_bytes, NULL) == KVS_OK &&
           free_bytes < FREE_SEGMENTS * db->segment_bytes;
}

bool space_is_emptied_soon(const struct segment *segment)
{
    return live_of(segment) * 3 < content_of(segment) * 2;
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
    uint64_t best_percent;    /* of its content dead */
    struct segment *all_dead; /* or NULL; has no tombstones either */
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
    uint64_t tombstones = atomic_load_explicit(&segment->tombstone_bytes, memory_order_relaxed);
    survey->tombstones += tombstones;
    if (live == 0 && tombstones == 0)
        survey->all_dead = segment;
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
    if (survey.all_dead != NULL)
        return survey.all_dead;
    if (survey.best == NULL || dead * 100 < survey.content * DEAD_PERCENT ||
        survey.best_percent < VICTIM_PERCENT || !is_due(db))
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

/* How far a value is on its way from one to the other, from 0 to most. */
static uint64_t part_of(uint64_t value, uint64_t from, uint64_t to, uint64_t most)
{
    if (value <= from)
        return 0;
    return value >= to ? most : most * (value - from) / (to - from);
}

void space_set_pace(struct kvs_db *db)
{
    struct usage usage;
    usage_take(db, &usage);
    /* In the first half of a segment there is still time. */
    uint64_t ahead = 2 * growth_ahead(db);
    ahead = ahead > db->segment_bytes ? ahead - db->segment_bytes : 0;
    int64_t over = usage_over(db, &usage, ahead);
    uint64_t percent = usage.content == 0 ? 0 : (usage.content - usage.live) * 100 / usage.content;
    uint64_t by_dead = part_of(percent, PACE_FROM_PERCENT, PACE_FULL_PERCENT, PACE_MAX_NS);
    uint64_t by_disk = part_of(over > 0 ? (uint64_t)over >> 10 : 0, 0,
                               (db->segment_bytes / PACE_SHARE) >> 10, PACE_MAX_NS);
    atomic_store_explicit(&db->pace_ns_per_mib, by_dead < by_disk ? by_dead : by_disk,
                          memory_order_relaxed);
}
