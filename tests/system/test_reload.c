/* SIGHUP: the configuration file is read again while the server serves. */
#include "support/program.h"
#include "support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    char *dir;
    char *data_dir;
    char *config;
    struct server_process server;
    const char *awaited;
};

static void write_config(const struct world *world, const char *content)
{
    FILE *file = fopen(world->config, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->dir = temp_dir_new();
    world->data_dir = path_join(world->dir, "data");
    world->config = path_join(world->dir, "kvs.conf");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    program_kill_leftovers();
    free(world->config);
    free(world->data_dir);
    temp_dir_free(world->dir);
    free(world);
    return 0;
}

static void start(struct world *world)
{
    const char *const arguments[] = {"--config", world->config, NULL};
    assert_true(server_process_start(&world->server, world->data_dir, arguments, NULL, NULL));
}

static bool log_has(void *arg)
{
    const struct world *world = arg;
    char *log = server_process_log(&world->server);
    bool found = strstr(log, world->awaited) != NULL;
    free(log);
    return found;
}

static void reload(struct world *world, const char *awaited)
{
    world->awaited = awaited;
    assert_int_equal(kill(world->server.pid, SIGHUP), 0);
    wait_until(log_has, world);
}

static void the_log_level_changes(void **state)
{
    struct world *world = *state;
    write_config(world,
                 "[server]\nlog-format = json\nlog-level = info\n[engine]\nsegment-size=1m\n");
    start(world);
    write_config(world, "[server]\nlog-level = debug\n[engine]\nsegment-size=1m\n");
    reload(world, "\"level\":\"info\",\"message\":\"the configuration is reloaded\"");
    /* A file that cannot be read does not say in which form to complain: it stays as it is. */
    write_config(world, "garbage\n");
    reload(world, "\"level\":\"error\",\"message\":\"configuration file ");
    server_process_stop(&world->server);
}

static void what_cannot_change_is_named(void **state)
{
    struct world *world = *state;
    write_config(world, "[server]\nsync = none\npool=shared-queue\n");
    start(world);
    write_config(world, "[server]\nsync = always\npool=inline\n");
    reload(world, "the configuration is reloaded");
    world->awaited = "a new 'sync' takes effect at the next start";
    assert_true(log_has(world));
    world->awaited = "a new 'pool' takes effect at the next start";
    assert_true(log_has(world));
    server_process_stop(&world->server);
}

static void a_bad_file_changes_nothing(void **state)
{
    struct world *world = *state;
    write_config(world, "[server]\nsync = none\n");
    start(world);
    write_config(world, "[server]\nsink = none\n");
    reload(world, "knows no key 'sink'");
    server_process_stop(&world->server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_log_level_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_change_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_file_changes_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
