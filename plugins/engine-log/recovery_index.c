/*
 * See recovery_index.h.
 *
 * A snapshot is bound to the segments that have records (snapshot.h), so one that is out of date, or
 * of another store, is recognised whatever happened since. It is removed before anything is written
 * all the same: it would only take space.
 *
 * Threads: the one that opens or closes the store; to build the index, those of parallel.h.
 */
#include "recovery_index.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rebuild.h"
#include "snapshot.h"

#define NS_PER_MS UINT64_C(1000000)

static struct index_config index_config(const struct kvs_db *db, uint64_t expected_keys)
{
    return (struct index_config){
        .size = (uint32_t)sizeof(struct index_config),
        .expected_keys = expected_keys,
        .secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES},
        .epoch = db->epoch,
    };
}

static kvs_status no_memory(struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the index");
}

/* Those of the segments that a snapshot is bound to; malloced, or NULL: out of memory. */
static struct segment **with_records(struct segment *const *segments, uint32_t count,
                                     uint32_t *ret_count)
{
    struct segment **chosen = calloc((size_t)count + 1, sizeof(struct segment *));
    if (chosen == NULL)
        return NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (segments[i]->records > 0)
            chosen[(*ret_count)++] = segments[i];
    return chosen;
}

/* ---- at a start --------------------------------------------------------------------------- */

/* False: there is no snapshot that can be used. */
static bool load(struct kvs_db *db, struct segment *const *segments, uint32_t count,
                 uint32_t threads, uint64_t *ret_sequence_max)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct index_config config = index_config(db, 0);
    uint32_t bound;
    struct segment **chosen = with_records(segments, count, &bound);
    kvs_status status = chosen == NULL
                            ? no_memory(&error)
                            : snapshot_load(db, db->disk, &config, chosen, bound, threads,
                                            &db->index, ret_sequence_max, &error);
    free(chosen);
    if (status != KVS_OK && status != KVS_MISSING)
        store_log(db, KVS_LOG_WARN, "%s; the index is built from the segments instead", message);
    return status == KVS_OK;
}

/* A disk may fail while footers are used in their mappings: what is sound afterwards was so before, as
   zeros that took the place of a page stay there. */
static kvs_status check_used(struct segment *const *segments, const struct footer_entries *entries,
                             uint32_t count, struct kvs_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct footer_entries again;
        uint64_t end = atomic_load_explicit(&segments[i]->end, memory_order_acquire);
        if (!segment_failed(segments[i]) || entries[i].owned != NULL)
            continue;
        if (footer_open(segments[i], end, &again, NULL) != KVS_OK)
            return segment_say_failed(segments[i], err);
        footer_entries_deinit(&again);
    }
    return KVS_OK;
}

static kvs_status build(struct kvs_db *db, struct segment *const *segments, uint32_t count,
                        uint32_t threads, uint64_t *ret_sequence_max, struct kvs_error *err)
{
    struct kvs_bytes secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES};
    uint64_t records = 0;
    for (uint32_t i = 0; i < count; i++)
        records += segments[i]->records;
    struct index_config config = index_config(db, records);
    struct footer_entries *entries = calloc((size_t)count + 1, sizeof(*entries));
    if (entries == NULL)
        return no_memory(err);
    kvs_status status = index_new(&config, &db->index, err);
    if (status == KVS_OK)
        status = rebuild_entries(db, segments, count, threads, secret, entries, err);
    if (status == KVS_OK)
        status = rebuild_index(db, segments, entries, count, threads, ret_sequence_max, err);
    if (status == KVS_OK)
        status = check_used(segments, entries, count, err);
    for (uint32_t i = 0; i < count; i++)
        footer_entries_deinit(&entries[i]);
    free(entries);
    return status;
}

kvs_status recovery_index_make(struct kvs_db *db, struct segment *const *segments, uint32_t count,
                               uint64_t next, uint32_t threads, struct kvs_error *err)
{
    uint64_t begin_ns = db->host->now_ns(db->host);
    uint64_t sequence_max = 0;
    bool loaded = load(db, segments, count, threads, &sequence_max);
    kvs_status status = loaded ? KVS_OK : build(db, segments, count, threads, &sequence_max, err);
    if (status != KVS_OK)
        return status;
    db->sequence = next > sequence_max ? next : sequence_max + 1;
    atomic_store_explicit(&db->durable_sequence, db->sequence - 1, memory_order_relaxed);
    if (count > 0)
        store_log(db, KVS_LOG_INFO,
                  "the index of %" PRIu64 " keys in %" PRIu32 " segments was %s in %" PRIu64 " ms",
                  index_count(db->index), count,
                  loaded ? "loaded from the snapshot" : "built from the segments",
                  (db->host->now_ns(db->host) - begin_ns) / NS_PER_MS);
    if (!db->read_only)
        snapshot_remove(db->disk);
    return KVS_OK;
}

/* ---- at a stop ---------------------------------------------------------------------------- */

/* All segments that are not being removed; malloced, or NULL: out of memory. */
static struct segment **all_segments(const struct kvs_db *db, uint32_t *ret_count)
{
    uint32_t known_count = manifest_segment_count(db->manifest);
    struct segment **segments = calloc((size_t)known_count + 1, sizeof(struct segment *));
    if (segments == NULL)
        return NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < known_count; i++) {
        const struct manifest_segment *known = manifest_segment_at(db->manifest, i);
        struct segment *segment = segment_at(&db->table, known->number);
        if (segment != NULL && !known->removing && segment->records > 0)
            segments[(*ret_count)++] = segment;
    }
    return segments;
}

void recovery_index_save(struct kvs_db *db)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct kvs_bytes secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES};
    uint32_t count;
    struct segment **segments = all_segments(db, &count);
    kvs_status status = segments == NULL ? no_memory(&error)
                                         : snapshot_write(db->disk, db->index, secret, segments,
                                                          count, db->sequence - 1, &error);
    free(segments);
    if (status != KVS_OK)
        store_log(
            db, KVS_LOG_WARN,
            "no snapshot of the index was left: %s; the next start reads the segments instead",
            message);
}
