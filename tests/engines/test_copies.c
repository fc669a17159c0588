/*
 * Checkpoints as the host makes them (store_checkpoint): a directory that the real server opens, and
 * until it is whole one that it refuses, also when the process is killed meanwhile.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/store.h"
#include "support/program.h"

#define KEYS        200u
#define VALUE_BYTES 5000u
#define KILLS       8u
#define COPIES_MAX  1000u

static const char *engine_name;

/* The store as the host has it, of a session. */
static struct store store_of(const struct session *session)
{
    return (struct store){.engine = engine_ops(), .db = session->db, .engine_name = engine_name};
}

static void fill(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < KEYS; i++)
        check_set_pattern(session, key_make(text, "key", i), i, VALUE_BYTES);
    check_set(session, bytes_of_text("name"), bytes_of_text("value"));
}

static void check_filled(struct session *session)
{
    char text[KEY_TEXT_MAX];
    for (unsigned i = 0; i < KEYS; i++)
        check_pattern(session, key_make(text, "key", i), i);
    check_value(session, bytes_of_text("name"), bytes_of_text("value"));
}

static bool has(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void check_served(const char *dir)
{
    struct server_process server;
    char *log = NULL;
    if (!server_process_start(&server, dir, NULL, &log, NULL))
        fail_msg("kvs-server: %s", log);
    const char *const argv[] = {program_client(), "--addr", server.address, "get", "name", NULL};
    struct program_result result = program_run(argv, NULL, 0);
    assert_string_equal(result.out, "value\n");
    program_result_deinit(&result);
    server_process_stop(&server);
}

static void check_refused(const char *dir, const char *part)
{
    struct server_process server;
    char *log = NULL;
    if (server_process_start(&server, dir, NULL, &log, NULL))
        fail_msg("kvs-server serves %s", dir);
    if (strstr(log, part) == NULL)
        fail_msg("'%s' is not in: %s", part, log);
    free(log);
}

static void test_a_server_opens_it(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_CHECKPOINT);
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    char *base = temp_dir_new();
    char *path = path_join(base, "new/copy");
    test_error_init(&error);
    session_open(&session, dir, NULL);
    fill(&session);
    struct store store = store_of(&session);
    assert_status(KVS_OK, store_checkpoint(&store, path, &error.error), &error);
    check_set(&session, bytes_of_text("name"), bytes_of_text("other"));
    assert_int_equal(KVS_INVALID, store_checkpoint(&store, path, &error.error));
    assert_non_null(strstr(error.message, "holds a store already"));
    check_served(path);
    session_close(&session);
    session_open(&session, path, NULL);
    check_filled(&session);
    session_close(&session);
    free(path);
    temp_dir_free(base);
    temp_dir_free(dir);
}

static void test_where_it_cannot_be(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_CHECKPOINT);
    struct session session;
    struct test_error error;
    char *dir = temp_dir_new();
    char *base = temp_dir_new();
    char *file = path_join(base, "file");
    char *below = path_join(base, "file/copy");
    test_error_init(&error);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    session_open(&session, dir, NULL);
    struct store store = store_of(&session);
    const char *const paths[] = {"", dir, base, file, below, "/proc/kvs"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        error.message[0] = '\0';
        assert_true(store_checkpoint(&store, paths[i], &error.error) < 0);
        assert_true(error.message[0] != '\0');
    }
    assert_false(has(base, "kvs.lock"));
    fill(&session);
    check_filled(&session);
    session_close(&session);
    free(below);
    free(file);
    temp_dir_free(base);
    temp_dir_free(dir);
}

/* In a child: makes copies until it is killed. */
static void make_copies(const char *dir, const char *base)
{
    struct session session;
    struct test_error error;
    test_error_init(&error);
    if (session_try_open(&session, dir, NULL, &error) != KVS_OK)
        _exit(1);
    struct store store = store_of(&session);
    for (unsigned i = 0; i < COPIES_MAX; i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/%u", base, i);
        if (store_checkpoint(&store, path, NULL) != KVS_OK)
            _exit(1);
    }
    (void)pause();
}

static bool has_first(void *arg)
{
    return has(arg, "0");
}

/* Whatever there is of a copy that was cut off is no store; what is one is whole. */
static void check_copies(const char *base)
{
    for (unsigned i = 0; i < COPIES_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%u", i);
        char *path = path_join(base, name);
        bool is_last = access(path, F_OK) != 0;
        if (!is_last && has(path, "kvs.store")) {
            struct session session;
            assert_false(has(path, "kvs.incomplete"));
            session_open(&session, path, NULL);
            check_filled(&session);
            session_close(&session);
        } else if (!is_last && has(path, "kvs.incomplete")) {
            check_refused(path, "was not finished");
        }
        free(path);
        if (is_last)
            break;
    }
}

static void test_killed_meanwhile(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_CHECKPOINT);
    struct session session;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    fill(&session);
    session_close(&session);
    for (unsigned i = 0; i < KILLS; i++) {
        char *base = temp_dir_new();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            make_copies(dir, base);
        wait_until(has_first, base);
        (void)usleep((useconds_t)(i * 1700)); /* any moment is as good as another */
        (void)kill(child, SIGKILL);
        int ended;
        assert_int_equal(child, waitpid(child, &ended, 0));
        assert_true(WIFSIGNALED(ended));
        check_copies(base);
        session_open(&session, dir, NULL);
        check_filled(&session);
        session_close(&session);
        temp_dir_free(base);
    }
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_meanwhile), /* first: it forks */
        cmocka_unit_test(test_a_server_opens_it),
        cmocka_unit_test(test_where_it_cannot_be),
    };
    engine_name = argc > 1 ? argv[1] : "";
    return engine_tests_run(argc, argv, "engines/copies", tests, sizeof(tests) / sizeof(tests[0]));
}
