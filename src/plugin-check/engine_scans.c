/* scan and get_many. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules_list.h"
#include "session.h"

#define WALK_KEYS    300u
#define PIECES_MAX   10000u
#define LAST_KEY_MAX 64u

/* ---- a walk that counts ---------------------------------------------------------------------- */

struct walk {
    struct session *session;
    unsigned seen[WALK_KEYS]; /* how often session_key(n) was shown */
    unsigned shown;           /* all keys, strange ones included */
    unsigned wrong;           /* whose value is not their key (or empty, keys only) */
    unsigned stop_after;      /* 0: never */
    bool unordered;           /* a key that is not behind the one before it */
    uint32_t flags;
    uint64_t limit;
    uint64_t cursor;
    uint8_t last[LAST_KEY_MAX];
    uint64_t last_len;
};

static int compare(struct kvs_bytes a, struct kvs_bytes b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int32_t walk_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct walk *walk = arg;
    char text[SESSION_KEY_MAX] = "";
    unsigned number = WALK_KEYS;
    bool keys_only = (walk->flags & KVS_SCAN_KEYS_ONLY) != 0;
    if (key.len < sizeof(text))
        memcpy(text, key.ptr, key.len);
    // NOLINTNEXTLINE(cert-err34-c): whatever it makes of a number that large, it is none of the keys
    if (sscanf(text, "k%u", &number) == 1 && number < WALK_KEYS)
        walk->seen[number]++;
    walk->wrong += keys_only ? value.len != 0 : !session_equal(key, value);
    if (walk->last_len > 0) {
        int order = compare((struct kvs_bytes){walk->last, walk->last_len}, key);
        bool reverse = (walk->flags & KVS_SCAN_REVERSE) != 0;
        walk->unordered = walk->unordered || (reverse ? order <= 0 : order >= 0);
    }
    walk->last_len = key.len < LAST_KEY_MAX ? key.len : LAST_KEY_MAX;
    memcpy(walk->last, key.ptr, walk->last_len);
    walk->shown++;
    return walk->stop_after != 0 && walk->shown == walk->stop_after;
}

/* One piece, from where the last one ended. */
static kvs_status walk_piece(struct walk *walk)
{
    struct session *session = walk->session;
    uint8_t bound[LAST_KEY_MAX + 1]; /* not walk->last: the visitor writes that meanwhile */
    struct kvs_scan scan = {.size = (uint32_t)sizeof(scan),
                            .flags = walk->flags,
                            .limit = walk->limit,
                            .cursor = walk->cursor,
                            .visit = walk_visit,
                            .arg = walk};
    if (session_has(session->check, KVS_ENGINE_ORDERED) && walk->last_len > 0) {
        memcpy(bound, walk->last, walk->last_len);
        bound[walk->last_len] = 0; /* a key's successor is the key and a zero */
        if ((walk->flags & KVS_SCAN_REVERSE) != 0)
            scan.to = (struct kvs_bytes){bound, walk->last_len};
        else
            scan.from = (struct kvs_bytes){bound, walk->last_len + 1};
    }
    kvs_status status = session->ops->scan(session->db, NULL, &scan, NULL);
    walk->cursor = scan.cursor;
    return status;
}

/* All pieces to the end. */
static void walk_whole(struct walk *walk)
{
    struct check *check = walk->session->check;
    unsigned pieces = 0;
    do {
        check_status(check, "scan", KVS_OK, walk_piece(walk), NULL);
        CHECK(check, ++pieces < PIECES_MAX, "a scan does not end: %u pieces, %u keys", pieces,
              walk->shown);
    } while (walk->cursor != 0);
}

static void fill(struct session *session)
{
    for (unsigned i = 0; i < WALK_KEYS; i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i * 7919u % WALK_KEYS);
        session_put(session, key, key);
    }
}

static void expect_whole(struct walk *walk, bool exactly_once)
{
    struct check *check = walk->session->check;
    for (unsigned i = 0; i < WALK_KEYS; i++) {
        CHECK(check, walk->seen[i] > 0, "the scan missed a key: number %u of %u", i, WALK_KEYS);
        CHECK(check, !exactly_once || walk->seen[i] == 1, "the scan showed a key %u times",
              walk->seen[i]);
    }
    CHECK(check, walk->wrong == 0, "the scan showed %u keys with a wrong value", walk->wrong);
}

void engine_scan_all(struct check *check)
{
    struct session session;
    struct walk walk = {.session = &session};
    session_open(&session, check);
    walk_whole(&walk);
    CHECK(check, walk.shown == 0, "the scan of an empty store showed %u keys", walk.shown);
    fill(&session);
    walk_whole(&walk);
    expect_whole(&walk, true);
    CHECK(check, walk.shown == WALK_KEYS, "the scan showed %u keys of %u", walk.shown, WALK_KEYS);
    session_close(&session);
}

void engine_scan_pieces(struct check *check)
{
    static const uint64_t limits[] = {1, 7, 100, WALK_KEYS, WALK_KEYS + 1};
    struct session session;
    session_open(&session, check);
    fill(&session);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct walk walk = {.session = &session, .limit = limits[i]};
        walk_whole(&walk);
        expect_whole(&walk, true);
    }
    session_close(&session);
}

void engine_scan_keys_only(struct check *check)
{
    struct session session;
    struct walk walk = {.session = &session, .flags = KVS_SCAN_KEYS_ONLY};
    session_open(&session, check);
    fill(&session);
    walk_whole(&walk);
    expect_whole(&walk, true);
    session_close(&session);
}

void engine_scan_stopped(struct check *check)
{
    struct session session;
    struct walk walk = {.session = &session, .stop_after = 10};
    session_open(&session, check);
    fill(&session);
    check_status(check, "scan with a visitor that returns 1", KVS_STOPPED, walk_piece(&walk), NULL);
    CHECK(check, walk.shown == 10, "the visitor stopped at 10 keys, %u were shown", walk.shown);
    walk.stop_after = 0;
    walk_whole(&walk);
    expect_whole(&walk, false);
    session_close(&session);
}

void engine_scan_reopened(struct check *check)
{
    struct session session;
    struct walk walk = {.session = &session, .limit = 50};
    unsigned pieces = 0;
    session_open(&session, check);
    fill(&session);
    do {
        check_status(check, "scan of a store that was reopened meanwhile", KVS_OK,
                     walk_piece(&walk), NULL);
        session_reopen(&session);
        CHECK(check, ++pieces < PIECES_MAX, "a scan does not end");
    } while (walk.cursor != 0);
    expect_whole(&walk, false);
    session_close(&session);
}

/* ---- while the store changes ------------------------------------------------------------------ */

struct churn {
    struct session *session;
    atomic_bool over;
};

static void churn_keys(void *arg, unsigned index)
{
    struct churn *churn = arg;
    struct session *session = churn->session;
    for (unsigned i = 0; index < 2 && !atomic_load(&churn->over); i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, 10000 + (i * 2 + index) % 2000);
        session_put(session, key, key);
        if (i % 3 == 0)
            session_drop(session, key);
        key = session_key(text, (i * 31 + index) % WALK_KEYS);
        session_put(session, key, key);
    }
    for (unsigned round = 0; index == 2 && round < 4; round++) {
        struct walk walk = {.session = session, .limit = round % 2 == 0 ? 40 : 0};
        walk_whole(&walk);
        expect_whole(&walk, session_has(session->check, KVS_ENGINE_ORDERED));
    }
    if (index == 2)
        atomic_store(&churn->over, true);
}

void engine_scan_while_writing(struct check *check)
{
    struct session session;
    struct churn state = {.session = &session};
    session_open(&session, check);
    fill(&session);
    check_threads(check, 3, churn_keys, &state);
    session_close(&session);
}

#define MOMENT_KEYS 16u

struct moment {
    uint64_t first;
    unsigned shown;
    bool mixed;
};

static int32_t moment_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct moment *moment = arg;
    uint64_t number = UINT64_MAX;
    (void)key;
    if (value.len == sizeof(number))
        memcpy(&number, value.ptr, sizeof(number));
    if (moment->shown++ == 0)
        moment->first = number;
    moment->mixed = moment->mixed || number != moment->first;
    return 0;
}

/* Thread 0 sets all keys to one number in a batch, again and again; thread 1 scans. */
static void see_one_moment(void *arg, unsigned index)
{
    struct churn *churn = arg;
    struct session *session = churn->session;
    for (uint64_t number = 1; index == 0 && !atomic_load(&churn->over); number++) {
        struct kvs_op ops[MOMENT_KEYS];
        char keys[MOMENT_KEYS][SESSION_KEY_MAX];
        for (unsigned i = 0; i < MOMENT_KEYS; i++)
            ops[i] = session_op_set(session_key(keys[i], i),
                                    (struct kvs_bytes){&number, sizeof(number)});
        check_status(session->check, "submit", KVS_OK, session_submit(session, ops, MOMENT_KEYS, 0),
                     NULL);
    }
    for (unsigned round = 0; index == 1 && round < 200; round++) {
        struct moment moment = {.shown = 0};
        struct kvs_scan scan = {
            .size = (uint32_t)sizeof(scan), .visit = moment_visit, .arg = &moment};
        check_status(session->check, "scan", KVS_OK,
                     session->ops->scan(session->db, NULL, &scan, NULL), NULL);
        CHECK(session->check, !moment.mixed && (moment.shown == 0 || moment.shown == MOMENT_KEYS),
              "one scan saw the keys of one batch at different moments (%u of %u keys)",
              moment.shown, MOMENT_KEYS);
    }
    if (index == 1)
        atomic_store(&churn->over, true);
}

void engine_scan_snapshot(struct check *check)
{
    struct session session;
    struct churn state = {.session = &session};
    session_open(&session, check);
    check_threads(check, 2, see_one_moment, &state);
    session_close(&session);
}

/* ---- ranges ----------------------------------------------------------------------------------- */

static int32_t list_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    char *list = arg;
    size_t size = strlen(list);
    (void)value;
    if (size + key.len + 2 <= 128) {
        memcpy(list + size, key.ptr, key.len);
        list[size + key.len] = ' ';
    }
    return 0;
}

struct range {
    const char *from, *to, *prefix;
    uint32_t flags;
    uint64_t limit;
    const char *expected;
};

static void expect_range(struct session *session, const struct range *range)
{
    char list[128] = "";
    struct kvs_scan scan = {.size = (uint32_t)sizeof(scan),
                            .flags = range->flags,
                            .from = session_text(range->from),
                            .to = session_text(range->to),
                            .prefix = session_text(range->prefix),
                            .limit = range->limit,
                            .visit = list_visit,
                            .arg = list};
    check_status(session->check, "scan of a range", KVS_OK,
                 session->ops->scan(session->db, NULL, &scan, NULL), NULL);
    CHECK(session->check, strcmp(list, range->expected) == 0,
          "a scan%s from '%s' to '%s' with the prefix '%s' showed '%s', not '%s'",
          (range->flags & KVS_SCAN_REVERSE) != 0 ? " in reverse" : "", range->from, range->to,
          range->prefix, list, range->expected);
}

void engine_scan_ranges(struct check *check)
{
    static const char *const keys[] = {"b", "a", "ab", "abc", "c", "bb"};
    static const struct range ranges[] = {
        {"", "", "", 0, 0, "a ab abc b bb c "},
        {"", "", "", KVS_SCAN_REVERSE, 0, "c bb b abc ab a "},
        {"ab", "", "", 0, 0, "ab abc b bb c "},
        {"", "b", "", 0, 0, "a ab abc "},
        {"aa", "bb", "", 0, 0, "ab abc b "},
        {"aa", "bb", "", KVS_SCAN_REVERSE, 0, "b abc ab "},
        {"", "", "a", 0, 0, "a ab abc "},
        {"", "", "a", KVS_SCAN_REVERSE, 0, "abc ab a "},
        {"ab", "abc", "a", 0, 0, "ab "},
        {"b", "a", "", 0, 0, ""},
        {"", "", "x", 0, 0, ""},
        {"", "", "x", KVS_SCAN_REVERSE, 0, ""},
    };
    struct session session;
    session_open(&session, check);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        session_put(&session, session_text(keys[i]), session_text("v"));
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        expect_range(&session, &ranges[i]);
    session_close(&session);
}

void engine_scan_order(struct check *check)
{
    static const uint32_t flags[] = {0, KVS_SCAN_REVERSE};
    struct session session;
    session_open(&session, check);
    fill(&session);
    for (unsigned i = 0; i < 2; i++) {
        struct walk walk = {.session = &session, .flags = flags[i], .limit = 70};
        walk_whole(&walk);
        expect_whole(&walk, true);
        CHECK(check, !walk.unordered, "a scan of an ORDERED engine showed keys out of order");
    }
    session_close(&session);
}

void engine_scan_prefix(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("ab"), session_text("v"));
    session_put(&session, session_text("b"), session_text("v"));
    session_put(&session, session_text("a"), session_text("v"));
    expect_range(&session, &(struct range){"", "", "b", 0, 0, "b "});
    expect_range(&session, &(struct range){"", "", "ab", 0, 0, "ab "});
    session_close(&session);
}

void engine_scan_unordered_refuses(struct check *check)
{
    struct session session;
    struct kvs_scan scan = {.size = (uint32_t)sizeof(scan), .visit = walk_visit};
    struct walk walk = {.session = &session};
    scan.arg = &walk;
    session_open(&session, check);
    fill(&session);
    scan.flags = KVS_SCAN_REVERSE;
    check_status(check, "a reverse scan of an engine that is not ORDERED", KVS_UNSUPPORTED,
                 session.ops->scan(session.db, NULL, &scan, NULL), NULL);
    scan.flags = 0;
    scan.from = session_text("k");
    check_status(check, "a scan with from of an engine that is not ORDERED", KVS_UNSUPPORTED,
                 session.ops->scan(session.db, NULL, &scan, NULL), NULL);
    scan.from = (struct kvs_bytes){NULL, 0};
    scan.to = session_text("k");
    check_status(check, "a scan with to of an engine that is not ORDERED", KVS_UNSUPPORTED,
                 session.ops->scan(session.db, NULL, &scan, NULL), NULL);
    CHECK(check, walk.shown == 0, "a refused scan showed %u keys", walk.shown);
    session_close(&session);
}

/* ---- get_many ----------------------------------------------------------------------------------- */

#define LOOKUPS 64u

struct lookups {
    struct kvs_get_many request;
    struct check_error error;
    struct session *session;
    struct kvs_lookup each[LOOKUPS];
    char keys[LOOKUPS][SESSION_KEY_MAX];
    unsigned visits[LOOKUPS];
    unsigned shown;
    unsigned stop_after;
    atomic_uint inside; /* visitors now: never two */
    kvs_status status;
    atomic_uint completions; /* released after status, as in session.c */
};

static int32_t lookups_visit(void *arg, uint64_t index, struct kvs_bytes value)
{
    struct lookups *lookups = arg;
    struct check *check = lookups->session->check;
    CHECK(check, atomic_fetch_add(&lookups->inside, 1) == 0,
          "get_many called its visitor twice at once");
    CHECK(check, index < LOOKUPS, "get_many showed the lookup %llu of %u",
          (unsigned long long)index, LOOKUPS);
    CHECK(check, session_equal(value, lookups->each[index].key), "get_many showed a wrong value");
    lookups->visits[index]++;
    lookups->shown++;
    (void)atomic_fetch_sub(&lookups->inside, 1);
    return lookups->stop_after != 0 && lookups->shown == lookups->stop_after;
}

static void lookups_complete(void *arg, struct kvs_get_many *request, kvs_status status)
{
    struct lookups *lookups = arg;
    (void)request;
    lookups->status = status;
    (void)atomic_fetch_add_explicit(&lookups->completions, 1, memory_order_release);
}

static bool is_completed(void *arg)
{
    struct lookups *lookups = arg;
    return atomic_load_explicit(&lookups->completions, memory_order_acquire) > 0;
}

/* Looks LOOKUPS keys up, from number first. The final status. */
static kvs_status lookups_run(struct lookups *lookups, struct session *session, unsigned first)
{
    const struct timespec settle_time = {0, 1000000};
    check_error_init(&lookups->error);
    lookups->session = session;
    for (unsigned i = 0; i < LOOKUPS; i++)
        lookups->each[i] = (struct kvs_lookup){.key = session_key(lookups->keys[i], first + i),
                                               .status = INT32_MIN};
    lookups->request = (struct kvs_get_many){.size = (uint32_t)sizeof(lookups->request),
                                             .lookups = lookups->each,
                                             .lookup_count = LOOKUPS,
                                             .visit = lookups_visit,
                                             .complete = lookups_complete,
                                             .arg = lookups,
                                             .err = &lookups->error.error};
    kvs_status status = session->ops->get_many(session->db, NULL, &lookups->request);
    if (status == KVS_PENDING) {
        if (!check_wait_quietly(session->check, is_completed, lookups))
            check_fail(session->check, "get_many gave KVS_PENDING and complete() was never called");
        (void)nanosleep(&settle_time, NULL);
    }
    unsigned completions = atomic_load(&lookups->completions);
    CHECK(session->check, completions == (status == KVS_PENDING ? 1u : 0u),
          "get_many gave '%s', and complete() was called %u times", kvs_status_text(status),
          completions);
    return status == KVS_PENDING ? lookups->status : status;
}

void engine_get_many_found(struct check *check)
{
    struct session session;
    struct lookups *lookups = check_memory(check, sizeof(*lookups));
    session_open(&session, check);
    for (unsigned i = 0; i < LOOKUPS; i += 2) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i);
        session_put(&session, key, key);
    }
    check_status(check, "get_many", KVS_OK, lookups_run(lookups, &session, 0), &lookups->error);
    for (unsigned i = 0; i < LOOKUPS; i++) {
        check_status(check, "a lookup of get_many", i % 2 == 0 ? KVS_OK : KVS_NOT_FOUND,
                     lookups->each[i].status, NULL);
        CHECK(check, lookups->visits[i] == (i % 2 == 0 ? 1u : 0u),
              "get_many called the visitor %u times for a key that is %s", lookups->visits[i],
              i % 2 == 0 ? "there" : "missing");
    }
    free(lookups);
    session_close(&session);
}

void engine_get_many_stopped(struct check *check)
{
    struct session session;
    struct lookups *lookups = check_memory(check, sizeof(*lookups));
    session_open(&session, check);
    fill(&session);
    lookups->stop_after = 3;
    check_status(check, "get_many with a visitor that returns 1", KVS_STOPPED,
                 lookups_run(lookups, &session, 0), &lookups->error);
    CHECK(check, lookups->shown == 3, "the visitor stopped at 3 values, %u were shown",
          lookups->shown);
    free(lookups);
    session_close(&session);
}

static void look_up(void *arg, unsigned index)
{
    struct session *session = arg;
    for (unsigned round = 0; round < 50; round++) {
        struct lookups *lookups = check_memory(session->check, sizeof(*lookups));
        check_status(session->check, "get_many", KVS_OK,
                     lookups_run(lookups, session, (round + index * 17) % (WALK_KEYS - LOOKUPS)),
                     &lookups->error);
        CHECK(session->check, lookups->shown == LOOKUPS, "get_many showed %u of %u", lookups->shown,
              LOOKUPS);
        free(lookups);
    }
}

void engine_get_many_completes_once(struct check *check)
{
    struct session session;
    session_open(&session, check);
    fill(&session);
    check_threads(check, 4, look_up, &session);
    session_close(&session);
}
