#include "disk_contract.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

#define BIG_BYTES ((3u << 20) + 17)
#define THREADS   4u

static const struct disk_maker *current_maker; /* of the group that runs */

static int setup(void **state)
{
    struct disk_pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    current_maker->make(pair);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct disk_pair *pair = *state;
    current_maker->unmake(pair);
    free(pair);
    return 0;
}

/* ---- short names for what must work ------------------------------------------------------- */

#define MUST(call)                                                                                 \
    do {                                                                                           \
        struct test_error must_error_;                                                             \
        test_error_init(&must_error_);                                                             \
        struct kvs_error *err = &must_error_.error;                                                \
        assert_status(KVS_OK, (call), &must_error_);                                               \
    } while (0)

static struct disk_file *must_open(struct disk *disk, const char *name, uint32_t flags)
{
    struct disk_file *file = NULL;
    MUST(disk_file_open(disk, name, flags, &file, err));
    return file;
}

static void must_write(struct disk_file *file, uint64_t offset, const char *text)
{
    MUST(disk_file_write(file, offset, text, strlen(text), err));
}

static void must_make(struct disk *disk, const char *name, const char *text)
{
    struct disk_file *file = must_open(disk, name, DISK_CREATE);
    must_write(file, 0, text);
    disk_file_close(file);
}

static void assert_content(struct disk_file *file, const void *expected, uint64_t bytes)
{
    uint64_t size = 0;
    MUST(disk_file_size(file, &size, err));
    assert_int_equal(size, bytes);
    char *content = malloc(bytes + 1);
    uint64_t got = 0;
    MUST(disk_file_read(file, 0, content, bytes + 1, &got, err));
    assert_int_equal(got, bytes);
    assert_memory_equal(content, expected, bytes);
    free(content);
}

static void assert_text(struct disk *disk, const char *name, const char *text)
{
    struct disk_file *file = must_open(disk, name, DISK_READ_ONLY);
    assert_content(file, text, strlen(text));
    disk_file_close(file);
}

static void *must_map(struct disk_file *file, uint64_t bytes, bool writable)
{
    void *memory = NULL;
    MUST(disk_file_map(file, bytes, writable, &memory, err));
    return memory;
}

/* The status, with a message that names the thing. */
static void assert_fails(kvs_status expected, kvs_status actual, const struct test_error *error,
                         const char *name)
{
    assert_status(expected, actual, error);
    assert_int_equal(error->error.status, expected);
    assert_int_not_equal(error->error.os_errno, 0);
    assert_non_null(strstr(error->message, name));
}

static void assert_missing(struct disk *disk, const char *name)
{
    struct test_error error;
    test_error_init(&error);
    struct disk_file *file = NULL;
    assert_fails(KVS_MISSING, disk_file_open(disk, name, 0, &file, &error.error), &error, name);
    assert_int_equal(error.error.os_errno, ENOENT);
    assert_null(file);
}

/* ---- content ------------------------------------------------------------------------------ */

static void writes_and_reads(void **state)
{
    struct disk_pair *pair = *state;
    struct disk_file *file = must_open(pair->disk, "a", DISK_CREATE);
    assert_content(file, "", 0);
    must_write(file, 0, "hello world");
    must_write(file, 6, "there");
    assert_content(file, "hello there", 11);
    must_write(file, 14, "!"); /* behind the end: zeros between */
    assert_content(file, "hello there\0\0\0!", 15);
    MUST(disk_file_write(file, 100, "", 0, err));
    assert_content(file, "hello there\0\0\0!", 15);

    char part[5] = "....";
    uint64_t got = 99;
    MUST(disk_file_read(file, 6, part, 3, &got, err));
    assert_int_equal(got, 3);
    assert_string_equal(part, "the.");
    MUST(disk_file_read(file, 15, part, 4, &got, err));
    assert_int_equal(got, 0);
    MUST(disk_file_read(file, 1000, part, 4, &got, err));
    assert_int_equal(got, 0);
    disk_file_close(file);
    disk_file_close(NULL);
}

static void large_transfers(void **state)
{
    struct disk_pair *pair = *state;
    char *content = malloc(BIG_BYTES);
    for (unsigned i = 0; i < BIG_BYTES; i++)
        content[i] = (char)(i * 2654435761u >> 24);
    struct disk_file *file = must_open(pair->disk, "a", DISK_CREATE);
    MUST(disk_file_write(file, 0, content, BIG_BYTES, err));
    assert_content(file, content, BIG_BYTES);
    MUST(disk_file_sync(file, err));
    disk_file_close(file);
    free(content);
}

static void opening(void **state)
{
    struct disk_pair *pair = *state;
    assert_missing(pair->disk, "a");
    must_make(pair->disk, "a", "old content");
    struct disk_file *file = must_open(pair->disk, "a", 0);
    assert_content(file, "old content", 11);
    must_write(file, 0, "OLD");
    disk_file_close(file);
    assert_text(pair->disk, "a", "OLD content");
    assert_missing(pair->other, "a");

    file = must_open(pair->disk, "a", DISK_CREATE); /* empties it */
    assert_content(file, "", 0);
    disk_file_close(file);
}

static void reading_only(void **state)
{
    struct disk_pair *pair = *state;
    must_make(pair->disk, "a", "content");
    struct disk_file *file = must_open(pair->disk, "a", DISK_READ_ONLY);
    struct test_error error;
    test_error_init(&error);
    assert_fails(KVS_IO, disk_file_write(file, 0, "X", 1, &error.error), &error, "a");
    void *memory = NULL;
    assert_fails(KVS_IO, disk_file_map(file, 7, true, &memory, &error.error), &error, "a");
    assert_null(memory);
    memory = must_map(file, 7, false);
    assert_memory_equal(memory, "content", 7);
    disk_file_unmap(file, memory, 7);
    disk_file_close(file);
}

static void reserving(void **state)
{
    struct disk_pair *pair = *state;
    struct disk_file *file = must_open(pair->disk, "a", DISK_CREATE);
    must_write(file, 0, "abc");
    MUST(disk_file_reserve(file, 0, err));
    MUST(disk_file_reserve(file, 2, err)); /* never shorter */
    assert_content(file, "abc", 3);
    MUST(disk_file_reserve(file, 10000, err));
    char expected[10000] = "abc";
    assert_content(file, expected, sizeof(expected));
    memcpy(expected + 9990, "0123456789", 10);
    must_write(file, 9990, "0123456789");
    MUST(disk_file_reserve(file, 5000, err));
    assert_content(file, expected, sizeof(expected));
    disk_file_close(file);
}

static void truncating(void **state)
{
    struct disk_pair *pair = *state;
    struct disk_file *file = must_open(pair->disk, "a", DISK_CREATE);
    must_write(file, 0, "abcdef");
    MUST(disk_file_truncate(file, 3, err));
    assert_content(file, "abc", 3);
    MUST(disk_file_truncate(file, 8, err)); /* what was cut does not come back */
    assert_content(file, "abc\0\0\0\0\0", 8);
    MUST(disk_file_truncate(file, 0, err));
    assert_content(file, "", 0);
    disk_file_close(file);
}

/* ---- mappings ----------------------------------------------------------------------------- */

static void mappings_and_calls_see_one_another(void **state)
{
    struct disk_pair *pair = *state;
    struct disk_file *file = must_open(pair->disk, "a", DISK_CREATE);
    MUST(disk_file_reserve(file, 8192, err));
    char *writable = must_map(file, 8192, true);
    const char *readable = must_map(file, 8192, false);
    must_write(file, 4000, "by a call");
    assert_string_equal(writable + 4000, "by a call");
    assert_string_equal(readable + 4000, "by a call");
    memcpy(writable + 6000, "by a mapping", 13);
    assert_string_equal(readable + 6000, "by a mapping");
    char content[13];
    uint64_t got;
    MUST(disk_file_read(file, 6000, content, 13, &got, err));
    assert_string_equal(content, "by a mapping");
    MUST(disk_file_sync(file, err));
    assert_string_equal(readable + 4000, "by a call");
    disk_file_unmap(file, writable, 8192);
    assert_string_equal(readable + 6000, "by a mapping");
    disk_file_unmap(file, (void *)(uintptr_t)readable, 8192);
    disk_file_close(file);
}

static void a_mapping_lives_without_the_name(void **state)
{
    struct disk_pair *pair = *state;
    must_make(pair->disk, "a", "content");
    struct disk_file *file = must_open(pair->disk, "a", 0);
    char *memory = must_map(file, 7, true);
    MUST(disk_remove(pair->disk, "a", err));
    assert_missing(pair->disk, "a");
    memcpy(memory, "CON", 3);
    assert_content(file, "CONtent", 7);
    disk_file_unmap(file, memory, 7);
    disk_file_close(file);
}

/* ---- names -------------------------------------------------------------------------------- */

static void renaming(void **state)
{
    struct disk_pair *pair = *state;
    struct test_error error;
    test_error_init(&error);
    assert_fails(KVS_MISSING, disk_rename(pair->disk, "a", "b", &error.error), &error, "a");
    must_make(pair->disk, "a", "of a");
    must_make(pair->disk, "b", "of b");
    struct disk_file *a = must_open(pair->disk, "a", 0);
    struct disk_file *b = must_open(pair->disk, "b", 0);
    MUST(disk_rename(pair->disk, "a", "b", err));
    assert_missing(pair->disk, "a");
    assert_text(pair->disk, "b", "of a");
    must_write(a, 0, "Of"); /* the open files are what they were */
    assert_text(pair->disk, "b", "Of a");
    assert_content(b, "of b", 4);
    uint64_t links = 99;
    MUST(disk_file_links(b, &links, err));
    assert_int_equal(links, 0);
    disk_file_close(a);
    disk_file_close(b);
    MUST(disk_sync_folder(pair->disk, err));
}

static void removing(void **state)
{
    struct disk_pair *pair = *state;
    struct test_error error;
    test_error_init(&error);
    assert_fails(KVS_MISSING, disk_remove(pair->disk, "a", &error.error), &error, "a");
    must_make(pair->disk, "a", "content");
    MUST(disk_remove(pair->disk, "a", err));
    assert_missing(pair->disk, "a");
}

static uint64_t links_of(struct disk *disk, const char *name)
{
    struct disk_file *file = must_open(disk, name, DISK_READ_ONLY);
    uint64_t links = 0;
    MUST(disk_file_links(file, &links, err));
    disk_file_close(file);
    return links;
}

static void linking(void **state)
{
    struct disk_pair *pair = *state;
    struct test_error error;
    test_error_init(&error);
    assert_fails(KVS_MISSING, disk_link(pair->disk, "a", pair->other, "b", &error.error), &error,
                 "a");
    must_make(pair->disk, "a", "content");
    assert_int_equal(links_of(pair->disk, "a"), 1);
    MUST(disk_link(pair->disk, "a", pair->other, "b", err));
    assert_int_equal(links_of(pair->disk, "a"), 2);
    assert_int_equal(links_of(pair->other, "b"), 2);
    struct disk_file *file = must_open(pair->other, "b", 0);
    must_write(file, 0, "CON");
    disk_file_close(file);
    assert_text(pair->disk, "a", "CONtent");

    must_make(pair->other, "taken", "mine");
    assert_fails(KVS_IO, disk_link(pair->disk, "a", pair->other, "taken", &error.error), &error,
                 "a");
    assert_text(pair->other, "taken", "mine");

    MUST(disk_remove(pair->disk, "a", err));
    assert_int_equal(links_of(pair->other, "b"), 1);
    assert_text(pair->other, "b", "CONtent");
}

struct names {
    unsigned count;
    unsigned bits; /* bit i: the name "i" was shown */
};

static void note_name(void *arg, const char *name)
{
    struct names *names = arg;
    names->count++;
    assert_int_equal(strlen(name), 1);
    names->bits |= 1u << (name[0] - '0');
}

static void listing(void **state)
{
    struct disk_pair *pair = *state;
    struct names names = {0};
    MUST(disk_list(pair->disk, note_name, &names, err));
    assert_int_equal(names.count, 0);
    must_make(pair->disk, "0", "");
    must_make(pair->disk, "1", "x");
    must_make(pair->disk, "2", "x");
    must_make(pair->other, "3", "x");
    MUST(disk_remove(pair->disk, "1", err));
    for (unsigned round = 0; round < 2; round++) {
        names = (struct names){0};
        MUST(disk_list(pair->disk, note_name, &names, err));
        assert_int_equal(names.count, 2);
        assert_int_equal(names.bits, 1u << 0 | 1u << 2);
    }
}

static void free_space(void **state)
{
    struct disk_pair *pair = *state;
    uint64_t bytes = 0;
    MUST(disk_free_bytes(pair->disk, &bytes, err));
    assert_true(bytes > 0);
}

/* ---- threads ------------------------------------------------------------------------------ */

struct worker {
    struct disk *disk;
    char name[2];
    pthread_t thread;
};

/* Each on a file of its own, in a folder that all of them change and list. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned round = 0; round < 50; round++) {
        struct disk_file *file;
        struct names names = {0};
        kvs_status status = disk_file_open(worker->disk, worker->name, DISK_CREATE, &file, NULL);
        assert_int_equal(status, KVS_OK);
        assert_int_equal(disk_file_write(file, 0, worker->name, 1, NULL), KVS_OK);
        assert_int_equal(disk_list(worker->disk, note_name, &names, NULL), KVS_OK);
        assert_true((names.bits & 1u << (worker->name[0] - '0')) != 0);
        char byte;
        uint64_t got;
        assert_int_equal(disk_file_read(file, 0, &byte, 1, &got, NULL), KVS_OK);
        assert_int_equal(byte, worker->name[0]);
        disk_file_close(file);
        assert_int_equal(disk_remove(worker->disk, worker->name, NULL), KVS_OK);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct disk_pair *pair = *state;
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.disk = pair->disk, .name = {(char)('0' + i), 0}};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

#define CONTRACT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int disk_contract_run(const char *name, const struct disk_maker *maker)
{
    const struct CMUnitTest tests[] = {
        CONTRACT(writes_and_reads),
        CONTRACT(large_transfers),
        CONTRACT(opening),
        CONTRACT(reading_only),
        CONTRACT(reserving),
        CONTRACT(truncating),
        CONTRACT(mappings_and_calls_see_one_another),
        CONTRACT(a_mapping_lives_without_the_name),
        CONTRACT(renaming),
        CONTRACT(removing),
        CONTRACT(linking),
        CONTRACT(listing),
        CONTRACT(free_space),
        CONTRACT(many_threads),
    };
    current_maker = maker;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
