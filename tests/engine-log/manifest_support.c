#include "manifest_support.h"

#include <stdlib.h>
#include <string.h>

/* ---- a folder ------------------------------------------------------------------------------ */

int folder_setup(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    assert_non_null(folder);
    folder->sim = disk_sim_new();
    folder->real = disk_sim_folder(folder->sim, "data");
    folder->disk = disk_faulty_new(folder->real);
    *state = folder;
    return 0;
}

int folder_teardown(void **state)
{
    struct folder *folder = *state;
    disk_close(folder->disk);
    disk_close(folder->real);
    disk_sim_free(folder->sim);
    free(folder);
    return 0;
}

struct content content_of(struct disk *disk, const char *name)
{
    struct content content;
    struct disk_file *file;
    assert_int_equal(disk_file_open(disk, name, DISK_READ_ONLY, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_size(file, &content.bytes, NULL), KVS_OK);
    content.data = malloc(content.bytes + 1);
    assert_int_equal(disk_file_read(file, 0, content.data, content.bytes, &content.bytes, NULL),
                     KVS_OK);
    disk_file_close(file);
    return content;
}

void put_content(struct disk *disk, const char *name, const void *data, uint64_t bytes)
{
    struct disk_file *file;
    assert_int_equal(disk_file_open(disk, name, DISK_CREATE, &file, NULL), KVS_OK);
    assert_int_equal(disk_file_write(file, 0, data, bytes, NULL), KVS_OK);
    disk_file_close(file);
}

bool exists(struct disk *disk, const char *name)
{
    struct disk_file *file;
    if (disk_file_open(disk, name, DISK_READ_ONLY, &file, NULL) != KVS_OK)
        return false;
    disk_file_close(file);
    return true;
}

struct content manifest_content(struct disk *disk)
{
    struct content content = content_of(disk, MANIFEST_NAME);
    while (content.bytes > 0 && content.data[content.bytes - 1] == 0)
        content.bytes--;
    content.bytes = (content.bytes + 7) / 8 * 8;
    return content;
}

/* ---- a manifest and what it should hold ---------------------------------------------------- */

struct manifest_segment segment_make(uint32_t number, uint64_t generation)
{
    return (struct manifest_segment){
        .number = number,
        .sealed = generation % 2 == 0,
        .removing = generation % 3 == 0,
        .generation = generation,
        .bytes = UINT64_C(0x100000000) + generation,
        .end = UINT64_C(0x200000000) + generation,
        .records = UINT64_C(0x300000000) + generation,
        .sequence_min = UINT64_C(0x400000000) + generation,
        .sequence_max = UINT64_C(0xfedcba9800000000) + generation,
    };
}

void assert_segment(const struct manifest_segment *a, const struct manifest_segment *b)
{
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->sealed, b->sealed);
    assert_int_equal(a->removing, b->removing);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->records, b->records);
    assert_int_equal(a->sequence_min, b->sequence_min);
    assert_int_equal(a->sequence_max, b->sequence_max);
}

struct model model_of(const struct manifest *manifest)
{
    struct model model = {.count = manifest_segment_count(manifest)};
    assert_in_range(model.count, 0, MODEL_SIZE);
    for (uint32_t i = 0; i < model.count; i++)
        model.segments[i] = *manifest_segment_at(manifest, i);
    return model;
}

bool model_equal(const struct model *a, const struct model *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->segments[i].number != b->segments[i].number ||
            a->segments[i].generation != b->segments[i].generation)
            return false;
    }
    return true;
}

void assert_model(const struct manifest *manifest, const struct model *expected)
{
    assert_int_equal(manifest_segment_count(manifest), expected->count);
    for (uint32_t i = 0; i < expected->count; i++) {
        assert_segment(manifest_segment_at(manifest, i), &expected->segments[i]);
        assert_segment(manifest_find(manifest, expected->segments[i].number),
                       &expected->segments[i]);
    }
}

struct manifest *must_create(struct disk *disk)
{
    struct test_error error;
    test_error_init(&error);
    struct manifest *manifest = NULL;
    assert_status(KVS_OK, manifest_create(disk, &manifest, &error.error), &error);
    return manifest;
}

struct manifest *must_open(struct disk *disk, bool read_only)
{
    struct test_error error;
    test_error_init(&error);
    struct manifest *manifest = NULL;
    assert_status(KVS_OK, manifest_open(disk, read_only, &manifest, &error.error), &error);
    return manifest;
}

kvs_status open_fails(struct disk *disk, struct test_error *error)
{
    test_error_init(error);
    struct manifest *manifest = NULL;
    kvs_status status = manifest_open(disk, false, &manifest, &error->error);
    assert_null(manifest);
    return status;
}

void must_commit(struct manifest *manifest)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, manifest_commit(manifest, &error.error), &error);
}

void must_put(struct manifest *manifest, uint32_t number)
{
    struct manifest_segment segment = segment_make(number, manifest_next_generation(manifest));
    assert_int_equal(manifest_put(manifest, &segment), KVS_OK);
}

void put_one(struct manifest *manifest, uint32_t number)
{
    manifest_begin(manifest);
    must_put(manifest, number);
    must_commit(manifest);
}

void remove_one(struct manifest *manifest, uint32_t number)
{
    manifest_begin(manifest);
    manifest_remove(manifest, number);
    must_commit(manifest);
}

void assert_commit_fails(kvs_status expected, struct manifest *manifest)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(expected, manifest_commit(manifest, &error.error), &error);
    assert_int_equal(error.error.status, expected);
    assert_true(error.message[0] != '\0');
}
