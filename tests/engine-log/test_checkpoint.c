/*
 * Checkpoints: a copy is what the store was at one moment, whatever goes on meanwhile; it is a store of
 * its own; and a copy that was not finished is none.
 *
 * The writers of the load: write number n of writer w sets key w * SPAN + n % KEYS to version n, so the
 * versions tell which writes a copy has, and that none before them is missing.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "disk_faulty.h"
#include "disk_sim.h"
#include "disk_watched.h"
#include "store_support.h"
#include "verify.h"

#define WRITERS  3u
#define SPAN     1000u
#define KEYS     20u
#define SMALL    100u
#define LARGE    20000u
#define PAUSE_US 300u /* of a writer, so that the disk keeps up */

static kvs_status checkpoint(struct test_store *store, const char *path, struct test_error *error)
{
    test_error_init(error);
    return engine_log_ops.checkpoint(store->db, path, &error->error);
}

static void check_sound(const char *path, const struct test_store *store)
{
    struct test_error error;
    struct disk *disk;
    test_error_init(&error);
    assert_int_equal(KVS_OK, disk_open_real(path, &disk, NULL));
    assert_status(KVS_OK, verify_disk(disk, &store->stub.host, NULL, NULL, &error.error), &error);
    disk_close(disk);
}

/* ---- under load ----------------------------------------------------------------------------- */

struct load {
    struct test_store *store;
    _Atomic uint64_t acknowledged[WRITERS]; /* by writer: number of its last write */
    _Atomic uint32_t stop;
    _Atomic uint32_t faults;
};

struct writer {
    struct load *load;
    unsigned number;
};

/* The last writer writes pairs. */
static void *writer_main(void *arg)
{
    const struct writer *writer = arg;
    struct load *load = writer->load;
    for (uint64_t n = 1; atomic_load(&load->stop) == 0; n++) {
        uint64_t key = writer->number * SPAN + n % KEYS;
        kvs_status status = writer->number == WRITERS - 1
                                ? put_pair(load->store, key + n % KEYS, n, SMALL)
                                : put(load->store, key, n, LARGE);
        if (status != KVS_OK)
            atomic_fetch_add(&load->faults, 1);
        atomic_store(&load->acknowledged[writer->number], n);
        (void)usleep(PAUSE_US);
    }
    return NULL;
}

/* The write with the largest number of one writer that the store has; fails unless it has all before. */
static uint64_t last_write(struct test_store *store, unsigned writer)
{
    bool pairs = writer == WRITERS - 1;
    uint64_t found[KEYS];
    uint64_t last = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t key = writer * SPAN + (pairs ? 2 * i : i);
        found[i] = version_of(store, key);
        if (pairs)
            assert_int_equal(found[i], version_of(store, key + 1));
        last = found[i] > last ? found[i] : last;
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t expected = last - (last - i + KEYS) % KEYS;
        assert_int_equal(last < KEYS && i > last ? 0 : expected, found[i]);
    }
    return last;
}

static void check_copy(const char *path, const uint64_t *least, uint32_t durability)
{
    struct test_store copy;
    must_open_store(&copy, path, durability);
    for (unsigned w = 0; w < WRITERS; w++) {
        uint64_t last = last_write(&copy, w);
        if (last < least[w])
            fail_msg("writer %u: write %llu is missing, the last one is %llu", w,
                     (unsigned long long)least[w], (unsigned long long)last);
    }
    assert_int_equal(KVS_OK, put(&copy, 1, UINT64_C(1) << 40, SMALL));
    must_close_store(&copy);
    check_sound(path, &copy);
}

static void copies_under_load(uint32_t durability, unsigned rounds, unsigned writes)
{
    struct test_store store;
    struct load load = {.store = &store};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    char *dir = temp_dir_new();
    must_open_store(&store, dir, durability);
    for (unsigned w = 0; w < WRITERS; w++) {
        writers[w] = (struct writer){&load, w};
        assert_int_equal(0, pthread_create(&threads[w], NULL, writer_main, &writers[w]));
    }
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t least[WRITERS];
        struct test_error error;
        char *path = temp_dir_new();
        uint64_t more = atomic_load(&load.acknowledged[0]) + writes;
        while (atomic_load(&load.acknowledged[0]) < more)
            (void)usleep(100);
        for (unsigned w = 0; w < WRITERS; w++)
            least[w] = atomic_load(&load.acknowledged[w]);
        assert_status(KVS_OK, checkpoint(&store, path, &error), &error);
        if (round % 2 == 1) /* what the copy shares is dropped here */
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
        check_copy(path, least, durability);
        temp_dir_free(path);
    }
    atomic_store(&load.stop, 1);
    for (unsigned w = 0; w < WRITERS; w++)
        assert_int_equal(0, pthread_join(threads[w], NULL));
    assert_int_equal(0, atomic_load(&load.faults));
    for (unsigned w = 0; w < WRITERS; w++)
        assert_int_equal(last_write(&store, w), atomic_load(&load.acknowledged[w]));
    must_close_store(&store);
    check_sound(dir, &store);
    temp_dir_free(dir);
}

static void test_under_load_always(void **state)
{
    (void)state;
    copies_under_load(KVS_DURABILITY_ALWAYS, 3, 30);
}

static void test_under_load_none(void **state)
{
    (void)state;
    copies_under_load(KVS_DURABILITY_NONE, 4, 60);
}

/* ---- sharing -------------------------------------------------------------------------------- */

static uint64_t links_of(const char *dir, const char *name)
{
    struct stat info;
    char *path = path_join(dir, name);
    assert_int_equal(0, stat(path, &info));
    free(path);
    return info.st_nlink;
}

static void fill(struct test_store *store, uint64_t version)
{
    for (uint64_t key = 0; key < 300; key++)
        assert_int_equal(KVS_OK, put(store, key, version, LARGE / 2));
}

static bool is_sealed_twice(void *arg)
{
    return test_store_stat(arg, "segments") >= 3;
}

/* Sealed segments are shared, and what either side does later is not seen by the other. */
static void test_copy_is_independent(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store copy;
    struct test_error error;
    char *dir = temp_dir_new();
    char *path = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store, 1);
    must_close_store(&store);
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_int_equal(KVS_OK, del(&store, 7));
    assert_int_equal(KVS_OK, put(&store, 8, 2, SMALL));
    wait_until(is_sealed_twice, &store);
    assert_status(KVS_OK, checkpoint(&store, path, &error), &error);
    check_sound(path, &store);
    assert_int_equal(2, links_of(path, "00000000.seg"));

    fill(&store, 3);
    assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
    assert_int_equal(1, links_of(path, "00000000.seg"));
    must_open_store(&copy, path, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < 300; key++)
        assert_int_equal(key == 7 ? 0 : key == 8 ? 2 : 1, version_of(&copy, key));
    fill(&copy, 4);
    assert_int_equal(KVS_OK, engine_log_ops.compact(copy.db, NULL));
    for (uint64_t key = 0; key < 300; key++) {
        assert_int_equal(3, version_of(&store, key));
        assert_int_equal(4, version_of(&copy, key));
    }
    must_close_store(&copy);
    must_close_store(&store);
    check_sound(dir, &store);
    check_sound(path, &store);
    temp_dir_free(path);
    temp_dir_free(dir);
}

struct copying {
    struct test_store *store;
    struct watched *to;
    kvs_status status;
};

static void *copying_main(void *arg)
{
    struct copying *copying = arg;
    copying->status = checkpoint_write_to(copying->store->db, watched_disk(copying->to), NULL);
    return NULL;
}

static bool is_held(void *arg)
{
    return watched_held(arg) > 0;
}

static bool is_compacted(void *arg)
{
    return test_store_stat(arg, "compacted_segments") >= 1;
}

/* I2: what is to be copied is dropped while the first file is being copied. */
static void test_what_is_dropped_meanwhile_stays(void **state)
{
    (void)state;
    struct test_store store;
    struct test_store copy;
    pthread_t thread;
    char *dir = temp_dir_new();
    char *path = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store, 1);
    wait_until(is_sealed_twice, &store);
    struct copying copying = {.store = &store, .to = watched_new(path)};
    watched_hold_syncs(copying.to, ".seg");
    assert_int_equal(0, pthread_create(&thread, NULL, copying_main, &copying));
    wait_until(is_held, copying.to);
    fill(&store, 2);
    wait_until(is_compacted, &store);
    epoch_barrier(store.db->epoch);
    (void)usleep(20000); /* the keeper could remove them now, if it did not know better */
    watched_release_syncs(copying.to, KVS_OK);
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_int_equal(KVS_OK, copying.status);
    assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL)); /* nothing is held any more */
    must_close_store(&store);
    disk_close(watched_disk(copying.to));
    watched_free(copying.to);
    must_open_store(&copy, path, KVS_DURABILITY_NONE);
    for (uint64_t key = 0; key < 300; key++)
        assert_int_equal(1, version_of(&copy, key));
    must_close_store(&copy);
    temp_dir_free(path);
    temp_dir_free(dir);
}

/* Of a copy of a copy, of one that is open for reading only, and of an empty store. */
static void test_copies_of_copies(void **state)
{
    (void)state;
    struct test_store store;
    struct test_error error;
    char *dir = temp_dir_new();
    for (unsigned round = 0; round < 3; round++) {
        char *path = temp_dir_new();
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        if (round > 0)
            assert_int_equal(round, version_of(&store, 5));
        assert_status(KVS_OK, checkpoint(&store, path, &error), &error);
        must_close_store(&store);
        temp_dir_free(dir);
        dir = path;
        must_open_store(&store, dir, KVS_DURABILITY_NONE);
        assert_int_equal(KVS_OK, put(&store, 5, round + 1, SMALL));
        must_close_store(&store);
    }
    char *path = temp_dir_new();
    assert_status(
        KVS_OK, test_store_open(&store, dir, NULL, KVS_DURABILITY_NONE, KVS_OPEN_READ_ONLY, &error),
        &error);
    assert_status(KVS_OK, checkpoint(&store, path, &error), &error);
    must_close_store(&store);
    must_open_store(&store, path, KVS_DURABILITY_NONE);
    assert_int_equal(3, version_of(&store, 5));
    must_close_store(&store);
    temp_dir_free(path);
    temp_dir_free(dir);
}

/* ---- refusals and faults -------------------------------------------------------------------- */

static void test_refuses_what_is_not_empty(void **state)
{
    (void)state;
    struct test_store store;
    struct test_error error;
    char *dir = temp_dir_new();
    char *missing = path_join(dir, "missing");
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    assert_int_equal(KVS_OK, put(&store, 1, 1, SMALL));
    assert_int_equal(KVS_INVALID, checkpoint(&store, dir, &error));
    assert_non_null(strstr(error.message, "empty"));
    assert_int_equal(KVS_MISSING, checkpoint(&store, missing, &error));
    assert_non_null(strstr(error.message, missing));
    assert_int_equal(1, version_of(&store, 1));
    must_close_store(&store);
    free(missing);
    temp_dir_free(dir);
}

/* Each call that fails leaves an empty folder and a store that goes on. On another file system, as a
   faulty disk is one, everything is copied. */
static void test_faults_are_cleaned_up(void **state)
{
    (void)state;
    static const kvs_status causes[] = {KVS_NO_SPACE, KVS_IO};
    struct test_store store;
    char *dir = temp_dir_new();
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill(&store, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t nth = 0;
        for (bool failed = true; failed; nth++) {
            struct test_error error;
            struct disk *below;
            char *path = temp_dir_new();
            assert_int_equal(KVS_OK, disk_open_real(path, &below, NULL));
            struct disk *to = disk_faulty_new(below);
            disk_faulty_fail(to, DISK_CALLS_CHANGING & ~(uint32_t)DISK_CALL_REMOVE, nth, 1,
                             causes[i], DISK_FAIL_HALF);
            test_error_init(&error);
            kvs_status status = checkpoint_write_to(store.db, to, &error.error);
            failed = disk_faulty_failures(to) > 0;
            /* Space need not be reserved ahead for the manifest. */
            if (failed && status != KVS_OK) {
                assert_true(status == causes[i] || status == KVS_IO);
                assert_true(strlen(error.message) > 0);
                assert_int_equal(0, count_files(path, ""));
            } else {
                assert_status(KVS_OK, status, &error);
                check_sound(path, &store);
            }
            disk_close(to);
            disk_close(below);
            temp_dir_free(path);
        }
        assert_true(nth > 6);
    }
    fill(&store, 2);
    assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL)); /* nothing is held any more */
    must_close_store(&store);
    check_sound(dir, &store);
    temp_dir_free(dir);
}

/* ---- crashes -------------------------------------------------------------------------------- */

#define CRASH_KEYS 90u

static void fill_for_crash(struct test_store *store)
{
    for (uint64_t key = 0; key < CRASH_KEYS; key++)
        assert_int_equal(KVS_OK, put(store, key, 1, LARGE));
}

/* The store in a folder of the simulated machine: KVS_OK when it opens, and then it is whole. */
static kvs_status open_after(struct disk_sim *sim, const char *folder)
{
    struct test_store store;
    kvs_status status =
        test_store_open(&store, NULL, disk_sim_folder(sim, folder), KVS_DURABILITY_NONE, 0, NULL);
    if (status != KVS_OK)
        return status;
    for (uint64_t key = 0; key < CRASH_KEYS; key++)
        assert_int_equal(1, version_of(&store, key));
    must_close_store(&store);
    return KVS_OK;
}

/* The power goes at each change that a checkpoint makes: the store has everything, and the copy has
   everything or is refused; once it was done, it has everything. */
static void test_power_cuts(void **state)
{
    (void)state;
    bool was_refused = false;
    bool done = false;
    for (uint64_t nth = 0; !done; nth++) {
        struct test_store store;
        struct test_error error;
        struct disk_sim *sim = disk_sim_new();
        struct disk *to = disk_sim_folder(sim, "copy");
        assert_status(KVS_OK,
                      test_store_open(&store, NULL, disk_sim_folder(sim, "data"),
                                      KVS_DURABILITY_ALWAYS, KVS_OPEN_CREATE, &error),
                      &error);
        fill_for_crash(&store);
        disk_sim_freeze_at(sim, disk_sim_changes(sim) + nth);
        assert_status(KVS_OK, checkpoint_write_to(store.db, to, &error.error), &error);
        struct disk_sim *frozen = disk_sim_take_frozen(sim);
        done = frozen == NULL;
        if (done)
            frozen = disk_sim_kill(sim);
        struct disk_sim *after = disk_sim_power_cut(frozen, nth, DISK_SIM_TEAR_SECTORS);
        assert_int_equal(KVS_OK, open_after(after, "data"));
        kvs_status status = open_after(after, "copy");
        assert_true(status == KVS_OK || (!done && status < 0));
        was_refused = was_refused || status != KVS_OK;
        disk_sim_free(after);
        disk_sim_free(frozen);
        disk_close(to);
        must_close_store(&store);
        disk_sim_free(sim);
    }
    assert_true(was_refused);
}

/* A process that makes one copy after the other is killed. */
static void test_killed(void **state)
{
    (void)state;
    uint64_t seed = 5;
    char *dir = temp_dir_new();
    struct test_store store;
    must_open_store(&store, dir, KVS_DURABILITY_NONE);
    fill_for_crash(&store);
    must_close_store(&store);
    for (unsigned round = 0; round < 10; round++) {
        char *path = temp_dir_new();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (test_store_open(&store, dir, NULL, KVS_DURABILITY_NONE, 0, NULL) != KVS_OK)
                _exit(1);
            for (;;) {
                if (engine_log_ops.checkpoint(store.db, path, NULL) != KVS_OK)
                    _exit(1);
                empty_folder(path);
            }
        }
        (void)usleep((useconds_t)(20000 + dice_next(&seed) % 10000));
        (void)kill(child, SIGKILL);
        int ended;
        assert_int_equal(child, waitpid(child, &ended, 0));
        assert_true(WIFSIGNALED(ended));
        for (unsigned which = 0; which < 2; which++) {
            kvs_status status = test_store_open(&store, which == 0 ? dir : path, NULL,
                                                KVS_DURABILITY_NONE, 0, NULL);
            assert_true(status == KVS_OK || which == 1);
            for (uint64_t key = 0; status == KVS_OK && key < CRASH_KEYS; key++)
                assert_int_equal(1, version_of(&store, key));
            if (status == KVS_OK)
                must_close_store(&store);
        }
        temp_dir_free(path);
    }
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed), /* first: it forks */
        cmocka_unit_test(test_under_load_always),
        cmocka_unit_test(test_under_load_none),
        cmocka_unit_test(test_copy_is_independent),
        cmocka_unit_test(test_what_is_dropped_meanwhile_stays),
        cmocka_unit_test(test_copies_of_copies),
        cmocka_unit_test(test_refuses_what_is_not_empty),
        cmocka_unit_test(test_faults_are_cleaned_up),
        cmocka_unit_test(test_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
