/*
 * See rebuild.h. The lists of entries are sorted by hash and an index shard is a range of hashes, so
 * a shard's entries stand together in each list: it is built from one piece of each, and shards are
 * independent of each other. Within a shard the newest entry of each key is found with a hash table
 * of the entries' addresses, which stays in the nearest cache; merging the sorted pieces would cost
 * a comparison more with each doubling of the segments.
 *
 * Threads: the workers of parallel_run. Each has its own table and sums and takes a block of shards
 * at a time; what they share is constant, but for the index, which lets different shards be loaded
 * at once.
 */
#include "rebuild.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "progress.h"

#define BLOCK_SHARDS 64u   /* shards that a worker takes at once */
#define WINNERS_MIN  2048u /* a power of two */
#define HOME_FACTOR  UINT64_C(0x9E3779B97F4A7C15)
#define PRINT_SHIFT  32
#define NUMBER_MASK  UINT64_C(0xFFFFFFFF)

/* The newest entry of a key so far. */
struct winner {
    const struct footer_entry *entry;
    uint32_t list;
};

/* One worker's own. */
struct builder {
    /* A slot for each key of the shard at hand: the upper half of its check, and the number of its
       winner + 1; 0: free. Twice as many as winners. */
    uint64_t *heads;
    unsigned head_bits;
    struct winner *winners;
    uint64_t *slots; /* for the index */
    uint32_t winner_count;
    uint32_t winner_cap;
    /* By list. */
    uint64_t *cursors; /* the next entry */
    uint64_t *live_bytes;
    uint64_t *tombstone_bytes;
    uint64_t sequence_max;
    kvs_status status;
};

struct rebuild {
    /* Constant. */
    struct kvs_db *db;
    struct segment *const *segments;
    const struct footer_entries *lists;
    uint32_t count;
    uint32_t shards;
    struct builder *builders; /* by worker */
    struct progress progress; /* by block */
};

/* ---- the winners of a shard --------------------------------------------------------------- */

static void builder_deinit(struct builder *builder)
{
    free(builder->heads);
    free(builder->winners);
    free(builder->slots);
    free(builder->cursors);
    free(builder->live_bytes);
    free(builder->tombstone_bytes);
}

static uint64_t home_of(const struct builder *builder, const struct footer_entry *entry)
{
    return (entry->hash * HOME_FACTOR) >> (64 - builder->head_bits);
}

/* The entry's head: the one of its key, or the free one where it belongs. */
static uint64_t *head_of(const struct builder *builder, const struct footer_entry *entry)
{
    uint64_t mask = (UINT64_C(1) << builder->head_bits) - 1;
    for (uint64_t i = home_of(builder, entry);; i = (i + 1) & mask) {
        uint64_t head = builder->heads[i];
        if (head == 0)
            return &builder->heads[i];
        if (head >> PRINT_SHIFT != entry->check >> PRINT_SHIFT)
            continue;
        const struct footer_entry *other = builder->winners[(head & NUMBER_MASK) - 1].entry;
        if (other->hash == entry->hash && other->check == entry->check)
            return &builder->heads[i];
    }
}

static uint64_t head_make(const struct footer_entry *entry, uint32_t number)
{
    return entry->check >> PRINT_SHIFT << PRINT_SHIFT | (number + 1);
}

/* Doubles the room for winners. */
static bool builder_grow(struct builder *builder)
{
    uint32_t cap = builder->winner_cap == 0 ? WINNERS_MIN : 2 * builder->winner_cap;
    uint64_t *heads = calloc(2 * (size_t)cap, sizeof(heads[0]));
    struct winner *winners = realloc(builder->winners, cap * sizeof(winners[0]));
    if (winners != NULL)
        builder->winners = winners;
    uint64_t *slots = realloc(builder->slots, cap * sizeof(slots[0]));
    if (slots != NULL)
        builder->slots = slots;
    if (heads == NULL || winners == NULL || slots == NULL) {
        free(heads);
        return false;
    }
    free(builder->heads);
    builder->heads = heads;
    builder->winner_cap = cap;
    builder->head_bits = (unsigned)__builtin_ctz(cap) + 1;
    for (uint32_t i = 0; i < builder->winner_count; i++) {
        const struct footer_entry *entry = winners[i].entry;
        *head_of(builder, entry) = head_make(entry, i);
    }
    return true;
}

/* Makes the entry its key's winner, if it is newer than the one so far. */
static bool consider(struct builder *builder, const struct footer_entry *entry, uint32_t list)
{
    uint64_t *head = head_of(builder, entry);
    if (*head != 0) {
        struct winner *winner = &builder->winners[(*head & NUMBER_MASK) - 1];
        if (entry->sequence > winner->entry->sequence)
            *winner = (struct winner){entry, list};
        return true;
    }
    if (builder->winner_count == builder->winner_cap) {
        if (!builder_grow(builder))
            return false;
        head = head_of(builder, entry);
    }
    *head = head_make(entry, builder->winner_count);
    builder->winners[builder->winner_count++] = (struct winner){entry, list};
    return true;
}

/* Looks at the entries of the shard in one list, which begin at its cursor. */
static bool consider_list(const struct rebuild *rebuild, struct builder *builder, uint32_t list,
                          uint32_t shard)
{
    const struct footer_entries *entries = &rebuild->lists[list];
    const struct index *index = rebuild->db->index;
    uint64_t at = builder->cursors[list];
    uint64_t tombstone_bytes = 0;
    uint64_t sequence_max = builder->sequence_max;
    for (; at < entries->count && index_shard_of(index, entries->items[at].hash) == shard; at++) {
        const struct footer_entry *entry = &entries->items[at];
        if (footer_entry_is_tombstone(entry))
            tombstone_bytes += footer_entry_bytes(entry);
        if (entry->sequence > sequence_max)
            sequence_max = entry->sequence;
        if (!consider(builder, entry, list))
            return false;
    }
    builder->cursors[list] = at;
    builder->tombstone_bytes[list] += tombstone_bytes;
    builder->sequence_max = sequence_max;
    return true;
}

static kvs_status build_shard(const struct rebuild *rebuild, struct builder *builder,
                              uint32_t shard)
{
    if (builder->winner_count > 0) /* of the shard before; most are empty in a small store */
        memset(builder->heads, 0, sizeof(builder->heads[0]) << builder->head_bits);
    builder->winner_count = 0;
    for (uint32_t list = 0; list < rebuild->count; list++)
        if (!consider_list(rebuild, builder, list, shard))
            return KVS_NO_MEMORY;
    size_t slots = 0;
    for (uint32_t i = 0; i < builder->winner_count; i++) {
        const struct winner *winner = &builder->winners[i];
        if (footer_entry_is_tombstone(winner->entry))
            continue;
        uint64_t place = place_make(rebuild->segments[winner->list]->number,
                                    (uint64_t)winner->entry->offset * FOOTER_UNIT);
        builder->slots[slots++] = index_slot(winner->entry->hash, place);
        builder->live_bytes[winner->list] += footer_entry_bytes(winner->entry);
    }
    return index_load_shard(rebuild->db->index, shard, builder->slots, slots);
}

/* ---- blocks of shards --------------------------------------------------------------------- */

/* The first entry with a hash of at least `hash`. */
static uint64_t first_from(const struct footer_entries *entries, uint64_t hash)
{
    uint64_t begin = 0;
    uint64_t end = entries->count;
    while (begin < end) {
        uint64_t middle = begin + (end - begin) / 2;
        if (entries->items[middle].hash < hash)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

static void build_block(void *arg, uint32_t worker, uint32_t block)
{
    struct rebuild *rebuild = arg;
    struct builder *builder = &rebuild->builders[worker];
    uint32_t shard = block * BLOCK_SHARDS;
    uint32_t end = shard + BLOCK_SHARDS < rebuild->shards ? shard + BLOCK_SHARDS : rebuild->shards;
    uint64_t hash = (uint64_t)shard << (64 - index_shard_bits(rebuild->db->index));
    if (builder->status != KVS_OK)
        return;
    for (uint32_t list = 0; list < rebuild->count; list++)
        builder->cursors[list] = first_from(&rebuild->lists[list], hash);
    for (; shard < end && builder->status == KVS_OK; shard++)
        builder->status = build_shard(rebuild, builder, shard);
    progress_step(&rebuild->progress);
}

/* Makes the sums of all workers the segments' figures. */
static kvs_status add_up(const struct rebuild *rebuild, uint32_t workers,
                         uint64_t *ret_sequence_max, struct kvs_error *err)
{
    uint64_t sequence_max = 0;
    for (uint32_t i = 0; i < workers; i++) {
        const struct builder *builder = &rebuild->builders[i];
        if (builder->status != KVS_OK)
            return kvs_error_set(err, builder->status, 0, "cannot build the index: %s",
                                 kvs_status_text(builder->status));
        if (builder->sequence_max > sequence_max)
            sequence_max = builder->sequence_max;
    }
    for (uint32_t list = 0; list < rebuild->count; list++) {
        uint64_t live_bytes = 0;
        uint64_t tombstone_bytes = 0;
        for (uint32_t i = 0; i < workers; i++) {
            live_bytes += rebuild->builders[i].live_bytes[list];
            tombstone_bytes += rebuild->builders[i].tombstone_bytes[list];
        }
        struct segment *segment = rebuild->segments[list];
        atomic_store_explicit(&segment->live_bytes, (int64_t)live_bytes, memory_order_relaxed);
        atomic_store_explicit(&segment->tombstone_bytes, tombstone_bytes, memory_order_relaxed);
    }
    *ret_sequence_max = sequence_max;
    return KVS_OK;
}

static bool builder_init(struct builder *builder, uint32_t count)
{
    size_t lists = count > 0 ? count : 1;
    builder->cursors = calloc(lists, sizeof(builder->cursors[0]));
    builder->live_bytes = calloc(lists, sizeof(builder->live_bytes[0]));
    builder->tombstone_bytes = calloc(lists, sizeof(builder->tombstone_bytes[0]));
    return builder->cursors != NULL && builder->live_bytes != NULL &&
           builder->tombstone_bytes != NULL && builder_grow(builder);
}

kvs_status rebuild_index(struct kvs_db *db, struct segment *const *segments,
                         const struct footer_entries *entries, uint32_t count, uint32_t threads,
                         uint64_t *ret_sequence_max, struct kvs_error *err)
{
    uint32_t shards = index_shard_count(db->index);
    uint32_t blocks = (shards + BLOCK_SHARDS - 1) / BLOCK_SHARDS;
    uint32_t workers = parallel_workers(threads, blocks);
    struct builder builders[PARALLEL_THREADS_MAX] = {0};
    struct rebuild rebuild = {
        .db = db,
        .segments = segments,
        .lists = entries,
        .count = count,
        .shards = shards,
        .builders = builders,
    };
    progress_begin(&rebuild.progress, db, "building the index, parts", blocks,
                   PROGRESS_SECOND_HALF);
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < workers && status == KVS_OK; i++)
        if (!builder_init(&builders[i], count))
            status = kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory to build the index");
    if (status == KVS_OK) {
        parallel_run(threads, blocks, build_block, &rebuild);
        status = add_up(&rebuild, workers, ret_sequence_max, err);
    }
    for (uint32_t i = 0; i < workers; i++)
        builder_deinit(&builders[i]);
    return status;
}

/* ---- the entries -------------------------------------------------------------------------- */

struct gathering {
    /* Constant. */
    struct kvs_db *db;
    struct segment *const *segments;
    struct kvs_bytes secret;
    /* By segment: each written by the one worker that has it. */
    struct footer_entries *entries;
    struct parallel_failure failure;
    struct progress progress; /* by segment */
};

/* The entries of a segment's frames, all CRCs checked. */
static kvs_status gather_checked(const struct gathering *gathering, const struct segment *segment,
                                 struct footer_entries *entries, struct kvs_error *error)
{
    const struct index *index = gathering->db->index;
    struct footer_entries again;
    kvs_status status = footer_collect(segment, index, gathering->secret, true, entries, error);
    if (!segment_failed(segment))
        return status;
    /* Zeros that took the place of a page stay there: where all is sound now, it was so before. */
    if (status == KVS_OK) {
        if (footer_collect(segment, index, gathering->secret, true, &again, NULL) == KVS_OK) {
            footer_entries_deinit(&again);
            return KVS_OK;
        }
        footer_entries_deinit(entries);
    }
    return segment_say_failed(segment, error);
}

static kvs_status gather(const struct gathering *gathering, uint32_t i, struct kvs_error *error)
{
    const struct segment *segment = gathering->segments[i];
    struct footer_entries *entries = &gathering->entries[i];
    if (atomic_load_explicit(&segment->sealed, memory_order_acquire) == 0)
        return footer_collect(segment, gathering->db->index, gathering->secret, false, entries,
                              error);
    uint64_t end = atomic_load_explicit(&segment->end, memory_order_acquire);
    kvs_status status = footer_open(segment, end, entries, error);
    if (status == KVS_OK)
        return status;
    if (status == KVS_CORRUPT)
        store_log(gathering->db, KVS_LOG_WARN, "%s; its records are read instead", error->msg);
    return gather_checked(gathering, segment, entries, error);
}

static void gather_task(void *arg, uint32_t worker, uint32_t i)
{
    struct gathering *gathering = arg;
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    (void)worker;
    kvs_status status = gather(gathering, i, &error);
    if (status != KVS_OK)
        parallel_failure_note(&gathering->failure, i, status, &error);
    progress_step(&gathering->progress);
}

kvs_status rebuild_entries(struct kvs_db *db, struct segment *const *segments, uint32_t count,
                           uint32_t threads, struct kvs_bytes secret,
                           struct footer_entries *ret_entries, struct kvs_error *err)
{
    struct gathering gathering = {
        .db = db,
        .segments = segments,
        .secret = secret,
        .entries = calloc(count > 0 ? count : 1, sizeof(*ret_entries)),
    };
    if (gathering.entries == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory to build the index");
    parallel_failure_init(&gathering.failure, err);
    progress_begin(&gathering.progress, db, "reading segments", count, PROGRESS_FIRST_HALF);
    parallel_run(threads, count, gather_task, &gathering);
    kvs_status status = gathering.failure.status;
    for (uint32_t i = 0; i < count; i++) {
        if (status == KVS_OK)
            ret_entries[i] = gathering.entries[i];
        else
            footer_entries_deinit(&gathering.entries[i]);
    }
    parallel_failure_deinit(&gathering.failure);
    free(gathering.entries);
    return status;
}
