/* Which files count as plugins, and in which order. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/files.h"

static void touch(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    free(path);
}

static void names_are_told_apart(void **state)
{
    (void)state;
    char name[PLUGIN_NAME_MAX + 2];
    memset(name, 'a', sizeof(name));
    name[PLUGIN_NAME_MAX] = '\0';
    assert_true(plugin_name_valid(name));
    name[PLUGIN_NAME_MAX] = 'a';
    name[PLUGIN_NAME_MAX + 1] = '\0';
    assert_false(plugin_name_valid(name));
    assert_true(plugin_name_valid("lmdb-2_X"));
    assert_false(plugin_name_valid(""));
    assert_false(plugin_name_valid("a/b"));
    assert_false(plugin_name_valid("a.so"));
    assert_false(plugin_name_valid(NULL));
}

static void files_are_found_sorted_and_once(void **state)
{
    (void)state;
    static const char *const names[] = {
        "kvs-pool-b.so",     "kvs-engine-z.so",   "kvs-engine-a-b.so",
        "kvs-engine-.so",    "kvs-engine-x",      "kvs-other-x.so",
        "kvs-engine-a.so.1", "kvs-engine-a b.so", "libkvs-engine.so"};
    char *first = temp_dir_new();
    char *second = temp_dir_new();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        touch(second, names[i]);
    touch(first, "kvs-engine-z.so");
    const char *const paths[] = {"/nonexistent", first, second, first};
    struct plugin_dirs dirs = {paths, 4};
    struct plugin_files files;
    assert_int_equal(plugin_files_find(&dirs, 0, &files), KVS_OK);
    assert_int_equal(files.count, 3);
    assert_string_equal(files.items[0].name, "a-b");
    assert_string_equal(files.items[1].name, "z");
    assert_int_equal(strncmp(files.items[1].path, first, strlen(first)), 0);
    assert_string_equal(files.items[2].name, "b");
    assert_int_equal(files.items[2].kind, KVS_PLUGIN_POOL);
    plugin_files_deinit(&files);
    assert_int_equal(plugin_files_find(&dirs, KVS_PLUGIN_POOL, &files), KVS_OK);
    assert_int_equal(files.count, 1);
    plugin_files_deinit(&files);
    temp_dir_free(first);
    temp_dir_free(second);
}

static void paths_are_built_from_kind_and_name(void **state)
{
    (void)state;
    char *path = plugin_file_path("/a", KVS_PLUGIN_ENGINE, "b");
    assert_string_equal(path, "/a/kvs-engine-b.so");
    free(path);
    path = plugin_file_path("", KVS_PLUGIN_POOL, "b");
    assert_string_equal(path, "./kvs-pool-b.so");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(files_are_found_sorted_and_once),
        cmocka_unit_test(paths_are_built_from_kind_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
