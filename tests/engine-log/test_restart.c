/* Starting a store again whose process was killed: the engine itself on a real folder. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "log_fixture.h"
#include "record.h"
#include "segment.h"
#include "support/support.h"

#define SEGMENT_SIZE (UINT64_C(1) << 20)
#define VALUE_BYTES  1000u

struct session {
    struct kvs_host host;
    struct kvs_db *db;
    char last_warning[KVS_ERROR_MESSAGE_MAX];
};

static void session_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    struct session *session = host->context;
    if (level <= KVS_LOG_WARN)
        (void)snprintf(session->last_warning, sizeof(session->last_warning), "%s", message);
}

static int32_t session_log_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    return level <= KVS_LOG_WARN;
}

static uint64_t session_now_ns(const struct kvs_host *host)
{
    (void)host;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static kvs_status session_config_get(const struct kvs_host *host, const char *name,
                                     struct kvs_option_value *ret)
{
    (void)host;
    if (strcmp(name, "segment-size") != 0)
        return KVS_MISSING;
    ret->type = KVS_OPTION_BYTES;
    ret->u64 = SEGMENT_SIZE;
    return KVS_OK;
}

static kvs_status session_try_open(struct session *session, const char *dir,
                                   struct test_error *error)
{
    test_error_init(error);
    *session = (struct session){.host = {
                                    .size = sizeof(session->host),
                                    .context = session,
                                    .log = session_log,
                                    .log_enabled = session_log_enabled,
                                    .config_get = session_config_get,
                                    .now_ns = session_now_ns,
                                }};
    struct kvs_engine_config config = {
        .size = sizeof(config),
        .flags = KVS_OPEN_CREATE,
        .durability = KVS_DURABILITY_NONE,
        .threads = 2,
        .data_dir = dir,
        .host = &session->host,
    };
    return engine_log_ops.open(&config, &session->db, &error->error);
}

static void session_open(struct session *session, const char *dir)
{
    struct test_error error;
    assert_status(KVS_OK, session_try_open(session, dir, &error), &error);
}

static void session_close(struct session *session)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, engine_log_ops.close(session->db, &error.error), &error);
}

static void set(struct session *session, uint32_t key, uint32_t version, uint64_t bytes)
{
    struct test_error error;
    test_error_init(&error);
    char text[32];
    char *value = calloc(1, bytes);
    assert_non_null(value);
    (void)snprintf(value, bytes, "value %u of key %u", version, key);
    int len = snprintf(text, sizeof(text), "key %u", key);
    assert_status(KVS_OK,
                  engine_log_ops.set(session->db, NULL, (struct kvs_bytes){text, (uint64_t)len},
                                     (struct kvs_bytes){value, bytes}, &error.error),
                  &error);
    free(value);
}

struct expected {
    char text[64];
    uint64_t bytes;
};

static int32_t check_value(void *arg, struct kvs_bytes value)
{
    const struct expected *expected = arg;
    assert_int_equal(value.len, expected->bytes);
    assert_string_equal((const char *)value.ptr, expected->text);
    return 0;
}

static void check(struct session *session, uint32_t key, uint32_t version, uint64_t bytes)
{
    struct test_error error;
    test_error_init(&error);
    char text[32];
    struct expected expected = {.bytes = bytes};
    (void)snprintf(expected.text, sizeof(expected.text), "value %u of key %u", version, key);
    int len = snprintf(text, sizeof(text), "key %u", key);
    assert_status(KVS_OK,
                  engine_log_ops.get(session->db, NULL, (struct kvs_bytes){text, (uint64_t)len},
                                     check_value, &expected, &error.error),
                  &error);
}

/* Runs work on the store in a process of its own, which is then killed. */
static void run_and_kill(const char *dir, void (*work)(struct session *session, uint32_t round),
                         uint32_t round)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct session session;
        session_open(&session, dir);
        work(&session, round);
        (void)kill(getpid(), SIGKILL);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
}

/* ------------------------------------------------------------------------------------------- */

static void write_and_compact(struct session *session, uint32_t round)
{
    (void)round;
    for (uint32_t key = 0; key < 1500; key++) /* alive to the end */
        set(session, key, 1, VALUE_BYTES);
    for (uint32_t version = 1; version <= 300; version++) /* nearly all of it dead */
        for (uint32_t key = 2000; key < 2020; key++)
            set(session, key, version, VALUE_BYTES);
    if (engine_log_ops.compact(session->db, NULL) != KVS_OK)
        abort();
    for (uint32_t key = 2000; key < 2020; key++)
        set(session, key, 301, VALUE_BYTES);
}

/* Sealed segments were compacted away, between an old one that is still alive and what was being
   written: numbers are missing there, and nothing is damaged. */
static void starts_after_compaction_and_a_kill(void **state)
{
    (void)state;
    struct session session;
    char *dir = temp_dir_new();
    run_and_kill(dir, write_and_compact, 0);
    session_open(&session, dir);
    for (uint32_t key = 0; key < 1500; key++)
        check(&session, key, 1, VALUE_BYTES);
    for (uint32_t key = 2000; key < 2020; key++)
        check(&session, key, 301, VALUE_BYTES);
    session_close(&session);
    temp_dir_free(dir);
}

static void write_large_values(struct session *session, uint32_t round)
{
    set(session, 1, round, 2 * SEGMENT_SIZE);
    for (uint32_t key = 10; key < 1600; key++)
        set(session, key, round, VALUE_BYTES);
}

/* Values that need a segment of their own: those are made after the spare that is used later. */
static void starts_after_large_values_and_a_kill(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    for (uint32_t round = 1; round <= 4; round++) {
        struct session session;
        run_and_kill(dir, write_large_values, round);
        session_open(&session, dir);
        check(&session, 1, round, 2 * SEGMENT_SIZE);
        for (uint32_t key = 10; key < 1600; key++)
            check(&session, key, round, VALUE_BYTES);
        session_close(&session);
    }
    temp_dir_free(dir);
}

/* The segment that was being written to: the one with frames that has no footer. */
static void active_segment(const char *dir, char name[SEGMENT_NAME_MAX])
{
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    const struct dirent *entry;
    name[0] = '\0';
    while ((entry = readdir(folder)) != NULL) {
        uint32_t number;
        uint32_t magic = 0;
        if (!segment_name_parse(entry->d_name, &number))
            continue;
        char *path = path_join(dir, entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, &magic, sizeof(magic), SEGMENT_HEADER_BYTES), sizeof(magic));
        (void)close(fd);
        free(path);
        if (magic == FRAME_MAGIC)
            segment_name(number, name);
    }
    (void)closedir(folder);
    assert_int_not_equal(name[0], '\0');
}

static void write_and_sync(struct session *session, uint32_t round)
{
    for (uint32_t key = 0; key < 10; key++) {
        set(session, key, round, VALUE_BYTES);
        if (engine_log_ops.sync(session->db, NULL) != KVS_OK)
            abort();
    }
}

/* The very first write of the only segment is damaged, and later ones say that it was durable. */
static void refuses_a_damaged_first_write(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    run_and_kill(dir, write_and_sync, 1);
    char name[SEGMENT_NAME_MAX];
    active_segment(dir, name);
    char *path = path_join(dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, SEGMENT_HEADER_BYTES + 100), 1);
    (void)close(fd);
    free(path);
    kvs_status status = session_try_open(&session, dir, &error);
    if (status == KVS_OK)
        session_close(&session);
    assert_int_equal(status, KVS_CORRUPT);
    assert_non_null(strstr(error.message, name));
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_after_compaction_and_a_kill),
        cmocka_unit_test(starts_after_large_values_and_a_kill),
        cmocka_unit_test(refuses_a_damaged_first_write),
    };
    return cmocka_run_group_tests_name("engine-log/restart", tests, NULL, NULL);
}
