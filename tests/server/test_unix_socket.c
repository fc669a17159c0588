/* The file of a Unix socket: its mode, what it replaces, when it goes. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/unix_socket.h"

struct world {
    char *folder;
    char *path;
    struct address address;
    struct test_error error;
};

static void world_init(struct world *world)
{
    char *text = NULL;
    test_error_init(&world->error);
    world->folder = temp_dir_new();
    world->path = path_join(world->folder, "s");
    assert_true(asprintf(&text, "unix:%s", world->path) > 0);
    assert_status(KVS_OK, address_parse(text, &world->address, &world->error.error), &world->error);
    free(text);
}

static void world_deinit(struct world *world)
{
    free(world->path);
    temp_dir_free(world->folder);
}

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

static unsigned entries(const char *folder)
{
    char command[512];
    unsigned count = 0;
    (void)snprintf(command, sizeof(command), "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r"); /* NOLINT: a path of our own */
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%u", &count), 1);
    (void)pclose(pipe);
    return count;
}

static void the_file_has_its_mode_and_goes_at_the_end(void **state)
{
    (void)state;
    static const mode_t umasks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
        struct world world;
        struct unix_socket file;
        struct stat there;
        world_init(&world);
        int fd = new_socket();
        mode_t before = umask(umasks[i] & 0077); /* our own file system calls must still work */
        assert_status(KVS_OK, unix_socket_bind(&file, fd, &world.address, 0660, &world.error.error),
                      &world.error);
        (void)umask(before);
        assert_int_equal(stat(world.path, &there), 0);
        assert_int_equal(there.st_mode & 07777, 0660);
        (void)close(fd);
        unix_socket_remove(&file);
        unix_socket_remove(&file);
        assert_int_equal(entries(world.folder), 0);
        world_deinit(&world);
    }
}

/* Makes what a killed server leaves: the file of a socket that nobody has. */
static void leave_stale(const struct world *world)
{
    int fd = new_socket();
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&world->address.storage, world->address.size), 0);
    (void)close(fd);
}

static void a_stale_one_is_replaced(void **state)
{
    (void)state;
    struct world world;
    struct unix_socket file;
    struct stat stale;
    world_init(&world);
    leave_stale(&world);
    assert_int_equal(stat(world.path, &stale), 0);
    int fd = new_socket();
    assert_status(KVS_OK, unix_socket_bind(&file, fd, &world.address, 0600, &world.error.error),
                  &world.error);
    int peer = new_socket();
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(
        connect(peer, (const struct sockaddr *)&world.address.storage, world.address.size), 0);
    (void)close(peer);
    (void)close(fd);
    unix_socket_remove(&file);
    world_deinit(&world);
}

static void check_refused(struct world *world, kvs_status status, const char *reason)
{
    struct unix_socket file = {0};
    int fd = new_socket();
    test_error_init(&world->error);
    assert_status(status, unix_socket_bind(&file, fd, &world->address, 0600, &world->error.error),
                  &world->error);
    if (strstr(world->error.message, reason) == NULL)
        fail_msg("'%s' does not say '%s'", world->error.message, reason);
    assert_non_null(strstr(world->error.message, world->path));
    (void)close(fd);
}

static void one_that_listens_is_left_alone(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    int other = new_socket(); /* another program's, which knows of no lock */
    assert_int_equal(
        bind(other, (const struct sockaddr *)&world.address.storage, world.address.size), 0);
    assert_int_equal(listen(other, 1), 0);
    check_refused(&world, KVS_LOCKED, "another program does");
    int peer = new_socket();
    assert_int_equal(
        connect(peer, (const struct sockaddr *)&world.address.storage, world.address.size), 0);
    (void)close(peer);
    (void)close(other);
    assert_int_equal(entries(world.folder), 1); /* no lock is left */
    world_deinit(&world);
}

/* I1: also before it listens nobody takes it for stale. */
static void one_that_is_about_to_listen_is_left_alone(void **state)
{
    (void)state;
    struct world world;
    struct unix_socket first;
    world_init(&world);
    int fd = new_socket();
    assert_status(KVS_OK, unix_socket_bind(&first, fd, &world.address, 0600, &world.error.error),
                  &world.error);
    check_refused(&world, KVS_LOCKED, "another kvs-server does");
    (void)close(fd);
    unix_socket_remove(&first);
    world_deinit(&world);
}

static void another_file_is_left_alone(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    int fd = open(world.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    check_refused(&world, KVS_INVALID, "no socket");
    assert_int_equal(access(world.path, F_OK), 0);
    world_deinit(&world);
}

static void a_folder_that_is_everybodys_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_int_equal(chmod(world.folder, 0777), 0);
    check_refused(&world, KVS_DENIED, "anybody may replace");
    assert_int_equal(chmod(world.folder, 01777), 0); /* as /tmp */
    struct unix_socket file;
    int fd = new_socket();
    assert_status(KVS_OK, unix_socket_bind(&file, fd, &world.address, 0600, &world.error.error),
                  &world.error);
    (void)close(fd);
    unix_socket_remove(&file);
    world_deinit(&world);
}

static void somebody_elses_socket_is_refused(void **state)
{
    (void)state;
    struct world world;
    if (geteuid() != 0)
        skip(); /* only root can make one */
    world_init(&world);
    leave_stale(&world);
    assert_int_equal(lchown(world.path, 12345, 12345), 0);
    check_refused(&world, KVS_DENIED, "belongs to user 12345");
    world_deinit(&world);
}

static void a_file_that_took_its_place_stays(void **state)
{
    (void)state;
    struct world world;
    struct unix_socket file;
    world_init(&world);
    int fd = new_socket();
    assert_status(KVS_OK, unix_socket_bind(&file, fd, &world.address, 0600, &world.error.error),
                  &world.error);
    char *aside = path_join(world.folder, "aside"); /* kept, so that its inode is not used again */
    assert_int_equal(rename(world.path, aside), 0);
    leave_stale(&world);
    unix_socket_remove(&file);
    assert_int_equal(access(world.path, F_OK), 0);
    free(aside);
    (void)close(fd);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_its_mode_and_goes_at_the_end),
        cmocka_unit_test(a_stale_one_is_replaced),
        cmocka_unit_test(one_that_listens_is_left_alone),
        cmocka_unit_test(one_that_is_about_to_listen_is_left_alone),
        cmocka_unit_test(another_file_is_left_alone),
        cmocka_unit_test(a_folder_that_is_everybodys_is_refused),
        cmocka_unit_test(somebody_elses_socket_is_refused),
        cmocka_unit_test(a_file_that_took_its_place_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
