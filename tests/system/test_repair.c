/*
 * kvs-server --repair: a store with damage in it becomes a new one that a server opens, with all that
 * was not hit; the exit status and the output say whether something is lost; the source stays as it
 * was. For engines that cannot, a message.
 */
#include "system/matrix.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/expect.h"
#include "system/run_client.h"
#include "system/tree.h"

#define KEYS       30u
#define EXIT_USAGE 2
#define EXIT_LOST  3

static bool can_repair(const struct pair *pair)
{
    return strcmp(pair->engine, "log") == 0;
}

static void set_all(const struct server_process *server)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];
        char value[64];
        (void)snprintf(key, sizeof(key), "key-%02u", i);
        (void)snprintf(value, sizeof(value), "the value of key-%02u", i);
        client_set(server, key, "an old value");
        client_set(server, key, value);
    }
}

/* lost: the one key that is not there, or KEYS. */
static void check_all(const struct server_process *server, unsigned lost)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];
        char value[64];
        (void)snprintf(key, sizeof(key), "key-%02u", i);
        (void)snprintf(value, sizeof(value), "the value of key-%02u", i);
        if (i == lost)
            expect_client(server, WORDS("get", key), 0, "Key not found\n", "");
        else
            client_expect(server, key, value);
    }
}

static struct program_result run_repair(const char *dir, const char *target, const char *engine)
{
    const char *const argv[] = {program_server(),
                                "--data-dir",
                                dir,
                                "--engine-opt",
                                "segment-size=1m",
                                "--repair",
                                target,
                                engine != NULL ? "--engine" : NULL,
                                engine,
                                NULL};
    return program_run(argv, NULL, 0);
}

/* Repairs into a new directory, and checks what a server then finds there. */
static void check_repair(const struct pair *pair, const char *dir, const char *engine,
                         int exit_status, unsigned lost, const char *said)
{
    struct server_process server;
    char *base = temp_dir_new();
    char *target = path_join(base, "some/where");
    char *before = tree_describe(dir);
    struct program_result result = run_repair(dir, target, engine);
    if (result.exit_status != exit_status)
        fail_msg("--repair exited with %d: %s%s", result.exit_status, result.out, result.err);
    expect_in(result.out, said);
    expect_in(result.out, "salvaged into");
    if (exit_status == EXIT_LOST)
        expect_in(result.err, "the new store lacks what was damaged");
    else
        assert_string_equal(result.err, "");
    program_result_deinit(&result);
    tree_expect_untouched(dir, before);

    result = run_repair(dir, target, engine); /* it is not done over */
    assert_int_equal(result.exit_status, EXIT_USAGE);
    expect_in(result.err, "holds a store already");
    program_result_deinit(&result);

    pair_start(&server, pair, target, NULL);
    check_all(&server, lost);
    client_set(&server, "more", "can be set");
    server_process_stop(&server);
    free(target);
    temp_dir_free(base);
}

/* Inverts a bit where the text stands for the last time in a file of dir. */
static void flip_at(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat info;
    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    size_t size = (size_t)info.st_size;
    char *content = malloc(size);
    assert_int_equal(pread(fd, content, size, 0), size);
    size_t at = size - strlen(text);
    while (at > 0 && memcmp(content + at, text, strlen(text)) != 0)
        at--;
    assert_true(at > 0);
    content[at] ^= 4;
    assert_int_equal(pwrite(fd, content + at, 1, (off_t)at), 1);
    (void)close(fd);
    free(content);
    free(path);
}

static void a_damaged_store_is_salvaged(const struct pair *pair)
{
    if (!can_repair(pair))
        return;
    for (unsigned killed = 0; killed < 2; killed++) {
        struct server_process server;
        char *dir = temp_dir_new();
        pair_start(&server, pair, dir, NULL);
        set_all(&server);
        if (killed == 1)
            (void)server_process_end(&server, SIGKILL);
        else
            server_process_stop(&server);
        check_repair(pair, dir, NULL, 0, KEYS, "30 keys were brought back");
        flip_at(dir, "00000000.seg", "the value of key-07");
        check_repair(pair, dir, NULL, EXIT_LOST, 7, "lost: key \"key-07\"");
        temp_dir_free(dir);
    }
}

/* The marker says which engine it is; without it one says so oneself. */
static void a_marker_that_is_damaged_or_missing(const struct pair *pair)
{
    if (!can_repair(pair))
        return;
    struct server_process server;
    char *dir = temp_dir_new();
    char *marker = path_join(dir, "kvs.store");
    char *target = path_join(dir, "target");
    pair_start(&server, pair, dir, NULL);
    set_all(&server);
    server_process_stop(&server);
    flip_at(dir, "kvs.store", "engine=");
    struct program_result result = run_repair(dir, target, NULL);
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "--repair and --engine");
    program_result_deinit(&result);
    check_repair(pair, dir, pair->engine, 0, KEYS, "");
    assert_int_equal(unlink(marker), 0);
    check_repair(pair, dir, pair->engine, 0, KEYS, "");
    char *path = path_join(dir, "log.manifest");
    assert_int_equal(unlink(path), 0);
    check_repair(pair, dir, pair->engine, 0, KEYS, "log.manifest is missing");
    free(path);
    free(target);
    free(marker);
    temp_dir_free(dir);
}

static void what_is_served_or_in_the_way_is_refused(const struct pair *pair)
{
    struct server_process server;
    char *dir = temp_dir_new();
    char *base = temp_dir_new();
    char *target = path_join(base, "target");
    pair_start(&server, pair, dir, NULL);
    client_set(&server, "key", "value");
    const char *const argv[] = {program_server(), "--data-dir", dir, "--repair", target, NULL};
    struct program_result result = program_run(argv, NULL, 0);
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "is used by another server");
    program_result_deinit(&result);
    server_process_stop(&server);

    if (can_repair(pair)) {
        const char *const into_itself[] = {program_server(), "--data-dir", dir,
                                           "--repair",       dir,          NULL};
        result = program_run(into_itself, NULL, 0);
        assert_int_equal(result.exit_status, EXIT_USAGE);
        expect_in(result.err, "holds a store already");
    } else {
        result = program_run(argv, NULL, 0);
        assert_int_equal(result.exit_status, 1);
        expect_in(result.err, "cannot repair a store");
    }
    program_result_deinit(&result);
    assert_int_equal(access(target, F_OK), -1);
    pair_start(&server, pair, dir, NULL);
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    free(target);
    temp_dir_free(base);
    temp_dir_free(dir);
}

int main(void)
{
    const struct matrix_test tests[] = {
        MATRIX_TEST(a_damaged_store_is_salvaged, MATRIX_ENGINES),
        MATRIX_TEST(a_marker_that_is_damaged_or_missing, MATRIX_ENGINES),
        MATRIX_TEST(what_is_served_or_in_the_way_is_refused, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
