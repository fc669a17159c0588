/*
 * Repairing: whatever is damaged, each key has its newest version again if that was not hit, and an
 * older one never takes its place without a word.
 *
 * A value's length tells which version it is (small_store.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk_faulty.h"
#include "engine.h"
#include "footer.h"
#include "manifest.h"
#include "repair.h"
#include "small_store.h"
#include "snapshot.h"
#include "support/support.h"

#define FLIPS  20u /* of each file */
#define ROUNDS 15u

/* The one option that a test changes; these tests have one thread each. */
static bool keep_older;

static kvs_status config_get(const struct kvs_host *host, const char *name,
                             struct kvs_option_value *ret)
{
    (void)host;
    ret->u64 = strcmp(name, "segment-size") == 0 ? UINT64_C(1) << 20 : keep_older;
    return KVS_OK;
}

/* What a repaired store holds: by key, the length of its value; 0: it is not there. */
struct repaired {
    kvs_status status;
    struct small_report report;
    struct test_error error;
    uint64_t lengths[SMALL_STORE_KEYS];
};

static int32_t see(void *arg, struct kvs_bytes value)
{
    *(uint64_t *)arg = value.len;
    return 0;
}

static void look_inside(const char *path, const struct kvs_host *host, struct repaired *repaired)
{
    struct kvs_db *db;
    const struct kvs_engine_config config = {
        .size = sizeof(config),
        .flags = KVS_OPEN_READ_ONLY,
        .durability = KVS_DURABILITY_NONE,
        .threads = 1,
        .data_dir = path,
        .host = host,
    };
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, engine_log_ops.open(&config, &db, &error.error), &error);
    for (uint32_t key = 0; key < SMALL_STORE_KEYS; key++) {
        char text[32];
        struct record record = log_fixture_record(text, key, 1, 0);
        repaired->lengths[key] = 0;
        kvs_status status =
            engine_log_ops.get(db, NULL, record.key, see, &repaired->lengths[key], NULL);
        assert_true(status == KVS_OK || status == KVS_NOT_FOUND);
    }
    assert_int_equal(KVS_OK, engine_log_ops.close(db, NULL));
}

static void repair(const struct small_store *store, struct repaired *repaired)
{
    char *path = temp_dir_new();
    struct kvs_host host = store->fixture->host;
    host.config_get = config_get;
    memset(repaired, 0, sizeof(*repaired));
    test_error_init(&repaired->error);
    repaired->status = repair_disk(store->fixture->db->disk, &host, path, small_report_line,
                                   &repaired->report, &repaired->error.error);
    if (repaired->status == KVS_OK || repaired->status == KVS_CORRUPT)
        look_inside(path, &host, repaired);
    if (repaired->status == KVS_OK || repaired->status == KVS_CORRUPT)
        assert_int_equal(repaired->status == KVS_CORRUPT,
                         repaired->report.lines[KVS_LOG_ERROR] > 0);
    temp_dir_free(path);
}

static uint64_t length_of(const struct small_version *version)
{
    return version == NULL || version->tombstone ? 0 : version->value_bytes;
}

static void check_said(const struct repaired *repaired, const char *text)
{
    if (strstr(repaired->report.text, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, repaired->report.text);
}

/* Nothing is lost. */
static void check_all(const struct small_store *store, const struct repaired *repaired)
{
    if (repaired->status != KVS_OK)
        print_message("%s", repaired->report.text);
    assert_status(KVS_OK, repaired->status, &repaired->error);
    for (uint32_t key = 0; key < SMALL_STORE_KEYS; key++)
        assert_int_equal(repaired->lengths[key],
                         length_of(small_store_newest(store, key, UINT32_MAX, 0)));
}

static void sound_stores_are_copied(void **state)
{
    (void)state;
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        struct small_store *store = small_store_new(snapshot != 0);
        struct repaired repaired;
        repair(store, &repaired);
        check_all(store, &repaired);
        assert_int_equal(repaired.report.lines[KVS_LOG_WARN], 0);
        check_said(&repaired, "keys were brought back");
        small_store_free(store);
    }
}

static void an_empty_folder_is_no_store(void **state)
{
    (void)state;
    struct small_store store = {.fixture = log_fixture_new(4)};
    struct repaired repaired;
    repair(&store, &repaired);
    assert_int_equal(repaired.status, KVS_MISSING);
    log_fixture_free(store.fixture);
}

/* ---- one byte ------------------------------------------------------------------------------- */

/* True when it is in the last frame of the unsealed segment, which a start may take for unfinished. */
static bool is_in_last_write(const struct small_store *store, uint32_t segment, uint64_t offset)
{
    const struct small_version *last = &store->versions[store->version_count - 1];
    return segment == SMALL_STORE_ACTIVE && last->segment == segment &&
           offset >= last->offset - FRAME_HEADER_BYTES;
}

/* Checks what came of one changed byte. */
static void check_flip(const struct small_store *store, const struct repaired *repaired,
                       uint32_t segment, uint64_t offset)
{
    bool is_unsure = strstr(repaired->report.text, "it is not certain what was there") != NULL;
    assert_true(repaired->status == KVS_OK || repaired->status == KVS_CORRUPT);
    for (uint32_t key = 0; key < SMALL_STORE_KEYS; key++) {
        const struct small_version *newest = small_store_newest(store, key, UINT32_MAX, 0);
        const struct small_version *sound = small_store_newest(store, key, segment, offset);
        uint64_t length = repaired->lengths[key];
        if (newest == sound || length == length_of(newest)) {
            if (length != length_of(newest))
                fail_msg("segment %u offset %u: key %u was not hit, and has %u bytes, not %u\n%s",
                         segment, (unsigned)offset, key, (unsigned)length,
                         (unsigned)length_of(newest), repaired->report.text);
            continue;
        }
        /* The newest version was hit: it is lost, with a word. */
        if (length != 0 && !is_unsure && !is_in_last_write(store, segment, offset))
            fail_msg("segment %u offset %u: key %u has an old value\n%s", segment, (unsigned)offset,
                     key, repaired->report.text);
        if (!is_in_last_write(store, segment, offset))
            assert_int_equal(repaired->status, KVS_CORRUPT);
    }
}

static void flip_bytes(struct small_store *store, uint32_t segment)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(segment, name);
    uint64_t bytes;
    uint8_t *content = log_fixture_content(store->fixture, name, &bytes);
    uint64_t end = bytes;
    while (end > SEGMENT_HEADER_BYTES && content[end - 1] == 0)
        end--;
    free(content);
    uint64_t random = 77 + segment;
    for (unsigned i = 0; i < FLIPS; i++) {
        struct repaired repaired;
        /* In the header, too, whose first bytes matter. */
        uint64_t at =
            i < 10 ? i * 6
                   : SEGMENT_HEADER_BYTES + log_fixture_random(&random, end - SEGMENT_HEADER_BYTES);
        uint8_t mask = (uint8_t)(1 + log_fixture_random(&random, 255));
        log_fixture_flip(store->fixture, name, at, mask);
        repair(store, &repaired);
        check_flip(store, &repaired, segment, at);
        log_fixture_flip(store->fixture, name, at, mask);
    }
}

static void a_changed_byte_costs_its_record(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    for (uint32_t segment = 0; segment < 3; segment++)
        flip_bytes(store, segment);
    small_store_free(store);
}

static void a_changed_byte_of_the_manifest_costs_nothing(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    uint64_t bytes = log_fixture_size(store->fixture, MANIFEST_NAME);
    uint64_t random = 5;
    if (bytes > 1200)
        bytes = 1200; /* zeros follow */
    for (unsigned i = 0; i < FLIPS; i++) {
        struct repaired repaired;
        uint64_t at = log_fixture_random(&random, bytes);
        uint8_t mask = (uint8_t)(1 + log_fixture_random(&random, 255));
        log_fixture_flip(store->fixture, MANIFEST_NAME, at, mask);
        repair(store, &repaired);
        check_all(store, &repaired);
        log_fixture_flip(store->fixture, MANIFEST_NAME, at, mask);
    }
    small_store_free(store);
}

/* ---- more ----------------------------------------------------------------------------------- */

static void zero(const struct small_store *store, const char *name, uint64_t begin, uint64_t end)
{
    static const uint8_t zeros[65536];
    struct disk_file *file;
    assert_int_equal(disk_file_open(store->fixture->db->disk, name, 0, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_write(file, begin, zeros, end - begin, NULL), KVS_OK);
    disk_file_close(file);
}

/* All that tells what the segments are is gone: their records are enough. */
static void frames_are_enough(void **state)
{
    (void)state;
    static const char *const names[] = {"00000000.seg", "00000001.seg", "00000002.seg"};
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    for (unsigned i = 0; i < 3; i++)
        zero(store, names[i], 0, SEGMENT_HEADER_BYTES);
    repair(store, &repaired);
    check_all(store, &repaired);
    check_said(&repaired, "00000001.seg offset 0: the header is damaged");
    assert_int_equal(disk_remove(store->fixture->db->disk, MANIFEST_NAME, NULL), KVS_OK);
    repair(store, &repaired);
    check_all(store, &repaired);
    check_said(&repaired, "log.manifest is missing");
    for (unsigned i = 0; i < 2; i++)
        zero(store, names[i], store->segments[i]->end, log_fixture_size(store->fixture, names[i]));
    repair(store, &repaired);
    check_all(store, &repaired);
    small_store_free(store);
}

/* Many bytes are wrong, in all files: what is brought back was there once, and what is not is told. */
static void much_damage_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"00000000.seg", "00000001.seg", "00000002.seg",
                                        MANIFEST_NAME};
    uint64_t random = 4711;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct small_store *store = small_store_new(round % 2 == 0);
        struct repaired repaired;
        for (unsigned i = 0; i < 4; i++) {
            bool is_there = i != 2 || round % 2 != 0; /* the unsealed one */
            uint64_t bytes = is_there ? log_fixture_size(store->fixture, names[i]) : 0;
            for (uint64_t n = log_fixture_random(&random, 20); n > 0 && is_there; n--)
                log_fixture_flip(store->fixture, names[i],
                                 log_fixture_random(&random, bytes < 6000 ? bytes : 6000),
                                 (uint8_t)(1 + log_fixture_random(&random, 255)));
        }
        repair(store, &repaired);
        assert_true(repaired.status == KVS_OK || repaired.status == KVS_CORRUPT);
        for (uint32_t key = 0; key < SMALL_STORE_KEYS; key++) {
            bool was_there = repaired.lengths[key] == 0;
            for (uint32_t i = 0; i < store->version_count; i++)
                was_there = was_there || (store->versions[i].key == key &&
                                          repaired.lengths[key] == length_of(&store->versions[i]));
            assert_true(was_there);
        }
        small_store_free(store);
    }
}

static void a_missing_segment_is_told(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    assert_int_equal(disk_remove(store->fixture->db->disk, "00000001.seg", NULL), KVS_OK);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    check_said(&repaired,
               "00000001.seg is missing, and with it 13 records with numbers from 7 to 19");
    check_said(&repaired, "it is not certain what was there");
    small_store_free(store);
}

static void a_short_file_is_told(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    struct repaired repaired;
    const struct small_version *last = small_store_newest(store, 2, UINT32_MAX, 0);
    assert_int_equal(
        disk_file_truncate(store->segments[SMALL_STORE_SEALED]->file, last->offset + 5, NULL),
        KVS_OK);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    check_said(&repaired, "bytes are missing; what was written there is not known");
    small_store_free(store);
}

/* The footer tells whose record it was; its older versions stay out, unless they are asked for. */
static void an_older_version_is_no_silent_substitute(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    struct repaired repaired;
    const struct small_version *newest = small_store_newest(store, 5, UINT32_MAX, 0);
    const struct small_version *older =
        small_store_newest(store, 5, newest->segment, newest->offset);
    assert_non_null(older);
    /* Nothing of the record can be read: its key is known from the older one. */
    zero(store, "00000001.seg", newest->offset, newest->offset + newest->bytes);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    assert_int_equal(repaired.lengths[5], 0);
    assert_int_equal(repaired.report.lines[KVS_LOG_ERROR], 1);
    check_said(&repaired, ": lost: key \"key 5\", number ");
    check_said(&repaired, ", is sound and was left out");
    keep_older = true;
    repair(store, &repaired);
    keep_older = false;
    assert_int_equal(repaired.status, KVS_CORRUPT);
    assert_int_equal(repaired.lengths[5], older->value_bytes);
    check_said(&repaired, ", is sound and was brought back");
    small_store_free(store);
}

/* A record that nobody needs any more may be damaged, and a removal of which the footer tells. */
static void what_is_not_needed_is_no_loss(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    struct repaired repaired;
    const struct small_version *newest = small_store_newest(store, 5, UINT32_MAX, 0);
    const struct small_version *older =
        small_store_newest(store, 5, newest->segment, newest->offset);
    const struct small_version *removal = small_store_newest(store, 7, UINT32_MAX, 0);
    assert_true(removal->tombstone);
    log_fixture_flip(store->fixture, older->segment == 0 ? "00000000.seg" : "00000001.seg",
                     older->offset + 26, 1);
    log_fixture_flip(store->fixture, "00000001.seg", removal->offset + 26, 1);
    repair(store, &repaired);
    check_all(store, &repaired);
    small_store_free(store);
}

/* Of a batch, what is sound. */
static void a_batch_that_is_damaged_in_part_is_told(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    const struct small_version *hit = small_store_newest(store, 7, UINT32_MAX, 0);
    assert_int_equal(hit->segment, SMALL_STORE_ACTIVE); /* with the removal of key 4 in one frame */
    log_fixture_flip(store->fixture, "00000002.seg", hit->offset + hit->bytes - 9, 1);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    assert_int_equal(repaired.lengths[7], 0);
    assert_int_equal(repaired.lengths[4], 0);
    check_said(&repaired, "bytes is damaged; 1 records in it are sound and are brought back");
    check_said(&repaired, ": lost: key \"key 7\" (as far as can be read), number ");
    small_store_free(store);
}

/* What a start would cut off is no loss. */
static void an_unfinished_write_is_no_loss(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    struct segment *segment = store->segments[SMALL_STORE_ACTIVE];
    uint64_t end = segment->end;
    char text[2][32];
    struct record records[2] = {log_fixture_record(text[0], 1, store->sequence + 1, 50),
                                log_fixture_record(text[1], 2, store->sequence + 2, 60)};
    (void)log_fixture_append(segment, records, 2);
    memset(segment->memory + end, 0, FRAME_HEADER_BYTES); /* the header is written last */
    repair(store, &repaired);
    check_all(store, &repaired);
    check_said(&repaired, "are no finished write");
    memset(segment->memory + end + 100, 0, 100);
    repair(store, &repaired);
    check_all(store, &repaired);
    small_store_free(store);
}

/* Whole writes behind an unfinished one are what a start drops: the disk wrote them in another order. They
   may be newer than what is there, and parts of batches whose other part is missing. */
static void what_follows_an_unfinished_write_stays_out(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    struct segment *segment = store->segments[SMALL_STORE_ACTIVE];
    uint64_t begin = segment->end;
    char text[3][32];
    uint64_t next = store->sequence + 1;
    struct record torn[2] = {log_fixture_record(text[0], 4, next, 50),
                             log_fixture_tombstone(text[1], 4, next + 1)};
    struct record whole = log_fixture_record(text[2], 3, next + 2, 70);
    (void)log_fixture_append_durable(segment, torn, 2, next - 1);
    uint64_t second = begin + FRAME_HEADER_BYTES + record_bytes(torn[0].key.len, 50);
    (void)log_fixture_append_durable(segment, &whole, 1, next - 1);
    memset(segment->memory + second, 0, 24); /* the removal is not there */
    repair(store, &repaired);
    check_all(store, &repaired);
    check_said(&repaired, "are no finished write");
    assert_int_equal(repaired.report.lines[KVS_LOG_WARN], 0);
    small_store_free(store);
}

/* All records of the last write are there, and its frame's header is not: that is damage, or nearly all
   of a write. */
static void a_write_without_its_header_is_brought_back(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    const struct small_version *last = &store->versions[store->version_count - 1];
    log_fixture_flip(store->fixture, "00000002.seg", last->offset - FRAME_HEADER_BYTES + 25, 1);
    repair(store, &repaired);
    check_all(store, &repaired);
    check_said(&repaired, "1 records in it are sound and are brought back");
    small_store_free(store);
}

/* A page that was written once and is zeros now says nothing itself; the numbers do. */
static void numbers_that_are_missing_are_told(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    struct segment *segment = store->segments[SMALL_STORE_ACTIVE];
    const struct small_version *last = &store->versions[store->version_count - 1];
    char text[32];
    char said[100];
    /* The spare was appended to next, when the last write was durable. */
    struct record record = log_fixture_record(text, 1, store->sequence + 1, 50);
    (void)log_fixture_append_durable(store->segments[SMALL_STORE_SPARE], &record, 1,
                                     store->sequence);
    memset(segment->memory + last->offset - FRAME_HEADER_BYTES, 0,
           FRAME_HEADER_BYTES + last->bytes);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    (void)snprintf(said, sizeof(said), "with numbers from %u to %u, 1 are not there any more",
                   (unsigned)last->sequence, (unsigned)last->sequence);
    check_said(&repaired, said);
    check_said(&repaired, "it is not certain what was there");
    assert_int_equal(repaired.lengths[1], 50);
    small_store_free(store);
}

/* Where the header is damaged, too, it is not believed to be unfinished. */
static void a_tail_behind_a_damaged_header_is_told(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    const struct small_version *last = &store->versions[store->version_count - 1];
    log_fixture_flip(store->fixture, "00000002.seg", last->offset + 26, 1);
    repair(store, &repaired);
    assert_status(KVS_OK, repaired.status, &repaired.error);
    log_fixture_flip(store->fixture, "00000002.seg", 20, 1);
    repair(store, &repaired);
    assert_int_equal(repaired.status, KVS_CORRUPT);
    check_said(&repaired, "00000002.seg offset 0: the header is damaged");
    check_said(&repaired, "(as far as can be read)");
    small_store_free(store);
}

static void copy_over(const struct small_store *store, const char *from, const char *to)
{
    uint64_t bytes;
    uint8_t *content = log_fixture_content(store->fixture, from, &bytes);
    struct disk_file *file;
    assert_int_equal(disk_file_open(store->fixture->db->disk, to, DISK_CREATE, &file, NULL),
                     KVS_OK);
    assert_int_equal(disk_file_write(file, 0, content, bytes, NULL), KVS_OK);
    disk_file_close(file);
    free(content);
}

/* Leftovers and what is being removed are not needed, and are not used. */
static void what_is_being_removed_stays_out(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct repaired repaired;
    copy_over(store, "00000000.seg", "00000009.seg");
    struct manifest_segment entry = *manifest_find(store->manifest, SMALL_STORE_SPARE);
    entry.removing = true;
    manifest_begin(store->manifest);
    assert_int_equal(manifest_put(store->manifest, &entry), KVS_OK);
    assert_int_equal(manifest_commit(store->manifest, NULL), KVS_OK);
    log_fixture_flip(store->fixture, "00000003.seg", 5000, 1);
    repair(store, &repaired);
    check_all(store, &repaired);
    assert_int_equal(repaired.report.lines[KVS_LOG_WARN], 0);
    small_store_free(store);
}

/* A disk that cannot read: holes, and calls that fail. Never is a value wrong. */
static void a_disk_that_cannot_read(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(false);
    struct disk *disk = store->fixture->db->disk;
    struct repaired repaired;
    uint64_t nth = 0;
    for (;; nth++) {
        disk_faulty_fail(disk, DISK_CALLS_ALL & ~(uint32_t)(DISK_CALL_SYNC | DISK_CALL_SYNC_FOLDER),
                         nth, 1, KVS_IO, DISK_FAIL_BEFORE);
        repair(store, &repaired);
        if (disk_faulty_failures(disk) == 0)
            break;
        if (repaired.status == KVS_OK)
            check_all(store, &repaired);
        else
            assert_true(repaired.status == KVS_CORRUPT || repaired.status == KVS_IO);
    }
    assert_true(nth > 10);
    small_store_free(store);
}

static void a_target_that_is_not_empty_is_refused(void **state)
{
    (void)state;
    struct small_store *store = small_store_new(true);
    struct test_error error;
    struct kvs_host host = store->fixture->host;
    host.config_get = config_get;
    test_error_init(&error);
    assert_int_equal(KVS_INVALID, repair_disk(store->fixture->db->disk, &host, store->fixture->dir,
                                              NULL, NULL, &error.error));
    assert_non_null(strstr(error.message, "empty directory"));
    assert_int_equal(KVS_MISSING, repair_disk(store->fixture->db->disk, &host, "/nowhere/at/all",
                                              NULL, NULL, &error.error));
    small_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_stores_are_copied),
        cmocka_unit_test(an_empty_folder_is_no_store),
        cmocka_unit_test(a_changed_byte_costs_its_record),
        cmocka_unit_test(a_changed_byte_of_the_manifest_costs_nothing),
        cmocka_unit_test(frames_are_enough),
        cmocka_unit_test(much_damage_is_survived),
        cmocka_unit_test(a_missing_segment_is_told),
        cmocka_unit_test(a_short_file_is_told),
        cmocka_unit_test(an_older_version_is_no_silent_substitute),
        cmocka_unit_test(what_is_not_needed_is_no_loss),
        cmocka_unit_test(a_batch_that_is_damaged_in_part_is_told),
        cmocka_unit_test(an_unfinished_write_is_no_loss),
        cmocka_unit_test(what_follows_an_unfinished_write_stays_out),
        cmocka_unit_test(a_write_without_its_header_is_brought_back),
        cmocka_unit_test(numbers_that_are_missing_are_told),
        cmocka_unit_test(a_tail_behind_a_damaged_header_is_told),
        cmocka_unit_test(what_is_being_removed_stays_out),
        cmocka_unit_test(a_disk_that_cannot_read),
        cmocka_unit_test(a_target_that_is_not_empty_is_refused),
    };
    return cmocka_run_group_tests_name("engine-log/repair", tests, NULL, NULL);
}
