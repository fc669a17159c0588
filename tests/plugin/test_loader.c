/* Opening the plugins of the shelf (shelf/meson.build): good ones, and each kind of refusal. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/loader.h"

static const char *shelf_dir(void)
{
    const char *dir = getenv("KVS_TEST_SHELF");
    assert_non_null(dir);
    return dir;
}

static kvs_status open_in(const char *dir, uint32_t kind, const char *name,
                          struct plugin **ret_plugin, struct test_error *error)
{
    const char *const paths[] = {"/nonexistent/kvs", dir};
    struct plugin_dirs dirs = {paths, 2};
    test_error_init(error);
    return plugin_open(&dirs, kind, name, ret_plugin, &error->error);
}

static void assert_has(const struct test_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL)
        fail_msg("'%s' is not in: %s", words, error->message);
}

struct refusal {
    const char *name;
    const char *words; /* separated by '|'; each is in the message */
};

/* Opens a plugin that is refused, and looks for the words in the message. */
static void assert_refused_in(const char *dir, uint32_t kind, const char *name, kvs_status status,
                              const char *words)
{
    struct plugin *plugin = NULL;
    struct test_error error;
    assert_status(status, open_in(dir, kind, name, &plugin, &error), &error);
    assert_null(plugin);
    assert_int_equal(error.error.status, status);
    char *copy = strdup(words);
    char *rest = copy;
    for (char *word = strsep(&rest, "|"); word != NULL; word = strsep(&rest, "|"))
        assert_has(&error, word);
    free(copy);
}

static struct plugin *open_good(uint32_t kind, const char *name)
{
    struct plugin *plugin = NULL;
    struct test_error error;
    assert_status(KVS_OK, open_in(shelf_dir(), kind, name, &plugin, &error), &error);
    assert_non_null(plugin);
    assert_int_equal(plugin->kind, kind);
    assert_string_equal(plugin->name, name);
    assert_non_null(strstr(plugin->path, name));
    return plugin;
}

static void good_engine_is_opened_and_clamped(void **state)
{
    (void)state;
    struct plugin *plugin = open_good(KVS_PLUGIN_ENGINE, "good");
    const struct kvs_engine_ops *ops = &plugin->ops.engine;
    assert_string_equal(plugin->descriptor->version, "1.2.3");
    assert_int_equal(ops->size, sizeof(*ops));
    assert_int_equal(ops->capabilities, KVS_ENGINE_HAS_SYNC);
    assert_non_null(ops->sync);
    assert_null(ops->scan);
    assert_int_equal(ops->key_max, 1024);
    assert_int_equal(ops->batch_ops_max, 1); /* has no submit */
    assert_int_equal(ops->batch_bytes_max, 1024 + 4096);
    plugin_free(plugin);
}

static void good_pool_is_opened(void **state)
{
    (void)state;
    struct plugin *plugin = open_good(KVS_PLUGIN_POOL, "good");
    assert_non_null(plugin->ops.pool.spawn);
    assert_null(plugin->ops.pool.spawn_batch);
    assert_int_equal(plugin->ops.pool.capabilities, KVS_POOL_INLINE);
    plugin_free(plugin);
}

static void plugin_can_be_opened_twice(void **state)
{
    (void)state;
    struct plugin *first = open_good(KVS_PLUGIN_ENGINE, "good");
    plugin_free(first);
    struct plugin *second = open_good(KVS_PLUGIN_ENGINE, "good");
    struct plugin *third = open_good(KVS_PLUGIN_ENGINE, "good");
    assert_ptr_equal(second->descriptor, third->descriptor);
    plugin_free(second);
    plugin_free(third);
    plugin_free(NULL);
}

/* A longer table and bits that this host does not know are accepted, and cut to what it knows. */
static void newer_minor_is_accepted(void **state)
{
    (void)state;
    struct plugin *plugin = open_good(KVS_PLUGIN_ENGINE, "newer-minor");
    assert_int_equal(plugin->descriptor->abi_minor, KVS_ABI_MINOR + 7);
    assert_int_equal(plugin->ops.engine.size, sizeof(struct kvs_engine_ops));
    assert_int_equal(plugin->ops.engine.capabilities, KVS_ENGINE_HAS_SYNC |
                                                          KVS_ENGINE_CONCURRENT_WRITERS |
                                                          KVS_ENGINE_GET_NEVER_BLOCKS);
    plugin_free(plugin);
}

static void pointer_without_bit_counts_as_absent(void **state)
{
    (void)state;
    struct plugin *plugin = open_good(KVS_PLUGIN_ENGINE, "pointer-without-bit");
    assert_null(plugin->ops.engine.sync);
    plugin_free(plugin);
}

static void broken_engines_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"no-entry", "not a kvs plugin|kvs_plugin_entry_v1|kvs-engine-no-entry.so"},
        {"other-major", "plugin ABI 2|this kvs has ABI 1|rebuild"},
        {"descriptor-major", "ABI 2|this kvs has ABI 1|kvs-engine-descriptor-major.so"},
        {"bad-magic", "KVS_PLUGIN_MAGIC|kvs-engine-bad-magic.so"},
        {"short-descriptor", "descriptor is too short"},
        {"no-description", "no description"},
        {"null-list", "list of descriptors is empty"},
        {"endless-list", "does not end within 64"},
        {"twice", "describes engine 'twice' twice"},
        {"wrong-kind", "holds pool 'wrong-kind', not engine 'wrong-kind'"},
        {"wrong-name", "holds engine 'another', not engine 'wrong-name'"},
        {"short-table", "table of operations is too short: 80 bytes, not 88"},
        {"cut-table", "promise the operation 'sync'"},
        {"null-mandatory", "mandatory operation 'get' is NULL"},
        {"bit-without-pointer", "promise the operation 'scan'"},
        {"half-threads", "promise the operation 'thread_detach'"},
        {"no-limits", "key_max is 0"},
        {"duplicate-option", "option 'refuse' is declared twice"},
        {"bad-default", "invalid default of option 'cache'|2g|4k..1g"},
        {"bad-stride", "options are 12 bytes apart"},
        {"undefined-symbol", "cannot load|symbol_that_nobody_defines"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        assert_refused_in(shelf_dir(), KVS_PLUGIN_ENGINE, refusals[i].name, KVS_INCOMPATIBLE,
                          refusals[i].words);
}

static void broken_pools_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"short-table", "table of operations is too short: 8 bytes, not 48"},
        {"null-mandatory", "mandatory operation 'destroy' is NULL"},
        {"bit-without-pointer", "promise the operation 'stats'"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        assert_refused_in(shelf_dir(), KVS_PLUGIN_POOL, refusals[i].name, KVS_INCOMPATIBLE,
                          refusals[i].words);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void what_is_no_shared_object_is_refused(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    write_file(dir, "kvs-engine-text.so", "this is a text, not a shared object\n");
    write_file(dir, "kvs-engine-empty.so", "");
    write_file(dir, "kvs-engine-half.so", "\177ELF");
    char *folder = path_join(dir, "kvs-engine-folder.so");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "text", KVS_INCOMPATIBLE,
                      "kvs-engine-text.so is not a kvs plugin|no shared object");
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "empty", KVS_INCOMPATIBLE, "is not a kvs plugin");
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "half", KVS_INCOMPATIBLE,
                      "cannot load|file too short");
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "folder", KVS_INCOMPATIBLE, "not a regular file");
    free(folder);
    temp_dir_free(dir);
}

static void missing_plugin_names_what_there_is(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "foo", KVS_MISSING,
                      "no engine plugin 'foo': there is none in|--plugin-dir");
    write_file(dir, "kvs-engine-b.so", "");
    write_file(dir, "kvs-engine-a.so", "");
    write_file(dir, "kvs-pool-c.so", "");
    write_file(dir, "kvs-engine-.so", "");
    write_file(dir, "kvs-engine-x.y.so", "");
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "foo", KVS_MISSING,
                      "no engine plugin 'foo': found a, b in /nonexistent/kvs, |--engine ");
    assert_refused_in(dir, KVS_PLUGIN_POOL, "foo", KVS_MISSING, "found c in|--pool ");
    temp_dir_free(dir);
}

static void many_names_do_not_push_out_the_advice(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    for (int i = 0; i < 100; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "kvs-engine-number-%03d.so", i);
        write_file(dir, name, "");
    }
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "foo", KVS_MISSING,
                      "found number-000, number-001|...|add a folder with --plugin-dir");
    temp_dir_free(dir);
}

static void kvs_is_another_name_of_log(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    assert_refused_in(dir, KVS_PLUGIN_ENGINE, "kvs", KVS_MISSING, "no engine plugin 'log'");
    assert_refused_in(dir, KVS_PLUGIN_POOL, "kvs", KVS_MISSING, "no pool plugin 'kvs'");
    temp_dir_free(dir);
}

static void names_cannot_leave_the_directory(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        ".",
        "..",
        "../good",
        "good.so",
        "a/b",
        "a b",
        "a\n",
        "\xc3\xa4",
        "good\x01",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 65 */
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_refused_in(shelf_dir(), KVS_PLUGIN_ENGINE, names[i], KVS_INVALID, "is no name");
    assert_refused_in(shelf_dir(), KVS_PLUGIN_ENGINE, NULL, KVS_INVALID, "is no name");
    assert_refused_in(shelf_dir(), KVS_PLUGIN_ENGINE,
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                      KVS_MISSING, "no engine plugin 'aaaa");
}

static void first_directory_wins(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    write_file(dir, "kvs-engine-good.so", "in the way");
    const char *const paths[] = {dir, shelf_dir()};
    struct plugin_dirs dirs = {paths, 2};
    struct plugin *plugin = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_INCOMPATIBLE,
                  plugin_open(&dirs, KVS_PLUGIN_ENGINE, "good", &plugin, &error.error), &error);
    assert_has(&error, dir);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_engine_is_opened_and_clamped),
        cmocka_unit_test(good_pool_is_opened),
        cmocka_unit_test(plugin_can_be_opened_twice),
        cmocka_unit_test(newer_minor_is_accepted),
        cmocka_unit_test(pointer_without_bit_counts_as_absent),
        cmocka_unit_test(broken_engines_are_refused_with_the_reason),
        cmocka_unit_test(broken_pools_are_refused_with_the_reason),
        cmocka_unit_test(what_is_no_shared_object_is_refused),
        cmocka_unit_test(missing_plugin_names_what_there_is),
        cmocka_unit_test(many_names_do_not_push_out_the_advice),
        cmocka_unit_test(kvs_is_another_name_of_log),
        cmocka_unit_test(names_cannot_leave_the_directory),
        cmocka_unit_test(first_directory_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
