/* One thread and one key at a time: what set, get and remove promise, also after reopening. */
#include "engines/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY_KEYS 5000u

static void test_set_get_remove(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    struct kvs_bytes key = bytes_of_text("key");
    struct kvs_bytes other = bytes_of_text("other");
    test_error_init(&error);
    session_open(&session, dir, NULL);
    check_missing(&session, key);
    check_set(&session, key, bytes_of_text("one"));
    check_value(&session, key, bytes_of_text("one"));
    check_missing(&session, other);
    session_reopen(&session, dir, NULL);
    check_value(&session, key, bytes_of_text("one"));
    check_set(&session, key, bytes_of_text("another, longer value"));
    check_value(&session, key, bytes_of_text("another, longer value"));
    check_set(&session, key, bytes_of_text("2"));
    session_reopen(&session, dir, NULL);
    check_value(&session, key, bytes_of_text("2"));
    assert_status(KVS_OK, session_remove(&session, NULL, key, &error), &error);
    check_missing(&session, key);
    assert_status(KVS_NOT_FOUND, session_remove(&session, NULL, key, &error), &error);
    assert_status(KVS_NOT_FOUND, session_remove(&session, NULL, other, &error), &error);
    session_reopen(&session, dir, NULL);
    check_missing(&session, key);
    check_set(&session, key, bytes_of_text("back"));
    session_reopen(&session, dir, NULL);
    check_value(&session, key, bytes_of_text("back"));
    session_close(&session);
    temp_dir_free(dir);
}

static void test_binary_and_empty(void **state)
{
    (void)state;
    struct session session;
    uint8_t all[256];
    char *dir = temp_dir_new();
    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    session_open(&session, dir, NULL);
    for (int round = 0; round < 2; round++) {
        /* Each single byte, and pairs of keys of which one is the other's begin. */
        for (unsigned i = 0; i < sizeof(all); i++) {
            if (round == 0)
                check_set(&session, bytes_of(&all[i], 1), bytes_of(all, i));
            check_value(&session, bytes_of(&all[i], 1), bytes_of(all, i));
        }
        if (round == 0) {
            check_set(&session, bytes_of("\0\0", 2), bytes_of("", 0));
            check_set(&session, bytes_of("\0\0\0", 3), bytes_of("\0", 1));
            check_set(&session, bytes_of(all, sizeof(all)), bytes_of(all, sizeof(all)));
            check_set(&session, bytes_of_text("empty"), bytes_of(NULL, 0));
        }
        check_value(&session, bytes_of("\0\0", 2), bytes_of("", 0));
        check_value(&session, bytes_of("\0\0\0", 3), bytes_of("\0", 1));
        check_value(&session, bytes_of(all, sizeof(all)), bytes_of(all, sizeof(all)));
        check_value(&session, bytes_of_text("empty"), bytes_of("", 0));
        check_missing(&session, bytes_of("\0\0\0\0", 4));
        session_reopen(&session, dir, NULL);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_sizes_of_values(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {PATTERN_MIN, 100,   1000,  2000,   2048,   4000,    4079,
                                     4080,        4095,  4096,  4097,   8191,   8193,    16384,
                                     65535,       65536, 65537, 100000, 262144, 1000000, 4194304};
    struct session session;
    char text[KEY_TEXT_MAX];
    char *dir = temp_dir_new();
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    session_open(&session, dir, NULL);
    for (size_t i = 0; i < count; i++)
        check_set_pattern(&session, key_make(text, "size", i), i, sizes[i]);
    for (size_t i = 0; i < count; i++) /* each grows or shrinks to its neighbour's size */
        check_set_pattern(&session, key_make(text, "size", i), i + 100, sizes[count - 1 - i]);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++)
            check_pattern(&session, key_make(text, "size", i), i + 100);
        session_reopen(&session, dir, NULL);
    }
    session_close(&session);
    temp_dir_free(dir);
}

/* The largest key and value are taken; one byte more is refused by a message with the limit. */
static void test_limits(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char limit[32];
    char *dir = temp_dir_new();
    const uint64_t key_max = engine_ops()->key_max;
    const uint64_t value_max = engine_ops()->value_max;
    uint8_t *key = malloc(key_max + 1);
    uint8_t *value = malloc(value_max + 1);
    assert_non_null(key);
    assert_non_null(value);
    memset(key, 'k', key_max + 1);
    memset(value, 'v', value_max + 1);
    session_open(&session, dir, NULL);

    pattern_make(bytes_of(key, key_max), 1, value, value_max);
    check_set(&session, bytes_of(key, key_max), bytes_of(value, value_max));
    check_pattern(&session, bytes_of(key, key_max), 1);

    test_error_init(&error);
    assert_status(KVS_TOO_LARGE,
                  session_set(&session, NULL, bytes_of(key, key_max + 1), bytes_of("v", 1), &error),
                  &error);
    (void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)key_max);
    assert_non_null(strstr(error.message, limit));
    assert_int_equal(KVS_TOO_LARGE, error.error.status);

    test_error_init(&error);
    assert_status(
        KVS_TOO_LARGE,
        session_set(&session, NULL, bytes_of("small", 5), bytes_of(value, value_max + 1), &error),
        &error);
    (void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)value_max);
    assert_non_null(strstr(error.message, limit));
    check_missing(&session, bytes_of("small", 5));
    assert_true(session_set(&session, NULL, bytes_of("", 0), bytes_of("v", 1), &error) < 0);

    session_reopen(&session, dir, NULL);
    check_pattern(&session, bytes_of(key, key_max), 1);
    session_close(&session);
    free(key);
    free(value);
    temp_dir_free(dir);
}

static void test_many_keys(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char text[KEY_TEXT_MAX];
    char *dir = temp_dir_new();
    test_error_init(&error);
    session_open(&session, dir, NULL);
    for (unsigned i = 0; i < MANY_KEYS; i++) /* scattered, so that every key has neighbours */
        check_set_pattern(&session, key_make(text, "many", i * 7919u % MANY_KEYS), i,
                          PATTERN_MIN + i % 300);
    for (unsigned i = 0; i < MANY_KEYS; i += 3)
        assert_status(KVS_OK, session_remove(&session, NULL, key_make(text, "many", i), &error),
                      &error);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY_KEYS; i++) {
            unsigned index = i * 7919u % MANY_KEYS;
            if (index % 3 == 0)
                check_missing(&session, key_make(text, "many", index));
            else
                check_pattern(&session, key_make(text, "many", index), i);
        }
        if (engine_has(KVS_ENGINE_HAS_STATS))
            assert_int_equal(MANY_KEYS - (MANY_KEYS + 2) / 3, session_key_count(&session));
        session_reopen(&session, dir, NULL);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static int32_t stop(void *arg, struct kvs_bytes value)
{
    (void)value;
    ++*(unsigned *)arg;
    return 1;
}

static void test_visitor_stops(void **state)
{
    (void)state;
    struct session session;
    unsigned calls = 0;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
    assert_int_equal(KVS_STOPPED,
                     engine_ops()->get(session.db, NULL, bytes_of_text("key"), stop, &calls, NULL));
    assert_int_equal(1, calls);
    assert_int_equal(KVS_NOT_FOUND, engine_ops()->get(session.db, NULL, bytes_of_text("none"), stop,
                                                      &calls, NULL));
    assert_int_equal(1, calls);
    check_value(&session, bytes_of_text("key"), bytes_of_text("value"));
    session_close(&session);
    temp_dir_free(dir);
}

static void test_missing_store(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    char *gone = path_join(dir, "gone");
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    test_error_init(&error);
    assert_status(KVS_MISSING, session_try_open(&session, dir, &read_only, &error), &error);
    assert_true(strlen(error.message) > 0);
    assert_int_equal(0, rmdir(dir)); /* nothing was left in it */
    assert_true(session_try_open(&session, gone, NULL, &error) < 0);
    free(gone);
    temp_dir_free(dir);
}

static void test_two_stores(void **state)
{
    (void)state;
    struct session first;
    struct session second;
    char *first_dir = temp_dir_new();
    char *second_dir = temp_dir_new();
    session_open(&first, first_dir, NULL);
    session_open(&second, second_dir, NULL);
    check_set(&first, bytes_of_text("key"), bytes_of_text("first"));
    check_set(&second, bytes_of_text("key"), bytes_of_text("second"));
    check_set(&second, bytes_of_text("only here"), bytes_of_text("second"));
    check_value(&first, bytes_of_text("key"), bytes_of_text("first"));
    check_missing(&first, bytes_of_text("only here"));
    session_close(&first);
    check_value(&second, bytes_of_text("key"), bytes_of_text("second"));
    session_open(&first, first_dir, NULL);
    check_value(&first, bytes_of_text("key"), bytes_of_text("first"));
    session_close(&second);
    session_close(&first);
    temp_dir_free(first_dir);
    temp_dir_free(second_dir);
}

static void test_threads_state(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_THREADS);
    struct session session;
    struct copy copy = {NULL, 0, 0};
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    for (unsigned i = 0; i < 5000; i++) { /* more than any table of threads has */
        struct kvs_tls *tls = session_attach(&session);
        assert_non_null(tls);
        if (i % 100 == 0) {
            struct kvs_bytes key = bytes_of(&i, sizeof(i));
            assert_int_equal(KVS_OK, session_set(&session, tls, key, key, NULL));
            assert_int_equal(KVS_OK, session_get(&session, tls, key, &copy, NULL));
            assert_int_equal(KVS_OK, session_remove(&session, tls, key, NULL));
        }
        session_detach(&session, tls);
    }
    engine_ops()->thread_detach(session.db, NULL);
    session_close(&session);
    copy_deinit(&copy);
    temp_dir_free(dir);
}

/* Names, sizes and contents of all files, in one number. */
static uint64_t fingerprint(const char *dir)
{
    uint64_t sum = 0;
    DIR *stream = opendir(dir);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        uint8_t chunk[65536];
        uint64_t file_sum = 7;
        ssize_t size;
        if (entry->d_name[0] == '.')
            continue;
        for (const char *at = entry->d_name; *at != '\0'; at++)
            file_sum = file_sum * 31 + (uint8_t)*at;
        int fd = openat(dirfd(stream), entry->d_name, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        while ((size = read(fd, chunk, sizeof(chunk))) > 0) {
            for (ssize_t i = 0; i < size; i++)
                file_sum = file_sum * 31 + chunk[i];
        }
        (void)close(fd);
        sum += file_sum; /* in any order */
    }
    (void)closedir(stream);
    return sum;
}

static void test_read_only(void **state)
{
    (void)state;
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    const struct session_config both = {.flags = KVS_OPEN_READ_ONLY | KVS_OPEN_CREATE};
    struct kvs_op op = op_set(bytes_of_text("new"), bytes_of_text("value"));
    test_error_init(&error);
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
    session_close(&session);
    uint64_t before = fingerprint(dir);
    for (int round = 0; round < 2; round++) {
        session_open(&session, dir, round == 0 ? &read_only : &both);
        struct kvs_tls *tls = session_attach(&session);
        check_value(&session, bytes_of_text("key"), bytes_of_text("value"));
        check_missing(&session, bytes_of_text("new"));
        assert_status(KVS_READ_ONLY,
                      session_set(&session, tls, bytes_of_text("new"), bytes_of("v", 1), &error),
                      &error);
        assert_status(KVS_READ_ONLY, session_remove(&session, tls, bytes_of_text("key"), &error),
                      &error);
        if (engine_has(KVS_ENGINE_HAS_SUBMIT))
            assert_status(KVS_READ_ONLY, session_submit(&session, tls, &op, 1, 0, &error), &error);
        if (engine_has(KVS_ENGINE_HAS_SYNC))
            assert_status(KVS_OK, engine_ops()->sync(session.db, &error.error), &error);
        if (engine_has(KVS_ENGINE_HAS_STATS))
            assert_int_equal(1, session_key_count(&session));
        session_detach(&session, tls);
        session_close(&session);
        assert_int_equal(before, fingerprint(dir));
    }
    session_open(&session, dir, NULL);
    check_value(&session, bytes_of_text("key"), bytes_of_text("value"));
    check_set(&session, bytes_of_text("new"), bytes_of_text("value"));
    session_close(&session);
    temp_dir_free(dir);
}

/* Names that begin with "kvs." are the host's. */
static void test_leaves_host_files(void **state)
{
    (void)state;
    struct session session;
    struct stat info;
    char *dir = temp_dir_new();
    char *path = path_join(dir, "kvs.something");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(5, write(fd, "hello", 5));
    (void)close(fd);
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("key"), bytes_of_text("value"));
    if (engine_has(KVS_ENGINE_HAS_COMPACT))
        assert_int_equal(KVS_OK, engine_ops()->compact(session.db, NULL));
    session_reopen(&session, dir, NULL);
    check_value(&session, bytes_of_text("key"), bytes_of_text("value"));
    session_close(&session);
    assert_int_equal(0, stat(path, &info));
    assert_int_equal(5, info.st_size);
    free(path);
    temp_dir_free(dir);
}

static void test_close_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(KVS_OK, engine_ops()->close(NULL, NULL));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get_remove),    cmocka_unit_test(test_binary_and_empty),
        cmocka_unit_test(test_sizes_of_values),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_keys),         cmocka_unit_test(test_visitor_stops),
        cmocka_unit_test(test_missing_store),     cmocka_unit_test(test_two_stores),
        cmocka_unit_test(test_threads_state),     cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_leaves_host_files), cmocka_unit_test(test_close_of_nothing),
    };
    return engine_tests_run(argc, argv, "basics", tests, sizeof(tests) / sizeof(tests[0]));
}
