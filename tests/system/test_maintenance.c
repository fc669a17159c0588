/*
 * kvs-server where it looks at something and serves nobody: --verify says whether a stopped store is as it
 * should be, --check-config whether a configuration is. Both by their exit status, too, and they change
 * nothing. (--repair: test_repair.c.)
 */
#include "system/matrix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/expect.h"
#include "system/run_client.h"
#include "system/tree.h"

#define KEYS 20u

/* Everything that the server was asked for is still as it was. */
static struct program_result run(const char *dir, const char *const *words)
{
    const char *argv[16] = {program_server(), "--data-dir", dir};
    size_t count = 3;
    for (; *words != NULL; words++)
        argv[count++] = *words;
    char *before = tree_describe(dir);
    struct program_result result = program_run(argv, NULL, 0);
    tree_expect_untouched(dir, before);
    return result;
}

/* A stopped store with some keys. */
static char *make_store(const struct pair *pair)
{
    struct server_process server;
    char *dir = temp_dir_new();
    pair_start(&server, pair, dir, NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "key-%02u", i);
        client_set(&server, key, "old");
        client_set(&server, key, "the value that is there now");
    }
    server_process_stop(&server);
    return dir;
}

static void a_sound_store_is_said_to_be_sound(const struct pair *pair)
{
    char *dir = make_store(pair);
    struct program_result result = run(dir, WORDS("--verify"));
    if (result.exit_status != 0)
        fail_msg("--verify exited with %d: %s%s", result.exit_status, result.out, result.err);
    expect_in(result.out, dir);
    expect_in(result.out, ": sound\n");
    assert_string_equal(result.err, "");
    program_result_deinit(&result);
    temp_dir_free(dir);
}

/* The engine of the store decides, not the flag. */
static void another_engine_is_refused(const struct pair *pair)
{
    const char *other = strcmp(pair->engine, "log") == 0 ? "lmdb" : "log";
    char *dir = make_store(pair);
    struct program_result result = run(dir, WORDS("--verify", "--engine", other));
    assert_int_equal(result.exit_status, 2);
    assert_string_equal(result.out, "");
    expect_in(result.err, pair->engine);
    program_result_deinit(&result);
    temp_dir_free(dir);
}

/* Inverts a bit of a value that is there. */
static void damage(const char *dir, const char *name)
{
    static const char text[] = "that is there now";
    char *path = path_join(dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat info;
    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    char *content = malloc((size_t)info.st_size);
    assert_non_null(content);
    assert_int_equal(pread(fd, content, (size_t)info.st_size, 0), info.st_size);
    char *at = memmem(content, (size_t)info.st_size, text, strlen(text));
    assert_non_null(at);
    *at ^= 1;
    assert_int_equal(pwrite(fd, at, 1, at - content), 1);
    (void)close(fd);
    free(content);
    free(path);
}

static void damage_is_found_and_named(const struct pair *pair)
{
    if (strcmp(pair->engine, "log") != 0)
        return; /* LMDB has no checksums */
    char *dir = make_store(pair);
    damage(dir, "00000000.seg");
    struct program_result result = run(dir, WORDS("--verify"));
    assert_int_equal(result.exit_status, 1);
    expect_in(result.out, "00000000.seg offset ");
    assert_null(strstr(result.out, "sound\n"));
    expect_in(result.err, "kvs-server: ");
    program_result_deinit(&result);
    temp_dir_free(dir);
}

static void a_store_that_is_served_is_left_alone(const struct pair *pair)
{
    struct server_process server;
    char *dir = temp_dir_new();
    pair_start(&server, pair, dir, NULL);
    const char *const argv[] = {program_server(), "--data-dir", dir, "--verify", NULL};
    struct program_result result = program_run(argv, NULL, 0);
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "is used by another server");
    program_result_deinit(&result);
    client_set(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(dir);
}

static void a_configuration_is_checked_and_nothing_made(const struct pair *pair)
{
    char *dir = temp_dir_new();
    char *data_dir = path_join(dir, "data");
    struct program_result result =
        run(data_dir, WORDS("--check-config", "--addr", "127.0.0.1:0", "--engine", pair->engine));
    if (result.exit_status != 0)
        fail_msg("--check-config exited with %d: %s", result.exit_status, result.err);
    assert_string_equal(result.out, "the configuration is good\n");
    program_result_deinit(&result);
    result = run(data_dir, WORDS("--check-config", "--engine-opt", "nonsense=1"));
    assert_true(result.exit_status != 0);
    assert_string_equal(result.out, "");
    expect_in(result.err, "nonsense");
    program_result_deinit(&result);
    assert_int_equal(access(data_dir, F_OK), -1);
    free(data_dir);
    temp_dir_free(dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(a_sound_store_is_said_to_be_sound, MATRIX_ENGINES),
        MATRIX_TEST(another_engine_is_refused, MATRIX_ENGINES),
        MATRIX_TEST(damage_is_found_and_named, MATRIX_ENGINES),
        MATRIX_TEST(a_store_that_is_served_is_left_alone, MATRIX_ENGINES),
        MATRIX_TEST(a_configuration_is_checked_and_nothing_made, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
