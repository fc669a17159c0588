/*
 * The format on the disk: a reader that was written from docs/log-format.md alone (read_store.py) finds
 * in a store what the engine finds; and the stores that earlier versions left (stored/) are opened.
 *
 * Arguments: the reader, stored/store_text.py, the stored files. With "make DIRECTORY clean" or "make
 * DIRECTORY killed" it makes such a store instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_support.h"
#include "support/program.h"
#include "verify.h"

#define PYTHON      "/usr/bin/python3"
#define LARGE_BYTES (UINT64_C(3) << 19) /* larger than a segment: it gets one of its own */

static const char *reader;
static const char *store_text;
static char *const *stored;
static int stored_count;

/* ---- what is in them ------------------------------------------------------------------------ */

struct content {
    const char *key;
    uint64_t key_bytes;
    const char *value;
    uint64_t given_bytes; /* at value */
    uint64_t value_bytes; /* zeros follow what is given */
};

#define TEXT(text) (text), sizeof(text) - 1
#define CONTENT(key, value)                                                                        \
    {                                                                                              \
        TEXT(key), TEXT(value), sizeof(value) - 1                                                  \
    }

/* Sorted by key. */
static const struct content contents[] = {
    CONTENT("\0binary\xFF\n", "\0\x01\x02"),
    CONTENT("batch-1", "second batch"),
    CONTENT("batch-2", "first batch"),
    CONTENT("batch-3", "second batch"),
    CONTENT("copied", "once, and then moved by compaction"),
    CONTENT("empty", ""),
    {TEXT("large"), TEXT("begin"), LARGE_BYTES},
    CONTENT("overwritten", "third"),
    CONTENT("removed and set", "again"),
};
#define CONTENT_COUNT (sizeof(contents) / sizeof(contents[0]))

/* Keys that were there once. */
static const char *const absent[] = {"removed", "removed early", "never"};

static uint8_t *large_value(void)
{
    uint8_t *value = calloc(1, LARGE_BYTES);
    assert_non_null(value);
    memcpy(value, "begin", 5);
    return value;
}

/* ---- making one ----------------------------------------------------------------------------- */

static struct kvs_bytes text_of(const char *text)
{
    return (struct kvs_bytes){text, strlen(text)};
}

static void set(struct test_store *store, const char *key, const char *value)
{
    assert_int_equal(KVS_OK,
                     engine_log_ops.set(store->db, NULL, text_of(key), text_of(value), NULL));
}

static void drop(struct test_store *store, const char *key)
{
    assert_int_equal(KVS_OK, engine_log_ops.remove(store->db, NULL, text_of(key), NULL));
}

struct waiting {
    _Atomic kvs_status status;
};

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct waiting *waiting = arg;
    (void)batch;
    atomic_store(&waiting->status, status);
}

static bool is_complete(void *arg)
{
    const struct waiting *waiting = arg;
    return atomic_load(&waiting->status) != KVS_PENDING;
}

/* Sets two keys and removes a third in one batch. */
static void set_batch(struct test_store *store, const char *one, const char *two, const char *value,
                      const char *removed)
{
    struct waiting waiting = {KVS_PENDING};
    struct kvs_op ops[] = {
        {.kind = KVS_OP_SET, .key = text_of(one), .value = text_of(value)},
        {.kind = KVS_OP_SET, .key = text_of(two), .value = text_of(value)},
        {.kind = KVS_OP_REMOVE, .key = text_of(removed)},
    };
    struct kvs_batch batch = {
        .size = sizeof(batch), .ops = ops, .op_count = 3, .complete = on_complete, .arg = &waiting};
    if (engine_log_ops.submit(store->db, NULL, &batch) == KVS_PENDING)
        wait_until(is_complete, &waiting);
}

static void first_session(struct test_store *store)
{
    set(store, "removed early", "value");
    set(store, "overwritten", "first");
    set(store, "copied", "once, and then moved by compaction");
    set(store, "removed and set", "before");
    drop(store, "removed early");
    drop(store, "removed and set");
    set(store, "removed", "value");
    assert_int_equal(KVS_OK, engine_log_ops.compact(store->db, NULL));
}

static void second_session(struct test_store *store)
{
    uint8_t *value = large_value();
    set_batch(store, "batch-1", "batch-2", "first batch", "nothing");
    set(store, "overwritten", "second");
    assert_int_equal(KVS_OK, engine_log_ops.set(store->db, NULL, text_of("large"),
                                                (struct kvs_bytes){value, LARGE_BYTES}, NULL));
    set(store, "empty", "");
    set(store, "removed and set", "again");
    free(value);
}

static void third_session(struct test_store *store)
{
    const struct content *binary = &contents[0];
    assert_int_equal(
        KVS_OK,
        engine_log_ops.set(store->db, NULL, (struct kvs_bytes){binary->key, binary->key_bytes},
                           (struct kvs_bytes){binary->value, binary->value_bytes}, NULL));
    set(store, "overwritten", "third");
    set_batch(store, "batch-3", "batch-1", "second batch", "removed");
}

/* killed: as it is while it is open. */
static void make(const char *path, bool killed)
{
    static void (*const sessions[])(struct test_store * store) = {first_session, second_session,
                                                                  third_session};
    char *dir = temp_dir_new();
    for (unsigned i = 0; i < 3; i++) {
        struct test_store store;
        must_open_store(&store, dir, KVS_DURABILITY_ALWAYS);
        sessions[i](&store);
        if (i == 2 && killed)
            copy_folder(dir, path);
        must_close_store(&store);
    }
    if (!killed)
        copy_folder(dir, path);
    temp_dir_free(dir);
}

/* ---- checking one --------------------------------------------------------------------------- */

struct seen {
    const struct content *content;
    bool is_right;
};

static int32_t see(void *arg, struct kvs_bytes value)
{
    struct seen *seen = arg;
    const struct content *content = seen->content;
    uint64_t given = content->given_bytes;
    const uint8_t *bytes = value.ptr;
    seen->is_right = value.len == content->value_bytes && memcmp(bytes, content->value, given) == 0;
    for (uint64_t i = given; i < value.len && seen->is_right; i++)
        seen->is_right = bytes[i] == 0;
    return 0;
}

static void check_engine(const char *path)
{
    struct test_store store;
    must_open_store(&store, path, KVS_DURABILITY_ALWAYS);
    assert_int_equal(CONTENT_COUNT, test_store_stat(&store, "keys"));
    for (size_t i = 0; i < CONTENT_COUNT; i++) {
        struct seen seen = {.content = &contents[i]};
        struct kvs_bytes key = {contents[i].key, contents[i].key_bytes};
        assert_int_equal(KVS_OK, engine_log_ops.get(store.db, NULL, key, see, &seen, NULL));
        if (!seen.is_right)
            fail_msg("key %s has another value", contents[i].key);
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_int_equal(KVS_NOT_FOUND,
                         engine_log_ops.get(store.db, NULL, text_of(absent[i]), see, NULL, NULL));
    set(&store, "new", "value");
    drop(&store, "new");
    assert_false(test_store_logged(&store, "\n"));
    must_close_store(&store);
}

/* No damage, and nothing that a start would cut off. */
static void note_finding(void *arg, uint32_t level, const char *message)
{
    if (level > KVS_LOG_WARN)
        return;
    print_error("%s\n", message);
    *(bool *)arg = true;
}

static uint64_t no_time(const struct kvs_host *host)
{
    (void)host;
    return 0;
}

static void no_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    (void)host;
    (void)level;
    (void)message;
}

static void check_sound(const char *path)
{
    struct test_error error;
    struct disk *disk;
    bool found = false;
    test_error_init(&error);
    const struct kvs_host host = {.size = sizeof(host), .log = no_log, .now_ns = no_time};
    assert_int_equal(KVS_OK, disk_open_real(path, &disk, NULL));
    assert_status(KVS_OK, verify_disk(disk, &host, note_finding, &found, &error.error), &error);
    assert_false(found);
    disk_close(disk);
}

static char *hex_put(char *to, const char *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        to += sprintf(to, "%02x", (unsigned)(uint8_t)bytes[i]);
    return to;
}

/* What the reader has to print. */
static char *expected_lines(void)
{
    uint64_t room = 2 * LARGE_BYTES + 4096;
    char *lines = malloc(room);
    assert_non_null(lines);
    char *to = lines;
    for (size_t i = 0; i < CONTENT_COUNT; i++) {
        const struct content *content = &contents[i];
        uint64_t given = content->given_bytes;
        to = hex_put(to, content->key, content->key_bytes);
        *to++ = ' ';
        to = hex_put(to, content->value, given);
        memset(to, '0', 2 * (content->value_bytes - given));
        to += 2 * (content->value_bytes - given);
        *to++ = '\n';
    }
    *to = '\0';
    assert_true((uint64_t)(to - lines) < room);
    return lines;
}

static void check_reader(const char *path)
{
    const char *const argv[] = {PYTHON, reader, path, NULL};
    struct program_result result = program_run(argv, NULL, 0);
    char *expected = expected_lines();
    if (result.exit_status != 0)
        fail_msg("the reader says: %s", result.err);
    if (strcmp(result.out, expected) != 0)
        fail_msg("the reader prints:\n%.2000s\nexpected:\n%.2000s", result.out, expected);
    free(expected);
    program_result_deinit(&result);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void the_page_describes_what_is_written(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        char *path = temp_dir_new();
        make(path, killed != 0);
        assert_int_equal(killed == 0, count_files(path, "log.snapshot"));
        check_reader(path);
        check_sound(path);
        check_engine(path);
        check_reader(path);
        check_sound(path);
        temp_dir_free(path);
    }
}

static void earlier_stores_are_opened(void **state)
{
    (void)state;
    assert_true(stored_count >= 2);
    for (int i = 0; i < stored_count; i++) {
        char *path = temp_dir_new();
        const char *const argv[] = {PYTHON, store_text, "unpack", stored[i], path, NULL};
        struct program_result result = program_run(argv, NULL, 0);
        if (result.exit_status != 0)
            fail_msg("%s: %s", stored[i], result.err);
        program_result_deinit(&result);
        check_sound(path);
        check_reader(path);
        check_engine(path);
        check_engine(path);
        check_sound(path);
        temp_dir_free(path);
    }
}

/* What the engine refuses the reader refuses too. */
static void damage_is_refused_by_both(void **state)
{
    (void)state;
    struct test_store store;
    char *path = temp_dir_new();
    make(path, false);
    char *file = path_join(path, "log.manifest");
    FILE *stream = fopen(file, "r+b");
    assert_non_null(stream);
    assert_int_equal(0, fseek(stream, 40, SEEK_SET));
    assert_int_not_equal(EOF, fputc('x', stream));
    assert_int_equal(0, fclose(stream));
    const char *const argv[] = {PYTHON, reader, path, NULL};
    struct program_result result = program_run(argv, NULL, 0);
    assert_int_equal(1, result.exit_status);
    assert_non_null(strstr(result.err, "refused: the manifest's header is damaged"));
    program_result_deinit(&result);
    assert_int_equal(KVS_CORRUPT,
                     test_store_open(&store, path, NULL, KVS_DURABILITY_ALWAYS, 0, NULL));
    free(file);
    temp_dir_free(path);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0) {
        make(argv[2], strcmp(argv[3], "killed") == 0);
        return 0;
    }
    if (argc < 5 || access(PYTHON, X_OK) != 0) {
        (void)fprintf(stderr, "needs the reader, store_text.py, stored files, and " PYTHON "\n");
        return argc < 5 ? 1 : 77;
    }
    reader = argv[1];
    store_text = argv[2];
    stored = argv + 3;
    stored_count = argc - 3;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_describes_what_is_written),
        cmocka_unit_test(earlier_stores_are_opened),
        cmocka_unit_test(damage_is_refused_by_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
