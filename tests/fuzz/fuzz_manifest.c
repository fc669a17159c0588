/*
 * Feeds a file to the manifest's reader. Its first byte says whether checksums are made right before.
 * Aborts where a promise of manifest.h is broken: reading changes nothing and tells the same as opening
 * for writing; what was opened takes a change; what was written is there afterwards.
 */
#include "disk_memory.h"
#include "fuzz.h"
#include "manifest_format.h"
#include "mend.h"

#define MEND 1u

static kvs_status open_manifest(struct disk *disk, bool read_only, struct manifest **ret_manifest)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = manifest_open(disk, read_only, ret_manifest, &error);
    require(status == KVS_OK || status == KVS_CORRUPT || status == KVS_INCOMPATIBLE);
    require(status == KVS_OK || (error.status == status && message[0] != '\0'));
    return status;
}

static void check_same(const struct manifest *one, const struct manifest *two)
{
    uint32_t count = manifest_segment_count(one);
    require(count == manifest_segment_count(two));
    require(memcmp(manifest_secret(one), manifest_secret(two), MANIFEST_SECRET_BYTES) == 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct manifest_segment *a = manifest_segment_at(one, i);
        const struct manifest_segment *b = manifest_segment_at(two, i);
        require(a->number == b->number && a->sealed == b->sealed && a->removing == b->removing &&
                a->generation == b->generation && a->bytes == b->bytes && a->end == b->end &&
                a->records == b->records && a->sequence_min == b->sequence_min &&
                a->sequence_max == b->sequence_max);
        require(i == 0 || manifest_segment_at(one, i - 1)->number < a->number);
        require(manifest_find(one, a->number) == a);
    }
}

/* Changes it. */
static void change(struct manifest *manifest)
{
    struct manifest_segment segment = {.number = 7, .sealed = true, .end = 4096, .bytes = 8192};
    segment.generation = manifest_next_generation(manifest);
    if (segment.generation >= MANIFEST_GENERATION_MAX) /* the last one that there is */
        return;
    for (uint32_t i = 0; i < manifest_segment_count(manifest); i++)
        require(manifest_segment_at(manifest, i)->generation < segment.generation);
    manifest_begin(manifest);
    manifest_remove(manifest, 3);
    require(manifest_put(manifest, &segment) == KVS_OK);
    require(manifest_commit(manifest, NULL) == KVS_OK);
    require(manifest_find(manifest, 3) == NULL && manifest_find(manifest, 7) != NULL);
}

static void use(struct disk *disk, struct memory_files *files)
{
    struct manifest *looked = NULL;
    struct manifest *opened = NULL;
    struct manifest *again = NULL;
    uint64_t changes = memory_files_changes(files);
    kvs_status status = open_manifest(disk, true, &looked);
    require(changes == memory_files_changes(files));
    require(open_manifest(disk, false, &opened) == status);
    if (status == KVS_OK) {
        check_same(looked, opened);
        change(opened);
        require(open_manifest(disk, true, &again) == KVS_OK);
        check_same(opened, again);
        require(manifest_torn_bytes(again) == 0);
    }
    manifest_free(looked);
    manifest_free(opened);
    manifest_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t *content = fuzz_copy(data + 1, size - 1);
    if ((data[0] & MEND) != 0)
        mend_manifest(content, size - 1);
    struct memory_files *files = memory_files_new();
    memory_files_put(files, MANIFEST_NAME, content, size - 1);
    free(content);
    struct disk *disk = disk_memory_open(files);
    use(disk, files);
    disk_close(disk);
    memory_files_free(files);
    return 0;
}
