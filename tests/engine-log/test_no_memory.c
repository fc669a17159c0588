/*
 * Memory that runs out at each place in turn: while a store is opened, written, read, copied, verified and
 * repaired. Each time the engine says so, or does without; nothing is called damaged that is not; and a
 * start with enough memory finds everything that was acknowledged.
 */
#include <stdlib.h>
#include <string.h>

#include "store_support.h"
#include "support/memory_faults.h"

#define KEYS      40u
#define OLD       1u /* versions */
#define NEW       2u
#define OLD_BYTES 3000u
#define NEW_BYTES 120000u /* together more than a segment */

/* Where a store comes from, where it is tried, where copies of it go. */
struct world {
    char *sound;   /* after a stop in order */
    char *killed;  /* as it was while it was open */
    char *damaged; /* killed, with a wrong byte in a segment */
    char *dir;
    char *target;
};

/* ---- the store ------------------------------------------------------------------------------ */

static void fill(struct test_store *store)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        assert_int_equal(KVS_OK, put(store, key, OLD + 5, 40000));
        assert_int_equal(KVS_OK, put(store, key, OLD, OLD_BYTES));
    }
}

/* In the first segment there is, with sound writes behind it. */
static void damage(const char *dir)
{
    FILE *file = NULL;
    for (uint32_t number = 0; file == NULL && number < 100; number++) {
        char name[SEGMENT_NAME_MAX];
        segment_name(number, name);
        char *path = path_join(dir, name);
        file = fopen(path, "r+");
        free(path);
    }
    assert_non_null(file);
    assert_int_equal(0, fseek(file, 5000, SEEK_SET));
    assert_int_equal('!', fputc('!', file));
    assert_int_equal(0, fclose(file));
}

static int set_up(void **state)
{
    struct test_store store;
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->sound = temp_dir_new();
    world->killed = temp_dir_new();
    world->damaged = temp_dir_new();
    world->dir = temp_dir_new();
    world->target = temp_dir_new();
    must_open_store(&store, world->sound, KVS_DURABILITY_ALWAYS);
    fill(&store);
    must_close_store(&store);
    copy_folder(world->sound, world->killed);
    must_open_store(&store, world->killed, KVS_DURABILITY_ALWAYS);
    fill(&store);
    wait_until(test_store_keeper_is_idle, &store);
    copy_folder(world->killed, world->damaged);
    must_close_store(&store);
    copy_folder(world->damaged, world->killed);
    damage(world->damaged);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    temp_dir_free(world->sound);
    temp_dir_free(world->killed);
    temp_dir_free(world->damaged);
    temp_dir_free(world->dir);
    temp_dir_free(world->target);
    free(world);
    return 0;
}

/* ---- what is done to it, with no memory of the test's own --------------------------------------- */

static uint8_t value[NEW_BYTES];

/* What a write that failed says: only that. */
static void expect_no_memory(kvs_status status, const struct test_error *error, uint64_t skip)
{
    if (status == KVS_OK)
        return;
    if (status != KVS_NO_MEMORY || strstr(error->message, "memory") == NULL)
        fail_msg("without memory for call %llu: %s: %s", (unsigned long long)skip,
                 kvs_status_text(status), error->message);
}

static kvs_status set(struct test_store *store, uint64_t key, struct test_error *error)
{
    uint8_t name[STORE_KEY_BYTES];
    key_of(key, name);
    value_make(key, NEW, value, sizeof(value));
    test_error_init(error);
    return engine_log_ops.set(store->db, NULL, (struct kvs_bytes){name, sizeof(name)},
                              (struct kvs_bytes){value, sizeof(value)}, &error->error);
}

static int32_t count_key(void *arg, struct kvs_bytes key, struct kvs_bytes shown)
{
    uint64_t version;
    uint64_t number;
    assert_int_equal(key.len, sizeof(number));
    memcpy(&number, key.ptr, sizeof(number));
    assert_true(value_check(number, shown, &version));
    ++*(unsigned *)arg;
    return 0;
}

static void scan_all(struct test_store *store, uint64_t skip)
{
    unsigned count = 0;
    struct test_error error;
    struct kvs_scan scan = {.size = sizeof(scan), .visit = count_key, .arg = &count};
    test_error_init(&error);
    kvs_status status = engine_log_ops.scan(store->db, NULL, &scan, &error.error);
    expect_no_memory(status, &error, skip);
    if (status == KVS_OK)
        assert_int_equal(count, KEYS);
}

/* A store's life. written: for each key, whether its new version was acknowledged. */
static void live(const struct world *world, uint64_t skip, bool *written)
{
    struct test_store store;
    struct test_error error;
    kvs_status status = test_store_open(&store, world->dir, NULL, KVS_DURABILITY_ALWAYS, 0, &error);
    expect_no_memory(status, &error, skip);
    if (status != KVS_OK)
        return;
    for (uint64_t key = 0; key < KEYS; key += 4) {
        status = set(&store, key, &error);
        expect_no_memory(status, &error, skip);
        written[key] = status == KVS_OK;
    }
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t version = 0;
        assert_int_equal(KVS_OK, look(&store, key, &version));
        assert_int_equal(version, written[key] ? NEW : OLD);
    }
    scan_all(&store, skip);
    test_error_init(&error);
    expect_no_memory(engine_log_ops.checkpoint(store.db, world->target, &error.error), &error,
                     skip);
    test_error_init(&error);
    expect_no_memory(engine_log_ops.compact(store.db, &error.error), &error, skip);
    (void)test_store_close(&store); /* says it too when what it could not write is not needed */
}

static void check_after(const struct world *world, const char *dir, const bool *written)
{
    struct test_store store;
    struct test_error error;
    (void)world;
    assert_status(KVS_OK, test_store_open(&store, dir, NULL, KVS_DURABILITY_ALWAYS, 0, &error),
                  &error);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(version_of(&store, key), written[key] ? NEW : OLD);
    must_close_store(&store);
}

static void run_lives(const struct world *world, const char *from)
{
    bool failed = true;
    for (uint64_t skip = 0; failed; skip++) {
        bool written[KEYS] = {false};
        copy_folder(from, world->dir);
        empty_folder(world->target);
        memory_faults_begin(skip);
        live(world, skip, written);
        failed = memory_faults_end();
        check_after(world, world->dir, written);
    }
}

static void a_store_that_was_stopped(void **state)
{
    const struct world *world = *state;
    run_lives(world, world->sound);
}

static void a_store_that_was_killed(void **state)
{
    const struct world *world = *state;
    run_lives(world, world->killed);
}

/* ---- the care of stopped stores --------------------------------------------------------------- */

static void count_errors(void *arg, uint32_t level, const char *message)
{
    (void)message;
    *(unsigned *)arg += level == KVS_LOG_ERROR;
}

/* Verifies, or with a target repairs, without each piece of memory in turn. With all of it: expected. */
static void care(const char *from, const char *target, kvs_status expected)
{
    struct stub_host stub;
    const struct kvs_engine_config config = {
        .size = sizeof(config), .threads = 2, .data_dir = from, .host = &stub.host};
    stub_host_init(&stub, 0, NULL, NULL);
    bool failed = true;
    for (uint64_t skip = 0; failed; skip++) {
        struct test_error error;
        unsigned errors = 0;
        test_error_init(&error);
        if (target != NULL)
            empty_folder(target);
        memory_faults_begin(skip);
        kvs_status status =
            target != NULL
                ? engine_log_ops.repair(&config, target, count_errors, &errors, &error.error)
                : engine_log_ops.verify(&config, count_errors, &errors, &error.error);
        failed = memory_faults_end();
        if (status != expected)
            expect_no_memory(status != KVS_OK ? status : KVS_INTERNAL, &error, skip);
        else if (expected == KVS_OK)
            assert_int_equal(errors, 0);
        else
            assert_true(errors > 0);
        if (target != NULL && status == KVS_OK) {
            const bool written[KEYS] = {false};
            check_after(NULL, target, written);
        }
    }
}

static void verifying(void **state)
{
    const struct world *world = *state;
    care(world->sound, NULL, KVS_OK);
    care(world->killed, NULL, KVS_OK);
    care(world->damaged, NULL, KVS_CORRUPT);
}

static void repairing(void **state)
{
    const struct world *world = *state;
    care(world->sound, world->target, KVS_OK);
    care(world->killed, world->target, KVS_OK);
    care(world->damaged, world->target, KVS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_was_stopped),
        cmocka_unit_test(a_store_that_was_killed),
        cmocka_unit_test(verifying),
        cmocka_unit_test(repairing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
