/* Operators' commands of the Redis protocol on the real server: checkpoints, the slow log, settings, the
   list of clients, stopping. */
#include "support/program.h"
#include "support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/wire.h"

struct world {
    char *dir;
    char *data_dir;
    char *checkpoints;
    struct server_process server;
    int fd;
};

static void start(struct world *world, const char *data_dir)
{
    const char *const arguments[] = {"--sync",
                                     "none",
                                     "--checkpoint-dir",
                                     world->checkpoints,
                                     "--checkpoint-keep",
                                     "2",
                                     "--slow-log-us",
                                     "1",
                                     "--engine-opt",
                                     "segment-size=1m",
                                     NULL};
    char *log = NULL;
    if (!server_process_start(&world->server, data_dir, arguments, &log, NULL))
        fail_msg("%s", log);
    world->fd = connect_to(world->server.port);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->dir = temp_dir_new();
    world->data_dir = path_join(world->dir, "data");
    world->checkpoints = path_join(world->dir, "checkpoints");
    world->fd = -1;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->fd >= 0)
        (void)close(world->fd);
    program_kill_leftovers();
    free(world->checkpoints);
    free(world->data_dir);
    temp_dir_free(world->dir);
    free(world);
    return 0;
}

/* Sends an inline command, and an ECHO whose answer ends what there is to read. */
static char *ask(const struct world *world, const char *command)
{
    static const char end[] = "$11\r\nend-of-test\r\n";
    char line[512];
    size_t cap = 1 << 20;
    size_t size = 0;
    char *answer = malloc(cap);
    assert_non_null(answer);
    (void)snprintf(line, sizeof(line), "%s\r\nECHO end-of-test\r\n", command);
    assert_true(send_all(world->fd, line, strlen(line)));
    for (;;) {
        ssize_t received = recv(world->fd, answer + size, cap - size - 1, 0);
        if (received <= 0)
            fail_msg("the connection ended during '%s'", command);
        size += (size_t)received;
        answer[size] = '\0';
        if (size >= strlen(end) && strcmp(answer + size - strlen(end), end) == 0)
            break;
    }
    answer[size - strlen(end)] = '\0';
    return answer;
}

static void expect(const struct world *world, const char *command, const char *content)
{
    char *answer = ask(world, command);
    if (strstr(answer, content) == NULL)
        fail_msg("%s: '%s' is not in:\n%s", command, content, answer);
    free(answer);
}

/* The entries of the folder of checkpoints; ret_last: the last one in order, malloced. */
static unsigned count_checkpoints(const struct world *world, char **ret_last)
{
    struct dirent **names;
    int count = scandir(world->checkpoints, &names, NULL, alphasort);
    unsigned found = 0;
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            found++;
            free(*ret_last);
            *ret_last = strdup(names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    return found;
}

static bool is_saved(void *arg)
{
    char *answer = ask(arg, "INFO persistence");
    bool saved = strstr(answer, "rdb_bgsave_in_progress:0") != NULL;
    free(answer);
    return saved;
}

static void checkpoints_are_stores_and_the_newest_stay(void **state)
{
    struct world *world = *state;
    char *last = NULL;
    start(world, world->data_dir);
    expect(world, "SET key first", "+OK");
    expect(world, "SAVE", "+OK");
    expect(world, "SAVE", "+OK");
    expect(world, "SET key second", "+OK");
    expect(world, "BGSAVE", "+Background saving started");
    wait_until(is_saved, world);
    expect(world, "INFO persistence", "rdb_last_bgsave_status:ok");
    expect(world, "SET key third", "+OK");
    assert_int_equal(count_checkpoints(world, &last), 2);
    server_process_stop(&world->server);
    (void)close(world->fd);

    char *copy = path_join(world->checkpoints, last);
    start(world, copy);
    expect(world, "GET key", "second");
    server_process_stop(&world->server);
    free(copy);
    free(last);
}

/* What a crash left is not counted among those that stay. */
static void a_checkpoint_that_was_cut_off_takes_no_place(void **state)
{
    struct world *world = *state;
    char *last = NULL;
    char *cut_off = path_join(world->checkpoints, "checkpoint-29991231T235959.000Z");
    char *mark = path_join(cut_off, "kvs.incomplete");
    start(world, world->data_dir);
    expect(world, "SAVE", "+OK");
    assert_int_equal(0, mkdir(cut_off, 0700));
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    expect(world, "SAVE", "+OK");
    assert_int_equal(count_checkpoints(world, &last), 3);
    expect(world, "SAVE", "+OK");
    assert_int_equal(count_checkpoints(world, &last), 3);
    assert_int_equal(0, access(mark, F_OK));
    server_process_stop(&world->server);
    free(mark);
    free(cut_off);
    free(last);
}

static void what_was_slow_is_shown_without_passwords(void **state)
{
    struct world *world = *state;
    start(world, world->data_dir);
    expect(world, "CLIENT SETNAME tester", "+OK");
    expect(world, "SET slow-key value", "+OK");
    expect(world, "SLOWLOG GET 10", "slow-key");
    expect(world, "SLOWLOG GET 10", "tester");
    expect(world, "SLOWLOG RESET", "+OK");
    expect(world, "AUTH secret-word", "-ERR");
    expect(world, "SLOWLOG GET 10", "(redacted)");
    char *answer = ask(world, "SLOWLOG GET 10");
    assert_null(strstr(answer, "secret-word"));
    free(answer);
    expect(world, "CONFIG SET slowlog-log-slower-than -1", "+OK");
    expect(world, "SLOWLOG RESET", "+OK");
    expect(world, "SLOWLOG LEN", ":0");
    server_process_stop(&world->server);
}

static void settings_are_shown_and_changed(void **state)
{
    struct world *world = *state;
    start(world, world->data_dir);
    expect(world, "CONFIG GET slowlog-max-len", "128");
    expect(world, "CONFIG SET slowlog-max-len 7", "+OK");
    expect(world, "CONFIG GET slowlog-max-len", "$1\r\n7\r\n");
    expect(world, "CONFIG SET slowlog-max-len many", "-ERR");
    expect(world, "CONFIG SET loglevel debug", "+OK");
    expect(world, "CONFIG GET loglevel", "debug");
    expect(world, "CONFIG SET port 1", "immutable");
    expect(world, "CONFIG GET appendfsync", "no");
    server_process_stop(&world->server);
}

static void commands_are_counted_until_reset(void **state)
{
    struct world *world = *state;
    start(world, world->data_dir);
    expect(world, "SET key value", "+OK");
    expect(world, "INFO commandstats", "cmdstat_set:calls=1,");
    expect(world, "CONFIG RESETSTAT", "+OK");
    char *answer = ask(world, "INFO commandstats");
    assert_null(strstr(answer, "cmdstat_set:"));
    free(answer);
    server_process_stop(&world->server);
}

static void clients_are_listed_and_killed(void **state)
{
    struct world *world = *state;
    start(world, world->data_dir);
    int other = connect_to(world->server.port);
    assert_true(send_all(other, "CLIENT SETNAME other\r\n", 22));
    char ok[5];
    assert_true(receive_all(other, ok, sizeof(ok)));
    char *answer = ask(world, "CLIENT LIST");
    const char *line = strstr(answer, "name=other");
    assert_non_null(line);
    while (line > answer && line[-1] != '\n')
        line--;
    unsigned id = 0;
    assert_int_equal(sscanf(line, "id=%u", &id), 1);
    free(answer);
    char command[64];
    (void)snprintf(command, sizeof(command), "CLIENT KILL ID %u", id);
    expect(world, command, ":1");
    expect_closed(other);
    (void)close(other);
    server_process_stop(&world->server);
}

static void a_client_can_stop_the_server(void **state)
{
    struct world *world = *state;
    char *last = NULL;
    start(world, world->data_dir);
    expect(world, "SET key value", "+OK");
    assert_true(send_all(world->fd, "SHUTDOWN SAVE\r\n", 15));
    assert_int_equal(server_process_end(&world->server, 0), 0);
    assert_int_equal(count_checkpoints(world, &last), 1);
    free(last);
}

static void without_a_folder_saving_is_refused(void **state)
{
    struct world *world = *state;
    assert_true(server_process_start(&world->server, world->data_dir, NULL, NULL, NULL));
    world->fd = connect_to(world->server.port);
    expect(world, "SAVE", "--checkpoint-dir");
    expect(world, "BGSAVE", "--checkpoint-dir");
    expect(world, "SHUTDOWN SAVE", "--checkpoint-dir");
    server_process_stop(&world->server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_checkpoint_that_was_cut_off_takes_no_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(checkpoints_are_stores_and_the_newest_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_slow_is_shown_without_passwords, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(settings_are_shown_and_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(commands_are_counted_until_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_are_listed_and_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_can_stop_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_folder_saving_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
