/*
 * The manifest after a crash and after damage: a torn end is cut off, and nothing but that; what was
 * committed is there, or the file is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "crc32c.h"
#include "manifest_format.h"
#include "manifest_support.h"

/* ---- torn ends and damage ------------------------------------------------------------------ */

#define HISTORY 6u

/* A file, and what it says after each of its commits: commit i ends at ends[i]. */
struct history {
    struct content content;
    unsigned commits;
    uint64_t ends[HISTORY];
    struct model models[HISTORY];
};

static void history_note(struct history *history, struct folder *folder, struct manifest *manifest)
{
    struct content content = manifest_content(folder->real);
    /* The seal that follows a commit is no part of it. */
    history->ends[history->commits] = content.bytes - MANIFEST_FRAME_BYTES;
    history->models[history->commits] = model_of(manifest);
    history->commits++;
    free(content.data);
}

static struct history *history_make(struct folder *folder)
{
    struct history *history = calloc(1, sizeof(*history));
    struct manifest *manifest = must_create(folder->disk);
    history_note(history, folder, manifest);
    put_one(manifest, 1);
    history_note(history, folder, manifest);
    manifest_begin(manifest);
    must_put(manifest, 2);
    must_put(manifest, 3);
    manifest_remove(manifest, 1);
    must_commit(manifest);
    history_note(history, folder, manifest);
    remove_one(manifest, 2);
    history_note(history, folder, manifest);
    put_one(manifest, 4);
    history_note(history, folder, manifest);
    manifest_free(manifest);
    history->content = manifest_content(folder->real);
    return history;
}

static void history_free(struct history *history)
{
    free(history->content.data);
    free(history);
}

/* What a file that ends at `bytes` says. */
static const struct model *history_at(const struct history *history, uint64_t bytes)
{
    const struct model *model = &history->models[0];
    for (unsigned i = 0; i < history->commits; i++) {
        if (history->ends[i] <= bytes)
            model = &history->models[i];
    }
    return model;
}

/* Opens a file that was torn, read-only and not, and goes on from there. */
static void check_torn(struct folder *folder, const struct model *expected)
{
    uint64_t before = disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING);
    struct manifest *manifest = must_open(folder->disk, true);
    assert_model(manifest, expected);
    uint64_t torn_bytes = manifest_torn_bytes(manifest);
    manifest_free(manifest);
    assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING), before);

    manifest = must_open(folder->disk, false);
    assert_model(manifest, expected);
    assert_int_equal(manifest_torn_bytes(manifest), torn_bytes);
    put_one(manifest, 9);
    struct model next = model_of(manifest);
    assert_int_equal(next.count, expected->count + 1);
    manifest_free(manifest);

    manifest = must_open(folder->disk, false);
    assert_model(manifest, &next);
    assert_int_equal(manifest_torn_bytes(manifest), 0);
    manifest_free(manifest);
}

/* The file ends anywhere: cut short, or followed by zeros or by something else. */
static void torn_at_every_byte(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    uint64_t bytes = history->content.bytes;
    uint8_t *torn = malloc(bytes + 64);
    for (uint64_t end = 0; end < bytes; end++) {
        for (unsigned tail = 0; tail < 3; tail++) {
            memcpy(torn, history->content.data, bytes);
            memset(torn + end, tail == 2 ? 0xa5 : 0, bytes + 64 - end);
            put_content(folder->real, MANIFEST_NAME, torn, tail == 0 ? end : bytes + 64);
            if (end < MANIFEST_HEADER_BYTES &&
                (tail == 0 || memcmp(torn, history->content.data, MANIFEST_HEADER_BYTES) != 0)) {
                struct test_error error;
                assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
                assert_non_null(strstr(error.message, MANIFEST_NAME));
                assert_non_null(strstr(error.message, "offset"));
            } else if (tail != 1 || history->content.data[end] != 0) {
                /* (Zeros that were zeros before tear nothing.) */
                check_torn(folder, history_at(history, end));
            }
        }
    }
    free(torn);
    history_free(history);
}

/* One frame damaged while a later one is good: nothing is guessed, nothing is written. */
static void damage_in_the_middle(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    uint8_t *damaged = malloc(history->content.bytes);
    for (unsigned i = 1; i < history->commits; i++) {
        memcpy(damaged, history->content.data, history->content.bytes);
        memset(damaged + history->ends[i] - MANIFEST_ENTRY_BYTES, 0, MANIFEST_ENTRY_BYTES);
        put_content(folder->real, MANIFEST_NAME, damaged, history->content.bytes);
        uint64_t frame = history->ends[i - 1] + MANIFEST_FRAME_BYTES;
        char where[64];
        (void)snprintf(where, sizeof(where), "offset %llu:", (unsigned long long)frame);
        struct test_error error;
        uint64_t before = disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING);
        assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
        assert_non_null(strstr(error.message, MANIFEST_NAME));
        assert_non_null(strstr(error.message, where));
        assert_int_equal(disk_faulty_calls(folder->disk, DISK_CALLS_CHANGING), before);
    }
    free(damaged);
    history_free(history);
}

/* Opens a file with damage: what was committed is there, or it is refused. */
static void check_damaged(struct folder *folder, const struct history *history)
{
    struct test_error error;
    test_error_init(&error);
    struct manifest *manifest = NULL;
    kvs_status status = manifest_open(folder->disk, true, &manifest, &error.error);
    if (status != KVS_OK) {
        assert_status(KVS_CORRUPT, status, &error);
        return;
    }
    assert_model(manifest, &history->models[history->commits - 1]);
    manifest_free(manifest);
}

static void flip(struct disk_file *file, const struct content *content, uint64_t bit)
{
    uint8_t byte = content->data[bit / 8] ^ (uint8_t)(1u << bit % 8);
    assert_int_equal(disk_file_write(file, bit / 8, &byte, 1, NULL), KVS_OK);
}

static void unflip(struct disk_file *file, const struct content *content, uint64_t bit)
{
    assert_int_equal(disk_file_write(file, bit / 8, &content->data[bit / 8], 1, NULL), KVS_OK);
}

static void every_flipped_bit(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    struct disk_file *file;
    assert_int_equal(disk_file_open(folder->real, MANIFEST_NAME, 0, &file, NULL), KVS_OK);
    for (uint64_t bit = 0; bit < 8 * history->content.bytes; bit++) {
        flip(file, &history->content, bit);
        check_damaged(folder, history);
        unflip(file, &history->content, bit);
    }
    disk_file_close(file);
    history_free(history);
}

/* Without its seal the last commit may have been torn as well as damaged: it is there whole or not
   at all. All others still are. */
static void every_flipped_bit_of_an_unsealed_file(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    unsigned last = history->commits - 1;
    history->content.bytes = history->ends[last];
    put_content(folder->real, MANIFEST_NAME, history->content.data, history->content.bytes);
    struct disk_file *file;
    assert_int_equal(disk_file_open(folder->real, MANIFEST_NAME, 0, &file, NULL), KVS_OK);
    unsigned cut = 0;
    for (uint64_t bit = 0; bit < 8 * history->content.bytes; bit++) {
        flip(file, &history->content, bit);
        struct test_error error;
        test_error_init(&error);
        struct manifest *manifest = NULL;
        kvs_status status = manifest_open(folder->disk, true, &manifest, &error.error);
        if (status == KVS_OK) {
            assert_model(manifest, &history->models[last - 1]);
            assert_true(manifest_torn_bytes(manifest) > 0);
            manifest_free(manifest);
            cut++;
        } else {
            assert_status(KVS_CORRUPT, status, &error);
        }
        unflip(file, &history->content, bit);
    }
    /* Its own bits, and those of the seal before it, which nothing later speaks for. */
    assert_int_equal(cut, 8 * (2 * MANIFEST_FRAME_BYTES + MANIFEST_ENTRY_BYTES));
    disk_file_close(file);
    history_free(history);
}

/* After a power cut the sector with a seal may be missing and the next one, with the frame that was
   being written, be there. Nobody was told that this frame was done. */
static void a_seal_lost_before_a_frame(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    unsigned last = history->commits - 1;
    uint64_t seal = history->ends[last - 1];
    memset(history->content.data + seal, 0, MANIFEST_FRAME_BYTES);
    put_content(folder->real, MANIFEST_NAME, history->content.data, history->ends[last]);
    check_torn(folder, &history->models[last - 1]);
    history_free(history);
}

/* A frame of the file that was there before, at its place: not of this file. */
static void a_stale_frame(void **state)
{
    struct folder *folder = *state;
    struct history *former = history_make(folder);
    assert_int_equal(disk_remove(folder->real, MANIFEST_NAME, NULL), KVS_OK);
    struct manifest *manifest = must_create(folder->disk);
    manifest_free(manifest);
    struct content content = manifest_content(folder->real);
    memcpy(former->content.data, content.data, content.bytes);
    put_content(folder->real, MANIFEST_NAME, former->content.data, former->content.bytes);
    check_torn(folder, &former->models[0]);
    free(content.data);
    history_free(former);
}

/* A valid frame, but at another place. */
static void a_frame_at_another_place(void **state)
{
    struct folder *folder = *state;
    struct history *history = history_make(folder);
    uint64_t frame = history->ends[0] + MANIFEST_FRAME_BYTES;
    uint64_t bytes = history->content.bytes;
    uint8_t *copy = malloc(bytes + 96);
    memcpy(copy, history->content.data, bytes);
    memcpy(copy + bytes, copy + frame, 96);
    put_content(folder->real, MANIFEST_NAME, copy, bytes + 96);
    check_torn(folder, &history->models[history->commits - 1]);
    free(copy);
    history_free(history);
}

static void a_later_format(void **state)
{
    struct folder *folder = *state;
    struct manifest *manifest = must_create(folder->disk);
    manifest_free(manifest);
    struct content content = content_of(folder->real, MANIFEST_NAME);
    content.data[8] = MANIFEST_FORMAT + 1;
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    struct test_error error; /* damage, as its checksum is that of the old header */
    assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
    uint32_t checksum = crc32c(0, content.data, MANIFEST_HEADER_BYTES - 4);
    store_le32(content.data + MANIFEST_HEADER_BYTES - 4, checksum);
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    assert_status(KVS_INCOMPATIBLE, open_fails(folder->disk, &error), &error);
    assert_non_null(strstr(error.message, "format 2"));
    free(content.data);
}

/* The checksum of the frame at an offset, for what its bytes are now. */
static void mend_frame(struct content *content, uint64_t at)
{
    uint8_t *frame = content->data + at;
    const struct manifest_frame what = {load_le32(frame + 8), load_le64(frame + 16),
                                        load_le64(frame + 24)};
    manifest_encode_frame(frame, &what, load_le32(content->data + MANIFEST_HEADER_BYTES - 4), at);
}

/* Where the first frame with an entry is. */
static uint64_t find_entry_frame(const struct content *content)
{
    uint64_t at = MANIFEST_HEADER_BYTES;
    while (load_le32(content->data + at + 8) == 0)
        at += MANIFEST_FRAME_BYTES;
    return at;
}

/* An entry whose own checksum is wrong in a frame whose checksum is right, as when it was written
   from memory that had failed: no store is opened by what it says. */
static void a_wrong_entry_in_a_sound_frame(void **state)
{
    struct folder *folder = *state;
    struct test_error error;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    manifest_free(manifest);
    struct content content = content_of(folder->real, MANIFEST_NAME);
    uint64_t frame = find_entry_frame(&content);
    for (uint32_t byte = 0; byte < MANIFEST_ENTRY_BYTES; byte++) {
        content.data[frame + MANIFEST_FRAME_BYTES + byte] ^= 0x10;
        mend_frame(&content, frame);
        put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
        assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
        assert_non_null(strstr(error.message, "an entry's checksum is wrong"));
        content.data[frame + MANIFEST_FRAME_BYTES + byte] ^= 0x10;
    }
    mend_frame(&content, frame);
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    manifest_free(must_open(folder->disk, true));
    free(content.data);
}

/* An index has no room for it. */
static void a_number_that_cannot_be(void **state)
{
    struct folder *folder = *state;
    struct test_error error;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    manifest_free(manifest);
    struct content content = content_of(folder->real, MANIFEST_NAME);
    uint64_t frame = find_entry_frame(&content);
    struct manifest_segment segment = {.number = MANIFEST_NUMBER_MAX + 1, .generation = 1};
    manifest_encode_put(content.data + frame + MANIFEST_FRAME_BYTES, &segment);
    mend_frame(&content, frame);
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
    free(content.data);
}

/* Counting on would begin anew, and a number would be given twice (manifest.c, M4). */
static void a_generation_that_cannot_be(void **state)
{
    struct folder *folder = *state;
    struct test_error error;
    struct manifest *manifest = must_create(folder->disk);
    put_one(manifest, 1);
    manifest_free(manifest);
    struct content content = content_of(folder->real, MANIFEST_NAME);
    uint64_t frame = find_entry_frame(&content);
    struct manifest_segment segment = {.number = 1, .generation = UINT64_MAX};
    uint8_t entry[MANIFEST_ENTRY_BYTES];
    memcpy(entry, content.data + frame + MANIFEST_FRAME_BYTES, sizeof(entry));
    manifest_encode_put(content.data + frame + MANIFEST_FRAME_BYTES, &segment);
    mend_frame(&content, frame);
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
    memcpy(content.data + frame + MANIFEST_FRAME_BYTES, entry, sizeof(entry));
    store_le64(content.data + frame + 24, UINT64_MAX);
    mend_frame(&content, frame);
    put_content(folder->real, MANIFEST_NAME, content.data, content.bytes);
    assert_status(KVS_CORRUPT, open_fails(folder->disk, &error), &error);
    free(content.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(torn_at_every_byte),
        TEST(damage_in_the_middle),
        TEST(every_flipped_bit),
        TEST(every_flipped_bit_of_an_unsealed_file),
        TEST(a_seal_lost_before_a_frame),
        TEST(a_stale_frame),
        TEST(a_frame_at_another_place),
        TEST(a_later_format),
        TEST(a_wrong_entry_in_a_sound_frame),
        TEST(a_generation_that_cannot_be),
        TEST(a_number_that_cannot_be),
    };
    return cmocka_run_group_tests_name("engine-log-manifest-damage", tests, NULL, NULL);
}
