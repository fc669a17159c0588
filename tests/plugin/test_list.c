/* The list of plugins, over the shelf: the good ones in full, a line for each that fails. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/list.h"

static char *list_of(const char *dir)
{
    const char *const paths[] = {dir};
    struct plugin_dirs dirs = {paths, 1};
    struct test_error error;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    test_error_init(&error);
    assert_status(KVS_OK, plugin_list_print(&dirs, out, &error.error), &error);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_listed(const char *list, const char *words)
{
    const char *text = list != NULL ? list : "";
    if (strstr(text, words) == NULL)
        fail_msg("'%s' is not in:\n%s", words, text);
}

static void shelf_is_listed(void **state)
{
    (void)state;
    char *list = list_of(getenv("KVS_TEST_SHELF"));
    assert_listed(list, "engine good 1.2.3 (ABI 1.0)\n    an engine that stores nothing\n    /");
    assert_listed(list, "/kvs-engine-good.so\n"
                        "    --engine-opt refuse=<text>\n"
                        "        the message that open fails with\n"
                        "        default empty\n"
                        "    --engine-opt cache=<bytes>\n"
                        "        memory for nothing, in bytes\n"
                        "        default 64k, range 4k..1g, reloadable, fixed when the store is "
                        "made\n");
    assert_listed(list, "pool good 1.2.3 (ABI 1.0)\n    a pool without threads\n");
    assert_listed(list, "/kvs-pool-good.so\n    runs jobs in the caller\n");
    assert_listed(list, "/kvs-engine-newer-minor.so\n    concurrent writers, gets never block\n");
    assert_listed(list, "engine newer-minor 1.2.3 (ABI 1.7)");
    assert_listed(list, "kvs-engine-bad-magic.so: cannot be loaded: ");
    assert_listed(list, "kvs-engine-other-major.so: cannot be loaded: ");
    /* A constructor that ends the process costs its line only; what follows in the order is there.
     */
    assert_listed(list, "kvs-engine-crash.so: cannot be loaded: killed by signal 6 (Aborted)");
    assert_listed(list, "kvs-engine-exit.so: cannot be loaded: it ended the process that loaded it "
                        "(exit status 0)");
    assert_true(strstr(list, "kvs-engine-bad-magic.so") < strstr(list, "kvs-engine-crash.so"));
    assert_true(strstr(list, "kvs-engine-crash.so") < strstr(list, "engine good"));
    assert_true(strstr(list, "engine good") < strstr(list, "pool good"));
    free(list);
}

static void empty_folder_says_so(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    char *list = list_of(dir);
    assert_listed(list, "no plugins found in ");
    assert_listed(list, dir);
    assert_listed(list, "--plugin-dir");
    free(list);
    temp_dir_free(dir);
}

static void full_disk_is_reported(void **state)
{
    (void)state;
    const char *const paths[] = {getenv("KVS_TEST_SHELF")};
    struct plugin_dirs dirs = {paths, 1};
    struct test_error error;
    FILE *out = fopen("/dev/full", "w");
    assert_non_null(out);
    test_error_init(&error);
    assert_status(KVS_IO, plugin_list_print(&dirs, out, &error.error), &error);
    assert_listed(error.message, "cannot write");
    (void)fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shelf_is_listed),
        cmocka_unit_test(empty_folder_says_so),
        cmocka_unit_test(full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
