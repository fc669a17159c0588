/* Footers: collected, written, opened, damaged, and on a full disk. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk_faulty.h"
#include "footer.h"
#include "log_fixture.h"
#include "support/support.h"

#define SEGMENT_BYTES (UINT64_C(4) << 20)
#define SHARD_BITS    4u

static int compare_entries(const void *a, const void *b)
{
    const struct footer_entry *one = a;
    const struct footer_entry *two = b;
    if (one->hash != two->hash)
        return one->hash < two->hash ? -1 : 1;
    if (one->check != two->check)
        return one->check < two->check ? -1 : 1;
    return (one->sequence < two->sequence) - (one->sequence > two->sequence);
}

static void check_entry(const struct log_fixture *fixture, const struct segment *segment,
                        const struct footer_entry *entry)
{
    struct record record = {0};
    uint64_t offset = (uint64_t)entry->offset * FOOTER_UNIT;
    assert_true(record_view(segment->memory + offset, segment->bytes - offset, &record));
    assert_true(record_is_sound(segment->memory + offset, segment->salt, &record));
    assert_int_equal(entry->hash, index_hash(fixture->db->index, record.key));
    assert_int_equal(entry->check, footer_check_of(footer_seed(fixture->secret), record.key));
    assert_int_equal(entry->sequence, record.sequence);
    assert_int_equal(footer_entry_bytes(entry), record_bytes(record.key.len, record.value.len));
    assert_int_equal(footer_entry_is_tombstone(entry), record.kind == RECORD_TOMBSTONE);
}

/* Each record has exactly one entry, and they are in order. */
static void check_entries(const struct log_fixture *fixture, const struct segment *segment,
                          const struct footer_entries *entries)
{
    assert_int_equal(entries->count, segment->records);
    uint8_t *seen = calloc(segment->bytes / FOOTER_UNIT, 1);
    assert_non_null(seen);
    for (uint64_t i = 0; i < entries->count; i++) {
        check_entry(fixture, segment, &entries->items[i]);
        assert_false(seen[entries->items[i].offset]);
        seen[entries->items[i].offset] = 1;
        if (i > 0)
            assert_true(compare_entries(&entries->items[i - 1], &entries->items[i]) <= 0);
    }
    free(seen);
}

/* Fills a segment with frames of one to four records of random keys below `keys`. */
static void fill(struct segment *segment, uint32_t frames, uint32_t keys, uint64_t *random)
{
    char text[4][32];
    uint64_t sequence = 1;
    for (uint32_t i = 0; i < frames; i++) {
        struct record records[4];
        uint32_t count = 1 + (uint32_t)log_fixture_random(random, 4);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t key = (uint32_t)log_fixture_random(random, keys);
            records[j] =
                log_fixture_random(random, 5) == 0
                    ? log_fixture_tombstone(text[j], key, sequence++)
                    : log_fixture_record(text[j], key, sequence++, log_fixture_random(random, 100));
        }
        (void)log_fixture_append(segment, records, count);
    }
}

static struct footer_entries collect(const struct log_fixture *fixture,
                                     const struct segment *segment, bool check)
{
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries = {NULL, 0, NULL};
    assert_status(
        KVS_OK,
        footer_collect(segment, fixture->db->index, fixture->secret, check, &entries, &error.error),
        &error);
    return entries;
}

static void seal(const struct log_fixture *fixture, struct segment *segment)
{
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries = collect(fixture, segment, false);
    assert_status(KVS_OK, footer_write(segment, &entries, &error.error), &error);
    footer_entries_deinit(&entries);
}

/* ---- collecting --------------------------------------------------------------------------- */

static void collects_every_record_in_order(void **state)
{
    struct log_fixture *fixture = *state;
    const uint32_t keys[] = {1, 3, 100, 1000000};
    uint64_t random = 1;
    for (uint32_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct segment *segment = log_fixture_segment(fixture, i, SEGMENT_BYTES);
        fill(segment, 8000, keys[i], &random);
        for (int check = 0; check < 2; check++) {
            struct footer_entries entries = collect(fixture, segment, check != 0);
            check_entries(fixture, segment, &entries);
            footer_entries_deinit(&entries);
        }
        segment_free(segment);
    }
}

static void collects_nothing_from_an_empty_segment(void **state)
{
    struct log_fixture *fixture = *state;
    struct segment *segment = log_fixture_segment(fixture, 1, SEGMENT_BYTES);
    struct footer_entries entries = collect(fixture, segment, true);
    assert_int_equal(entries.count, 0);
    footer_entries_deinit(&entries);
    segment_free(segment);
}

static void names_the_damaged_frame(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries;
    uint64_t random = 2;
    struct segment *segment = log_fixture_segment(fixture, 7, SEGMENT_BYTES);
    fill(segment, 100, 50, &random);
    char text[32];
    struct record record = log_fixture_record(text, 1, 1000, 50);
    uint64_t at = log_fixture_append(segment, &record, 1);
    segment->memory[at + RECORD_HEADER_BYTES + record.key.len + 3] ^= 1;
    assert_int_equal(
        footer_collect(segment, fixture->db->index, fixture->secret, true, &entries, &error.error),
        KVS_CORRUPT);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "00000007.seg offset %" PRIu64,
                   at - FRAME_HEADER_BYTES);
    assert_non_null(strstr(error.message, expected));
    /* Sizes that cannot be are seen without CRCs too. */
    entries = collect(fixture, segment, false);
    footer_entries_deinit(&entries);
    segment->memory[at + 11] ^= 0x80; /* the value's size */
    assert_int_equal(
        footer_collect(segment, fixture->db->index, fixture->secret, false, &entries, &error.error),
        KVS_CORRUPT);
    segment_free(segment);
}

/* ---- sorting ------------------------------------------------------------------------------ */

static void sort_and_check(struct footer_entry *entries, uint64_t count)
{
    size_t bytes = count * sizeof(entries[0]);
    struct footer_entry *expected = malloc(bytes + 1);
    assert_non_null(expected);
    memcpy(expected, entries, bytes);
    qsort(expected, count, sizeof(expected[0]), compare_entries);
    struct footer_entry *sorted = footer_sort(entries, count);
    assert_non_null(sorted);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(compare_entries(&sorted[i], &expected[i]), 0);
    free(sorted);
    free(expected);
}

/* Hashes that are spread, that are nearly all the same, and keys that differ in check only. */
static void sorts_any_hashes(void **state)
{
    (void)state;
    uint64_t random = 3;
    const uint64_t counts[] = {1, 2, 33, 1000, 50000};
    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            struct footer_entry *entries = calloc(counts[i], sizeof(entries[0]));
            assert_non_null(entries);
            for (uint64_t j = 0; j < counts[i]; j++) {
                uint64_t spread = log_fixture_random(&random, UINT32_MAX) << 32 |
                                  log_fixture_random(&random, UINT32_MAX);
                entries[j].hash = kind == 0 ? spread : kind == 1 ? spread % 3 : 42;
                entries[j].check = kind == 2 ? spread : spread % 2;
                entries[j].sequence = kind == 3 ? j + 1 : counts[i] - j;
            }
            sort_and_check(entries, counts[i]);
        }
    }
}

/* ---- writing and opening ------------------------------------------------------------------ */

static void opens_what_was_written(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    uint64_t random = 4;
    for (uint32_t frames = 0; frames <= 3000; frames = 5 * frames + 1) {
        struct segment *segment = log_fixture_segment(fixture, frames, SEGMENT_BYTES);
        fill(segment, frames, 500, &random);
        uint64_t records = segment->records;
        uint64_t end = segment->end;
        seal(fixture, segment);
        char name[SEGMENT_NAME_MAX];
        segment_name(frames, name);
        assert_int_equal(log_fixture_size(fixture, name),
                         end + records * FOOTER_ENTRY_BYTES + FOOTER_TRAILER_BYTES);
        segment = log_fixture_reopen(fixture, segment);
        segment->records = records;
        struct footer_entries entries;
        assert_status(KVS_OK, footer_open(segment, end, &entries, &error.error), &error);
        assert_null(entries.owned);
        check_entries(fixture, segment, &entries);
        footer_entries_deinit(&entries);
        segment_free(segment);
    }
}

/* A segment without room behind its last frame grows; what is mapped stays readable. */
static void grows_a_full_segment(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    char text[32];
    struct record record = log_fixture_record(text, 1, 1, 40);
    uint64_t frame = FRAME_HEADER_BYTES + record_bytes(record.key.len, record.value.len);
    struct segment *segment = log_fixture_segment(fixture, 1, SEGMENT_HEADER_BYTES + 1000 * frame);
    for (uint32_t i = 0; i < 1000; i++) {
        record.sequence = i + 1;
        (void)log_fixture_append(segment, &record, 1);
    }
    assert_int_equal(segment_room(segment), 0);
    struct footer_entries entries = collect(fixture, segment, false);
    assert_status(KVS_OK, footer_write(segment, &entries, &error.error), &error);
    check_entries(fixture, segment, &entries);
    footer_entries_deinit(&entries);
    segment = log_fixture_reopen(fixture, segment);
    assert_status(KVS_OK, footer_open(segment, segment->end, &entries, &error.error), &error);
    assert_int_equal(entries.count, 1000);
    assert_int_equal(entries.items[0].sequence, 1000);
    segment_free(segment);
}

/* Every byte of the footer is checked, and its end: one missing or one more. */
static void notices_every_changed_byte(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries;
    uint64_t random = 5;
    struct segment *segment = log_fixture_segment(fixture, 1, SEGMENT_BYTES);
    fill(segment, 20, 10, &random);
    seal(fixture, segment);
    segment = log_fixture_reopen(fixture, segment);
    for (uint64_t at = segment->end; at < segment->bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            segment->memory[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(footer_open(segment, segment->end, &entries, &error.error),
                             KVS_CORRUPT);
            segment->memory[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_status(KVS_OK, footer_open(segment, segment->end, &entries, &error.error), &error);
    assert_int_equal(footer_open(segment, segment->end - 8, &entries, &error.error), KVS_CORRUPT);
    assert_int_equal(footer_open(segment, segment->end + 32, &entries, &error.error), KVS_CORRUPT);
    uint64_t bytes = segment->bytes;
    for (uint64_t cut = 1; cut < bytes - segment->end; cut++) {
        segment->bytes = bytes - cut;
        assert_int_equal(footer_open(segment, segment->end, &entries, &error.error), KVS_CORRUPT);
    }
    segment->bytes = segment->end;
    assert_int_equal(footer_open(segment, segment->end, &entries, &error.error), KVS_MISSING);
    segment->bytes = bytes;
    segment_free(segment);
}

/* Entries that match their CRC and still cannot be: a store's own mistake is not believed either. */
static void refuses_impossible_entries(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    uint64_t random = 6;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct segment *segment = log_fixture_segment(fixture, kind, SEGMENT_BYTES);
        fill(segment, 20, 10, &random);
        struct footer_entries entries = collect(fixture, segment, false);
        struct footer_entry *entry = &entries.owned[7];
        if (kind == 0)
            entry->offset = SEGMENT_HEADER_BYTES / FOOTER_UNIT;
        else if (kind == 1)
            entry->offset = (uint32_t)(segment->end / FOOTER_UNIT);
        else if (kind == 2)
            entry->size = 0;
        else
            entry->hash += UINT64_C(1) << 63;
        assert_status(KVS_OK, footer_write(segment, &entries, &error.error), &error);
        footer_entries_deinit(&entries);
        segment = log_fixture_reopen(fixture, segment);
        assert_int_equal(footer_open(segment, segment->end, &entries, &error.error), KVS_CORRUPT);
        segment_free(segment);
    }
}

/* Another segment's footer, or one of an earlier time of this file, is not taken for its own. */
static void refuses_a_footer_of_another_generation(void **state)
{
    struct log_fixture *fixture = *state;
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries;
    uint64_t random = 7;
    struct segment *segment = log_fixture_segment(fixture, 1, SEGMENT_BYTES);
    fill(segment, 20, 10, &random);
    seal(fixture, segment);
    segment = log_fixture_reopen(fixture, segment);
    segment->generation++;
    assert_int_equal(footer_open(segment, segment->end, &entries, &error.error), KVS_CORRUPT);
    segment->generation--;
    segment->salt++;
    assert_int_equal(footer_open(segment, segment->end, &entries, &error.error), KVS_CORRUPT);
    segment_free(segment);
}

/* ---- disks that fail ---------------------------------------------------------------------- */

/* One call that fails. */
struct fault {
    uint32_t calls;
    uint64_t nth;
    uint64_t count;
    kvs_status status;
    enum disk_fail_when when;
};

/* Writes the footer of a segment that has `room` bytes left, on a disk that fails like this. Gives what
   footer_write said, and what footer_open says to what is there then. False: nothing failed. */
static bool write_with_fault(struct log_fixture *fixture, uint64_t room, struct fault fault,
                             kvs_status *ret_written, kvs_status *ret_opened)
{
    struct test_error error;
    test_error_init(&error);
    char text[32];
    struct record record = log_fixture_record(text, 1, 1, 40);
    uint64_t frame = FRAME_HEADER_BYTES + record_bytes(record.key.len, record.value.len);
    struct segment *segment =
        log_fixture_segment(fixture, 1, SEGMENT_HEADER_BYTES + 100 * frame + room);
    for (uint32_t i = 0; i < 100; i++) {
        record.sequence = i + 1;
        (void)log_fixture_append(segment, &record, 1);
    }
    struct footer_entries entries = collect(fixture, segment, false);
    disk_faulty_fail(fixture->db->disk, fault.calls, fault.nth, fault.count, fault.status,
                     fault.when);
    *ret_written = footer_write(segment, &entries, &error.error);
    bool failed = disk_faulty_failures(fixture->db->disk) > 0;
    disk_faulty_fail(fixture->db->disk, 0, 0, 0, KVS_OK, DISK_FAIL_BEFORE);
    if (*ret_written != KVS_OK)
        assert_int_equal(error.error.status, *ret_written);
    check_entries(fixture, segment, &entries); /* the records are readable all the time */
    footer_entries_deinit(&entries);
    segment = log_fixture_reopen(fixture, segment);
    *ret_opened = footer_open(segment, segment->end, &entries, &error.error);
    entries = collect(fixture, segment, true);
    assert_int_equal(entries.count, 100);
    footer_entries_deinit(&entries);
    segment_free(segment);
    return failed;
}

/* Whatever call meets a full disk: there is a footer, or the file ends behind the last frame; only
   a sync that failed leaves nothing to rely on. */
static void leaves_no_footer_on_a_full_disk(void **state)
{
    struct log_fixture *fixture = *state;
    kvs_status written;
    kvs_status opened;
    const uint32_t calls = DISK_CALL_RESERVE | DISK_CALL_WRITE;
    for (unsigned when = DISK_FAIL_BEFORE; when <= DISK_FAIL_AFTER; when++) {
        for (uint64_t room = 0; room <= 8192; room += 8192) {
            uint64_t nth = 0;
            while (write_with_fault(
                fixture, room,
                (struct fault){calls, nth, 1, KVS_NO_SPACE, (enum disk_fail_when)when}, &written,
                &opened)) {
                assert_int_equal(written, KVS_NO_SPACE);
                assert_int_equal(opened, KVS_MISSING);
                nth++;
            }
            assert_int_equal(written, KVS_OK);
            assert_int_equal(opened, KVS_OK);
            assert_true(nth >= 2);
        }
    }
}

static void needs_no_reserving(void **state)
{
    kvs_status written;
    kvs_status opened;
    assert_true(write_with_fault(
        *state, 0, (struct fault){DISK_CALL_RESERVE, 0, 1, KVS_UNSUPPORTED, DISK_FAIL_BEFORE},
        &written, &opened));
    assert_int_equal(written, KVS_OK);
    assert_int_equal(opened, KVS_OK);
}

/* After a failed sync nobody knows what is on the disk, whatever its reason. */
static void fails_when_the_disk_does(void **state)
{
    kvs_status written;
    kvs_status opened;
    const uint32_t calls = DISK_CALL_RESERVE | DISK_CALL_SYNC;
    assert_true(write_with_fault(
        *state, 0, (struct fault){DISK_CALL_SYNC, 0, 1, KVS_NO_SPACE, DISK_FAIL_BEFORE}, &written,
        &opened));
    assert_int_equal(written, KVS_IO);
    assert_true(write_with_fault(
        *state, 0, (struct fault){calls, 0, 2, KVS_NO_SPACE, DISK_FAIL_BEFORE}, &written, &opened));
    assert_int_equal(written, KVS_IO);
    assert_int_equal(opened, KVS_MISSING);
    uint64_t nth = 0;
    while (write_with_fault(*state, 0,
                            (struct fault){DISK_CALLS_CHANGING, nth, 1, KVS_IO, DISK_FAIL_HALF},
                            &written, &opened)) {
        assert_int_equal(written, KVS_IO);
        nth++;
    }
    assert_int_equal(nth, 5); /* reserve, entries, trailer, truncate, sync */
}

/* ------------------------------------------------------------------------------------------- */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(collects_every_record_in_order),
        TEST(collects_nothing_from_an_empty_segment),
        TEST(names_the_damaged_frame),
        cmocka_unit_test(sorts_any_hashes),
        TEST(opens_what_was_written),
        TEST(grows_a_full_segment),
        TEST(notices_every_changed_byte),
        TEST(refuses_impossible_entries),
        TEST(refuses_a_footer_of_another_generation),
        TEST(leaves_no_footer_on_a_full_disk),
        TEST(needs_no_reserving),
        TEST(fails_when_the_disk_does),
    };
    return cmocka_run_group_tests_name("engine-log/footer", tests, NULL, NULL);
}
