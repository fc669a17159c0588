/* Verifying: a sound store is sound, and each byte that is changed is noticed. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "disk_faulty.h"
#include "footer.h"
#include "manifest.h"
#include "small_store.h"
#include "snapshot.h"
#include "support/support.h"
#include "verify.h"

#define ZERO_RUN  128u
#define ZERO_STEP 61u

static kvs_status verify(const struct small_store *store, struct small_report *report,
                         struct test_error *error)
{
    test_error_init(error);
    *report = (struct small_report){.print = false};
    return verify_disk(store->fixture->db->disk, &store->fixture->host, small_report_line, report,
                       &error->error);
}

static void check_sound(const struct small_store *store)
{
    struct small_report report;
    struct test_error error;
    kvs_status status = verify(store, &report, &error);
    if (status != KVS_OK || report.lines[KVS_LOG_WARN] > 0)
        print_message("%s", report.text);
    assert_status(KVS_OK, status, &error);
    assert_int_equal(report.lines[KVS_LOG_ERROR], 0);
    assert_int_equal(report.lines[KVS_LOG_WARN], 0);
    assert_int_equal(report.lines[KVS_LOG_INFO], 0);
}

/* It is damaged, and what is reported has this text in it. */
static void check_damaged(const struct small_store *store, const char *text)
{
    struct small_report report;
    struct test_error error;
    kvs_status status = verify(store, &report, &error);
    if (status != KVS_CORRUPT || strstr(report.text, text) == NULL)
        print_message("%sexpected: %s\n", report.text, text);
    assert_int_equal(status, KVS_CORRUPT);
    assert_true(report.lines[KVS_LOG_ERROR] > 0);
    assert_non_null(strstr(report.text, text));
}

static void sound_stores_are_sound(void **state)
{
    (void)state;
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        struct small_store *store = small_store_new(snapshot != 0);
        check_sound(store);
        small_store_free(store);
    }
}

static void an_empty_folder_is_no_store(void **state)
{
    (void)state;
    struct small_report report = {.print = false};
    struct test_error error;
    test_error_init(&error);
    struct log_fixture *fixture = log_fixture_new(4);
    assert_int_equal(
        verify_disk(fixture->db->disk, &fixture->host, small_report_line, &report, &error.error),
        KVS_MISSING);
    log_fixture_free(fixture);
}

/* ---- every byte --------------------------------------------------------------------------- */

/* True when the byte is within a long run of zeros, which all are looked at in the same way. */
static bool is_among_zeros(const uint8_t *content, uint64_t bytes, uint64_t at)
{
    for (uint64_t i = at < ZERO_RUN ? 0 : at - ZERO_RUN; i < bytes && i < at + ZERO_RUN; i++)
        if (content[i] != 0)
            return false;
    return true;
}

/* Inverts bits of each byte of a file in turn; of long runs of zeros, of some. In the zeros behind the
   frames of unsealed segments and at the manifest's end a changed byte is what a crash may leave: a
   warning. Else it is damage. */
static void flip_every_byte(struct small_store *store, const char *name)
{
    uint64_t bytes;
    uint8_t *content = log_fixture_content(store->fixture, name, &bytes);
    uint64_t random = bytes;
    for (uint64_t at = 0; at < bytes; at += is_among_zeros(content, bytes, at) ? ZERO_STEP : 1) {
        struct small_report report;
        struct test_error error;
        uint8_t mask = (uint8_t)(1 + log_fixture_random(&random, 255));
        log_fixture_flip(store->fixture, name, at, mask);
        kvs_status status = verify(store, &report, &error);
        if (status == KVS_OK && report.lines[KVS_LOG_WARN] == 0)
            fail_msg("%s: byte %u was changed by %u, and nothing noticed", name, (unsigned)at,
                     mask);
        assert_true(status == KVS_OK || status == KVS_CORRUPT);
        assert_int_equal(status == KVS_CORRUPT, report.lines[KVS_LOG_ERROR] > 0);
        log_fixture_flip(store->fixture, name, at, mask);
    }
    free(content);
}

static void notices_every_changed_byte(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    flip_every_byte(store, "00000000.seg");
    flip_every_byte(store, "00000001.seg");
    flip_every_byte(store, "00000002.seg");
    flip_every_byte(store, "00000003.seg");
    check_sound(store);
    small_store_free(store);
}

static void notices_every_changed_byte_of_the_snapshot(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    flip_every_byte(store, SNAPSHOT_NAME);
    check_sound(store);
    small_store_free(store);
}

static void notices_every_changed_byte_of_the_manifest(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    flip_every_byte(store, MANIFEST_NAME);
    check_sound(store);
    small_store_free(store);
}

/* Also what is sealed and sound in itself, but is not what the manifest knows. */
static void sealed_damage_is_an_error(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    const struct small_version *version = small_store_newest(store, 1, UINT32_MAX, 0);
    assert_int_equal(version->segment, SMALL_STORE_SEALED);
    log_fixture_flip(store->fixture, "00000001.seg", version->offset + 17, 1);
    check_damaged(store, "00000001.seg offset ");
    check_damaged(store, "the record of key \"key 1\" with number ");
    log_fixture_flip(store->fixture, "00000001.seg", version->offset + 17, 1);
    log_fixture_flip(store->fixture, "00000001.seg", SEGMENT_HEADER_BYTES + 5, 1);
    check_damaged(store, "00000001.seg offset 4096: the frame is damaged, its 1 records are sound");
    log_fixture_flip(store->fixture, "00000001.seg", SEGMENT_HEADER_BYTES + 5, 1);
    log_fixture_flip(store->fixture, "00000001.seg", 3000, 1);
    check_damaged(store, "00000001.seg offset 3000: the header should be zero here");
    log_fixture_flip(store->fixture, "00000001.seg", 3000, 1);
    log_fixture_flip(store->fixture, "00000001.seg",
                     log_fixture_size(store->fixture, "00000001.seg") - 70, 1);
    check_damaged(store, "00000001.seg offset ");
    check_damaged(store, "the footer is damaged");
    small_store_free(store);
}

/* ---- files -------------------------------------------------------------------------------- */

static void notices_missing_and_short_files(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct disk *disk = store->fixture->db->disk;
    uint64_t bytes = log_fixture_size(store->fixture, "00000001.seg");
    assert_int_equal(disk_file_truncate(store->segments[SMALL_STORE_SEALED]->file, bytes - 1, NULL),
                     KVS_OK);
    check_damaged(store, "the manifest expects");
    assert_int_equal(disk_file_truncate(store->segments[SMALL_STORE_SEALED]->file, 4200, NULL),
                     KVS_OK);
    check_damaged(store, "00000001.seg has 4200 bytes, the manifest expects");
    assert_int_equal(disk_file_truncate(store->segments[SMALL_STORE_SEALED]->file, 100, NULL),
                     KVS_OK);
    check_damaged(store, "00000001.seg: only 100 bytes");
    assert_int_equal(disk_remove(disk, "00000001.seg", NULL), KVS_OK);
    check_damaged(store, "00000001.seg");
    assert_int_equal(disk_remove(disk, MANIFEST_NAME, NULL), KVS_OK);
    check_damaged(store, "there are 3 segments but no log.manifest");
    small_store_free(store);
}

static void copy_file(const struct log_fixture *fixture, const char *from, const char *to)
{
    static uint8_t content[65536];
    struct disk_file *file;
    uint64_t bytes;
    assert_int_equal(disk_file_open(fixture->db->disk, from, DISK_READ_ONLY, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_read(file, 0, content, sizeof(content), &bytes, NULL), KVS_OK);
    disk_file_close(file);
    assert_int_equal(disk_file_open(fixture->db->disk, to, DISK_CREATE, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_write(file, 0, content, bytes, NULL), KVS_OK);
    disk_file_close(file);
}

/* One segment's file in the place of another one: each is sound, but not what belongs there. */
static void notices_files_that_were_exchanged(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    copy_file(store->fixture, "00000000.seg", "00000001.seg");
    check_damaged(store, "00000001.seg holds segment 0");
    small_store_free(store);
}

/* Leftovers are named, and are no damage. */
static void leftovers_are_no_damage(void **state)
{
    (void)state;
    struct small_report report;
    struct test_error error;
    struct small_store *store = small_store_new(true);
    copy_file(store->fixture, "00000000.seg", "00000007.seg");
    copy_file(store->fixture, "00000000.seg", SNAPSHOT_NEW_NAME);
    copy_file(store->fixture, "00000000.seg", "log.manifest.new");
    copy_file(store->fixture, "00000000.seg", "kvs.lock");
    assert_status(KVS_OK, verify(store, &report, &error), &error);
    assert_int_equal(report.lines[KVS_LOG_INFO], 3);
    assert_int_equal(report.lines[KVS_LOG_WARN], 0);
    small_store_free(store);
}

/* A segment that is being removed holds nothing: its bytes are not looked at. */
static void removed_segments_hold_nothing(void **state)
{
    (void)state;
    struct small_report report;
    struct test_error error;
    struct small_store *store = small_store_new(false);
    struct manifest_segment entry = *manifest_find(store->manifest, SMALL_STORE_SPARE);
    entry.removing = true;
    manifest_begin(store->manifest);
    assert_int_equal(manifest_put(store->manifest, &entry), KVS_OK);
    assert_int_equal(manifest_commit(store->manifest, NULL), KVS_OK);
    log_fixture_flip(store->fixture, "00000003.seg", 0, 1);
    assert_status(KVS_OK, verify(store, &report, &error), &error);
    assert_int_equal(report.lines[KVS_LOG_INFO], 1);
    assert_int_equal(report.lines[KVS_LOG_WARN], 0);
    small_store_free(store);
}

/* ---- tails -------------------------------------------------------------------------------- */

/* The last frame of an unsealed segment: nothing says that it was durable, so it is a torn tail. */
static void a_torn_tail_is_no_damage(void **state)
{
    (void)state;
    struct small_report report;
    struct test_error error;
    struct small_store *store = small_store_new(false);
    uint64_t end = store->segments[SMALL_STORE_ACTIVE]->end;
    log_fixture_flip(store->fixture, "00000002.seg", end - 10, 1);
    assert_status(KVS_OK, verify(store, &report, &error), &error);
    assert_int_equal(report.lines[KVS_LOG_WARN], 1);
    assert_non_null(strstr(report.text, "are no whole write"));
    small_store_free(store);
}

static void remove_segment(const struct small_store *store, uint32_t number)
{
    char name[SEGMENT_NAME_MAX];
    struct manifest_segment entry = *manifest_find(store->manifest, number);
    entry.removing = true;
    manifest_begin(store->manifest);
    assert_int_equal(manifest_put(store->manifest, &entry), KVS_OK);
    assert_int_equal(manifest_commit(store->manifest, NULL), KVS_OK);
    segment_name(number, name);
    assert_int_equal(disk_remove(store->fixture->db->disk, name, NULL), KVS_OK);
}

/* The same where all segments before were compacted away: the manifest knows how far they went. */
static void a_torn_begin_is_no_damage(void **state)
{
    (void)state;
    struct small_report report;
    struct test_error error;
    struct small_store *store = small_store_new(false);
    struct segment *segment = store->segments[SMALL_STORE_SPARE];
    uint64_t last = manifest_find(store->manifest, SMALL_STORE_SEALED)->sequence_max;
    uint64_t begin = atomic_load(&segment->end);
    char text[2][32];
    struct record torn = log_fixture_record(text[0], 1, last + 1, 50);
    struct record whole = log_fixture_record(text[1], 2, last + 2, 60);
    remove_segment(store, SMALL_STORE_SEALED);
    remove_segment(store, SMALL_STORE_ACTIVE);
    store_le64(segment->memory + 40, 0); /* its birth, as in segments that were appended to */
    store_le32(segment->memory + 4, crc32c(0, segment->memory + 8, 56));
    (void)log_fixture_append_durable(segment, &torn, 1, last);
    (void)log_fixture_append_durable(segment, &whole, 1, last);
    segment->memory[begin + FRAME_HEADER_BYTES + 30] ^= 1;
    assert_status(KVS_OK, verify(store, &report, &error), &error);
    assert_non_null(strstr(report.text, "are no whole write"));
    small_store_free(store);
}

/* A frame before: the one behind it says that it was. */
static void a_durable_write_that_is_gone_is_damage(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    log_fixture_flip(store->fixture, "00000002.seg", SEGMENT_HEADER_BYTES + 40, 1);
    check_damaged(store, "was on the disk once and is not there any more");
    small_store_free(store);
}

/* ---- what is sound by itself -------------------------------------------------------------- */

static void notices_a_wrong_sequence(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct segment *segment = store->segments[SMALL_STORE_ACTIVE];
    char text[2][32];
    struct record records[2] = {
        log_fixture_record(text[0], 1, store->sequence + 1, 5),
        log_fixture_record(text[1], 2, store->sequence + 5, 5),
    };
    (void)log_fixture_append(segment, records, 2);
    check_damaged(store, "the frame's sequence numbers are wrong");
    small_store_free(store);
}

/* A footer with sound checksums that is not that of the frames. */
static void notices_a_wrong_footer(void **state)
{
    (void)state;
    struct test_error error;
    test_error_init(&error);
    struct small_store *store = small_store_new(true);
    struct segment *segment = store->segments[SMALL_STORE_SEALED];
    struct kvs_bytes secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    struct footer_entries entries;
    assert_status(
        KVS_OK,
        footer_collect(segment, store->fixture->db->index, secret, true, &entries, &error.error),
        &error);
    /* The place of another record, where one of this size could be too: else it is no footer. */
    uint64_t wrong = 0;
    while (footer_entry_bytes(&entries.owned[wrong]) >
           footer_entry_bytes(&entries.owned[wrong + 1]))
        wrong++;
    assert_true(wrong + 1 < entries.count);
    entries.owned[wrong].offset = entries.owned[wrong + 1].offset;
    assert_status(KVS_OK, footer_write(segment, &entries, &error.error), &error);
    footer_entries_deinit(&entries);
    check_damaged(store, "the footer is not that of the segment's records");
    small_store_free(store);
}

/* A snapshot with sound checksums and the right binding that leads to an older version. */
static void notices_a_wrong_snapshot(void **state)
{
    (void)state;
    struct test_error error;
    test_error_init(&error);
    struct small_store *store = small_store_new(true);
    struct kvs_db *db = store->fixture->db;
    struct kvs_bytes secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    const struct small_version *newest = small_store_newest(store, 2, UINT32_MAX, 0);
    const struct small_version *older =
        small_store_newest(store, 2, newest->segment, newest->offset);
    char text[32];
    struct record record = log_fixture_record(text, 2, 1, 0);
    assert_true(index_replace(db->index, index_hash(db->index, record.key),
                              place_make(newest->segment, newest->offset),
                              place_make(older->segment, older->offset)));
    assert_status(KVS_OK,
                  snapshot_write(db->disk, db->index, secret, store->segments, 2, store->sequence,
                                 &error.error),
                  &error);
    check_damaged(store, "are not those of the segments' records");
    assert_status(KVS_OK,
                  snapshot_write(db->disk, db->index, secret, store->segments, 2,
                                 store->sequence - 1, &error.error),
                  &error);
    check_damaged(store, "log.snapshot knows numbers up to ");
    small_store_free(store);
}

static void a_snapshot_of_another_time_is_no_damage(void **state)
{
    (void)state;
    struct small_report report;
    struct test_error error;
    test_error_init(&error);
    struct small_store *store = small_store_new(true);
    struct kvs_db *db = store->fixture->db;
    struct kvs_bytes secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    assert_status(KVS_OK,
                  snapshot_write(db->disk, db->index, secret, store->segments, 1, store->sequence,
                                 &error.error),
                  &error);
    assert_status(KVS_OK, verify(store, &report, &error), &error);
    assert_int_equal(report.lines[KVS_LOG_INFO], 1);
    assert_non_null(strstr(report.text, "of another time"));
    small_store_free(store);
}

/* ---- disks that cannot read ---------------------------------------------------------------- */

/* Whatever call fails is a finding or makes verifying fail: never is the store called sound. */
static void a_disk_that_cannot_read_is_noticed(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    struct disk *disk = store->fixture->db->disk;
    struct small_report report;
    struct test_error error;
    uint64_t nth = 0;
    for (;; nth++) {
        disk_faulty_fail(disk, DISK_CALLS_ALL, nth, 1, KVS_IO, DISK_FAIL_BEFORE);
        kvs_status status = verify(store, &report, &error);
        if (disk_faulty_failures(disk) == 0)
            break;
        assert_true(status == KVS_CORRUPT || status == KVS_IO || status == KVS_OK);
        /* A read that failed once and then worked is no damage. */
        if (status == KVS_OK)
            assert_int_equal(report.lines[KVS_LOG_ERROR], 0);
    }
    assert_true(nth > 10);
    disk_faulty_fail(disk, DISK_CALL_READ, 0, DISK_FAULTY_FOREVER, KVS_IO, DISK_FAIL_BEFORE);
    assert_int_equal(verify(store, &report, &error), KVS_CORRUPT);
    small_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_stores_are_sound),
        cmocka_unit_test(an_empty_folder_is_no_store),
        cmocka_unit_test(notices_every_changed_byte),
        cmocka_unit_test(notices_every_changed_byte_of_the_snapshot),
        cmocka_unit_test(notices_every_changed_byte_of_the_manifest),
        cmocka_unit_test(sealed_damage_is_an_error),
        cmocka_unit_test(notices_missing_and_short_files),
        cmocka_unit_test(notices_files_that_were_exchanged),
        cmocka_unit_test(leftovers_are_no_damage),
        cmocka_unit_test(removed_segments_hold_nothing),
        cmocka_unit_test(a_torn_tail_is_no_damage),
        cmocka_unit_test(a_torn_begin_is_no_damage),
        cmocka_unit_test(a_durable_write_that_is_gone_is_damage),
        cmocka_unit_test(notices_a_wrong_sequence),
        cmocka_unit_test(notices_a_wrong_footer),
        cmocka_unit_test(notices_a_wrong_snapshot),
        cmocka_unit_test(a_snapshot_of_another_time_is_no_damage),
        cmocka_unit_test(a_disk_that_cannot_read_is_noticed),
    };
    return cmocka_run_group_tests_name("engine-log/verify", tests, NULL, NULL);
}
