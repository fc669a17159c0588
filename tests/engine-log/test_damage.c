/*
 * One bit is wrong somewhere in a stopped store, in any of its files: never is a value wrong. A start
 * refuses, or each get gives the right value or an error; verifying says that there is damage whenever
 * something is not as it was; and repairing brings back all that was not hit.
 *
 * Not known to be damage is what is wrong in the last write of a store that was killed: nothing says that
 * it was ever finished. That is the write of LAST_KEY.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repair.h"
#include "store_support.h"
#include "verify.h"

#define KEYS      120u
#define LAST_KEY  KEYS /* not one of them */
#define FLIPS     25u  /* of each store */
#define FILES_MAX 32u
#define ANYWHERE  8u /* one of so many flips is anywhere, the others in bytes that are not 0 */

/* What the store has; 0: it is not there. */
static uint64_t versions[KEYS + 1];

/* ---- the store ------------------------------------------------------------------------------ */

static void write_some(struct test_store *store, uint64_t *seed, uint64_t version)
{
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t key = dice_next(seed) % (KEYS - 1);
        uint64_t bytes = STORE_VALUE_LEAST + dice_next(seed) % 9000;
        switch (dice_next(seed) % 5) {
        case 0:
            assert_true(del(store, key) >= 0);
            versions[key] = 0;
            break;
        case 1:
            assert_int_equal(KVS_OK, put_pair(store, key, version, bytes));
            versions[key] = versions[key + 1] = version;
            break;
        default:
            assert_int_equal(KVS_OK, put(store, key, version, bytes));
            versions[key] = version;
        }
    }
}

/* killed: as it is while it is open. */
static char *make(bool killed)
{
    char *dir = temp_dir_new();
    char *path = temp_dir_new();
    uint64_t seed = 11 + killed;
    memset(versions, 0, sizeof(versions));
    for (unsigned session = 0; session < 4; session++) {
        struct test_store store;
        must_open_store(&store, dir, KVS_DURABILITY_ALWAYS);
        write_some(&store, &seed, session + 1);
        if (session == 1)
            assert_int_equal(KVS_OK, engine_log_ops.compact(store.db, NULL));
        if (session == 3) {
            assert_int_equal(KVS_OK, put(&store, LAST_KEY, 9, 100));
            versions[LAST_KEY] = 9;
        }
        if (session == 3 && killed)
            copy_folder(dir, path);
        must_close_store(&store);
    }
    if (!killed)
        copy_folder(dir, path);
    temp_dir_free(dir);
    return path;
}

/* ---- the bit -------------------------------------------------------------------------------- */

struct bit {
    char name[64];
    uint64_t offset;
    uint8_t mask;
};

static void flip(const char *dir, const struct bit *bit)
{
    uint8_t byte;
    char *path = path_join(dir, bit->name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(1, pread(fd, &byte, 1, (off_t)bit->offset));
    byte ^= bit->mask;
    assert_int_equal(1, pwrite(fd, &byte, 1, (off_t)bit->offset));
    (void)close(fd);
    free(path);
}

/* Some byte of the file, mostly one that is not 0. */
static uint64_t choose_offset(const char *path, uint64_t *seed)
{
    struct stat info;
    uint8_t byte = 0;
    uint64_t offset = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0);
    bool anywhere = dice_next(seed) % ANYWHERE == 0;
    for (unsigned tries = 0; tries < 10000 && byte == 0; tries++) {
        offset = dice_next(seed) % (uint64_t)info.st_size;
        assert_int_equal(1, pread(fd, &byte, 1, (off_t)offset));
        byte |= anywhere;
    }
    (void)close(fd);
    return offset;
}

static struct bit choose(const char *dir, uint64_t *seed)
{
    char names[FILES_MAX][64];
    unsigned count = 0;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && count < FILES_MAX)
            (void)snprintf(names[count++], sizeof(names[0]), "%.63s", entry->d_name);
    (void)closedir(folder);
    struct bit bit = {.mask = (uint8_t)(1u << dice_next(seed) % 8)};
    (void)snprintf(bit.name, sizeof(bit.name), "%s", names[dice_next(seed) % count]);
    char *path = path_join(dir, bit.name);
    bit.offset = choose_offset(path, seed);
    free(path);
    return bit;
}

/* ---- what comes of it ----------------------------------------------------------------------- */

struct report {
    unsigned lines[KVS_LOG_DEBUG + 1];
    bool unsure; /* repairing does not know what was hit */
};

static void take_line(void *arg, uint32_t level, const char *message)
{
    struct report *report = arg;
    report->lines[level]++;
    report->unsure = report->unsure || strstr(message, "it is not certain") != NULL;
}

struct trial {
    const char *dir;
    const struct kvs_host *host;
    struct bit bit;
    bool killed;
    struct report report; /* of verifying */
};

static bool is_excused(const struct trial *trial, uint64_t key)
{
    return trial->killed && key == LAST_KEY;
}

/* What a key may be that is not as it should be. */
enum allowed {
    ONLY_ERRORS,
    ABSENT_TOO,
    OLDER_TOO,
};

/* Counts keys that are not as they should be, and fails when one is what it may not be. */
static unsigned count_missing(const struct trial *trial, const char *path, enum allowed allowed)
{
    struct test_store store;
    struct test_error error;
    unsigned missing = 0;
    kvs_status status =
        test_store_open(&store, path, NULL, KVS_DURABILITY_NONE, KVS_OPEN_READ_ONLY, &error);
    if (status != KVS_OK) {
        assert_true(status < 0 && error.message[0] != '\0');
        return KEYS;
    }
    for (uint64_t key = 0; key <= KEYS; key++) {
        uint64_t version = 0;
        status = look(&store, key, &version);
        if (status == KVS_OK && version == versions[key])
            continue;
        if (status == KVS_NOT_FOUND && versions[key] == 0)
            continue;
        missing++;
        if (status == KVS_CORRUPT || status == KVS_IO || is_excused(trial, key) ||
            allowed == OLDER_TOO || (allowed == ABSENT_TOO && status == KVS_NOT_FOUND))
            continue;
        fail_msg("%s offset %llu mask %u: key %llu is %s with version %llu, not %llu",
                 trial->bit.name, (unsigned long long)trial->bit.offset, trial->bit.mask,
                 (unsigned long long)key, kvs_status_text(status), (unsigned long long)version,
                 (unsigned long long)versions[key]);
    }
    must_close_store(&store);
    return missing;
}

static struct disk *open_disk(const char *path)
{
    struct disk *disk;
    assert_int_equal(KVS_OK, disk_open_real(path, &disk, NULL));
    return disk;
}

static void try_start(struct trial *trial)
{
    struct disk *disk = open_disk(trial->dir);
    memset(&trial->report, 0, sizeof(trial->report));
    kvs_status verified = verify_disk(disk, trial->host, take_line, &trial->report, NULL);
    disk_close(disk);
    bool said = verified != KVS_OK || trial->report.lines[KVS_LOG_WARN] > 0;
    if (count_missing(trial, trial->dir, ONLY_ERRORS) > 0 && !said)
        fail_msg("%s offset %llu mask %u: verifying says nothing", trial->bit.name,
                 (unsigned long long)trial->bit.offset, trial->bit.mask);
}

/* One bit is in one record at most. */
static void try_repair(struct trial *trial)
{
    struct report report = {.unsure = false};
    char *target = temp_dir_new();
    struct disk *disk = open_disk(trial->dir);
    kvs_status status = repair_disk(disk, trial->host, target, take_line, &report, NULL);
    disk_close(disk);
    if (status != KVS_OK && status != KVS_CORRUPT && status != KVS_INCOMPATIBLE)
        fail_msg("%s offset %llu: repairing gave %s", trial->bit.name,
                 (unsigned long long)trial->bit.offset, kvs_status_text(status));
    if (status != KVS_INCOMPATIBLE) {
        unsigned missing = count_missing(trial, target,
                                         report.unsure           ? OLDER_TOO
                                         : status == KVS_CORRUPT ? ABSENT_TOO
                                                                 : ONLY_ERRORS);
        if (missing > 1 || (missing == 1 && status == KVS_OK && !trial->killed))
            fail_msg("%s offset %llu mask %u: %u keys are missing", trial->bit.name,
                     (unsigned long long)trial->bit.offset, trial->bit.mask, missing);
    }
    temp_dir_free(target);
}

static void run_flips(bool killed, uint64_t seed)
{
    struct test_store any;
    char *any_dir = temp_dir_new();
    char *dir = make(killed);
    must_open_store(&any, any_dir, KVS_DURABILITY_NONE); /* for its host */
    struct trial trial = {.dir = dir, .host = &any.stub.host, .killed = killed};
    try_start(&trial);
    assert_int_equal(0, count_missing(&trial, dir, ONLY_ERRORS));
    for (unsigned i = 0; i < FLIPS; i++) {
        trial.bit = choose(dir, &seed);
        flip(dir, &trial.bit);
        try_start(&trial);
        try_repair(&trial);
        flip(dir, &trial.bit);
    }
    assert_int_equal(0, count_missing(&trial, dir, ONLY_ERRORS));
    must_close_store(&any);
    temp_dir_free(any_dir);
    temp_dir_free(dir);
}

static void test_stopped(void **state)
{
    (void)state;
    const char *seed = getenv("KVS_TEST_SEED");
    run_flips(false, seed != NULL ? strtoull(seed, NULL, 10) : 1);
}

static void test_killed(void **state)
{
    (void)state;
    const char *seed = getenv("KVS_TEST_SEED");
    run_flips(true, seed != NULL ? strtoull(seed, NULL, 10) : 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
