/* scan: all keys, whatever happens meanwhile; ranges where the engine is ordered. get_many. */
#include "engines/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a walk that counts ---------------------------------------------------------------------- */

#define WALK_KEYS 1000u

struct walk {
    unsigned seen[WALK_KEYS]; /* how often "walk-N" was shown */
    unsigned foreign;         /* other keys */
    unsigned wrong;           /* keys whose value is not theirs */
    unsigned shown;
    unsigned stop_after; /* 0: never */
    bool keys_only;
    bool unordered; /* a key came that is not larger than the one before (smaller, in reverse) */
    bool reverse;
    uint8_t last[KEY_TEXT_MAX];
    uint64_t last_len; /* 0: none */
};

static int compare(struct kvs_bytes a, struct kvs_bytes b)
{
    uint64_t shorter = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, shorter);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int32_t walk_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct walk *walk = arg;
    char text[KEY_TEXT_MAX + 1] = "";
    unsigned index = WALK_KEYS;
    uint64_t number;
    memcpy(text, key.ptr, key.len < KEY_TEXT_MAX ? key.len : KEY_TEXT_MAX);
    if (sscanf(text, "walk-%u", &index) == 1 && index < WALK_KEYS)
        walk->seen[index]++;
    else
        walk->foreign++;
    if (walk->keys_only ? value.len != 0 : !pattern_check(key, value, &number))
        walk->wrong++;
    if (walk->last_len > 0) {
        int order = compare(bytes_of(walk->last, walk->last_len), key);
        walk->unordered = walk->unordered || (walk->reverse ? order <= 0 : order >= 0);
    }
    walk->last_len = key.len < sizeof(walk->last) ? key.len : sizeof(walk->last);
    memcpy(walk->last, key.ptr, walk->last_len);
    walk->shown++;
    return walk->stop_after != 0 && walk->shown == walk->stop_after;
}

/* One piece. The scan's cursor (or, ordered, its bound) is where the next one goes on. */
static kvs_status walk_piece(struct session *session, struct walk *walk, struct kvs_scan *scan,
                             uint8_t bound[KEY_TEXT_MAX + 1])
{
    scan->size = sizeof(*scan);
    scan->visit = walk_visit;
    scan->arg = walk;
    walk->reverse = (scan->flags & KVS_SCAN_REVERSE) != 0;
    walk->keys_only = (scan->flags & KVS_SCAN_KEYS_ONLY) != 0;
    kvs_status status = engine_ops()->scan(session->db, NULL, scan, NULL);
    if (engine_has(KVS_ENGINE_ORDERED) && walk->last_len > 0) {
        memcpy(bound, walk->last, walk->last_len);
        bound[walk->last_len] = 0; /* the successor of a key is itself and a zero */
        if (walk->reverse)
            scan->to = bytes_of(bound, walk->last_len);
        else
            scan->from = bytes_of(bound, walk->last_len + 1);
    }
    return status;
}

/* A whole walk in pieces of about limit keys. */
static void walk_all(struct session *session, struct walk *walk, uint32_t flags, uint64_t limit)
{
    uint8_t bound[KEY_TEXT_MAX + 1];
    struct kvs_scan scan = {.flags = flags, .limit = limit};
    unsigned pieces = 0;
    do {
        assert_int_equal(KVS_OK, walk_piece(session, walk, &scan, bound));
        assert_true(++pieces <= 100000);
    } while (scan.cursor != 0);
}

static void fill(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < WALK_KEYS; i++)
        check_set_pattern(session, key_make(text, "walk", i * 7919 % WALK_KEYS), i,
                          i % 37 == 0 ? 5000 : PATTERN_MIN);
}

static char *open_filled(struct session *session)
{
    engine_require(KVS_ENGINE_HAS_SCAN);
    char *dir = temp_dir_new();
    session_open(session, dir, NULL);
    fill(session);
    return dir;
}

static void close_and_free(struct session *session, char *dir)
{
    session_close(session);
    temp_dir_free(dir);
}

static void test_whole(void **state)
{
    (void)state;
    static const uint64_t limits[] = {0, 1, 7, 100, 999, 1000, 1001};
    struct session session;
    char *dir = open_filled(&session);
    for (unsigned i = 0; i < 2 * sizeof(limits) / sizeof(limits[0]); i++) {
        struct walk walk = {.shown = 0};
        walk_all(&session, &walk, i % 2 == 0 ? 0 : KVS_SCAN_KEYS_ONLY, limits[i / 2]);
        assert_int_equal(WALK_KEYS, walk.shown); /* nothing changes: exactly once each */
        assert_int_equal(0, walk.foreign);
        assert_int_equal(0, walk.wrong);
        if (engine_has(KVS_ENGINE_ORDERED))
            assert_false(walk.unordered);
        for (unsigned key = 0; key < WALK_KEYS; key++)
            assert_int_equal(1, walk.seen[key]);
    }
    close_and_free(&session, dir);
}

static void test_empty_store(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SCAN);
    struct session session;
    struct walk walk = {.shown = 0};
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    walk_all(&session, &walk, 0, 0);
    assert_int_equal(0, walk.shown);
    if (engine_has(KVS_ENGINE_ORDERED))
        walk_all(&session, &walk, KVS_SCAN_REVERSE, 10);
    assert_int_equal(0, walk.shown);
    close_and_free(&session, dir);
}

static void test_stopped(void **state)
{
    (void)state;
    struct session session;
    uint8_t bound[KEY_TEXT_MAX + 1];
    struct walk walk = {.stop_after = 10};
    struct kvs_scan scan = {.limit = 0};
    char *dir = open_filled(&session);
    assert_int_equal(KVS_STOPPED, walk_piece(&session, &walk, &scan, bound));
    assert_int_equal(10, walk.shown);
    walk.stop_after = 0;
    do { /* goes on, at or behind the last key shown */
        assert_int_equal(KVS_OK, walk_piece(&session, &walk, &scan, bound));
    } while (scan.cursor != 0);
    for (unsigned key = 0; key < WALK_KEYS; key++)
        assert_true(walk.seen[key] >= 1);
    close_and_free(&session, dir);
}

static void test_reopened(void **state)
{
    (void)state;
    struct session session;
    uint8_t bound[KEY_TEXT_MAX + 1];
    struct walk walk = {.shown = 0};
    struct kvs_scan scan = {.limit = 50};
    char *dir = open_filled(&session);
    do { /* the cursor survives reopening */
        assert_int_equal(KVS_OK, walk_piece(&session, &walk, &scan, bound));
        if (walk.shown % 200 < 50)
            session_reopen(&session, dir, NULL);
    } while (scan.cursor != 0);
    for (unsigned key = 0; key < WALK_KEYS; key++)
        assert_true(walk.seen[key] >= 1);
    close_and_free(&session, dir);
}

/* ---- while the store changes -------------------------------------------------------------------
 */

struct churn {
    struct session *session;
    struct faults faults;
    atomic_bool stopping;
};

/* Sets and removes keys of its own, overwrites those of the walk. */
static void churn_write(struct churn *churn, unsigned index)
{
    uint8_t value[200];
    for (unsigned i = 0; !atomic_load(&churn->stopping); i++) {
        char text[KEY_TEXT_MAX];
        struct kvs_bytes key = key_make(text, index == 0 ? "extra" : "zzz", i % 5000);
        pattern_make(key, i, value, sizeof(value));
        kvs_status status =
            session_set(churn->session, NULL, key, bytes_of(value, sizeof(value)), NULL);
        if (status == KVS_OK && i % 3 == 0)
            status = session_remove(churn->session, NULL, key, NULL);
        key = key_make(text, "walk", (i * 31 + index) % WALK_KEYS);
        pattern_make(key, i, value, sizeof(value));
        if (status == KVS_OK)
            status = session_set(churn->session, NULL, key, bytes_of(value, sizeof(value)), NULL);
        if (status != KVS_OK)
            faults_add(&churn->faults, "a write gave %d", status);
    }
}

static void churn_scan(struct churn *churn)
{
    uint8_t bound[KEY_TEXT_MAX + 1];
    struct walk *walk = calloc(1, sizeof(*walk));
    for (unsigned round = 0; round < 6; round++) {
        struct kvs_scan scan = {.limit = round % 2 == 0 ? 40 : 0};
        memset(walk, 0, sizeof(*walk));
        do {
            kvs_status status = walk_piece(churn->session, walk, &scan, bound);
            if (status != KVS_OK) {
                faults_add(&churn->faults, "scan gave %d", status);
                break;
            }
        } while (scan.cursor != 0);
        for (unsigned key = 0; key < WALK_KEYS; key++) {
            if (walk->seen[key] == 0 || (engine_has(KVS_ENGINE_ORDERED) && walk->seen[key] > 1))
                faults_add(&churn->faults, "key %u was shown %u times", key, walk->seen[key]);
        }
        if (walk->wrong > 0 || (engine_has(KVS_ENGINE_ORDERED) && walk->unordered))
            faults_add(&churn->faults, "%u wrong values, order %d", walk->wrong, walk->unordered);
    }
    free(walk);
    atomic_store(&churn->stopping, true);
}

static void churn_thread(void *arg, unsigned index)
{
    struct churn *churn = arg;
    if (index < 2)
        churn_write(churn, index);
    else
        churn_scan(churn);
}

static void test_while_writing(void **state)
{
    (void)state;
    struct session session;
    struct churn churn = {.session = &session};
    char *dir = open_filled(&session);
    run_threads(3, churn_thread, &churn);
    faults_check(&churn.faults);
    close_and_free(&session, dir);
}

/* ---- one moment ---------------------------------------------------------------------------------
 */

#define MOMENT_KEYS 64u

struct moment {
    uint64_t first;
    unsigned shown;
    bool mixed;
};

static int32_t moment_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct moment *moment = arg;
    uint64_t number = UINT64_MAX;
    (void)pattern_check(key, value, &number);
    if (moment->shown++ == 0)
        moment->first = number;
    moment->mixed = moment->mixed || number != moment->first;
    return 0;
}

/* Batches set all keys to one number: a scan that sees one moment sees one number. */
static void moment_write(struct churn *churn)
{
    struct kvs_op ops[MOMENT_KEYS];
    char texts[MOMENT_KEYS][KEY_TEXT_MAX];
    uint8_t values[MOMENT_KEYS][PATTERN_MIN];
    for (uint64_t round = 1; !atomic_load(&churn->stopping); round++) {
        for (unsigned i = 0; i < MOMENT_KEYS; i++) {
            struct kvs_bytes key = key_make(texts[i], "moment", i);
            pattern_make(key, round, values[i], PATTERN_MIN);
            ops[i] = op_set(key, bytes_of(values[i], PATTERN_MIN));
        }
        kvs_status status = session_submit(churn->session, NULL, ops, MOMENT_KEYS, 0, NULL);
        if (status != KVS_OK)
            faults_add(&churn->faults, "submit gave %d", status);
    }
}

static void moment_scan(struct churn *churn)
{
    for (unsigned round = 0; round < 300; round++) {
        struct moment moment = {.shown = 0};
        struct kvs_scan scan = {.size = sizeof(scan), .visit = moment_visit, .arg = &moment};
        kvs_status status = engine_ops()->scan(churn->session->db, NULL, &scan, NULL);
        if (status != KVS_OK || moment.mixed || (moment.shown != 0 && moment.shown != MOMENT_KEYS))
            faults_add(&churn->faults, "scan gave %d, %u keys, mixed %d", status, moment.shown,
                       moment.mixed);
    }
    atomic_store(&churn->stopping, true);
}

static void moment_thread(void *arg, unsigned index)
{
    if (index == 0)
        moment_write(arg);
    else
        moment_scan(arg);
}

static void test_one_moment(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SCAN | KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_SNAPSHOT_SCAN |
                   KVS_ENGINE_BATCH_ATOMIC);
    struct session session;
    struct churn churn = {.session = &session};
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    run_threads(2, moment_thread, &churn);
    faults_check(&churn.faults);
    close_and_free(&session, dir);
}

/* ---- ranges
 * -------------------------------------------------------------------------------------- */

#define LISTED_MAX 64u

/* The keys shown, each followed by a space. */
static int32_t list_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    char *list = arg;
    size_t size = strlen(list);
    (void)value;
    assert_true(size + key.len + 2 <= LISTED_MAX);
    memcpy(list + size, key.ptr, key.len);
    list[size + key.len] = ' ';
    return 0;
}

static void check_range(struct session *session, const char *from, const char *to,
                        const char *prefix, uint32_t flags, uint64_t limit, const char *expected)
{
    char list[LISTED_MAX] = "";
    struct kvs_scan scan = {.size = sizeof(scan),
                            .flags = flags,
                            .from = bytes_of_text(from),
                            .to = bytes_of_text(to),
                            .prefix = bytes_of_text(prefix),
                            .limit = limit,
                            .visit = list_visit,
                            .arg = list};
    assert_int_equal(KVS_OK, engine_ops()->scan(session->db, NULL, &scan, NULL));
    assert_string_equal(expected, list);
    if (limit == 0)
        assert_int_equal(0, scan.cursor);
}

static void test_ranges(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SCAN | KVS_ENGINE_ORDERED);
    static const char *const keys[] = {"b",         "a", "ab",   "abc",     "b\xff",
                                       "b\xff\xff", "c", "\xff", "\xff\xff"};
    const uint32_t back = KVS_SCAN_REVERSE;
    struct session session;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        check_set(&session, bytes_of_text(keys[i]), bytes_of_text("value"));
    check_range(&session, "", "", "", 0, 0, "a ab abc b b\xff b\xff\xff c \xff \xff\xff ");
    check_range(&session, "", "", "", back, 0, "\xff\xff \xff c b\xff\xff b\xff b abc ab a ");
    check_range(&session, "ab", "", "", 0, 4, "ab abc b b\xff ");
    check_range(&session, "", "b", "", 0, 0, "a ab abc ");
    check_range(&session, "", "b", "", back, 0, "abc ab a ");
    check_range(&session, "aa", "bb", "", 0, 0, "ab abc b ");
    check_range(&session, "aa", "bb", "", back, 2, "b abc ");
    check_range(&session, "", "", "a", 0, 0, "a ab abc ");
    check_range(&session, "", "", "a", back, 0, "abc ab a ");
    check_range(&session, "", "", "b\xff", 0, 0, "b\xff b\xff\xff ");
    check_range(&session, "", "", "b\xff", back, 0, "b\xff\xff b\xff ");
    check_range(&session, "", "", "\xff", 0, 0, "\xff \xff\xff ");
    check_range(&session, "", "", "\xff", back, 1, "\xff\xff ");
    check_range(&session, "ab", "abc", "a", 0, 0, "ab ");
    check_range(&session, "ab", "abc", "a", back, 0, "ab ");
    check_range(&session, "ab", "", "b", 0, 0, "b b\xff b\xff\xff ");
    check_range(&session, "", "c", "a", back, 0, "abc ab a ");
    check_range(&session, "b", "a", "", 0, 0, "");
    check_range(&session, "b", "a", "", back, 0, "");
    check_range(&session, "c", "", "a", 0, 0, "");
    check_range(&session, "d", "e", "", back, 0, "");
    check_range(&session, "", "", "x", 0, 0, "");
    check_range(&session, "", "", "x", back, 0, "");
    close_and_free(&session, dir);
}

static void test_reverse_in_pieces(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SCAN | KVS_ENGINE_ORDERED);
    struct session session;
    struct walk walk = {.shown = 0};
    char *dir = open_filled(&session);
    walk_all(&session, &walk, KVS_SCAN_REVERSE, 33);
    assert_int_equal(WALK_KEYS, walk.shown);
    assert_false(walk.unordered);
    assert_int_equal(0, walk.wrong);
    close_and_free(&session, dir);
}

static void test_unordered_refuses(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SCAN);
    struct session session;
    struct walk walk = {.shown = 0};
    char *dir = open_filled(&session);
    if (!engine_has(KVS_ENGINE_ORDERED)) {
        struct kvs_scan scan = {.size = sizeof(scan), .visit = walk_visit, .arg = &walk};
        scan.flags = KVS_SCAN_REVERSE;
        assert_int_equal(KVS_UNSUPPORTED, engine_ops()->scan(session.db, NULL, &scan, NULL));
        scan.flags = 0;
        scan.from = bytes_of_text("a");
        assert_int_equal(KVS_UNSUPPORTED, engine_ops()->scan(session.db, NULL, &scan, NULL));
        scan.from = bytes_of(NULL, 0);
        scan.to = bytes_of_text("z");
        assert_int_equal(KVS_UNSUPPORTED, engine_ops()->scan(session.db, NULL, &scan, NULL));
        scan.to = bytes_of(NULL, 0);
        scan.cursor = UINT64_MAX; /* never came from here */
        assert_int_equal(KVS_INVALID, engine_ops()->scan(session.db, NULL, &scan, NULL));
        assert_int_equal(0, walk.shown);
    }
    close_and_free(&session, dir);
}

static void test_prefix(void **state)
{
    (void)state;
    struct session session;
    struct walk walk = {.shown = 0};
    uint8_t bound[KEY_TEXT_MAX + 1];
    struct kvs_scan scan = {.prefix = bytes_of_text("walk-00000001"), .limit = 10};
    char *dir = open_filled(&session);
    check_set_pattern(&session, bytes_of_text("other"), 1, PATTERN_MIN);
    do {
        assert_int_equal(KVS_OK, walk_piece(&session, &walk, &scan, bound));
    } while (scan.cursor != 0);
    assert_int_equal(100, walk.shown); /* walk-0000000100 to -199 */
    assert_int_equal(0, walk.foreign);
    for (unsigned key = 100; key < 200; key++)
        assert_int_equal(1, walk.seen[key]);
    close_and_free(&session, dir);
}

/* ---- get_many
 * ------------------------------------------------------------------------------------- */

#define LOOKUPS 300u

struct lookups {
    struct kvs_get_many request;
    struct kvs_lookup each[LOOKUPS];
    char keys[LOOKUPS][KEY_TEXT_MAX];
    unsigned visits[LOOKUPS];
    unsigned wrong;
    unsigned stop_after;
    unsigned shown;
    atomic_uint complete_count;
    kvs_status status;
};

static int32_t lookups_visit(void *arg, uint64_t index, struct kvs_bytes value)
{
    struct lookups *lookups = arg;
    uint64_t number;
    lookups->visits[index]++;
    if (!pattern_check(lookups->each[index].key, value, &number))
        lookups->wrong++;
    return ++lookups->shown == lookups->stop_after;
}

static void lookups_complete(void *arg, struct kvs_get_many *request, kvs_status status)
{
    struct lookups *lookups = arg;
    (void)request;
    lookups->status = status;
    (void)atomic_fetch_add(&lookups->complete_count, 1);
}

static bool is_completed(void *arg)
{
    return atomic_load((atomic_uint *)arg) > 0;
}

static kvs_status lookups_run(struct session *session, struct lookups *lookups)
{
    lookups->request = (struct kvs_get_many){.size = sizeof(lookups->request),
                                             .lookups = lookups->each,
                                             .lookup_count = LOOKUPS,
                                             .visit = lookups_visit,
                                             .complete = lookups_complete,
                                             .arg = lookups};
    kvs_status status = engine_ops()->get_many(session->db, NULL, &lookups->request);
    if (status != KVS_PENDING) {
        assert_int_equal(0, atomic_load(&lookups->complete_count));
        return status;
    }
    wait_until(is_completed, &lookups->complete_count);
    assert_int_equal(1, atomic_load(&lookups->complete_count));
    return lookups->status;
}

static void test_get_many(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_GET_MANY);
    struct session session;
    char text[KEY_TEXT_MAX];
    char *dir = temp_dir_new();
    struct lookups *lookups = calloc(1, sizeof(*lookups));
    assert_non_null(lookups);
    session_open(&session, dir, NULL);
    for (unsigned i = 0; i < LOOKUPS; i += 2)
        check_set_pattern(&session, key_make(text, "many", i), i, i % 5 == 0 ? 9000 : 64);
    for (unsigned i = 0; i < LOOKUPS; i++) /* the last one is asked for twice */
        lookups->each[i] = (struct kvs_lookup){
            .key = key_make(lookups->keys[i], "many", i + 1 < LOOKUPS ? i : i - 1),
            .status = INT32_MIN};
    assert_int_equal(KVS_OK, lookups_run(&session, lookups));
    assert_int_equal(0, lookups->wrong);
    for (unsigned i = 0; i < LOOKUPS; i++) {
        bool found = i % 2 == 0 || i + 1 == LOOKUPS;
        assert_int_equal(found ? KVS_OK : KVS_NOT_FOUND, lookups->each[i].status);
        assert_int_equal(found ? 1 : 0, lookups->visits[i]);
    }
    lookups->shown = 0;
    lookups->stop_after = 3;
    assert_int_equal(KVS_STOPPED, lookups_run(&session, lookups));
    assert_int_equal(3, lookups->shown);
    free(lookups);
    close_and_free(&session, dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_empty_store),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_reopened),
        cmocka_unit_test(test_while_writing),
        cmocka_unit_test(test_one_moment),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_reverse_in_pieces),
        cmocka_unit_test(test_unordered_refuses),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_get_many),
    };
    return engine_tests_run(argc, argv, "scan", tests, sizeof(tests) / sizeof(tests[0]));
}
