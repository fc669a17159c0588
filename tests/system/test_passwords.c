/* Passwords, with the real programs: where they come from, what is refused, changing them. */
#include "support/program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "system/expect.h"
#include "system/run_client.h"

#define VARIABLE "KVS_PASSWORD"

struct world {
    char *folder;
    char *data_dir;
    char *file; /* of passwords */
};

static void write_passwords(const struct world *world, const char *content)
{
    int fd = open(world->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

static struct world world_new(const char *content)
{
    struct world world = {.folder = temp_dir_new(), .data_dir = temp_dir_new()};
    world.file = path_join(world.folder, "passwords");
    write_passwords(&world, content);
    return world;
}

static void world_free(struct world *world)
{
    free(world->file);
    temp_dir_free(world->folder);
    temp_dir_free(world->data_dir);
}

static void expect_refused(const struct world *world, const char *const *arguments,
                           const char *reason, int exit_status)
{
    struct server_process server;
    char *log = NULL;
    int status = 0;
    assert_false(server_process_start(&server, world->data_dir, arguments, &log, &status));
    expect_in(log, reason);
    assert_int_equal(status, exit_status);
    free(log);
}

/* ---- starting ----------------------------------------------------------------------------- */

static void an_open_server_is_refused(void **state)
{
    (void)state;
    struct world world = world_new("secret\n");
    struct server_process server;
    expect_refused(&world, WORDS("--listen", "0.0.0.0:0"),
                   "0.0.0.0:0 may be reached from other machines, and no password is set", 2);
    assert_true(server_process_start(&server, world.data_dir,
                                     WORDS("--listen", "0.0.0.0:0", "--no-auth"), NULL, NULL));
    client_set(&server, "key", "value");
    server_process_stop(&server);
    assert_true(server_process_start(&server, world.data_dir,
                                     WORDS("--listen", "0.0.0.0:0", "--password-file", world.file),
                                     NULL, NULL));
    server_process_stop(&server);
    expect_refused(&world, WORDS("--password-file", world.file, "--no-auth"), "choose one", 2);
    world_free(&world);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct world world = world_new("secret\n");
    assert_int_equal(chmod(world.file, 0644), 0);
    expect_refused(&world, WORDS("--password-file", world.file), "open to others", 2);
    assert_int_equal(chmod(world.file, 0600), 0);
    write_passwords(&world, "");
    expect_refused(&world, WORDS("--password-file", world.file), "is empty", 2);
    world_free(&world);
}

/* ---- clients ------------------------------------------------------------------------------ */

static void clients_give_it_from_a_file_or_the_environment(void **state)
{
    (void)state;
    struct world world = world_new("secret\n");
    struct server_process server;
    assert_true(server_process_start(&server, world.data_dir, WORDS("--password-file", world.file),
                                     NULL, NULL));
    expect_client(&server, WORDS("set", "key", "value"), 1, "",
                  "kvs-client: this server wants a password first (kvs-client: --password-file or "
                  "KVS_PASSWORD)\n");
    expect_client(&server, WORDS("ping"), 0, "PONG\n", "");
    expect_client(&server, WORDS("--password-file", world.file, "set", "key", "value"), 0, "", "");
    assert_int_equal(setenv(VARIABLE, "secret", 1), 0);
    client_expect(&server, "key", "value");
    assert_int_equal(setenv(VARIABLE, "guess", 1), 0);
    expect_client(&server, WORDS("get", "key"), 1, "", "kvs-client: the password is wrong\n");
    /* The flag wins over the environment. */
    expect_client(&server, WORDS("--password-file", world.file, "get", "key"), 0, "value\n", "");
    assert_int_equal(unsetenv(VARIABLE), 0);
    expect_in_log(&server, "wrong password from 127.0.0.1:");
    char *log = server_process_log(&server);
    assert_null(strstr(log, "guess"));
    assert_null(strstr(log, "secret"));
    free(log);
    server_process_stop(&server);
    world_free(&world);
}

static void the_server_takes_one_from_its_environment(void **state)
{
    (void)state;
    struct world world = world_new("second\n");
    struct server_process server;
    assert_int_equal(setenv(VARIABLE, "first", 1), 0);
    assert_true(server_process_start(&server, world.data_dir, WORDS("--password-file", world.file),
                                     NULL, NULL));
    client_set(&server, "key", "value"); /* both programs have the same environment */
    assert_int_equal(unsetenv(VARIABLE), 0);
    expect_client(&server, WORDS("--password-file", world.file, "get", "key"), 0, "value\n", "");
    expect_client(&server, WORDS("stats"), 1, "",
                  "kvs-client: this server wants a password first (kvs-client: --password-file or "
                  "KVS_PASSWORD)\n");
    server_process_stop(&server);
    world_free(&world);
}

static bool accepts(const struct server_process *server, const char *password)
{
    assert_int_equal(setenv(VARIABLE, password, 1), 0);
    struct program_result result = run_client(server, WORDS("stats"), bytes_of(NULL, 0));
    assert_int_equal(unsetenv(VARIABLE), 0);
    bool accepted = result.exit_status == 0;
    program_result_deinit(&result);
    return accepted;
}

static bool accepts_new(void *arg)
{
    return accepts(arg, "new");
}

static bool refuses_old(void *arg)
{
    return !accepts(arg, "old");
}

/* Old and new at once, then only the new one, without a restart. */
static void passwords_are_rotated(void **state)
{
    (void)state;
    struct world world = world_new("old\n");
    struct server_process server;
    assert_true(server_process_start(&server, world.data_dir, WORDS("--password-file", world.file),
                                     NULL, NULL));
    assert_true(accepts(&server, "old"));
    assert_false(accepts(&server, "new"));
    write_passwords(&world, "old\nnew\n");
    assert_int_equal(kill(server.pid, SIGHUP), 0);
    wait_until(accepts_new, &server);
    assert_true(accepts(&server, "old"));
    write_passwords(&world, "new\n");
    assert_int_equal(kill(server.pid, SIGHUP), 0);
    wait_until(refuses_old, &server);
    assert_true(accepts(&server, "new"));
    server_process_stop(&server);
    world_free(&world);
}

/* ---- the library -------------------------------------------------------------------------- */

/* It logs in again at each new connection, and a value that was got can be handed to set also when
   that call has to connect. */
static void the_library_logs_in_again(void **state)
{
    (void)state;
    struct world world = world_new("secret\n");
    struct server_process server;
    struct test_error error;
    struct kvs_client *client = NULL;
    struct kvs_bytes value;
    char *address = NULL;
    assert_true(asprintf(&address, "unix:%s/socket", world.folder) > 0);
    const char *const *arguments = WORDS("--addr", address, "--password-file", world.file);
    struct kvs_client_config config = {
        .size = sizeof(config), .address = address, .password = "secret"};
    test_error_init(&error);
    assert_true(server_process_start(&server, world.data_dir, arguments, NULL, NULL));
    assert_status(KVS_OK, kvs_client_new(&config, &client, &error.error), &error);
    assert_status(KVS_OK,
                  kvs_client_set(client, bytes_of_text("a"), bytes_of_text("kept"), &error.error),
                  &error);
    assert_status(KVS_OK, kvs_client_get(client, bytes_of_text("a"), &value, &error.error), &error);
    server_process_stop(&server);
    assert_true(server_process_start(&server, world.data_dir, arguments, NULL, NULL));
    assert_status(KVS_OK, kvs_client_set(client, bytes_of_text("b"), value, &error.error), &error);
    assert_status(KVS_OK, kvs_client_get(client, bytes_of_text("b"), &value, &error.error), &error);
    assert_true(bytes_equal(value, bytes_of_text("kept")));
    kvs_client_free(client);
    server_process_stop(&server);
    free(address);
    world_free(&world);
}

static int kill_leftovers(void **state)
{
    (void)state;
    (void)unsetenv(VARIABLE);
    program_kill_leftovers();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_open_server_is_refused, kill_leftovers),
        cmocka_unit_test_teardown(a_file_that_others_can_read_is_refused, kill_leftovers),
        cmocka_unit_test_teardown(clients_give_it_from_a_file_or_the_environment, kill_leftovers),
        cmocka_unit_test_teardown(the_server_takes_one_from_its_environment, kill_leftovers),
        cmocka_unit_test_teardown(passwords_are_rotated, kill_leftovers),
        cmocka_unit_test_teardown(the_library_logs_in_again, kill_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
