/* Where kvs-server listens: several addresses, Unix sockets, sockets that were handed down. */
#include "support/program.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/expect.h"
#include "system/run_client.h"

/* The address "unix:FOLDER/NAME", malloced. */
static char *unix_address(const char *folder, const char *name)
{
    char *text = NULL;
    assert_true(asprintf(&text, "unix:%s/%s", folder, name) > 0);
    return text;
}

static const char *path_of(const char *address)
{
    return address + strlen("unix:");
}

static struct server_process at(const struct server_process *server, const char *address)
{
    struct server_process other = *server;
    (void)snprintf(other.address, sizeof(other.address), "%s", address);
    return other;
}

static void several_addresses_serve_one_store(void **state)
{
    (void)state;
    struct server_process server;
    struct stat there;
    char *data_dir = temp_dir_new();
    char *folder = temp_dir_new();
    char *first = unix_address(folder, "a");
    char *second = unix_address(folder, "b");
    assert_true(server_process_start(
        &server, data_dir, WORDS("--listen", first, "--listen", second, "--socket-mode", "640"),
        NULL, NULL));
    expect_in_log(&server, first);
    expect_in_log(&server, second);
    struct server_process through_first = at(&server, first);
    struct server_process through_second = at(&server, second);
    client_set(&server, "a", "over TCP");
    client_set(&through_first, "b", "over a Unix socket");
    client_expect(&through_second, "a", "over TCP");
    client_expect(&server, "b", "over a Unix socket");
    assert_int_equal(stat(path_of(first), &there), 0);
    assert_int_equal(there.st_mode & 07777, 0640);
    server_process_stop(&server);
    assert_int_not_equal(access(path_of(first), F_OK), 0);
    assert_int_not_equal(access(path_of(second), F_OK), 0);
    free(first);
    free(second);
    temp_dir_free(folder);
    temp_dir_free(data_dir);
}

static void a_socket_left_by_a_killed_server_is_taken_over(void **state)
{
    (void)state;
    struct server_process server;
    char *data_dir = temp_dir_new();
    char *other_dir = temp_dir_new();
    char *folder = temp_dir_new();
    char *address = unix_address(folder, "s");
    char *log = NULL;
    int status = 0;
    assert_true(server_process_start(&server, data_dir, WORDS("--addr", address), NULL, NULL));
    assert_string_equal(server.address, address);
    client_set(&server, "key", "value");

    struct server_process second;
    assert_false(server_process_start(&second, other_dir, WORDS("--addr", address), &log, &status));
    expect_in(log, "another kvs-server does");
    assert_int_equal(status, 1);
    free(log);
    client_expect(&server, "key", "value"); /* it was not disturbed */

    (void)server_process_end(&server, SIGKILL);
    assert_int_equal(access(path_of(address), F_OK), 0);
    assert_true(server_process_start(&server, data_dir, WORDS("--addr", address), NULL, NULL));
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    free(address);
    temp_dir_free(folder);
    temp_dir_free(other_dir);
    temp_dir_free(data_dir);
}

static int listening_socket(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* inherited */
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* As systemd does it: the socket is descriptor 3, and listens before the server is there. */
static void a_socket_that_was_handed_down_is_served(void **state)
{
    (void)state;
    struct server_process server;
    char *data_dir = temp_dir_new();
    char script[256];
    char expected[64];
    uint16_t port;
    int fd = listening_socket(&port);
    int waiting = connect_to(port); /* before the server */
    (void)snprintf(script, sizeof(script),
                   "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" 3<&%d", fd);
    char *log = NULL;
    if (!server_process_start_argv(
            &server, WORDS("/bin/sh", "-c", script, program_server(), "--data-dir", data_dir), &log,
            NULL))
        fail_msg("kvs-server did not start: %s", log);
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
    assert_string_equal(server.address, expected); /* and not the default one */
    client_set(&server, "key", "value");
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    (void)close(waiting);
    (void)close(fd);
    temp_dir_free(data_dir);
}

static void a_descriptor_that_does_not_listen_is_refused(void **state)
{
    (void)state;
    struct server_process server;
    char *data_dir = temp_dir_new();
    char *log = NULL;
    int status = 0;
    assert_false(server_process_start(&server, data_dir, WORDS("--listen", "fd:2"), &log, &status));
    expect_in(log, "descriptor 2 is no listening");
    assert_int_equal(status, 2);
    free(log);
    temp_dir_free(data_dir);
}

static int kill_leftovers(void **state)
{
    (void)state;
    program_kill_leftovers();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(several_addresses_serve_one_store, kill_leftovers),
        cmocka_unit_test_teardown(a_socket_left_by_a_killed_server_is_taken_over, kill_leftovers),
        cmocka_unit_test_teardown(a_socket_that_was_handed_down_is_served, kill_leftovers),
        cmocka_unit_test_teardown(a_descriptor_that_does_not_listen_is_refused, kill_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
