/* See small_store.h. */
#include "small_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk_faulty.h"
#include "footer.h"
#include "rebuild.h"
#include "snapshot.h"
#include "support/support.h"

#define SHARD_BITS    4u
#define SEGMENT_BYTES 8192u

/* What a segment is to hold: the keys of its frames' records. A negative number removes the key. */
struct frame_plan {
    uint32_t count; /* 0: no more frames */
    int keys[4];
};

static const struct frame_plan compacted_plan[] = {
    {3, {1, 2, 3}}, {1, {4}}, {2, {5, -6}}, {0, {0}}};
static const struct frame_plan sealed_plan[] = {
    {1, {1}}, {4, {2, -3, 7, 4}}, {1, {5}},        {2, {6, 1}},
    {1, {7}}, {1, {-7}},          {3, {3, 2, -1}}, {0, {0}}};
static const struct frame_plan active_plan[] = {{1, {2}}, {2, {-4, 7}}, {1, {5}}, {0, {0}}};

static void small_store_append(struct small_store *store, struct segment *segment,
                               const struct frame_plan *plan)
{
    for (; plan->count > 0; plan++) {
        char text[4][32];
        struct record records[4];
        uint32_t first = store->version_count;
        for (uint32_t i = 0; i < plan->count; i++) {
            assert_true(store->version_count < SMALL_STORE_VERSIONS_MAX);
            struct small_version *version = &store->versions[store->version_count++];
            uint64_t sequence = ++store->sequence;
            *version = (struct small_version){
                .key = (uint32_t)abs(plan->keys[i]),
                .sequence = sequence,
                .tombstone = plan->keys[i] < 0,
                .value_bytes = plan->keys[i] < 0 ? 0 : 10 + sequence,
                .segment = segment->number,
            };
            records[i] = version->tombstone ? log_fixture_tombstone(text[i], version->key, sequence)
                                            : log_fixture_record(text[i], version->key, sequence,
                                                                 version->value_bytes);
            version->bytes = record_bytes(records[i].key.len, records[i].value.len);
        }
        uint64_t offset =
            log_fixture_append_durable(segment, records, plan->count, records[0].sequence - 1);
        for (uint32_t i = first; i < store->version_count; i++) {
            store->versions[i].offset = offset;
            offset += store->versions[i].bytes;
        }
    }
}

static struct segment *small_store_segment(struct small_store *store, uint32_t number,
                                           enum segment_kind kind)
{
    struct test_error error;
    test_error_init(&error);
    struct segment *segment = NULL;
    struct segment_config config = {
        .number = number,
        .kind = kind,
        .generation = manifest_next_generation(store->manifest),
        .bytes = SEGMENT_BYTES,
        .birth = store->sequence + 1,
        .secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES},
    };
    assert_status(KVS_OK, segment_create(store->fixture->db->disk, &config, &segment, &error.error),
                  &error);
    store->segments[number] = segment;
    return segment;
}

static void small_store_enter(struct small_store *store, const struct segment *segment, bool sealed)
{
    struct test_error error;
    test_error_init(&error);
    char name[SEGMENT_NAME_MAX];
    segment_name(segment->number, name);
    struct manifest_segment entry = {
        .number = segment->number,
        .sealed = sealed,
        .generation = segment->generation,
        .bytes = log_fixture_size(store->fixture, name),
    };
    if (sealed) {
        entry.end = atomic_load(&segment->end);
        entry.records = segment->records;
        entry.sequence_min = segment->sequence_min;
        entry.sequence_max = segment->sequence_max;
    }
    manifest_begin(store->manifest);
    assert_int_equal(manifest_put(store->manifest, &entry), KVS_OK);
    assert_status(KVS_OK, manifest_commit(store->manifest, &error.error), &error);
}

static void small_store_seal(struct small_store *store, struct segment *segment)
{
    struct test_error error;
    test_error_init(&error);
    struct footer_entries entries;
    struct kvs_bytes secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    assert_status(
        KVS_OK,
        footer_collect(segment, store->fixture->db->index, secret, true, &entries, &error.error),
        &error);
    assert_status(KVS_OK, footer_write(segment, &entries, &error.error), &error);
    footer_entries_deinit(&entries);
    small_store_enter(store, segment, true);
}

/* Builds the index of the two sealed segments and writes it down. */
static void small_store_snapshot(struct small_store *store)
{
    struct test_error error;
    test_error_init(&error);
    struct kvs_bytes secret = {manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    struct footer_entries entries[2];
    struct kvs_db *db = store->fixture->db;
    uint64_t sequence_max;
    assert_status(KVS_OK, rebuild_entries(db, store->segments, 2, 1, secret, entries, &error.error),
                  &error);
    assert_status(KVS_OK,
                  rebuild_index(db, store->segments, entries, 2, 1, &sequence_max, &error.error),
                  &error);
    footer_entries_deinit(&entries[0]);
    footer_entries_deinit(&entries[1]);
    assert_status(
        KVS_OK,
        snapshot_write(db->disk, db->index, secret, store->segments, 2, sequence_max, &error.error),
        &error);
}

static void new_index_of_store(struct small_store *store)
{
    store->fixture->secret =
        (struct kvs_bytes){manifest_secret(store->manifest), MANIFEST_SECRET_BYTES};
    log_fixture_new_index(store->fixture, SHARD_BITS);
}

struct small_store *small_store_new(bool snapshot)
{
    struct test_error error;
    test_error_init(&error);
    struct small_store *store = calloc(1, sizeof(*store));
    assert_non_null(store);
    store->fixture = log_fixture_new(SHARD_BITS);
    small_store_no_sync(store->fixture->db->disk);
    assert_status(KVS_OK, manifest_create(store->fixture->db->disk, &store->manifest, &error.error),
                  &error);
    new_index_of_store(store);
    struct segment *segment = small_store_segment(store, SMALL_STORE_COMPACTED, SEGMENT_COMPACTED);
    small_store_append(store, segment, compacted_plan);
    small_store_seal(store, segment);
    segment = small_store_segment(store, SMALL_STORE_SEALED, SEGMENT_APPENDED);
    small_store_append(store, segment, sealed_plan);
    small_store_seal(store, segment);
    if (snapshot) {
        small_store_snapshot(store);
        return store;
    }
    segment = small_store_segment(store, SMALL_STORE_ACTIVE, SEGMENT_APPENDED);
    small_store_append(store, segment, active_plan);
    small_store_enter(store, segment, false);
    small_store_enter(store, small_store_segment(store, SMALL_STORE_SPARE, SEGMENT_APPENDED),
                      false);
    return store;
}

void small_store_free(struct small_store *store)
{
    for (uint32_t i = 0; i < SMALL_STORE_SEGMENTS; i++)
        segment_free(store->segments[i]);
    manifest_free(store->manifest);
    log_fixture_free(store->fixture);
    free(store);
}

void small_store_no_sync(struct disk *disk)
{
    disk_faulty_fail(disk, DISK_CALL_SYNC | DISK_CALL_SYNC_FOLDER, 0, DISK_FAULTY_FOREVER, KVS_OK,
                     DISK_FAIL_BEFORE);
}

const struct small_version *small_store_newest(const struct small_store *store, uint32_t key,
                                               uint32_t segment, uint64_t offset)
{
    const struct small_version *newest = NULL;
    for (uint32_t i = 0; i < store->version_count; i++) {
        const struct small_version *version = &store->versions[i];
        bool hit = version->segment == segment && offset >= version->offset &&
                   offset < version->offset + version->bytes;
        if (version->key == key && !hit && (newest == NULL || version->sequence > newest->sequence))
            newest = version;
    }
    return newest;
}

/* ---- checking ----------------------------------------------------------------------------- */

/* A store that was opened for a look. */
struct opened {
    struct manifest *manifest;
    struct kvs_db *db;
    struct segment *segments[16];
    uint32_t count;
};

static void open_store(struct opened *opened, struct disk *disk, const struct kvs_host *host)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, manifest_open(disk, true, &opened->manifest, &error.error), &error);
    struct kvs_bytes secret = {manifest_secret(opened->manifest), MANIFEST_SECRET_BYTES};
    struct kvs_db *db = aligned_alloc(_Alignof(struct kvs_db), sizeof(*db));
    assert_non_null(db);
    memset(db, 0, sizeof(*db));
    db->host = host;
    opened->db = db;
    assert_status(KVS_OK, epoch_new(&db->epoch, &error.error), &error);
    struct index_config config = {
        .size = sizeof(config), .shard_bits = SHARD_BITS, .secret = secret, .epoch = db->epoch};
    assert_status(KVS_OK, index_new(&config, &db->index, &error.error), &error);
    assert_status(KVS_OK, segment_table_init(&db->table, &error.error), &error);
    opened->count = manifest_segment_count(opened->manifest);
    assert_true(opened->count <= 16);
    for (uint32_t i = 0; i < opened->count; i++) {
        const struct manifest_segment *known = manifest_segment_at(opened->manifest, i);
        struct segment **segment = &opened->segments[i];
        assert_status(KVS_OK,
                      segment_open(disk, known->number, known->generation, secret, true, segment,
                                   &error.error),
                      &error);
        assert_true(known->sealed);
        assert_int_equal(known->bytes, (*segment)->bytes);
        atomic_store(&(*segment)->end, known->end);
        atomic_store(&(*segment)->sealed, 1);
        segment_table_set(&db->table, known->number, *segment);
    }
}

static void build_index(struct opened *opened)
{
    struct test_error error;
    test_error_init(&error);
    struct kvs_bytes secret = {manifest_secret(opened->manifest), MANIFEST_SECRET_BYTES};
    struct footer_entries entries[16];
    uint64_t sequence_max;
    assert_status(KVS_OK,
                  rebuild_entries(opened->db, opened->segments, opened->count, 1, secret, entries,
                                  &error.error),
                  &error);
    assert_status(KVS_OK,
                  rebuild_index(opened->db, opened->segments, entries, opened->count, 1,
                                &sequence_max, &error.error),
                  &error);
    for (uint32_t i = 0; i < opened->count; i++) {
        assert_null(entries[i].owned); /* it came from a footer */
        footer_entries_deinit(&entries[i]);
    }
}

static void check_key(const struct kvs_db *db, uint32_t key, const struct small_version *expected)
{
    char text[32];
    struct record wanted = log_fixture_record(text, key, 1, 0);
    struct record record;
    epoch_begin();
    uint64_t place = store_find(db, index_hash(db->index, wanted.key), wanted.key, &record);
    if (expected == NULL || expected->tombstone) {
        assert_int_equal(place, PLACE_NONE);
    } else {
        assert_int_not_equal(place, PLACE_NONE);
        wanted = log_fixture_record(text, key, expected->sequence, expected->value_bytes);
        assert_int_equal(record.sequence, expected->sequence);
        assert_int_equal(record.value.len, expected->value_bytes);
        assert_memory_equal(record.value.ptr, wanted.value.ptr, expected->value_bytes);
        const struct segment *segment;
        const uint8_t *from = store_record_at(db, place, &segment);
        assert_true(record_is_sound(from, segment->salt, &record));
    }
    epoch_end();
}

void small_store_check(struct disk *disk, const struct kvs_host *host,
                       const struct small_version *const expected[SMALL_STORE_KEYS])
{
    struct opened opened = {.count = 0};
    uint64_t present = 0;
    open_store(&opened, disk, host);
    build_index(&opened);
    for (uint32_t key = 0; key < SMALL_STORE_KEYS; key++) {
        check_key(opened.db, key, expected[key]);
        present += expected[key] != NULL && !expected[key]->tombstone;
    }
    assert_int_equal(index_count(opened.db->index), present);
    for (uint32_t i = 0; i < opened.count; i++)
        segment_free(opened.segments[i]);
    segment_table_deinit(&opened.db->table);
    index_free(opened.db->index);
    epoch_free(opened.db->epoch);
    free(opened.db);
    manifest_free(opened.manifest);
}

void small_report_line(void *arg, uint32_t level, const char *message)
{
    struct small_report *report = arg;
    report->lines[level]++;
    size_t used = strlen(report->text);
    (void)snprintf(report->text + used, sizeof(report->text) - used, "%s\n", message);
    if (report->print)
        print_message("%u %s\n", level, message);
}
