/* Which writes of a stopped store count: cases by hand, and against a model of a disk. */
#include <stdlib.h>
#include <string.h>

#include "log_fixture.h"
#include "sequence.h"
#include "support/support.h"

/* One whose frames have these numbers; durable: the largest claim in it. */
static struct sequence_segment frames(uint64_t min, uint64_t max, uint64_t durable)
{
    return (struct sequence_segment){
        .scan = {.first_sequence = min, .next_sequence = max + 1, .durable_sequence = durable},
    };
}

/* The same, and behind a damaged place a frame with the number `behind`. */
static struct sequence_segment torn(uint64_t min, uint64_t max, uint64_t behind, uint64_t durable)
{
    struct sequence_segment segment = frames(min, max, durable);
    segment.scan.behind_sequence = behind;
    segment.scan.behind_bytes = 100;
    return segment;
}

/* One whose first frame is gone; behind: the number of the first frame that is left, or 0. */
static struct sequence_segment ruin(uint64_t behind, uint64_t durable)
{
    return (struct sequence_segment){
        .scan = {.behind_sequence = behind, .behind_bytes = 100, .durable_sequence = durable},
    };
}

static const struct sequence_segment NONE = {.user = 0};

/* Judges three segments, numbered as they are given. */
static struct sequence_verdict judge(uint64_t sealed_max, struct sequence_segment a,
                                     struct sequence_segment b, struct sequence_segment c,
                                     bool dropped[3])
{
    struct sequence_segment segments[3] = {a, b, c};
    for (uint32_t i = 0; i < 3; i++)
        segments[i].user = i;
    struct sequence_verdict verdict = sequence_judge(sealed_max, segments, 3);
    for (uint32_t i = 0; i < 3; i++)
        dropped[segments[i].user] = segments[i].dropped && segments[i].scan.first_sequence != 0;
    return verdict;
}

static void assert_sound(uint64_t next, const struct sequence_verdict *verdict,
                         const bool dropped[3], bool a, bool b, bool c)
{
    assert_false(verdict->damaged);
    assert_int_equal(verdict->next, next);
    assert_int_equal(dropped[0], a);
    assert_int_equal(dropped[1], b);
    assert_int_equal(dropped[2], c);
}

static void assert_damaged(const struct sequence_verdict *verdict, uint64_t missing, uint64_t found,
                           uint32_t where)
{
    assert_true(verdict->damaged);
    assert_int_equal(verdict->missing, missing);
    assert_int_equal(verdict->found, found);
    assert_int_equal(verdict->where, where);
}

/* ------------------------------------------------------------------------------------------- */

static void whole_stores_are_sound(void **state)
{
    (void)state;
    bool dropped[3];
    struct sequence_verdict verdict = sequence_judge(0, NULL, 0);
    assert_sound(1, &verdict, (bool[3]){false}, false, false, false);
    verdict = judge(20, NONE, NONE, NONE, dropped);
    assert_sound(21, &verdict, dropped, false, false, false);
    verdict = judge(20, frames(21, 30, 25), NONE, NONE, dropped);
    assert_sound(31, &verdict, dropped, false, false, false);
    verdict = judge(0, frames(1, 10, 0), frames(11, 20, 20), NONE, dropped);
    assert_sound(21, &verdict, dropped, false, false, false);
}

/* One that waits for being sealed, while later ones were. */
static void sealed_segments_may_be_ahead(void **state)
{
    (void)state;
    bool dropped[3];
    struct sequence_verdict verdict =
        judge(40, frames(11, 20, 15), frames(41, 50, 45), NONE, dropped);
    assert_sound(51, &verdict, dropped, false, false, false);
    verdict = judge(40, torn(11, 20, 0, 15), NONE, NONE, dropped); /* a footer was being written */
    assert_sound(41, &verdict, dropped, false, false, false);
    verdict = judge(40, torn(11, 15, 18, 10), frames(41, 50, 45), NONE, dropped);
    assert_damaged(&verdict, 16, 18, 0);
}

/* Generations do not count: a segment for a large value is made after the spare that is used later. */
static void the_order_is_that_of_the_numbers(void **state)
{
    (void)state;
    bool dropped[3];
    struct sequence_verdict verdict =
        judge(20, frames(31, 40, 35), NONE, frames(21, 30, 20), dropped);
    assert_sound(41, &verdict, dropped, false, false, false);
}

static void a_torn_tail_takes_along_what_follows(void **state)
{
    (void)state;
    bool dropped[3];
    struct sequence_verdict verdict =
        judge(10, frames(11, 15, 12), frames(17, 20, 15), frames(21, 30, 15), dropped);
    assert_sound(16, &verdict, dropped, false, true, true);
    verdict = judge(10, torn(11, 15, 18, 12), frames(21, 30, 15), NONE, dropped);
    assert_sound(16, &verdict, dropped, false, true, false);
    verdict = judge(10, ruin(13, 10), frames(17, 20, 10), NONE, dropped);
    assert_sound(11, &verdict, dropped, false, true, false);
    verdict = judge(10, ruin(0, 0), NONE, NONE, dropped);
    assert_sound(11, &verdict, dropped, false, false, false);
    verdict = judge(0, ruin(0, 0), NONE, NONE, dropped);
    assert_sound(1, &verdict, dropped, false, false, false);
    /* All segments before were compacted away; the manifest knows how far they went. */
    verdict = judge(70, ruin(73, 70), NONE, NONE, dropped);
    assert_sound(71, &verdict, dropped, false, false, false);
}

/* One with nothing but a part of a footer: it never held a number. */
static void an_empty_segment_tears_nothing(void **state)
{
    (void)state;
    bool dropped[3];
    struct sequence_verdict verdict = judge(10, ruin(0, 0), frames(11, 20, 15), NONE, dropped);
    assert_sound(21, &verdict, dropped, false, false, false);
}

static void what_was_durable_must_be_there(void **state)
{
    (void)state;
    bool dropped[3];
    /* The tail of the last segment, which says itself that there was more. */
    struct sequence_verdict verdict = judge(10, frames(11, 15, 16), NONE, NONE, dropped);
    assert_damaged(&verdict, 16, 0, 0);
    verdict = judge(10, torn(11, 15, 18, 17), NONE, NONE, dropped);
    assert_damaged(&verdict, 16, 18, 0);
    /* The tail of one in the middle; a later one says so. */
    verdict = judge(10, torn(11, 15, 0, 11), frames(18, 20, 16), NONE, dropped);
    assert_damaged(&verdict, 16, 18, 0);
    /* The first frame of the only one. */
    verdict = judge(10, ruin(12, 11), NONE, NONE, dropped);
    assert_damaged(&verdict, 11, 12, 0);
    verdict = judge(0, ruin(2, 1), NONE, NONE, dropped);
    assert_damaged(&verdict, 1, 2, 0);
    /* Behind one whose first frame is torn a later one says it. */
    verdict = judge(60, frames(71, 80, 75), ruin(0, 0), NONE, dropped);
    assert_damaged(&verdict, 61, 71, 1);
}

/* ---- a model ------------------------------------------------------------------------------ */

/*
 * A store that has written numbers from 1 on into segments of ten each. Some of the first segments are
 * sealed; then the disk loses some frames. Each frame has one number and
 * says what was durable when it was written.
 */
struct model {
    uint64_t random;
    uint64_t written;
    uint64_t durable; /* all up to here, in the end */
    uint64_t claims[101];
    bool lost[101];
    uint32_t sealed_segments;
};

static struct sequence_segment scan_model(const struct model *model, uint32_t index)
{
    uint64_t first = 10 * (uint64_t)index + 1;
    uint64_t last = model->written < first + 9 ? model->written : first + 9;
    struct sequence_segment segment = {.user = index};
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
}

/* What must be: what is missing is called damage exactly when something that is left says that it was
   durable; else all counts up to the first gap. */
static void check_model(const struct model *model)
{
    struct sequence_segment segments[10];
    uint32_t count = 0;
    uint64_t sealed_max = 10 * (uint64_t)model->sealed_segments;
    for (uint32_t i = model->sealed_segments; 10 * (uint64_t)i < model->written; i++)
        segments[count++] = scan_model(model, i);
    for (uint32_t i = 0; i + 1 < count; i++) { /* in any order */
        struct sequence_segment other = segments[i];
        uint32_t with = i + (uint32_t)(model->written % (count - i));
        segments[i] = segments[with];
        segments[with] = other;
    }
    struct sequence_verdict verdict = sequence_judge(sealed_max, segments, count);
    uint64_t gap = sealed_max + 1;
    while (gap <= model->written && !model->lost[gap])
        gap++;
    uint64_t claimed = sealed_max;
    for (uint64_t i = sealed_max + 1; i <= model->written; i++)
        if (!model->lost[i] && model->claims[i] > claimed)
            claimed = model->claims[i];
    assert_int_equal(verdict.next, gap);
    assert_int_equal(verdict.damaged, claimed >= gap);
    if (verdict.damaged) {
        assert_true(model->durable >= gap); /* no false alarm */
        assert_int_equal(verdict.missing, gap);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        if (segments[i].scan.first_sequence != 0)
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
        cmocka_unit_test(sealed_segments_may_be_ahead),
        cmocka_unit_test(the_order_is_that_of_the_numbers),
        cmocka_unit_test(a_torn_tail_takes_along_what_follows),
        cmocka_unit_test(an_empty_segment_tears_nothing),
        cmocka_unit_test(what_was_durable_must_be_there),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests_name("engine-log/sequence", tests, NULL, NULL);
}
