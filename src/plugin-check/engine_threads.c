/* Many threads in one store, and threads that come and go. */
#include <stdlib.h>
#include <string.h>

#include "rules_list.h"
#include "session.h"

#define CROWD       16u
#define OWN_KEYS    60u
#define SHORT_LIVED 200u
#define RACE_KEYS   4u
#define RACE_ROUNDS 400u

/* ---- each with keys of its own ----------------------------------------------------------------- */

struct crowd {
    struct session *session;
    bool attached;
};

static void use_own_keys(void *arg, unsigned index)
{
    const struct crowd *crowd = arg;
    struct session *session = crowd->session;
    struct kvs_tls *tls = crowd->attached ? session_attach(session) : NULL;
    for (unsigned i = 0; i < OWN_KEYS; i++) {
        char text[SESSION_KEY_MAX];
        struct shown shown = {.calls = 0};
        struct kvs_bytes key = session_key(text, index * OWN_KEYS + i);
        check_status(session->check, "set in one of many threads", KVS_OK,
                     session_set(session, tls, key, key, NULL), NULL);
        check_status(session->check, "get in the thread that set the key", KVS_OK,
                     session_get(session, tls, key, &shown, NULL), NULL);
        CHECK(session->check, session_equal(key, (struct kvs_bytes){shown.data, shown.len}),
              "one of many threads read another value than it had set");
        session_forget(&shown);
        if (i % 3 == 0)
            check_status(session->check, "remove in one of many threads", KVS_OK,
                         session_remove(session, tls, key, NULL), NULL);
    }
    session_detach(session, tls);
}

static void run_crowd(struct check *check, bool attached)
{
    struct session session;
    struct crowd crowd = {&session, attached};
    session_open(&session, check);
    check_threads(check, CROWD, use_own_keys, &crowd);
    for (unsigned i = 0; i < CROWD * OWN_KEYS; i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i);
        if (i % OWN_KEYS % 3 == 0)
            session_expect_none(&session, key, "many threads wrote");
        else
            session_expect(&session, key, key, "many threads wrote");
    }
    if (session_has(check, KVS_ENGINE_HAS_STATS)) {
        uint64_t keys = session_count_keys(&session);
        CHECK(check, keys == (uint64_t)CROWD * (OWN_KEYS - OWN_KEYS / 3),
              "stats says %llu keys, not %u", (unsigned long long)keys,
              CROWD * (OWN_KEYS - OWN_KEYS / 3));
    }
    session_close(&session);
}

void engine_threads_many(struct check *check)
{
    run_crowd(check, false);
}

void engine_threads_attached(struct check *check)
{
    run_crowd(check, true);
}

/* ---- short-lived --------------------------------------------------------------------------------- */

static void come_and_go(void *arg, unsigned index)
{
    const struct crowd *crowd = arg;
    struct session *session = crowd->session;
    char text[SESSION_KEY_MAX];
    struct kvs_bytes key = session_key(text, index);
    struct kvs_tls *tls = index % 2 == 0 ? session_attach(session) : NULL;
    check_status(session->check, "set in a short-lived thread", KVS_OK,
                 session_set(session, tls, key, key, NULL), NULL);
    session_expect(session, key, key, "set in a short-lived thread");
    session_detach(session, tls);
}

void engine_threads_short_lived(struct check *check)
{
    struct session session;
    struct crowd crowd = {&session, false};
    session_open(&session, check);
    for (unsigned round = 0; round < 5; round++)
        check_threads(check, SHORT_LIVED, come_and_go, &crowd);
    for (unsigned i = 0; i < SHORT_LIVED; i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i);
        session_expect(&session, key, key, "the threads that set it have ended");
    }
    session_close(&session);
}

/* ---- attach and detach ---------------------------------------------------------------------------- */

struct attached {
    struct session *session;
    struct kvs_tls *tls[8];
};

static void attach_and_end(void *arg, unsigned index)
{
    struct attached *attached = arg;
    char text[SESSION_KEY_MAX];
    struct kvs_bytes key = session_key(text, index);
    attached->tls[index] = session_attach(attached->session);
    check_status(attached->session->check, "set with attached state", KVS_OK,
                 session_set(attached->session, attached->tls[index], key, key, NULL), NULL);
}

void engine_threads_detach_elsewhere(struct check *check)
{
    struct session session;
    struct attached attached = {.session = &session};
    session_open(&session, check);
    check_threads(check, 8, attach_and_end, &attached);
    for (unsigned i = 0; i < 8; i++)
        session_detach(&session, attached.tls[i]);
    session_put(&session, session_text("key"), session_text("value"));
    session_close(&session);
}

/* ---- readers against writers ----------------------------------------------------------------------- */

/* A value that tells whether it is whole: one number, sixteen times. */
struct whole {
    uint32_t numbers[16];
};

struct race {
    struct session *session;
    atomic_uint writers_left;
    _Atomic uint32_t acknowledged[RACE_KEYS]; /* the last number that set returned for; written by
                                                 the key's writer, read before a get (seq_cst) */
};

static void race_write(struct race *race, unsigned index)
{
    struct kvs_tls *tls = session_attach(race->session);
    for (uint32_t round = 1; round <= RACE_ROUNDS; round++) {
        char text[SESSION_KEY_MAX];
        struct whole value;
        unsigned slot = (round * 2 + index) % RACE_KEYS;
        for (unsigned i = 0; i < 16; i++)
            value.numbers[i] = round;
        check_status(race->session->check, "set while others read", KVS_OK,
                     session_set(race->session, tls, session_key(text, slot),
                                 (struct kvs_bytes){&value, sizeof(value)}, NULL),
                     NULL);
        atomic_store(&race->acknowledged[slot], round);
    }
    session_detach(race->session, tls);
    (void)atomic_fetch_sub(&race->writers_left, 1);
}

static void race_read(struct race *race, unsigned index)
{
    struct check *check = race->session->check;
    struct kvs_tls *tls = index % 2 == 0 ? session_attach(race->session) : NULL;
    for (unsigned i = index; atomic_load(&race->writers_left) > 0; i++) {
        char text[SESSION_KEY_MAX];
        struct shown shown = {.calls = 0};
        struct whole value;
        uint32_t acknowledged = atomic_load(&race->acknowledged[i % RACE_KEYS]);
        kvs_status status =
            session_get(race->session, tls, session_key(text, i % RACE_KEYS), &shown, NULL);
        if (status == KVS_NOT_FOUND && acknowledged == 0)
            continue;
        check_status(check, "get while others write", KVS_OK, status, NULL);
        CHECK(check, shown.len == sizeof(value), "get showed a torn value of %llu bytes",
              (unsigned long long)shown.len);
        memcpy(&value, shown.data, sizeof(value));
        for (unsigned n = 1; n < 16; n++)
            CHECK(check, value.numbers[n] == value.numbers[0],
                  "get showed a mixture of two values while another thread set the key");
        CHECK(check, value.numbers[0] >= acknowledged,
              "get went back to value %u after the set of value %u had returned", value.numbers[0],
              acknowledged);
        session_forget(&shown);
    }
    session_detach(race->session, tls);
}

static void race_thread(void *arg, unsigned index)
{
    if (index < 2)
        race_write(arg, index);
    else
        race_read(arg, index);
}

void engine_threads_fresh_and_whole(struct check *check)
{
    struct session session;
    struct race race = {.session = &session, .writers_left = 2};
    session_open(&session, check);
    check_threads(check, 5, race_thread, &race);
    session_close(&session);
}
