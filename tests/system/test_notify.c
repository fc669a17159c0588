/* What the real server tells systemd, heard on a socket of the test's own. */
#include "support/program.h"
#include "support/support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct world {
    char *dir;
    char *path;
    int fd;
    struct server_process server;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->dir = temp_dir_new();
    world->path = path_join(world->dir, "notify");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(world->path) < sizeof(address.sun_path));
    memcpy(address.sun_path, world->path, strlen(world->path) + 1);
    world->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(world->fd >= 0);
    assert_int_equal(bind(world->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    struct timeval wait = {.tv_sec = support_wait_ms() / 1000};
    assert_int_equal(setsockopt(world->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", world->path, 1), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    (void)unsetenv("NOTIFY_SOCKET");
    program_kill_leftovers();
    (void)close(world->fd);
    free(world->path);
    temp_dir_free(world->dir);
    free(world);
    return 0;
}

/* Waits for a message that has the line. */
static void expect_line(const struct world *world, const char *line)
{
    char message[512];
    for (;;) {
        ssize_t size = recv(world->fd, message, sizeof(message) - 1, 0);
        if (size < 0)
            fail_msg("no '%s' came: %s", line, strerror(errno));
        message[size > 0 ? size : 0] = '\0';
        if (strstr(message, line) != NULL)
            return;
    }
}

static void life_is_told(void **state)
{
    struct world *world = *state;
    char *data_dir = path_join(world->dir, "data");
    const char *const arguments[] = {"--sync", "none", NULL};
    assert_true(server_process_start(&world->server, data_dir, arguments, NULL, NULL));
    expect_line(world, "STATUS=opening the store");
    expect_line(world, "READY=1");
    assert_int_equal(kill(world->server.pid, SIGHUP), 0);
    expect_line(world, "RELOADING=1\nMONOTONIC_USEC=");
    expect_line(world, "READY=1");
    server_process_stop(&world->server);
    expect_line(world, "STOPPING=1");
    free(data_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(life_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
