/*
 * Power failures, on a disk that knows what is durable: at random moments under load, what would be
 * left is written down and opened. In every mode that is a state which the store went through, in
 * the order of the writes; with always, all that was acknowledged is in it; with interval, all that
 * was older than the interval; in the others, all that a sync call promised.
 *
 * One writer, so that the order is known: write number n sets key n % KEYS to version n, or removes it
 * when n % 11 is 5; every fourth write is a batch of two neighbouring keys.
 */
#include "disk_watched.h"
#include "store_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS     64u
#define WRITES   700u
#define EVERY    35u
#define SYNC     100u /* a sync call after each so many writes */
#define VALUE(n) (STORE_VALUE_LEAST + (n)*7919 % 30000)

/* What the keys hold after each number of writes. */
static uint32_t model[WRITES + 1][KEYS];

static bool is_removal(uint64_t n)
{
    return n % 11 == 5;
}

static bool is_pair(uint64_t n)
{
    return n % 4 == 3 && !is_removal(n) && n % KEYS + 1 < KEYS;
}

static void make_model(void)
{
    for (uint64_t n = 1; n <= WRITES; n++) {
        memcpy(model[n], model[n - 1], sizeof(model[n]));
        model[n][n % KEYS] = is_removal(n) ? 0 : (uint32_t)n;
        if (is_pair(n))
            model[n][n % KEYS + 1] = (uint32_t)n;
    }
}

static void do_write(struct test_store *store, uint64_t n)
{
    if (is_removal(n)) {
        kvs_status status = del(store, n % KEYS);
        assert_int_equal(model[n - 1][n % KEYS] != 0 ? KVS_OK : KVS_NOT_FOUND, status);
    } else if (is_pair(n)) {
        assert_int_equal(KVS_OK, put_pair(store, n % KEYS, n, VALUE(n)));
    } else {
        assert_int_equal(KVS_OK, put(store, n % KEYS, n, VALUE(n)));
    }
}

/* Fails unless the store holds what it held after some number of writes from least to most. */
static void check_moment(struct test_store *store, uint64_t least, uint64_t most)
{
    uint32_t found[KEYS];
    for (uint64_t key = 0; key < KEYS; key++)
        found[key] = (uint32_t)version_of(store, key);
    for (uint64_t n = least; n <= most; n++)
        if (memcmp(found, model[n], sizeof(found)) == 0)
            return;
    for (uint64_t key = 0; key < KEYS; key++)
        if (found[key] < model[least][key])
            print_error("key %llu has %u, not at least %u\n", (unsigned long long)key, found[key],
                        model[least][key]);
    fail_msg("a state that never was between the writes %llu and %llu", (unsigned long long)least,
             (unsigned long long)most);
}

static void lose_power(struct watched *watched, uint32_t durability, uint64_t least, uint64_t most,
                       uint64_t seed)
{
    for (unsigned kind = LOSE_ALL; kind <= LOSE_SOME; kind++) {
        struct test_store store;
        char *dir = temp_dir_new();
        watched_power_loss(watched, (enum power_loss)kind, seed, dir);
        for (unsigned round = 0; round < 2; round++) {
            must_open_store(&store, dir, durability);
            check_moment(&store, least, most);
            must_close_store(&store);
        }
        temp_dir_free(dir);
    }
}

static void run_writes(uint32_t durability, kvs_status reserve)
{
    struct test_store store;
    struct test_error error;
    uint64_t synced = 0;
    char *dir = temp_dir_new();
    struct watched *watched = watched_new(dir);
    watched_reserve_gives(watched, reserve);
    make_model();
    assert_status(
        KVS_OK,
        test_store_open(&store, NULL, watched_disk(watched), durability, KVS_OPEN_CREATE, &error),
        &error);
    for (uint64_t n = 1; n <= WRITES; n++) {
        do_write(&store, n);
        if (durability == KVS_DURABILITY_ALWAYS) {
            synced = n;
        } else if (n % SYNC == 0) {
            assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
            synced = n;
        }
        if (n == WRITES / 2)
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
        if (n % EVERY == 0)
            lose_power(watched, durability, synced, n, n);
    }
    assert_true(test_store_stat(&store, "compacted_segments") > 3);
    must_close_store(&store);
    lose_power(watched, durability, WRITES, WRITES, WRITES);
    watched_free(watched);
    temp_dir_free(dir);
}

static void test_always(void **state)
{
    (void)state;
    run_writes(KVS_DURABILITY_ALWAYS, KVS_OK);
}

static void test_interval(void **state)
{
    (void)state;
    run_writes(KVS_DURABILITY_INTERVAL, KVS_OK);
}

static void test_none(void **state)
{
    (void)state;
    run_writes(KVS_DURABILITY_NONE, KVS_OK);
}

/* A file system that cannot reserve space: everything is written, nothing through a mapping. */
static void test_without_reservation(void **state)
{
    (void)state;
    run_writes(KVS_DURABILITY_ALWAYS, KVS_UNSUPPORTED);
    run_writes(KVS_DURABILITY_NONE, KVS_UNSUPPORTED);
}

/* What was durable long ago and was overwritten since must not go with the segment it is in before
   what took its place is durable. */
static void test_compaction_takes_nothing_durable(void **state)
{
    (void)state;
    struct test_store store;
    struct test_error error;
    char *dir = temp_dir_new();
    char *left = temp_dir_new();
    struct watched *watched = watched_new(dir);
    assert_status(KVS_OK,
                  test_store_open(&store, NULL, watched_disk(watched), KVS_DURABILITY_NONE,
                                  KVS_OPEN_CREATE, &error),
                  &error);
    for (uint64_t version = 1; version <= 40; version++) {
        for (uint64_t key = 0; key < 10; key++)
            assert_int_equal(KVS_OK, put(&store, key, version, 20000));
        if (version == 1)
            assert_int_equal(KVS_OK, engine_log_ops.sync(store.db, NULL));
        if (version % 4 == 0) {
            struct test_store copy;
            empty_folder(left);
            watched_power_loss(watched, LOSE_ALL, 1, left);
            must_open_store(&copy, left, KVS_DURABILITY_NONE);
            for (uint64_t key = 0; key < 10; key++)
                assert_true(version_of(&copy, key) >= 1);
            must_close_store(&copy);
        }
    }
    must_close_store(&store);
    watched_free(watched);
    temp_dir_free(left);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_without_reservation),
        cmocka_unit_test(test_compaction_takes_nothing_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
