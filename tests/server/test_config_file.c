/* kvs-server's configuration file: what it sets, who wins, and what is refused. */
#include "support/support.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_file.h"

/* The flags of a made-up program, and a file for it. */
struct world {
    char *dir;
    char *path;
    gchar *text;
    gchar *path_option;
    gchar **list;
    gboolean flag;
    gchar **engine;
    gchar **pool;
    struct test_error error;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->dir = temp_dir_new();
    world->path = path_join(world->dir, "kvs.conf");
    test_error_init(&world->error);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    g_free(world->text);
    g_free(world->path_option);
    g_strfreev(world->list);
    g_strfreev(world->engine);
    g_strfreev(world->pool);
    free(world->path);
    temp_dir_free(world->dir);
    free(world);
    return 0;
}

static kvs_status apply(struct world *world, const char *content)
{
    const GOptionEntry entries[] = {
        {"text", 0, 0, G_OPTION_ARG_STRING, &world->text, NULL, NULL},
        {"path", 0, 0, G_OPTION_ARG_FILENAME, &world->path_option, NULL, NULL},
        {"list", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &world->list, NULL, NULL},
        {"flag", 0, 0, G_OPTION_ARG_NONE, &world->flag, NULL, NULL},
        {.long_name = NULL},
    };
    const struct config_file_lists lists = {&world->engine, &world->pool};
    if (content != NULL)
        assert_true(g_file_set_contents(world->path, content, -1, NULL));
    return config_file_apply(world->path, entries, &lists, &world->error.error);
}

static void every_kind_of_flag_can_be_set(void **state)
{
    struct world *world = *state;
    assert_status(KVS_OK,
                  apply(world, "# comment\n[server]\ntext = a b \npath=/x\nlist=/1;/2\nflag=on\n"
                               "[engine]\nsegment-size = 64m\n[pool]\nqueue-limit=7\n"),
                  &world->error);
    assert_string_equal(world->text, "a b");
    assert_string_equal(world->path_option, "/x");
    assert_string_equal(world->list[0], "/1");
    assert_string_equal(world->list[1], "/2");
    assert_null(world->list[2]);
    assert_true(world->flag);
    assert_string_equal(world->engine[0], "segment-size=64m");
    assert_string_equal(world->pool[0], "queue-limit=7");
}

static void an_empty_file_changes_nothing(void **state)
{
    struct world *world = *state;
    assert_status(KVS_OK, apply(world, ""), &world->error);
    assert_null(world->text);
    assert_false(world->flag);
    assert_null(world->engine);
}

static void the_command_line_wins(void **state)
{
    struct world *world = *state;
    world->text = g_strdup("flag's");
    world->list = g_strsplit("/mine", ";", -1);
    world->engine = g_strsplit("a=1;b=2", ";", -1);
    assert_status(KVS_OK,
                  apply(world, "[server]\ntext=file's\nlist=/other\nflag=false\n"
                               "[engine]\nb=9\nc=3\n"),
                  &world->error);
    assert_string_equal(world->text, "flag's");
    assert_string_equal(world->list[0], "/mine");
    assert_null(world->list[1]);
    assert_false(world->flag);
    assert_int_equal(g_strv_length(world->engine), 3);
    assert_string_equal(world->engine[1], "b=2");
    assert_string_equal(world->engine[2], "c=3");
}

static void what_is_wrong_is_named(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *content;
        const char *named;
    } cases[] = {
        {"[server]\ntxt=1\n", "'txt'"},
        {"[sever]\ntext=1\n", "[sever]"},
        {"[server]\nflag=perhaps\n", "perhaps"},
        {"text=1\n", "kvs.conf"},
        {"[server\n", "kvs.conf"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_error_init(&world->error);
        assert_status(KVS_INVALID, apply(world, cases[i].content), &world->error);
        if (strstr(world->error.message, cases[i].named) == NULL)
            fail_msg("'%s' is not in: %s", cases[i].named, world->error.message);
    }
}

static void a_missing_file_is_an_error(void **state)
{
    struct world *world = *state;
    assert_status(KVS_MISSING, apply(world, NULL), &world->error);
    assert_non_null(strstr(world->error.message, "kvs.conf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_flag_can_be_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_file_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_command_line_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
