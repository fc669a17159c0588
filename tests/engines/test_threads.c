/* Many threads at once: nothing is lost, nobody sees a torn or a foreign value. */
#include "engines/harness.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct crowd {
    struct session *session;
    struct faults faults;
    bool attached;
};

/* ---- a thousand writers, a hundred readers ----------------------------------------------------
 */

#define WRITERS     1000u
#define READERS     100u
#define READER_KEYS 100u
#define VALUE_BYTES 100u

static void write_one(void *arg, unsigned index)
{
    struct crowd *crowd = arg;
    struct test_error error;
    char text[KEY_TEXT_MAX];
    uint8_t value[VALUE_BYTES];
    struct kvs_bytes key = key_make(text, "crowd", index);
    struct kvs_tls *tls = crowd->attached ? session_attach(crowd->session) : NULL;
    test_error_init(&error);
    pattern_make(key, index, value, sizeof(value));
    kvs_status status =
        session_set(crowd->session, tls, key, bytes_of(value, sizeof(value)), &error);
    if (status != KVS_OK)
        faults_add(&crowd->faults, "set gave %d: %s", status, error.message);
    session_detach(crowd->session, tls);
}

static void read_many(void *arg, unsigned index)
{
    struct crowd *crowd = arg;
    struct copy copy = {NULL, 0, 0};
    struct kvs_tls *tls = crowd->attached ? session_attach(crowd->session) : NULL;
    for (unsigned i = 0; i < READER_KEYS; i++) {
        char text[KEY_TEXT_MAX];
        uint64_t number;
        unsigned wanted = (index * READER_KEYS + i) % WRITERS;
        struct kvs_bytes key = key_make(text, "crowd", wanted);
        kvs_status status = session_get(crowd->session, tls, key, &copy, NULL);
        if (status != KVS_OK || !pattern_check(key, bytes_of(copy.data, copy.len), &number) ||
            number != wanted)
            faults_add(&crowd->faults, "key %u: status %d", wanted, status);
    }
    session_detach(crowd->session, tls);
    copy_deinit(&copy);
}

static void run_crowd(bool attached)
{
    struct session session;
    struct crowd crowd = {.session = &session, .attached = attached};
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    run_threads(WRITERS, write_one, &crowd);
    for (int round = 0; round < 2; round++) {
        run_threads(READERS, read_many, &crowd);
        faults_check(&crowd.faults);
        if (engine_has(KVS_ENGINE_HAS_STATS))
            assert_int_equal(WRITERS, session_key_count(&session));
        session_reopen(&session, dir, NULL);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_crowd(void **state)
{
    (void)state;
    run_crowd(false);
}

static void test_crowd_attached(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_THREADS);
    run_crowd(true);
}

/* ---- readers that race with writers, on few keys -----------------------------------------------
 */

#define RACE_KEYS    8u
#define RACE_THREADS 6u
#define RACE_ROUNDS  1200u

struct race {
    struct session *session;
    struct faults faults;
    atomic_uint writers_left;
    _Atomic uint64_t acknowledged[RACE_KEYS]; /* the last number that set returned for */
};

/* Each writer has keys of its own: 0, 2, .. or 1, 3, .. Sizes move between pages and runs of them;
   now and then a key is removed and comes back. */
static void race_write(struct race *race, unsigned index)
{
    static const uint64_t sizes[] = {PATTERN_MIN, 300, 1500, 5000, 40000};
    uint8_t *value = malloc(40000);
    struct kvs_tls *tls = session_attach(race->session);
    for (unsigned round = 1; round <= RACE_ROUNDS; round++) {
        char text[KEY_TEXT_MAX];
        unsigned slot = (round * 2 + index) % RACE_KEYS;
        uint64_t size = sizes[round * 7 % 5];
        struct kvs_bytes key = key_make(text, "race", slot);
        kvs_status status = KVS_OK;
        if (round % 50 == 0)
            status = session_remove(race->session, tls, key, NULL);
        pattern_make(key, round, value, size);
        if (status == KVS_OK || status == KVS_NOT_FOUND)
            status = session_set(race->session, tls, key, bytes_of(value, size), NULL);
        if (status != KVS_OK)
            faults_add(&race->faults, "write gave %d", status);
        atomic_store(&race->acknowledged[slot], round);
    }
    session_detach(race->session, tls);
    free(value);
    (void)atomic_fetch_sub(&race->writers_left, 1);
}

/* What was acknowledged before a get is what it sees, or something newer. */
static void race_read(struct race *race, unsigned index)
{
    struct copy copy = {NULL, 0, 0};
    struct kvs_tls *tls = index % 2 == 0 ? session_attach(race->session) : NULL;
    for (unsigned i = index; atomic_load(&race->writers_left) > 0; i++) {
        char text[KEY_TEXT_MAX];
        uint64_t number;
        unsigned slot = i % RACE_KEYS;
        struct kvs_bytes key = key_make(text, "race", slot);
        uint64_t acknowledged = atomic_load(&race->acknowledged[slot]);
        kvs_status status = session_get(race->session, tls, key, &copy, NULL);
        if (status == KVS_NOT_FOUND)
            continue; /* removed just now, or never set */
        if (status != KVS_OK)
            faults_add(&race->faults, "get gave %d", status);
        else if (!pattern_check(key, bytes_of(copy.data, copy.len), &number))
            faults_add(&race->faults, "a torn or foreign value of %llu bytes in key %u",
                       (unsigned long long)copy.len, slot);
        else if (number < acknowledged)
            faults_add(&race->faults, "key %u went back from %llu to %llu", slot,
                       (unsigned long long)acknowledged, (unsigned long long)number);
    }
    session_detach(race->session, tls);
    copy_deinit(&copy);
}

static void race_thread(void *arg, unsigned index)
{
    if (index < 2)
        race_write(arg, index);
    else
        race_read(arg, index);
}

static void run_race(const struct session_config *config)
{
    struct session session;
    struct race race = {.session = &session, .writers_left = 2};
    char *dir = temp_dir_new();
    session_open(&session, dir, config);
    run_threads(RACE_THREADS, race_thread, &race);
    faults_check(&race.faults);
    for (unsigned slot = 0; slot < RACE_KEYS; slot++) {
        char text[KEY_TEXT_MAX];
        check_pattern(&session, key_make(text, "race", slot),
                      atomic_load(&race.acknowledged[slot]));
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_race(void **state)
{
    (void)state;
    run_race(NULL);
}

static void test_race_always(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_ALWAYS};
    run_race(&config);
}

/* With little room for readers and a map that has to grow all the time, where there are such. */
static void test_race_narrow(void **state)
{
    (void)state;
    static const char *const options[] = {"max-readers=4", "map-size=1m"};
    const struct session_config config = {.options = options, .option_count = 2};
    run_race(&config);
}

/* ---- what one thread wrote another one reads ----------------------------------------------------
 */

#define RELAY_ROUNDS 300u

struct relay {
    struct session *session;
    struct faults faults;
    atomic_uint turn; /* the number that was set last */
};

static void relay_thread(void *arg, unsigned index)
{
    struct relay *relay = arg;
    struct copy copy = {NULL, 0, 0};
    struct kvs_bytes key = bytes_of_text("relay");
    struct kvs_tls *tls = session_attach(relay->session);
    for (;;) {
        unsigned turn = atomic_load(&relay->turn);
        if (turn >= RELAY_ROUNDS)
            break;
        if (turn % 2 != index) {
            (void)sched_yield();
            continue;
        }
        kvs_status status = session_get(relay->session, tls, key, &copy, NULL);
        unsigned found = 0;
        if (status == KVS_OK)
            memcpy(&found, copy.data, sizeof(found));
        if (found != turn)
            faults_add(&relay->faults, "found %u after %u was set (%d)", found, turn, status);
        turn++;
        status = session_set(relay->session, tls, key, bytes_of(&turn, sizeof(turn)), NULL);
        if (status != KVS_OK)
            faults_add(&relay->faults, "set gave %d", status);
        atomic_store(&relay->turn, turn);
    }
    session_detach(relay->session, tls);
    copy_deinit(&copy);
}

static void test_relay(void **state)
{
    (void)state;
    struct session session;
    struct relay relay = {.session = &session};
    unsigned zero = 0;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("relay"), bytes_of(&zero, sizeof(zero)));
    run_threads(2, relay_thread, &relay);
    faults_check(&relay.faults);
    session_close(&session);
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),       cmocka_unit_test(test_crowd_attached),
        cmocka_unit_test(test_race),        cmocka_unit_test(test_race_always),
        cmocka_unit_test(test_race_narrow), cmocka_unit_test(test_relay),
    };
    return engine_tests_run(argc, argv, "threads", tests, sizeof(tests) / sizeof(tests[0]));
}
