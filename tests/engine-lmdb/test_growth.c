/* A map that has to grow under its readers, and readers that have to share few slots. */
#include "engines/harness.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void take_growths(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "map_growths_total") == 0)
        *(uint64_t *)arg = value;
}

static uint64_t growths(struct session *session)
{
    uint64_t count = UINT64_MAX;
    engine_ops()->stats(session->db, take_growths, &count);
    assert_true(count != UINT64_MAX);
    return count;
}

/* ---- growth under everything that reads ---------------------------------------------------------- */

#define GROWTH_KEYS  1500u
#define GROWTH_BYTES 60000u
#define GROWTH_KINDS 6u

struct growth {
    struct session *session;
    struct faults faults;
    atomic_uint written; /* keys below this are there */
    atomic_bool stopping;
};

static void write_keys(struct growth *growth)
{
    uint8_t *value = malloc(GROWTH_BYTES);
    for (unsigned i = 0; i < GROWTH_KEYS; i++) {
        char text[KEY_TEXT_MAX];
        struct kvs_bytes key = key_make(text, "growth", i);
        pattern_make(key, i, value, GROWTH_BYTES);
        kvs_status status =
            session_set(growth->session, NULL, key, bytes_of(value, GROWTH_BYTES), NULL);
        if (status != KVS_OK)
            faults_add(&growth->faults, "set gave %d", status);
        atomic_store(&growth->written, i + 1);
    }
    free(value);
    atomic_store(&growth->stopping, true);
}

static void read_keys(struct growth *growth, bool attached)
{
    struct copy copy = {NULL, 0, 0};
    struct kvs_tls *tls = attached ? session_attach(growth->session) : NULL;
    for (unsigned i = 0; !atomic_load(&growth->stopping); i++) {
        char text[KEY_TEXT_MAX];
        uint64_t number;
        unsigned written = atomic_load(&growth->written);
        if (written == 0)
            continue;
        unsigned wanted = i * 7919 % written;
        struct kvs_bytes key = key_make(text, "growth", wanted);
        kvs_status status = session_get(growth->session, tls, key, &copy, NULL);
        if (status != KVS_OK || !pattern_check(key, bytes_of(copy.data, copy.len), &number) ||
            number != wanted)
            faults_add(&growth->faults, "key %u of %u: %d", wanted, written, status);
    }
    session_detach(growth->session, tls);
    copy_deinit(&copy);
}

struct tally {
    unsigned shown;
    unsigned wrong;
};

static int32_t tally_visit(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct tally *tally = arg;
    uint64_t number;
    tally->shown++;
    if (!pattern_check(key, value, &number))
        tally->wrong++;
    return 0;
}

static void scan_keys(struct growth *growth)
{
    while (!atomic_load(&growth->stopping)) {
        unsigned written = atomic_load(&growth->written);
        struct tally tally = {0, 0};
        struct kvs_scan scan = {.size = sizeof(scan), .visit = tally_visit, .arg = &tally};
        kvs_status status = engine_ops()->scan(growth->session->db, NULL, &scan, NULL);
        if (status != KVS_OK || tally.shown < written || tally.wrong > 0)
            faults_add(&growth->faults, "scan gave %d, %u of %u, %u wrong", status, tally.shown,
                       written, tally.wrong);
    }
}

static void copy_keys(struct growth *growth)
{
    while (!atomic_load(&growth->stopping)) {
        char *path = temp_dir_new();
        kvs_status status = engine_ops()->checkpoint(growth->session->db, path, NULL);
        if (status != KVS_OK)
            faults_add(&growth->faults, "checkpoint gave %d", status);
        temp_dir_free(path);
    }
}

static void count_keys(struct growth *growth)
{
    while (!atomic_load(&growth->stopping)) {
        unsigned written = atomic_load(&growth->written);
        uint64_t count = session_key_count(growth->session);
        if (count < written || engine_ops()->sync(growth->session->db, NULL) != KVS_OK)
            faults_add(&growth->faults, "%llu keys of %u", (unsigned long long)count, written);
    }
}

static void growth_thread(void *arg, unsigned index)
{
    struct growth *growth = arg;
    if (index == 0)
        write_keys(growth);
    else if (index == 1)
        scan_keys(growth);
    else if (index == 2)
        count_keys(growth);
    else if (index == GROWTH_KINDS - 1)
        copy_keys(growth);
    else
        read_keys(growth, index % 2 == 0);
}

/* With a checkpoint the map gets much room at once, so both without and with them. */
static void run_growth(unsigned threads, uint64_t growths_min)
{
    static const char *const options[] = {"map-size=1m", "max-readers=8"};
    const struct session_config config = {.options = options, .option_count = 2};
    struct session session;
    struct growth growth = {.session = &session};
    char *dir = temp_dir_new();
    session_open(&session, dir, &config);
    run_threads(threads, growth_thread, &growth);
    faults_check(&growth.faults);
    assert_true(growths(&session) >= growths_min);
    session_reopen(&session, dir, &config); /* with the small map again */
    for (unsigned i = 0; i < GROWTH_KEYS; i++) {
        char text[KEY_TEXT_MAX];
        check_pattern(&session, key_make(text, "growth", i), i);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_growth(void **state)
{
    (void)state;
    run_growth(GROWTH_KINDS - 1, 5);
}

static void test_growth_and_checkpoints(void **state)
{
    (void)state;
    run_growth(GROWTH_KINDS, 1);
}

static void test_value_larger_than_map(void **state)
{
    (void)state;
    static const char *const options[] = {"map-size=1m"};
    const struct session_config config = {.options = options, .option_count = 1};
    struct session session;
    char *dir = temp_dir_new();
    session_open(&session, dir, &config);
    check_set_pattern(&session, bytes_of_text("large"), 1, engine_ops()->value_max);
    check_set_pattern(&session, bytes_of_text("large"), 2, engine_ops()->value_max);
    check_pattern(&session, bytes_of_text("large"), 2);
    assert_true(growths(&session) >= 1);
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- few slots ------------------------------------------------------------------------------------- */

#define SHARERS 24u
#define SHARED  400u

struct sharing {
    struct session *session;
    struct faults faults;
    atomic_uint inside; /* visitors that run */
    atomic_uint most;   /* the most that did */
};

static int32_t linger(void *arg, struct kvs_bytes value)
{
    struct sharing *sharing = arg;
    unsigned inside = atomic_fetch_add(&sharing->inside, 1) + 1;
    unsigned most = atomic_load(&sharing->most);
    (void)value;
    while (inside > most && !atomic_compare_exchange_weak(&sharing->most, &most, inside))
        continue;
    (void)sched_yield(); /* lets others come, so that all slots are taken */
    (void)atomic_fetch_sub(&sharing->inside, 1);
    return 0;
}

static void share(void *arg, unsigned index)
{
    struct sharing *sharing = arg;
    struct kvs_tls *tls = index % 2 == 0 ? session_attach(sharing->session) : NULL;
    for (unsigned i = 0; i < SHARED; i++) {
        kvs_status status = engine_ops()->get(sharing->session->db, tls, bytes_of_text("key"),
                                              linger, sharing, NULL);
        if (status != KVS_OK)
            faults_add(&sharing->faults, "get gave %d", status);
    }
    session_detach(sharing->session, tls);
}

static void test_more_readers_than_slots(void **state)
{
    (void)state;
    static const char *const options[] = {"max-readers=4"};
    const struct session_config config = {.options = options, .option_count = 1};
    struct session session;
    struct sharing sharing = {.session = &session};
    char *dir = temp_dir_new();
    session_open(&session, dir, &config);
    check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
    run_threads(SHARERS, share, &sharing);
    faults_check(&sharing.faults);
    assert_true(atomic_load(&sharing.most) >= 1 && atomic_load(&sharing.most) <= 4);
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- order -------------------------------------------------------------------------------------------- */

#define ORDERED 500u

/* Batches of one thread take effect in the order in which it submits them, pending or not. */
static void test_order(void **state)
{
    (void)state;
    for (uint32_t mode = KVS_DURABILITY_ALWAYS; mode <= KVS_DURABILITY_NONE; mode++) {
        const struct session_config config = {.durability = mode};
        struct session session;
        char *dir = temp_dir_new();
        struct submission *submissions = calloc(ORDERED, sizeof(*submissions));
        struct kvs_op *ops = calloc(ORDERED, sizeof(*ops));
        unsigned *numbers = calloc(ORDERED, sizeof(*numbers));
        kvs_status *started = calloc(ORDERED, sizeof(*started));
        assert_true(submissions != NULL && ops != NULL && numbers != NULL && started != NULL);
        session_open(&session, dir, &config);
        for (unsigned i = 0; i < ORDERED; i++) { /* each expects what the one before it set */
            numbers[i] = i;
            ops[i] = op_set(bytes_of_text("key"), bytes_of(&numbers[i], sizeof(numbers[i])));
            ops[i].condition = i == 0 ? KVS_IF_ABSENT : KVS_IF_EQUAL;
            if (i > 0)
                ops[i].expected = ops[i - 1].value;
            submission_init(&submissions[i], &ops[i], 1, 0);
            started[i] = submission_start(&session, NULL, &submissions[i]);
        }
        for (unsigned i = 0; i < ORDERED; i++) {
            assert_int_equal(KVS_OK, submission_wait(&submissions[i], started[i]));
            assert_int_equal(KVS_OK, ops[i].status);
            submission_deinit(&submissions[i]);
        }
        check_value(&session, bytes_of_text("key"), ops[ORDERED - 1].value);
        session_close(&session);
        free(submissions);
        free(ops);
        free(numbers);
        free(started);
        temp_dir_free(dir);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_growth_and_checkpoints),
        cmocka_unit_test(test_value_larger_than_map),
        cmocka_unit_test(test_more_readers_than_slots),
        cmocka_unit_test(test_order),
    };
    return engine_tests_run(argc, argv, "growth", tests, sizeof(tests) / sizeof(tests[0]));
}
