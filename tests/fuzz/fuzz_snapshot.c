/*
 * Feeds a file to the reader of snapshots, for a store of two segments. The first byte says whether
 * checksums are made right before, and whether it is bound to these segments. Aborts where a promise of
 * snapshot.h is broken: what is loaded has as many keys as the snapshot says, and no place that is in
 * no segment.
 */
#include "disk_memory.h"
#include "fuzz.h"
#include "mend.h"
#include "snapshot.h"

#define MEND     1u
#define BOUND    2u
#define SEGMENTS 2u
#define END      UINT64_C(1048576) /* of the segments' records */
#define SECRET   "the secret of a store to be fuzz"

struct fuzzed {
    struct segment *segments[SEGMENTS];
    struct index_config config;
    uint64_t binding;
};

static const struct fuzzed *fuzzed_store(void)
{
    static struct segment segments[SEGMENTS];
    static struct fuzzed store;
    if (store.config.size > 0)
        return &store;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        segments[i].number = 1 - i; /* in any order */
        segments[i].generation = 10 + i;
        atomic_store(&segments[i].end, END);
        store.segments[i] = &segments[i];
    }
    store.config.secret = (struct kvs_bytes){SECRET, sizeof(SECRET) - 1};
    require(epoch_new(&store.config.epoch, NULL) == KVS_OK);
    require(snapshot_binding(store.config.secret, store.segments, SEGMENTS, &store.binding, NULL) ==
            KVS_OK);
    store.config.size = sizeof(store.config);
    return &store;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void read_chunks(const struct snapshot *snapshot)
{
    struct snapshot_buffer buffer = {NULL, 0, NULL, NULL};
    for (uint32_t i = 0; i < snapshot->chunk_count; i++) {
        if (snapshot_read_chunk(snapshot, i, &buffer, NULL) != KVS_OK)
            continue;
        uint64_t slots = 0;
        for (uint32_t shard = 0; shard < snapshot->chunk_shards; shard++)
            slots += buffer.counts[shard];
        require(slots == snapshot->chunks[i].slots);
    }
    snapshot_buffer_deinit(&buffer);
}

static bool see_place(void *arg, uint64_t place)
{
    uint64_t *count = arg;
    uint32_t number = place_segment(place);
    require(number < SEGMENTS);
    require(place_offset_bytes(place) >= SEGMENT_HEADER_BYTES && place_offset_bytes(place) < END);
    ++*count;
    return true;
}

static void check_index(struct index *index, uint64_t slots)
{
    uint64_t cursor = 0;
    uint64_t seen = 0;
    require(index_count(index) == slots);
    epoch_begin();
    while (index_scan(index, &cursor, see_place, &seen))
        continue;
    epoch_end();
    require(seen >= slots);
}

static void load(struct disk *disk, const struct fuzzed *store)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct snapshot snapshot;
    struct index *index = NULL;
    uint64_t sequence_max;
    kvs_status opened = snapshot_open(disk, &snapshot, NULL);
    kvs_status status = snapshot_load(NULL, disk, &store->config, store->segments, SEGMENTS, 1, &index,
                                      &sequence_max, &error);
    require(status == KVS_OK || status == KVS_CORRUPT || status == KVS_INCOMPATIBLE ||
            status == KVS_NO_MEMORY);
    require(status == KVS_OK || (error.status == status && message[0] != '\0'));
    require(opened == KVS_OK || status != KVS_OK);
    if (opened == KVS_OK)
        read_chunks(&snapshot);
    if (status == KVS_OK) {
        check_index(index, snapshot.slots);
        require(sequence_max == snapshot.sequence_max);
        index_free(index);
    }
    if (opened == KVS_OK)
        snapshot_close(&snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const struct fuzzed *store = fuzzed_store();
    uint8_t *content = fuzz_copy(data + 1, size - 1);
    if ((data[0] & BOUND) != 0 && size - 1 >= SNAPSHOT_HEADER_BYTES)
        memcpy(content + 16, &store->binding, sizeof(store->binding));
    if ((data[0] & MEND) != 0)
        mend_snapshot(content, size - 1);
    struct memory_files *files = memory_files_new();
    memory_files_put(files, SNAPSHOT_NAME, content, size - 1);
    free(content);
    struct disk *disk = disk_memory_open(files);
    load(disk, store);
    disk_close(disk);
    memory_files_free(files);
    return 0;
}
