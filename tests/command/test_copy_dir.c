/* The directory of a copy: a store when it is complete, and not before; and checkpoints of a store, on
   an engine that is a function of this file. */
#include "support/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/copy_dir.h"
#include "command/store.h"

static bool has(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void write_file(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    free(path);
}

static void expect(kvs_status expected, const char *path, const char *part)
{
    struct test_error error;
    struct copy_dir dir;
    test_error_init(&error);
    assert_status(expected, copy_dir_begin(&dir, path, "log", &error.error), &error);
    if (strstr(error.message, part) == NULL)
        fail_msg("'%s' is not in: %s", part, error.message);
}

static void it_is_a_store_when_it_is_finished(void **state)
{
    (void)state;
    struct copy_dir dir;
    struct test_error error;
    char content[128];
    test_error_init(&error);
    char *base = temp_dir_new();
    char *path = path_join(base, "a/b//c/");
    assert_status(KVS_OK, copy_dir_begin(&dir, path, "log", &error.error), &error);
    assert_true(has(path, "kvs.incomplete"));
    assert_false(has(path, "kvs.store"));
    expect(KVS_INVALID, path, "not finished"); /* nor is it empty for anybody else */
    write_file(path, "data");
    assert_status(KVS_OK, copy_dir_finish(&dir, &error.error), &error);
    assert_false(has(path, "kvs.incomplete"));
    char *marker = path_join(path, "kvs.store");
    int fd = open(marker, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, content, sizeof(content) - 1);
    assert_true(size > 0);
    content[size] = '\0';
    assert_non_null(strstr(content, "\n[store]\nformat=1\nengine=log\n"));
    (void)close(fd);
    free(marker);
    expect(KVS_INVALID, path, "holds a store already");
    free(path);
    temp_dir_free(base);
}

static void what_was_begun_can_be_taken_back(void **state)
{
    (void)state;
    struct copy_dir dir;
    char *base = temp_dir_new();
    char *path = path_join(base, "new");
    assert_int_equal(KVS_OK, copy_dir_begin(&dir, path, "log", NULL));
    copy_dir_abandon(&dir);
    assert_false(has(base, "new"));

    assert_int_equal(KVS_OK, copy_dir_begin(&dir, base, "log", NULL)); /* it was there: it stays */
    copy_dir_abandon(&dir);
    assert_false(has(base, "kvs.incomplete"));
    assert_false(has(base, "kvs.lock"));

    assert_int_equal(KVS_OK, copy_dir_begin(&dir, path, "log", NULL));
    write_file(path, "left");
    copy_dir_abandon(&dir);
    assert_true(has(path, "kvs.incomplete"));
    free(path);
    temp_dir_free(base);
}

static void other_directories_are_refused_untouched(void **state)
{
    (void)state;
    struct copy_dir dir;
    char *base = temp_dir_new();
    char *file = path_join(base, "file");
    char *below = path_join(base, "file/below");
    write_file(base, "file");
    expect(KVS_INVALID, base, "not empty (file)");
    assert_false(has(base, "kvs.lock"));
    expect(KVS_INVALID, file, "Not a directory");
    expect(KVS_INVALID, below, "Not a directory");
    expect(KVS_INVALID, "", "no name");
    assert_int_equal(KVS_OK, unlink(file));
    assert_int_equal(KVS_OK, mkdir(file, 0700));
    write_file(file, "kvs.lock"); /* of a store that is gone */
    assert_int_equal(KVS_OK, copy_dir_begin(&dir, file, "log", NULL));
    copy_dir_abandon(&dir);
    if (geteuid() != 0) {
        assert_int_equal(0, chmod(file, 0500));
        expect(KVS_DENIED, file, "Permission denied");
    }
    free(below);
    free(file);
    temp_dir_free(base);
}

/* ---- checkpoints of a store ----------------------------------------------------------------- */

struct kvs_db {
    kvs_status status; /* that a checkpoint gives */
    bool leaves_file;
};

static kvs_status fake_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                            struct kvs_error *err)
{
    (void)err;
    *ret_db = (struct kvs_db *)(uintptr_t)config->data_dir;
    return KVS_OK;
}

static kvs_status fake_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)db;
    (void)err;
    return KVS_OK;
}

static kvs_status fake_checkpoint(struct kvs_db *db, const char *path, struct kvs_error *err)
{
    assert_true(has(path, "kvs.incomplete"));
    if (db->leaves_file)
        write_file(path, "data");
    return db->status < 0 ? kvs_error_set(err, db->status, 0, "the disk is on fire") : db->status;
}

static void open_store(struct store *store, struct kvs_db *db, bool can)
{
    static const struct request_limits limits = {.key_max = 1, .value_max = 1};
    static struct kvs_engine_ops engine;
    struct kvs_engine_config config = {.size = sizeof(config), .data_dir = (const char *)db};
    engine = (struct kvs_engine_ops){.size = sizeof(engine),
                                     .open = fake_open,
                                     .close = fake_close,
                                     .checkpoint = can ? fake_checkpoint : NULL};
    assert_int_equal(KVS_OK, store_open(store, &engine, &config, &limits, NULL));
    store->engine_name = "fake";
}

static void a_checkpoint_is_a_store_or_nothing(void **state)
{
    (void)state;
    struct kvs_db db = {.leaves_file = true};
    struct store store;
    struct test_error error;
    char *base = temp_dir_new();
    char *path = path_join(base, "copy");
    test_error_init(&error);
    open_store(&store, &db, true);
    assert_status(KVS_OK, store_checkpoint(&store, path, &error.error), &error);
    assert_true(has(path, "kvs.store"));
    assert_int_equal(KVS_INVALID, store_checkpoint(&store, path, &error.error));
    assert_true(has(path, "kvs.store"));
    temp_dir_free(path);

    path = path_join(base, "other");
    db = (struct kvs_db){.status = KVS_IO};
    assert_int_equal(KVS_IO, store_checkpoint(&store, path, &error.error));
    assert_string_equal(error.message, "the disk is on fire");
    assert_false(has(base, "other"));
    db.status = KVS_PENDING;
    assert_int_equal(KVS_INTERNAL, store_checkpoint(&store, path, &error.error));
    db = (struct kvs_db){.status = KVS_IO, .leaves_file = true};
    assert_int_equal(KVS_IO, store_checkpoint(&store, path, &error.error));
    assert_true(has(path, "kvs.incomplete"));
    assert_false(has(path, "kvs.store"));
    assert_int_equal(KVS_OK, store_close(&store, NULL));

    open_store(&store, &db, false);
    assert_int_equal(KVS_UNSUPPORTED, store_checkpoint(&store, path, &error.error));
    assert_string_equal(error.message, "engine fake cannot write checkpoints");
    assert_int_equal(KVS_OK, store_close(&store, NULL));
    free(path);
    temp_dir_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store_when_it_is_finished),
        cmocka_unit_test(what_was_begun_can_be_taken_back),
        cmocka_unit_test(other_directories_are_refused_untouched),
        cmocka_unit_test(a_checkpoint_is_a_store_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
