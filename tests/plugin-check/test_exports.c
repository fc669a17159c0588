/* What a shared object exports, and files that are none. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin-check/exports.h"

static const char *plugin_path;

static void plugin_exports_its_entry_only(void **state)
{
    unsigned count = 77;
    char name[64] = "";
    (void)state;
    assert_int_equal(exports_list(plugin_path, "kvs_plugin_entry_v1", &count, name, sizeof(name)),
                     KVS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(exports_list(plugin_path, "something else", &count, name, sizeof(name)),
                     KVS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(name, "kvs_plugin_entry_v1");
    assert_int_equal(exports_list(plugin_path, "", &count, name, 5), KVS_OK);
    assert_string_equal(name, "kvs_");
}

/* The plugin cut short at any place: a status, never a read behind its end. */
static void cut_files_are_refused(void **state)
{
    static uint8_t bytes[65536];
    char name[64];
    unsigned count;
    (void)state;
    char *dir = temp_dir_new();
    char *path = path_join(dir, "cut.so");
    int from = open(plugin_path, O_RDONLY | O_CLOEXEC);
    assert_true(from >= 0);
    ssize_t size = read(from, bytes, sizeof(bytes));
    (void)close(from);
    assert_true(size > 4096);
    for (ssize_t cut = 0; cut < size; cut += 509) {
        int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(to >= 0);
        assert_int_equal(write(to, bytes, (size_t)cut), cut);
        (void)close(to);
        assert_int_equal(exports_list(path, "x", &count, name, sizeof(name)), KVS_UNSUPPORTED);
    }
    assert_int_equal(exports_list(dir, "x", &count, name, sizeof(name)), KVS_IO);
    free(path);
    assert_int_equal(exports_list("/nowhere/at/all", "x", &count, name, sizeof(name)), KVS_IO);
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugin_exports_its_entry_only),
        cmocka_unit_test(cut_files_are_refused),
    };
    if (argc < 3)
        return EXIT_FAILURE;
    plugin_path = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
