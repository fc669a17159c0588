/* Groups of reads: values are shown in order whatever the engine's order is (read_group.c, I1 to I3),
   now or later, and a group that may stop goes on where it stopped. */
#include "server/read_group.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "support/support.h"

#define KEYS      200u
#define LARGE     ((size_t)100000)
#define SHOWN_MAX 256u

/* An engine that holds the keys "0", "1", ... but not those that end in 7; the value is the key, or
   large. "9" is damaged; the disk fails under `late`, when it has been shown. It looks keys up in the order that the test says. */
struct kvs_db {
    bool backwards;
    bool later;
    bool large;
    bool shy; /* finds everything, shows nothing */
    const char *late;
    kvs_status whole; /* of the whole call */
    struct kvs_get_many *pending;
};

static char large_value[LARGE];

static void look_up(struct kvs_db *db, struct kvs_get_many *request, uint64_t index, bool *stopped)
{
    struct kvs_lookup *lookup = &request->lookups[index];
    const char *key = lookup->key.ptr;
    lookup->status = key[lookup->key.len - 1] == '7' ? KVS_NOT_FOUND : KVS_OK;
    if (lookup->key.len == 1 && key[0] == '9')
        lookup->status = kvs_error_set(request->err, KVS_CORRUPT, 0, "nine is damaged");
    if (lookup->status != KVS_OK || db->shy)
        return;
    struct kvs_bytes value = db->large ? bytes_of(large_value, LARGE) : lookup->key;
    *stopped = request->visit(request->arg, index, value) != 0;
    if (db->late != NULL && bytes_equal(lookup->key, bytes_of_text(db->late)))
        lookup->status = kvs_error_set(request->err, KVS_IO, 0, "the disk failed late");
}

static kvs_status run(struct kvs_db *db, struct kvs_get_many *request)
{
    bool stopped = false;
    if (db->whole != KVS_OK)
        return db->whole;
    for (uint64_t i = 0; i < request->lookup_count && !stopped; i++)
        look_up(db, request, db->backwards ? request->lookup_count - 1 - i : i, &stopped);
    return stopped ? KVS_STOPPED : KVS_OK;
}

static kvs_status many(struct kvs_db *db, struct kvs_tls *tls, struct kvs_get_many *request)
{
    (void)tls;
    if (!db->later)
        return run(db, request);
    db->pending = request;
    return KVS_PENDING;
}

/* What was shown. */
struct shown {
    uint64_t count;
    kvs_status statuses[SHOWN_MAX];
    char values[SHOWN_MAX][8];
    size_t sizes[SHOWN_MAX];
    char message[64];
    uint64_t stop_after; /* 0: never */
    unsigned completed;
};

static bool show(void *arg, const struct read_result *result)
{
    struct shown *shown = arg;
    uint64_t n = shown->count++;
    assert_true(n < SHOWN_MAX);
    assert_int_equal(result->index, n);
    assert_int_equal(result->tag, 1000 + n);
    shown->statuses[n] = result->status;
    shown->sizes[n] = result->value.len;
    if (result->value.len > 0 && result->value.len < sizeof(shown->values[n]))
        memcpy(shown->values[n], result->value.ptr, result->value.len);
    if (result->message != NULL)
        (void)snprintf(shown->message, sizeof(shown->message), "%s", result->message);
    return shown->count != shown->stop_after;
}

static size_t mark(void *arg)
{
    const struct shown *shown = arg;
    return shown->count;
}

static void take_back(void *arg, size_t to)
{
    struct shown *shown = arg;
    shown->count = to;
}

static void complete(void *arg)
{
    struct shown *shown = arg;
    shown->completed++;
}

static struct read_group *ask(struct kvs_db *db, struct shown *shown, unsigned count, bool can_stop)
{
    static char keys[KEYS][8];
    const struct kvs_engine_ops ops = {.get_many = many};
    struct store store = {.engine = &ops, .db = db};
    struct read_group *group = read_group_new();
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "%u", i);
        assert_true(read_group_push(group, bytes_of_text(keys[i]), 1000 + i, 10 * (i + 1)));
    }
    group->show = show;
    group->mark = mark;
    group->take_back = take_back;
    group->show_arg = shown;
    group->complete = complete;
    group->complete_arg = shown;
    group->can_stop = can_stop;
    kvs_status status = read_group_submit(group, &store, NULL);
    assert_int_equal(status, db->later ? KVS_PENDING : KVS_OK);
    if (db->later) {
        db->pending->complete(db->pending->arg, db->pending, run(db, db->pending));
        assert_int_equal(shown->completed, 1);
        read_group_finish(group);
    } else {
        assert_int_equal(shown->completed, 0);
    }
    return group;
}

static void expect_in_order(const struct shown *shown, uint64_t count)
{
    char key[8];
    assert_int_equal(shown->count, count);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        if (i == 9) {
            assert_int_equal(shown->statuses[i], KVS_CORRUPT);
        } else if (i % 10 == 7) {
            assert_int_equal(shown->statuses[i], KVS_NOT_FOUND);
        } else {
            assert_int_equal(shown->statuses[i], KVS_OK);
            if (shown->sizes[i] != LARGE)
                assert_string_equal(shown->values[i], key);
        }
    }
}

static void values_are_shown_in_order(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 8; way++) {
        struct kvs_db db = {.backwards = way & 1, .later = way & 2};
        struct shown shown = {0};
        struct read_group *group = ask(&db, &shown, KEYS, way & 4);
        expect_in_order(&shown, KEYS);
        assert_string_equal(shown.message, "nine is damaged");
        assert_int_equal(group->faults, 1);
        assert_int_equal(group->shown, KEYS);
        read_group_free(group);
    }
}

static void a_group_stops_where_it_is_told(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        for (uint64_t stop = 1; stop < 20; stop++) {
            struct kvs_db db = {.backwards = way & 1, .later = way & 2};
            struct shown shown = {.stop_after = stop};
            struct read_group *group = ask(&db, &shown, 20, true);
            expect_in_order(&shown, stop);
            assert_int_equal(group->shown, stop);
            assert_int_equal(group->entries[group->shown - 1].input_end, 10 * stop);
            read_group_free(group);
        }
    }
}

static void one_that_may_not_stop_goes_on(void **state)
{
    (void)state;
    struct kvs_db db = {0};
    struct shown shown = {.stop_after = 3};
    struct read_group *group = ask(&db, &shown, 20, false);
    expect_in_order(&shown, 20);
    read_group_free(group);
}

/* I3: large values in the worst order are not all kept, and something is shown all the same. */
static void values_before_their_turn_are_bounded(void **state)
{
    (void)state;
    for (unsigned can_stop = 0; can_stop < 2; can_stop++) {
        struct kvs_db db = {.backwards = true, .large = true};
        struct shown shown = {0};
        struct read_group *group = ask(&db, &shown, 100, can_stop);
        if (can_stop == 1) {
            assert_true(shown.count >= 1 && shown.count < 100);
            assert_true(buffer_size(&group->spilled) <= 4 * LARGE);
            expect_in_order(&shown, shown.count);
        } else {
            expect_in_order(&shown, 100);
        }
        read_group_free(group);
    }
}

static void faults_of_the_whole_are_each_ones(void **state)
{
    (void)state;
    struct kvs_db db = {.whole = KVS_IO};
    struct shown shown = {0};
    struct read_group *group = ask(&db, &shown, 3, true);
    assert_int_equal(shown.count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(shown.statuses[i], KVS_IO);
    assert_int_equal(group->faults, 3);
    read_group_free(group);
}

/* I4 */
static void a_late_fault_takes_the_value_back(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        struct kvs_db db = {.backwards = way & 1, .later = way & 2, .late = "3"};
        struct shown shown = {0};
        struct read_group *group = ask(&db, &shown, 6, true);
        assert_int_equal(shown.statuses[2], KVS_OK);
        assert_int_equal(shown.statuses[3], KVS_IO);
        assert_string_equal(shown.message, "the disk failed late");
        /* In order the values behind it were shown and taken back: they are asked for again. */
        assert_int_equal(group->shown, (way & 1) != 0 ? 6 : 4);
        assert_int_equal(shown.count, group->shown);
        read_group_free(group);

        memset(&shown, 0, sizeof(shown));
        group = ask(&db, &shown, 6, false);
        assert_int_equal(group->broken, (way & 1) == 0);
        if (group->broken) {
            assert_int_equal(group->fault.status, KVS_IO);
            assert_string_equal(group->fault.message, "the disk failed late");
        }
        read_group_free(group);
    }
}

static void an_engine_that_shows_nothing_is_told(void **state)
{
    (void)state;
    struct kvs_db db = {.shy = true};
    struct shown shown = {0};
    struct read_group *group = ask(&db, &shown, 1, true);
    assert_int_equal(shown.statuses[0], KVS_INTERNAL);
    read_group_free(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_shown_in_order),
        cmocka_unit_test(a_group_stops_where_it_is_told),
        cmocka_unit_test(one_that_may_not_stop_goes_on),
        cmocka_unit_test(values_before_their_turn_are_bounded),
        cmocka_unit_test(faults_of_the_whole_are_each_ones),
        cmocka_unit_test(a_late_fault_takes_the_value_back),
        cmocka_unit_test(an_engine_that_shows_nothing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
