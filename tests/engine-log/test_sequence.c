/* Which writes of a stopped store count: cases by hand, and against a model of a disk. */
#include <stdlib.h>
#include <string.h>

#include "log_fixture.h"
#include "sequence.h"
#include "support/support.h"

/* A sealed segment with these numbers. */
static struct sequence_segment sealed(uint64_t min, uint64_t max)
{
    return (struct sequence_segment){
        .sealed = true, .birth = min, .sequence_min = min, .sequence_max = max};
}

/* An unsealed one whose frames have these numbers; durable: the largest claim in it. */
static struct sequence_segment unsealed(uint64_t min, uint64_t max, uint64_t durable)
{
    return (struct sequence_segment){
        .birth = 1,
        .scan = {.first_sequence = min, .next_sequence = max + 1, .durable_sequence = durable},
    };
}

/* One whose first frame is gone; behind: the number of the first frame that is left, or 0. */
static struct sequence_segment ruin(uint64_t birth, uint64_t behind, uint64_t durable)
{
    return (struct sequence_segment){
        .birth = birth,
        .scan = {.behind_sequence = behind, .behind_bytes = 100, .durable_sequence = durable},
    };
}

static struct sequence_segment spare(uint64_t birth)
{
    return (struct sequence_segment){.birth = birth};
}

/* Judges up to four segments, numbered as they are given; the end is one that is empty and sealed. */
static struct sequence_verdict judge(struct sequence_segment a, struct sequence_segment b,
                                     struct sequence_segment c, struct sequence_segment d,
                                     bool dropped[4])
{
    struct sequence_segment segments[4] = {a, b, c, d};
    for (uint32_t i = 0; i < 4; i++)
        segments[i].user = i;
    struct sequence_verdict verdict = sequence_judge(segments, 4);
    for (uint32_t i = 0; i < 4; i++)
        dropped[segments[i].user] = segments[i].dropped;
    return verdict;
}

#define NONE sealed(0, 0)

static void assert_sound(const struct sequence_verdict *verdict, const bool dropped[4], bool a,
                         bool b, bool c, bool d)
{
    assert_false(verdict->damaged);
    assert_int_equal(dropped[0], a);
    assert_int_equal(dropped[1], b);
    assert_int_equal(dropped[2], c);
    assert_int_equal(dropped[3], d);
}

static void assert_damaged(const struct sequence_verdict *verdict, uint64_t missing, uint32_t where)
{
    assert_true(verdict->damaged);
    assert_int_equal(verdict->missing, missing);
    assert_int_equal(verdict->where, where);
}

/* ------------------------------------------------------------------------------------------- */

static void whole_stores_are_sound(void **state)
{
    (void)state;
    bool dropped[4];
    struct sequence_verdict verdict = judge(NONE, NONE, NONE, NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
    verdict = judge(sealed(1, 10), sealed(11, 20), unsealed(21, 30, 25), spare(22), dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
    verdict = judge(unsealed(1, 10, 0), unsealed(11, 20, 20), NONE, spare(1), dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
}

/* Sealed segments in between may have been compacted away. */
static void sealed_segments_may_be_gone(void **state)
{
    (void)state;
    bool dropped[4];
    struct sequence_verdict verdict =
        judge(sealed(1, 10), sealed(31, 40), unsealed(51, 60, 55), NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
    verdict = judge(unsealed(51, 60, 55), NONE, NONE, NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
}

/* Generations do not count: a segment for a large value is made after the spare that is used later. */
static void the_order_is_that_of_the_numbers(void **state)
{
    (void)state;
    bool dropped[4];
    struct sequence_verdict verdict =
        judge(unsealed(31, 40, 35), spare(3), unsealed(21, 30, 20), sealed(1, 20), dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
}

static void a_torn_tail_takes_along_what_follows(void **state)
{
    (void)state;
    bool dropped[4];
    struct sequence_verdict verdict = judge(sealed(1, 10), unsealed(11, 15, 12),
                                            unsealed(17, 20, 15), unsealed(21, 30, 15), dropped);
    assert_sound(&verdict, dropped, false, false, true, true);
    verdict = judge(sealed(1, 10), ruin(5, 13, 10), unsealed(17, 20, 10), NONE, dropped);
    assert_sound(&verdict, dropped, false, false, true, false);
    verdict = judge(sealed(1, 10), ruin(5, 0, 0), NONE, NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
    verdict = judge(ruin(1, 0, 0), NONE, NONE, NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
}

/* One with nothing but a part of a footer: it never held a number. */
static void an_empty_segment_tears_nothing(void **state)
{
    (void)state;
    bool dropped[4];
    struct sequence_verdict verdict =
        judge(sealed(1, 10), ruin(11, 0, 0), unsealed(11, 20, 15), NONE, dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
    verdict = judge(unsealed(1, 10, 10), ruin(11, 0, 0), unsealed(11, 20, 15), unsealed(21, 30, 25),
                    dropped);
    assert_sound(&verdict, dropped, false, false, false, false);
}

static void what_was_durable_must_be_there(void **state)
{
    (void)state;
    bool dropped[4];
    /* The tail of the last segment, which says itself that there was more. */
    struct sequence_verdict verdict =
        judge(sealed(1, 10), unsealed(11, 15, 16), NONE, NONE, dropped);
    assert_damaged(&verdict, 16, 1);
    /* The tail of one in the middle; a later one says so, or is sealed. */
    verdict = judge(sealed(1, 10), unsealed(11, 15, 11), unsealed(18, 20, 16), NONE, dropped);
    assert_damaged(&verdict, 16, 1);
    verdict = judge(unsealed(11, 15, 11), sealed(18, 20), NONE, NONE, dropped);
    assert_damaged(&verdict, 16, 0);
    /* The first frame of the only unsealed one. */
    verdict = judge(sealed(1, 10), ruin(5, 12, 11), NONE, NONE, dropped);
    assert_damaged(&verdict, 11, 1);
    verdict = judge(ruin(1, 2, 1), NONE, NONE, NONE, dropped);
    assert_damaged(&verdict, 1, 0);
    /* What was before is not known exactly, but the frame behind says that its predecessor was. */
    verdict = judge(sealed(1, 10), ruin(50, 62, 61), NONE, NONE, dropped);
    assert_damaged(&verdict, 61, 1);
    verdict = judge(ruin(50, 62, 61), NONE, NONE, NONE, dropped);
    assert_damaged(&verdict, 61, 0);
    /* Behind a torn first frame a later segment says it. */
    verdict = judge(sealed(1, 10), ruin(50, 0, 0), unsealed(71, 80, 75), NONE, dropped);
    assert_damaged(&verdict, 70, 1);
}

/* ---- a model ------------------------------------------------------------------------------ */

/*
 * A store that has written numbers from 1 on into segments of ten each. Some of the first segments are
 * sealed, some of these compacted away; then the disk loses some frames. Each frame has one number and
 * says what was durable when it was written.
 */
struct model {
    uint64_t random;
    uint64_t written;
    uint64_t durable; /* all up to here, in the end */
    uint64_t claims[101];
    bool lost[101];
    uint32_t sealed_segments;
    bool gone[10];
};

static struct sequence_segment scan_model(const struct model *model, uint32_t index)
{
    uint64_t first = 10 * (uint64_t)index + 1;
    uint64_t last = model->written < first + 9 ? model->written : first + 9;
    struct sequence_segment segment = {.user = index, .birth = first > 10 ? first - 9 : 1};
    if (index < model->sealed_segments) {
        segment.sealed = true;
        segment.sequence_min = first;
        segment.sequence_max = last;
        return segment;
    }
    struct scan_result *scan = &segment.scan;
    bool whole = true;
    for (uint64_t i = first; i <= last; i++) {
        whole = whole && !model->lost[i];
        if (model->lost[i])
            continue;
        if (model->claims[i] > scan->durable_sequence)
            scan->durable_sequence = model->claims[i];
        if (whole) {
            scan->first_sequence = first;
            scan->next_sequence = i + 1;
        } else {
            if (scan->behind_sequence == 0)
                scan->behind_sequence = i;
            scan->behind_bytes = 1;
        }
    }
    return segment;
}

static void write_model(struct model *model)
{
    model->written = 1 + log_fixture_random(&model->random, 100);
    for (uint64_t i = 1; i <= model->written; i++) {
        model->claims[i] = model->durable;
        if (log_fixture_random(&model->random, 4) == 0)
            model->durable += log_fixture_random(&model->random, i - model->durable + 1);
        model->lost[i] = false;
    }
    model->sealed_segments = (uint32_t)log_fixture_random(&model->random, model->durable / 10 + 1);
    for (uint32_t i = 0; i < 10; i++)
        model->gone[i] = i < model->sealed_segments && log_fixture_random(&model->random, 3) == 0;
}

/* What must be: nothing durable is dropped without being called damaged; without damage, what is not
   durable counts up to the first gap. */
static void check_model(const struct model *model)
{
    struct sequence_segment segments[10];
    uint32_t count = 0;
    for (uint32_t i = 0; 10 * (uint64_t)i < model->written; i++)
        if (!model->gone[i])
            segments[count++] = scan_model(model, i);
    for (uint32_t i = 0; i + 1 < count; i++) { /* in any order */
        struct sequence_segment other = segments[i];
        uint32_t with = i + (uint32_t)(model->written % (count - i));
        segments[i] = segments[with];
        segments[with] = other;
    }
    struct sequence_verdict verdict = sequence_judge(segments, count);
    uint64_t gap = 10 * (uint64_t)model->sealed_segments + 1;
    while (gap <= model->written && !model->lost[gap])
        gap++;
    uint64_t claimed = 10 * (uint64_t)model->sealed_segments;
    for (uint64_t i = gap; i <= model->written; i++)
        if (!model->lost[i] && model->claims[i] > claimed)
            claimed = model->claims[i];
    if (verdict.damaged) {
        assert_true(model->durable >= gap); /* no false alarm */
        return;
    }
    /* Nothing that is left knows of more. (Where the segment before is gone, it is not known which
       number the first one lost had: only the last one lost is certain.) */
    bool unknown = model->sealed_segments > 0 && model->gone[model->sealed_segments - 1] &&
                   gap == 10 * (uint64_t)model->sealed_segments + 1;
    uint64_t certain = gap;
    while (unknown && certain < model->written && model->lost[certain + 1])
        certain++;
    assert_true(claimed < certain);
    for (uint32_t i = 0; i < count; i++)
        if (!segments[i].sealed && segments[i].scan.first_sequence != 0)
            assert_int_equal(segments[i].dropped, segments[i].scan.first_sequence > gap);
}

static void agrees_with_a_model(void **state)
{
    (void)state;
    uint64_t random = 42;
    for (uint32_t round = 0; round < 200000; round++) {
        struct model model = {.random = random};
        write_model(&model);
        uint64_t unsealed_from = 10 * (uint64_t)model.sealed_segments + 1;
        bool rot = log_fixture_random(&model.random, 2) == 0; /* of durable frames, too */
        uint64_t lose_from = rot ? unsealed_from : model.durable + 1;
        for (uint64_t i = lose_from; i <= model.written; i++)
            model.lost[i] = i >= unsealed_from && log_fixture_random(&model.random, 5) == 0;
        check_model(&model);
        random = model.random;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_stores_are_sound),
        cmocka_unit_test(sealed_segments_may_be_gone),
        cmocka_unit_test(the_order_is_that_of_the_numbers),
        cmocka_unit_test(a_torn_tail_takes_along_what_follows),
        cmocka_unit_test(an_empty_segment_tears_nothing),
        cmocka_unit_test(what_was_durable_must_be_there),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests_name("engine-log/sequence", tests, NULL, NULL);
}
