/* sync, stats, checkpoint, compact, verify, repair: what is done to a store beside using it. */
#include "engines/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a writer in the background
 * ------------------------------------------------------------------ */

#define PAIRS 200u

/* Sets "left-n" and "right-n" to the same number in one batch each, round and round. */
struct background {
    struct session *session;
    struct faults faults;
    atomic_bool stopping;
    _Atomic uint64_t rounds; /* that were acknowledged */
    void (*foreground)(struct background *background);
};

static kvs_status write_pair(struct session *session, unsigned index, uint64_t number)
{
    char texts[2][KEY_TEXT_MAX];
    uint8_t values[2][300];
    struct kvs_op ops[2];
    for (unsigned i = 0; i < 2; i++) {
        struct kvs_bytes key = key_make(texts[i], i == 0 ? "left" : "right", index);
        pattern_make(key, number, values[i], sizeof(values[i]));
        ops[i] = op_set(key, bytes_of(values[i], sizeof(values[i])));
        if (!engine_has(KVS_ENGINE_HAS_SUBMIT)) {
            kvs_status status = session_set(session, NULL, key, ops[i].value, NULL);
            if (status != KVS_OK)
                return status;
        }
    }
    if (!engine_has(KVS_ENGINE_HAS_SUBMIT))
        return KVS_OK;
    return session_submit(session, NULL, ops, 2, 0, NULL);
}

static void background_write(struct background *background)
{
    for (uint64_t number = 1; !atomic_load(&background->stopping); number++) {
        for (unsigned index = 0; index < PAIRS && !atomic_load(&background->stopping); index++) {
            kvs_status status = write_pair(background->session, index, number);
            if (status != KVS_OK)
                faults_add(&background->faults, "a write gave %d", status);
        }
        (void)atomic_fetch_add(&background->rounds, 1);
    }
}

static void background_read(struct background *background)
{
    struct copy copy = {NULL, 0, 0};
    for (unsigned i = 0; !atomic_load(&background->stopping); i++) {
        char text[KEY_TEXT_MAX];
        uint64_t number;
        struct kvs_bytes key = key_make(text, "kept", i % 500);
        kvs_status status = session_get(background->session, NULL, key, &copy, NULL);
        if (status != KVS_OK || !pattern_check(key, bytes_of(copy.data, copy.len), &number) ||
            number != i % 500)
            faults_add(&background->faults, "key %u: status %d", i % 500, status);
    }
    copy_deinit(&copy);
}

static void background_thread(void *arg, unsigned index)
{
    struct background *background = arg;
    if (index == 0)
        background_write(background);
    else if (index == 1)
        background_read(background);
    else
        background->foreground(background);
    if (index == 2)
        atomic_store(&background->stopping, true);
}

/* "kept-n" = n for the background's readers. */
static void fill_kept(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < 500; i++)
        check_set_pattern(session, key_make(text, "kept", i), i, i % 10 == 0 ? 20000 : 100);
}

static void check_kept(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < 500; i++)
        check_pattern(session, key_make(text, "kept", i), i);
}

/* Both halves of each pair have the same number where batches are atomic; at least this one. */
static void check_pairs(struct session *session, uint64_t number_min)
{
    struct copy copy = {NULL, 0, 0};
    for (unsigned index = 0; index < PAIRS; index++) {
        uint64_t numbers[2] = {0, 0};
        for (unsigned i = 0; i < 2; i++) {
            char text[KEY_TEXT_MAX];
            struct kvs_bytes key = key_make(text, i == 0 ? "left" : "right", index);
            assert_int_equal(KVS_OK, session_get(session, NULL, key, &copy, NULL));
            assert_true(pattern_check(key, bytes_of(copy.data, copy.len), &numbers[i]));
            assert_true(numbers[i] >= number_min);
        }
        if (engine_has(KVS_ENGINE_BATCH_ATOMIC))
            assert_int_equal(numbers[0], numbers[1]);
    }
    copy_deinit(&copy);
}

static void fill_pairs(struct session *session)
{
    for (unsigned index = 0; index < PAIRS; index++)
        assert_int_equal(KVS_OK, write_pair(session, index, 0));
}

/* ---- sync and stats
 * -------------------------------------------------------------------------------- */

static void test_sync(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SYNC);
    for (uint32_t mode = KVS_DURABILITY_ALWAYS; mode <= KVS_DURABILITY_NONE; mode++) {
        const struct session_config config = {.durability = mode};
        struct session session;
        struct test_error error;
        char *dir = temp_dir_new();
        test_error_init(&error);
        session_open(&session, dir, &config);
        assert_status(KVS_OK, engine_ops()->sync(session.db, &error.error), &error);
        check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
        assert_status(KVS_OK, engine_ops()->sync(session.db, &error.error), &error);
        session_reopen(&session, dir, &config);
        check_value(&session, bytes_of_text("key"), bytes_of_text("value"));
        session_close(&session);
        temp_dir_free(dir);
    }
}

struct figures {
    unsigned count;
    unsigned misnamed;
    unsigned keys_count; /* how often "keys" was shown */
    uint64_t keys;
};

static void take_figure(void *arg, const char *name, uint64_t value)
{
    struct figures *figures = arg;
    figures->count++;
    if (name[0] == '\0' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        figures->misnamed++;
    if (strcmp(name, "keys") == 0) {
        figures->keys_count++;
        figures->keys = value;
    }
}

static void test_stats(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_STATS);
    static const uint64_t expected[] = {0, 1, 2, 2, 1, 1, 0};
    struct session session;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    for (unsigned step = 0; step < sizeof(expected) / sizeof(expected[0]); step++) {
        struct figures figures = {0};
        if (step == 1 || step == 3)
            check_set(&session, bytes_of_text("a"), bytes_of_text("value"));
        if (step == 2)
            check_set(&session, bytes_of_text("b"), bytes_of_text("value"));
        if (step == 4 || step == 5)
            (void)session_remove(&session, NULL, bytes_of_text("b"), NULL);
        if (step == 6)
            (void)session_remove(&session, NULL, bytes_of_text("a"), NULL);
        engine_ops()->stats(session.db, take_figure, &figures);
        assert_int_equal(0, figures.misnamed);
        assert_int_equal(1, figures.keys_count);
        assert_int_equal(expected[step], figures.keys);
    }
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- checkpoint
 * -------------------------------------------------------------------------------------- */

/* Looks for both halves of a pair in a copy, from a worker thread. */
static void check_copied_pair(struct background *background, struct session *copied, unsigned index,
                              uint64_t acknowledged)
{
    struct copy copy = {NULL, 0, 0};
    uint64_t numbers[2] = {0, 0};
    for (unsigned i = 0; i < 2; i++) {
        char text[KEY_TEXT_MAX];
        struct kvs_bytes key = key_make(text, i == 0 ? "left" : "right", index);
        if (session_get(copied, NULL, key, &copy, NULL) != KVS_OK ||
            !pattern_check(key, bytes_of(copy.data, copy.len), &numbers[i]))
            faults_add(&background->faults, "the copy lacks %s", text);
    }
    if (numbers[0] < acknowledged ||
        (engine_has(KVS_ENGINE_BATCH_ATOMIC) && numbers[0] != numbers[1]))
        faults_add(&background->faults, "pair %u: %llu and %llu, %llu acknowledged", index,
                   (unsigned long long)numbers[0], (unsigned long long)numbers[1],
                   (unsigned long long)acknowledged);
    copy_deinit(&copy);
}

/* A copy opens as a store and holds at least what was acknowledged before it began. */
static void copy_and_check(struct background *background)
{
    for (unsigned round = 0; round < 3; round++) {
        struct session copied;
        struct test_error error;
        char *path = temp_dir_new();
        test_error_init(&error);
        uint64_t acknowledged = atomic_load(&background->rounds);
        kvs_status status = engine_ops()->checkpoint(background->session->db, path, &error.error);
        if (status == KVS_OK)
            status = session_try_open(&copied, path, NULL, &error);
        if (status == KVS_OK) {
            for (unsigned index = 0; index < PAIRS; index++)
                check_copied_pair(background, &copied, index, acknowledged);
            status = session_try_close(&copied, &error);
        }
        if (status != KVS_OK)
            faults_add(&background->faults, "a checkpoint gave %d: %s", status, error.message);
        temp_dir_free(path);
    }
}

static void test_checkpoint(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_CHECKPOINT);
    struct session session;
    struct session copied;
    struct background background = {.session = &session, .foreground = copy_and_check};
    struct test_error error;
    char *dir = temp_dir_new();
    char *path = temp_dir_new();
    test_error_init(&error);
    session_open(&session, dir, NULL);
    assert_status(KVS_OK, engine_ops()->checkpoint(session.db, path, &error.error), &error);
    session_open(&copied, path, NULL); /* of a store without keys */
    session_close(&copied);
    temp_dir_free(path);

    fill_kept(&session);
    fill_pairs(&session);
    run_threads(3, background_thread, &background);
    faults_check(&background.faults);

    path = temp_dir_new();
    assert_status(KVS_OK, engine_ops()->checkpoint(session.db, path, &error.error), &error);
    check_set(&session, bytes_of_text("later"), bytes_of_text("value"));
    session_open(&copied, path, NULL);
    check_kept(&copied);
    check_pairs(&copied, 0);
    check_missing(&copied, bytes_of_text("later"));
    if (engine_has(KVS_ENGINE_HAS_STATS))
        assert_int_equal(500 + 2 * PAIRS, session_key_count(&copied));
    check_set(&copied, bytes_of_text("only in the copy"), bytes_of_text("value"));
    session_close(&copied);
    check_missing(&session, bytes_of_text("only in the copy"));
    session_close(&session);
    temp_dir_free(path);
    temp_dir_free(dir);
}

static void test_checkpoint_into_nothing(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_CHECKPOINT);
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    char *path = path_join(dir, "is not there");
    test_error_init(&error);
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
    assert_true(engine_ops()->checkpoint(session.db, path, &error.error) < 0);
    assert_true(strlen(error.message) > 0);
    check_set(&session, bytes_of_text("key"), bytes_of_text("other"));
    check_value(&session, bytes_of_text("key"), bytes_of_text("other"));
    session_close(&session);
    free(path);
    temp_dir_free(dir);
}

/* ---- compact
 * ------------------------------------------------------------------------------------------- */

#define LITTER_KEYS  400u
#define LITTER_BYTES 30000u
/* Half of what the removed values took at the end; overwritten ones come on top of that. */
#define LITTER_DEAD_MIN ((uint64_t)LITTER_KEYS * 19 / 20 * (LITTER_BYTES + 10000) / 2)

/* Many overwrites and removals, which leave much behind that is not live. */
static void litter(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < LITTER_KEYS; i++)
            check_set_pattern(session, key_make(text, "litter", i), round,
                              LITTER_BYTES + round * 5000);
    }
    for (unsigned i = 0; i < LITTER_KEYS; i++) {
        if (i % 20 != 0)
            assert_int_equal(KVS_OK,
                             session_remove(session, NULL, key_make(text, "litter", i), NULL));
    }
}

static void check_litter(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < LITTER_KEYS; i++) {
        if (i % 20 == 0)
            check_pattern(session, key_make(text, "litter", i), 2);
        else
            check_missing(session, key_make(text, "litter", i));
    }
}

static void compact_several_times(struct background *background)
{
    for (unsigned round = 0; round < 5; round++) {
        struct test_error error;
        test_error_init(&error);
        kvs_status status = engine_ops()->compact(background->session->db, &error.error);
        if (status != KVS_OK)
            faults_add(&background->faults, "compact gave %d: %s", status, error.message);
    }
}

static void run_compact(uint32_t durability)
{
    engine_require(KVS_ENGINE_HAS_COMPACT);
    /* Small segments, where there are such: a store of a few of them has something to give back. */
    static const char *const options[] = {"segment-size=1m"};
    const struct session_config config = {
        .durability = durability, .options = options, .option_count = 1};
    struct session session;
    struct test_error error;
    struct background background = {.session = &session, .foreground = compact_several_times};
    char *dir = temp_dir_new();
    test_error_init(&error);
    session_open(&session, dir, &config);
    fill_kept(&session);
    fill_pairs(&session);
    litter(&session);
    uint64_t before = dir_disk_bytes(dir);
    assert_status(KVS_OK, engine_ops()->compact(session.db, &error.error), &error);
    uint64_t after = dir_disk_bytes(dir);
    if (after + LITTER_DEAD_MIN > before)
        print_error("%llu bytes before, %llu after\n", (unsigned long long)before,
                    (unsigned long long)after);
    assert_true(after + LITTER_DEAD_MIN <= before);
    check_litter(&session);
    check_kept(&session);
    check_pairs(&session, 0);

    run_threads(3, background_thread, &background);
    faults_check(&background.faults);
    for (int round = 0; round < 2; round++) {
        check_litter(&session);
        check_kept(&session);
        check_pairs(&session,
                    atomic_load(&background.rounds) > 0 ? atomic_load(&background.rounds) - 1 : 0);
        session_reopen(&session, dir, &config);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_compact(void **state)
{
    (void)state;
    run_compact(KVS_DURABILITY_NONE);
}

static void test_compact_always(void **state)
{
    (void)state;
    run_compact(KVS_DURABILITY_ALWAYS);
}

/* ---- verify and repair
 * ------------------------------------------------------------------------------------ */

struct findings {
    unsigned count; /* warnings and errors */
    char first[KVS_ERROR_MESSAGE_MAX];
};

static void take_finding(void *arg, uint32_t level, const char *message)
{
    struct findings *findings = arg;
    if (level <= KVS_LOG_WARN && findings->count++ == 0)
        (void)snprintf(findings->first, sizeof(findings->first), "%s", message);
}

/* Calls verify, or repair into target when that is not NULL, on a store that nobody has open. */
static kvs_status inspect(const char *dir, const char *target, struct findings *findings,
                          struct test_error *error)
{
    struct session host; /* for its host services only: open on another folder */
    char *host_dir = temp_dir_new();
    session_open(&host, host_dir, NULL);
    struct kvs_engine_config config = {.size = sizeof(config),
                                       .flags = KVS_OPEN_READ_ONLY,
                                       .durability = KVS_DURABILITY_NONE,
                                       .sync_interval_ms = 100,
                                       .data_dir = dir,
                                       .host = plugin_host_services(host.host)};
    kvs_status status =
        target == NULL
            ? engine_ops()->verify(&config, take_finding, findings, &error->error)
            : engine_ops()->repair(&config, target, take_finding, findings, &error->error);
    session_close(&host);
    temp_dir_free(host_dir);
    return status;
}

static void test_verify_and_repair(void **state)
{
    (void)state;
    if (!engine_has(KVS_ENGINE_HAS_VERIFY) && !engine_has(KVS_ENGINE_HAS_REPAIR))
        engine_require(KVS_ENGINE_HAS_VERIFY);
    struct session session;
    struct test_error error;
    struct findings findings = {0};
    char *dir = temp_dir_new();
    char *target = temp_dir_new();
    test_error_init(&error);
    session_open(&session, dir, NULL);
    fill_kept(&session);
    litter(&session);
    session_close(&session);
    uint64_t before = dir_disk_bytes(dir);
    if (engine_has(KVS_ENGINE_HAS_VERIFY)) {
        assert_status(KVS_OK, inspect(dir, NULL, &findings, &error), &error);
        if (findings.count > 0)
            print_error("%s\n", findings.first);
        assert_int_equal(0, findings.count);
    }
    if (engine_has(KVS_ENGINE_HAS_REPAIR)) {
        assert_status(KVS_OK, inspect(dir, target, &findings, &error), &error);
        assert_int_equal(0, findings.count);
        session_open(&session, target, NULL);
        check_kept(&session);
        check_litter(&session);
        session_close(&session);
    }
    assert_int_equal(before, dir_disk_bytes(dir));
    session_open(&session, dir, NULL);
    check_kept(&session);
    session_close(&session);
    temp_dir_free(target);
    temp_dir_free(dir);
}

static void test_verify_of_nothing(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_VERIFY);
    struct test_error error;
    struct findings findings = {0};
    char *dir = temp_dir_new();
    test_error_init(&error);
    assert_true(inspect(dir, NULL, &findings, &error) < 0);
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_checkpoint_into_nothing),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_compact_always),
        cmocka_unit_test(test_verify_and_repair),
        cmocka_unit_test(test_verify_of_nothing),
    };
    return engine_tests_run(argc, argv, "upkeep", tests, sizeof(tests) / sizeof(tests[0]));
}
