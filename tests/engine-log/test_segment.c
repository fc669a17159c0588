/* Segments: the file and its header, the table, and the failures of the disk below. */
#include "log_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk_faulty.h"
#include "support/support.h"

#define SHARD_BITS 4u
#define BYTES      (UINT64_C(1) << 20)
#define NAME       "00000007.seg"

static int setup(void **state)
{
    *state = log_fixture_new(SHARD_BITS);
    return 0;
}

static int teardown(void **state)
{
    log_fixture_free(*state);
    return 0;
}

static struct segment_config config_of(const struct log_fixture *fixture)
{
    return (struct segment_config){
        .number = 7,
        .kind = SEGMENT_COMPACTED,
        .generation = 99,
        .bytes = BYTES,
        .birth = 12345,
        .secret = fixture->secret,
    };
}

static kvs_status reopen(const struct log_fixture *fixture, uint32_t number, uint64_t generation,
                         bool read_only, struct test_error *error)
{
    struct segment *segment = NULL;
    test_error_init(error);
    kvs_status status = segment_open(fixture->db->disk, number, generation, fixture->secret,
                                     read_only, &segment, &error->error);
    assert_int_equal(status == KVS_OK, segment != NULL);
    segment_free(segment);
    return status;
}

static void names(void **state)
{
    (void)state;
    char name[SEGMENT_NAME_MAX];
    uint32_t number = 5;
    const uint32_t numbers[] = {0, 7, SEGMENT_NUMBER_COUNT - 1};
    for (unsigned i = 0; i < 3; i++) {
        segment_name(numbers[i], name);
        assert_true(segment_name_parse(name, &number));
        assert_int_equal(numbers[i], number);
    }
    const char *others[] = {"",
                            "1.seg",
                            "00000001.se",
                            "00000001.segx",
                            "0000000a.seg",
                            "01048576.seg",
                            "log.manifest",
                            "-0000001.seg"};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(segment_name_parse(others[i], &number));
}

static void what_was_made_is_opened(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    struct segment *made = NULL;
    struct segment *opened = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, segment_create(fixture->db->disk, &config, &made, &error.error), &error);
    assert_int_equal(BYTES, log_fixture_size(fixture, NAME));
    assert_int_equal(BYTES - SEGMENT_HEADER_BYTES, segment_room(made));
    for (uint64_t at = SEGMENT_HEADER_BYTES; at < BYTES; at++)
        assert_int_equal(0, made->memory[at]);
    made->memory[BYTES - 1] = 42; /* what is written through the mapping is in the file */
    segment_free(made);
    assert_status(
        KVS_OK,
        segment_open(fixture->db->disk, 7, 99, fixture->secret, true, &opened, &error.error),
        &error);
    assert_int_equal(BYTES, opened->bytes);
    assert_int_equal(42, opened->memory[BYTES - 1]);
    assert_int_equal(SEGMENT_COMPACTED, opened->kind);
    assert_int_equal(12345, opened->birth);
    assert_false(opened->writable);
    assert_false(segment_failed(opened));
    segment_free(opened);
}

static void zeros_are_written_ahead(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    _Atomic uint32_t cancel = 0;
    struct segment *segment = NULL;
    struct test_error error;
    test_error_init(&error);
    config.bytes = 9 * BYTES;
    config.zero = true;
    config.cancel = &cancel;
    uint64_t syncs = disk_faulty_calls(fixture->db->disk, DISK_CALL_SYNC);
    uint64_t writes = disk_faulty_calls(fixture->db->disk, DISK_CALL_WRITE);
    assert_status(KVS_OK, segment_create(fixture->db->disk, &config, &segment, &error.error),
                  &error);
    /* A few MiB at a time, so that the syncs of writes do not wait behind all of it. */
    assert_true(disk_faulty_calls(fixture->db->disk, DISK_CALL_SYNC) - syncs >= 3);
    /* In small pieces: what came in one write is written again whenever a byte of it is synced. */
    assert_true(disk_faulty_calls(fixture->db->disk, DISK_CALL_WRITE) - writes >=
                config.bytes / 65536);
    segment_free(segment);
    assert_int_equal(KVS_OK, disk_remove(fixture->db->disk, NAME, NULL));
    /* One that is cancelled leaves no file. */
    atomic_store(&cancel, 1);
    segment = NULL;
    assert_int_equal(KVS_CLOSED, segment_create(fixture->db->disk, &config, &segment, NULL));
    assert_null(segment);
    assert_int_equal(KVS_MISSING, disk_remove(fixture->db->disk, NAME, NULL));
}

/* Somebody waits for the segment: what no zeros were written to is reserved, and reads as zeros too. */
static void no_zeros_in_a_hurry(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    _Atomic uint32_t hurry = 1;
    struct segment *segment = NULL;
    config.zero = true;
    config.hurry = &hurry;
    uint64_t before = disk_faulty_calls(fixture->db->disk, DISK_CALL_WRITE);
    assert_int_equal(KVS_OK, segment_create(fixture->db->disk, &config, &segment, NULL));
    assert_int_equal(before + 1, disk_faulty_calls(fixture->db->disk, DISK_CALL_WRITE));
    assert_int_equal(0, segment->warmed);
    assert_int_equal(0, segment->memory[BYTES - 1]);
    assert_true(segment->writable);
    segment_free(segment);
}

static uint64_t blocks_of(const struct log_fixture *fixture)
{
    struct stat stat;
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture->dir, NAME);
    assert_int_equal(0, lstat(path, &stat));
    return (uint64_t)stat.st_blocks * 512;
}

/* Its space is taken by and by: never less than what may be written, and not all of it at once. */
static void space_is_taken_in_steps(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    const uint64_t step = 65536;
    struct segment *segment = NULL;
    config.bytes = 16 * step;
    config.reserve = step;
    assert_int_equal(KVS_OK, segment_create(fixture->db->disk, &config, &segment, NULL));
    assert_int_equal(config.bytes, log_fixture_size(fixture, NAME));
    assert_int_equal(step, segment->reserved);
    assert_int_equal(KVS_OK, segment_reserve(segment, step - SEGMENT_HEADER_BYTES, step, NULL));
    assert_int_equal(step, segment->reserved);
    if (segment->writable) /* else nothing can be reserved here */
        assert_in_range(blocks_of(fixture), step, 4 * step);
    assert_int_equal(KVS_OK, segment_reserve(segment, step - SEGMENT_HEADER_BYTES + 8, step, NULL));
    assert_int_equal(2 * step, segment->reserved);
    disk_faulty_fail(fixture->db->disk, DISK_CALL_RESERVE, 0, 1, KVS_NO_SPACE, DISK_FAIL_BEFORE);
    assert_int_equal(KVS_NO_SPACE, segment_reserve(segment, 3 * step, step, NULL));
    assert_int_equal(2 * step, segment->reserved);
    assert_int_equal(KVS_OK, segment_reserve(segment, segment_room(segment), step, NULL));
    assert_int_equal(config.bytes, segment->reserved);
    if (segment->writable)
        assert_true(blocks_of(fixture) >= config.bytes);
    segment_free(segment);
}

static void another_one_is_refused(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    struct segment *segment = NULL;
    struct test_error error;
    test_error_init(&error);
    assert_int_equal(KVS_MISSING, reopen(fixture, 7, 99, false, &error));
    assert_status(KVS_OK, segment_create(fixture->db->disk, &config, &segment, &error.error),
                  &error);
    segment_free(segment);
    assert_status(KVS_OK, reopen(fixture, 7, 99, false, &error), &error);
    assert_int_equal(KVS_CORRUPT, reopen(fixture, 7, 98, false, &error));
    assert_non_null(strstr(error.message, "the manifest expects segment 7 of generation 98"));
    /* Every byte that the CRC covers, and the CRC. */
    for (uint64_t at = 0; at < 64; at++) {
        log_fixture_flip(fixture, NAME, at, 0x10);
        assert_int_equal(KVS_CORRUPT, reopen(fixture, 7, 99, false, &error));
        assert_non_null(strstr(error.message, NAME));
        log_fixture_flip(fixture, NAME, at, 0x10);
    }
    assert_int_equal(KVS_OK, reopen(fixture, 7, 99, false, &error));
    struct disk_file *file;
    assert_int_equal(KVS_OK, disk_file_open(fixture->db->disk, NAME, 0, &file, NULL));
    assert_int_equal(KVS_OK, disk_file_truncate(file, SEGMENT_HEADER_BYTES - 1, NULL));
    disk_file_close(file);
    assert_int_equal(KVS_CORRUPT, reopen(fixture, 7, 99, false, &error));
}

/* Whatever the disk refuses, there is no half-made segment afterwards. */
static void failures_leave_nothing(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    const uint32_t calls =
        DISK_CALL_CREATE | DISK_CALL_RESERVE | DISK_CALL_WRITE | DISK_CALL_SYNC | DISK_CALL_MAP;
    uint64_t nth = 0;
    for (;; nth++) {
        struct segment *segment = NULL;
        disk_faulty_fail(fixture->db->disk, calls, nth, 1, KVS_IO, DISK_FAIL_BEFORE);
        kvs_status status = segment_create(fixture->db->disk, &config, &segment, NULL);
        if (disk_faulty_failures(fixture->db->disk) == 0) {
            assert_int_equal(KVS_OK, status);
            segment_free(segment);
            break;
        }
        assert_int_equal(KVS_IO, status);
        assert_null(segment);
        assert_int_equal(KVS_MISSING, disk_remove(fixture->db->disk, NAME, NULL));
    }
    assert_int_equal(5, nth); /* one of each */
}

/* Where no space can be reserved, segments are written with calls instead of through the mapping. */
static void without_reserving(void **state)
{
    const struct log_fixture *fixture = *state;
    struct segment_config config = config_of(fixture);
    struct segment *segment = NULL;
    struct test_error error;
    test_error_init(&error);
    disk_faulty_fail(fixture->db->disk, DISK_CALL_RESERVE, 0, DISK_FAULTY_FOREVER, KVS_UNSUPPORTED,
                     DISK_FAIL_BEFORE);
    assert_status(KVS_OK, segment_create(fixture->db->disk, &config, &segment, &error.error),
                  &error);
    disk_faulty_fail(fixture->db->disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
    assert_false(segment->writable);
    assert_int_equal(BYTES, log_fixture_size(fixture, NAME));
    assert_int_equal(KVS_OK, disk_file_write(segment->file, 5000, "abc", 3, NULL));
    assert_memory_equal(segment->memory + 5000, "abc", 3);
    segment_free(segment);
}

static void warming_is_harmless(void **state)
{
    struct log_fixture *fixture = *state;
    struct segment *segment = log_fixture_segment(fixture, 3, BYTES);
    segment->memory[BYTES - 1] = 7;
    segment_warm(segment, 0, BYTES);
    segment_warm(segment, 4096, 100 * BYTES); /* only as far as it goes */
    segment_warm(segment, BYTES, 4096);
    assert_int_equal(7, segment->memory[BYTES - 1]);
    segment_free(segment);
}

static void table_finds_by_number(void **state)
{
    (void)state;
    struct segment_table table;
    struct segment first = {.number = 0};
    struct segment last = {.number = SEGMENT_NUMBER_COUNT - 1};
    assert_int_equal(KVS_OK, segment_table_init(&table, NULL));
    segment_table_set(&table, first.number, &first);
    segment_table_set(&table, last.number, &last);
    assert_ptr_equal(&first, segment_at(&table, 0));
    assert_ptr_equal(&last, segment_at(&table, SEGMENT_NUMBER_COUNT - 1));
    assert_null(segment_at(&table, 1));
    segment_table_set(&table, 0, NULL);
    assert_null(segment_at(&table, 0));
    segment_table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(what_was_made_is_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(zeros_are_written_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(no_zeros_in_a_hurry, setup, teardown),
        cmocka_unit_test_setup_teardown(space_is_taken_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(another_one_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_leave_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(without_reserving, setup, teardown),
        cmocka_unit_test_setup_teardown(warming_is_harmless, setup, teardown),
        cmocka_unit_test(table_finds_by_number),
    };
    return cmocka_run_group_tests_name("engine-log/segment", tests, NULL, NULL);
}
