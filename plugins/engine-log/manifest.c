/*
 * The manifest: transactions over a table of segments, each of them one frame at the end of a file.
 *
 * Files: manifest_table.c the table; manifest_format.c the bytes; manifest_file.c writing;
 * manifest_read.c reading.
 *
 * How damage is told from a torn end. A frame is synced before the next one is written. After the
 * sync a seal follows, a frame without entries, which is not synced. Each frame and seal says up to
 * where the file was durable when it was written. So at the first place without a good frame:
 *   - a good frame further on says that this place was durable: it has been damaged since, and what
 *     it held was promised: KVS_CORRUPT.
 *   - else it was being written when the machine or the process stopped, and nobody was told that
 *     it was done: it is cut off.
 * A frame that is good but that nobody says was durable may be in the page cache only, be it after
 * a kill or after a failed sync. It is written and synced again before anything is built on it.
 *
 * Invariants:
 * M1  Before `durable` all of the file was on stable storage at some moment; only a sync that gave
 *     KVS_OK moves it. What a frame says of it is what it was before that frame was written.
 * M2  `live` is what the file says up to `end`. A commit changes both or neither.
 * M3  Once broken, the file is not written again.
 * M4  next_generation is larger than that of every segment that ever was in a good frame: it is in
 *     each frame and in the header, so a rewritten file does not forget it with the segments.
 *
 * Threads: the caller's lock. Owns: the file, both tables, the frame. Logs nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "manifest_internal.h"

#define FIRST_GENERATION      1u
#define COPY_GENERATION_STEP  (UINT64_C(1) << 20)
#define COPY_GENERATION_STEPS (UINT32_C(1) << 20)

/* ---- making, opening, freeing ------------------------------------------------------------- */

/* NULL: no memory. */
static struct manifest *manifest_new(struct disk *disk, struct kvs_error *err)
{
    struct manifest *manifest = calloc(1, sizeof(*manifest));
    if (manifest == NULL) {
        (void)kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the manifest");
        return NULL;
    }
    manifest->disk = disk;
    manifest->next_generation = FIRST_GENERATION;
    return manifest;
}

void manifest_free(struct manifest *manifest)
{
    if (manifest == NULL)
        return;
    disk_file_close(manifest->file);
    manifest_table_deinit(&manifest->live);
    manifest_table_deinit(&manifest->pending);
    free(manifest->frame);
    free(manifest);
}

static kvs_status manifest_draw_secret(struct manifest *manifest, struct kvs_error *err)
{
    ssize_t got;
    do {
        got = getrandom(manifest->header.secret, MANIFEST_SECRET_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    if (got != MANIFEST_SECRET_BYTES) /* so few bytes come at once or not at all */
        return kvs_error_set(err, KVS_IO, errno, "no random numbers for the store's secret: %s",
                             strerror(errno));
    return KVS_OK;
}

/* KVS_OK when there is none yet. */
static kvs_status manifest_check_absent(struct disk *disk, struct kvs_error *err)
{
    struct disk_file *file;
    kvs_status status = disk_file_open(disk, MANIFEST_NAME, DISK_READ_ONLY, &file, err);
    if (status == KVS_MISSING)
        return KVS_OK;
    if (status != KVS_OK)
        return status;
    disk_file_close(file);
    return kvs_error_set(err, KVS_INVALID, 0,
                         "there is a " MANIFEST_NAME " already: the folder holds a store");
}

kvs_status manifest_create(struct disk *disk, struct manifest **ret_manifest, struct kvs_error *err)
{
    kvs_status status = manifest_check_absent(disk, err);
    if (status != KVS_OK)
        return status;
    struct manifest *manifest = manifest_new(disk, err);
    if (manifest == NULL)
        return KVS_NO_MEMORY;
    status = manifest_draw_secret(manifest, err);
    if (status == KVS_OK)
        status = manifest_file_rewrite(manifest, err);
    if (status == KVS_OK)
        *ret_manifest = manifest;
    else
        manifest_free(manifest);
    return status;
}

/* A step of at least a million, and a random one, so that copies of a copy do not meet either. */
static kvs_status manifest_step_aside(struct manifest *manifest, uint64_t next_generation,
                                      struct kvs_error *err)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return kvs_error_set(err, KVS_IO, errno, "no random numbers for a copy of the store: %s",
                             strerror(errno));
    uint64_t steps = 1 + random % COPY_GENERATION_STEPS;
    manifest->next_generation = next_generation + steps * COPY_GENERATION_STEP;
    return KVS_OK;
}

static kvs_status manifest_write_copy(struct manifest *manifest,
                                      const struct manifest_segment *segments, uint32_t count,
                                      struct kvs_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (!manifest_table_put(&manifest->live, &segments[i]))
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a copy of " MANIFEST_NAME);
    return manifest_file_rewrite(manifest, err);
}

kvs_status manifest_create_copy(struct disk *disk, const uint8_t *secret, uint64_t next_generation,
                                const struct manifest_segment *segments, uint32_t count,
                                struct kvs_error *err)
{
    kvs_status status = manifest_check_absent(disk, err);
    if (status != KVS_OK)
        return status;
    struct manifest *manifest = manifest_new(disk, err);
    if (manifest == NULL)
        return KVS_NO_MEMORY;
    memcpy(manifest->header.secret, secret, MANIFEST_SECRET_BYTES);
    status = manifest_step_aside(manifest, next_generation, err);
    if (status == KVS_OK)
        status = manifest_write_copy(manifest, segments, count, err);
    manifest_free(manifest);
    return status;
}

kvs_status manifest_open(struct disk *disk, bool read_only, struct manifest **ret_manifest,
                         struct kvs_error *err)
{
    struct manifest *manifest = manifest_new(disk, err);
    if (manifest == NULL)
        return KVS_NO_MEMORY;
    manifest->read_only = read_only;
    kvs_status status =
        disk_file_open(disk, MANIFEST_NAME, read_only ? DISK_READ_ONLY : 0, &manifest->file, err);
    if (status == KVS_OK)
        status = manifest_read(manifest, err);
    if (status == KVS_OK && !read_only)
        (void)!disk_remove(disk, MANIFEST_NEW_NAME, NULL); /* of a crash while it was written */
    if (status == KVS_OK)
        *ret_manifest = manifest;
    else
        manifest_free(manifest);
    return status;
}

/* ---- looking ------------------------------------------------------------------------------ */

const uint8_t *manifest_secret(const struct manifest *manifest)
{
    return manifest->header.secret;
}

uint64_t manifest_torn_bytes(const struct manifest *manifest)
{
    return manifest->torn_bytes;
}

uint64_t manifest_next_generation(struct manifest *manifest)
{
    return manifest->next_generation++;
}

static const struct manifest_table *manifest_table(const struct manifest *manifest)
{
    return manifest->changed ? &manifest->pending : &manifest->live;
}

uint32_t manifest_segment_count(const struct manifest *manifest)
{
    return manifest_table(manifest)->count;
}

const struct manifest_segment *manifest_segment_at(const struct manifest *manifest, uint32_t index)
{
    assert(index < manifest_segment_count(manifest));
    return &manifest_table(manifest)->segments[index];
}

const struct manifest_segment *manifest_find(const struct manifest *manifest, uint32_t number)
{
    return manifest_table_find(manifest_table(manifest), number);
}

/* ---- transactions ------------------------------------------------------------------------- */

void manifest_begin(struct manifest *manifest)
{
    assert(!manifest->begun && !manifest->changed);
    manifest->begun = true;
    manifest->no_memory = false;
    manifest->entries = 0;
}

/* Room in the frame for one more entry; NULL: no memory. */
static uint8_t *manifest_next_entry(struct manifest *manifest)
{
    uint64_t needed = manifest_frame_bytes(manifest->entries + 1);
    if (needed > manifest->frame_capacity) {
        uint64_t capacity = needed + needed / 2;
        void *frame = realloc(manifest->frame, capacity);
        if (frame == NULL)
            return NULL;
        manifest->frame = frame;
        manifest->frame_capacity = capacity;
    }
    return manifest->frame + manifest_frame_bytes(manifest->entries);
}

/* Prepares a change. NULL: no memory; the transaction cannot be committed any more. */
static uint8_t *manifest_change(struct manifest *manifest)
{
    assert(manifest->begun);
    uint8_t *entry = manifest_next_entry(manifest);
    if (entry != NULL && !manifest->changed)
        manifest->changed = manifest_table_copy(&manifest->pending, &manifest->live);
    if (entry == NULL || !manifest->changed) {
        manifest->no_memory = true;
        return NULL;
    }
    return entry;
}

kvs_status manifest_put(struct manifest *manifest, const struct manifest_segment *segment)
{
    if (manifest->read_only)
        return KVS_READ_ONLY;
    const struct manifest_segment copy = *segment; /* it may be one of our own */
    uint8_t *entry = manifest_change(manifest);
    if (entry == NULL)
        return KVS_NO_MEMORY;
    if (!manifest_table_put(&manifest->pending, &copy)) {
        manifest->no_memory = true;
        return KVS_NO_MEMORY;
    }
    if (copy.generation >= manifest->next_generation)
        manifest->next_generation = copy.generation + 1; /* M4 */
    manifest_encode_put(entry, &copy);
    manifest->entries++;
    return KVS_OK;
}

void manifest_remove(struct manifest *manifest, uint32_t number)
{
    if (manifest->read_only)
        return;
    uint8_t *entry = manifest_change(manifest);
    if (entry == NULL)
        return;
    manifest_table_remove(&manifest->pending, number);
    manifest_encode_remove(entry, number);
    manifest->entries++;
}

static kvs_status manifest_commit_changes(struct manifest *manifest, struct kvs_error *err)
{
    if (manifest->read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, MANIFEST_NAME " was opened for reading only");
    if (manifest->broken)
        return kvs_error_set(err, KVS_READ_ONLY, 0,
                             "writing " MANIFEST_NAME " failed earlier: restart the server when "
                             "the disk is well again");
    if (manifest->no_memory)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to change " MANIFEST_NAME);
    return manifest->changed ? manifest_file_append(manifest, err) : KVS_OK;
}

kvs_status manifest_commit(struct manifest *manifest, struct kvs_error *err)
{
    assert(manifest->begun);
    kvs_status status = manifest_commit_changes(manifest, err);
    if (status == KVS_OK && manifest->changed) {
        struct manifest_table former = manifest->live; /* M2 */
        manifest->live = manifest->pending;
        manifest->pending = former;
        /* What was committed stays so whether this works or not: the file that has the name in the
           end, be it the old or the new one, has it all. */
        if (!manifest->broken && manifest_file_is_long(manifest))
            (void)!manifest_file_rewrite(manifest, NULL);
    }
    manifest->begun = false;
    manifest->changed = false;
    return status;
}
