/*
 * The log engine as the host sees it: opening and closing a store, and the table of operations.
 *
 * Up: disk, epoch, manifest, segments, index (recovery.c), then the threads. Down: the compactor, a last
 * sync, the committer, what was retired, the keeper; then memory. Every step is safe on a store that
 * is half open.
 */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appender.h"
#include "checkpoint.h"
#include "committer.h"
#include "compactor.h"
#include "keeper.h"
#include "maker.h"
#include "publish.h"
#include "reader.h"
#include "recovery.h"
#include "recovery_index.h"
#include "repair.h"
#include "store.h"
#include "verify.h"

#define RECOVERY_THREADS_MAX 8

/* Syncing so rarely, it does no harm that each sync writes a huge page where a small one would do. */
#define HUGE_PAGES_INTERVAL_MS 200u

/* ---- up ----------------------------------------------------------------------------------- */

static void init_locks(struct kvs_db *db)
{
    pthread_mutexattr_t adaptive;
    pthread_condattr_t monotonic;
    (void)pthread_mutexattr_init(&adaptive);
    (void)pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&db->append_lock, &adaptive);
    (void)pthread_mutex_init(&db->commit_lock, NULL);
    (void)pthread_mutex_init(&db->manifest_lock, NULL);
    (void)pthread_mutex_init(&db->keeper_lock, NULL);
    (void)pthread_mutex_init(&db->publish_lock, NULL);
    (void)pthread_mutex_init(&db->fault_lock, NULL);
    (void)pthread_mutex_init(&db->compact_lock, NULL);
    (void)pthread_cond_init(&db->compact_wanted, &monotonic);
    (void)pthread_cond_init(&db->compact_done, &monotonic);
    (void)pthread_cond_init(&db->commit_wanted, &monotonic);
    (void)pthread_cond_init(&db->keeper_wanted, &monotonic);
    (void)pthread_cond_init(&db->keeper_done, &monotonic);
    (void)pthread_cond_init(&db->maker_wanted, &monotonic);
    (void)pthread_cond_init(&db->maker_done, &monotonic);
    (void)pthread_mutexattr_destroy(&adaptive);
    (void)pthread_condattr_destroy(&monotonic);
}

static void deinit_locks(struct kvs_db *db)
{
    (void)pthread_mutex_destroy(&db->append_lock);
    (void)pthread_mutex_destroy(&db->commit_lock);
    (void)pthread_mutex_destroy(&db->manifest_lock);
    (void)pthread_mutex_destroy(&db->keeper_lock);
    (void)pthread_mutex_destroy(&db->publish_lock);
    (void)pthread_mutex_destroy(&db->fault_lock);
    (void)pthread_mutex_destroy(&db->compact_lock);
    (void)pthread_cond_destroy(&db->compact_wanted);
    (void)pthread_cond_destroy(&db->compact_done);
    (void)pthread_cond_destroy(&db->commit_wanted);
    (void)pthread_cond_destroy(&db->keeper_wanted);
    (void)pthread_cond_destroy(&db->keeper_done);
    (void)pthread_cond_destroy(&db->maker_wanted);
    (void)pthread_cond_destroy(&db->maker_done);
}

static uint64_t option_u64(const struct kvs_host *host, const char *name, uint64_t otherwise)
{
    struct kvs_option_value value = {.size = (uint32_t)sizeof(value)};
    return host->config_get(host, name, &value) == KVS_OK ? value.u64 : otherwise;
}

static void read_config(struct kvs_db *db, const struct kvs_engine_config *config)
{
    db->host = config->host;
    if (KVS_HAS(config, struct kvs_engine_config, progress)) {
        db->progress = config->progress;
        db->progress_arg = config->progress_arg;
    }
    db->durability = config->durability;
    db->sync_interval_ms = config->sync_interval_ms;
    db->read_only = (config->flags & KVS_OPEN_READ_ONLY) != 0;
    db->segment_bytes = option_u64(db->host, "segment-size", UINT64_C(256) << 20) & ~UINT64_C(4095);
    /* What is zero already need not be allocated by the sync that a write waits for. */
    db->zero_ahead = db->durability == KVS_DURABILITY_ALWAYS;
    db->huge_pages =
        db->durability == KVS_DURABILITY_NONE || (db->durability == KVS_DURABILITY_INTERVAL &&
                                                  db->sync_interval_ms >= HUGE_PAGES_INTERVAL_MS);
}

static uint32_t recovery_threads(const struct kvs_engine_config *config)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = config->threads != 0 ? config->threads : cpus > 0 ? (uint32_t)cpus : 1;
    return threads < RECOVERY_THREADS_MAX ? threads : RECOVERY_THREADS_MAX;
}

static kvs_status start(struct kvs_db *db, struct kvs_error *err)
{
    kvs_status status = appender_init(db, err);
    if (status == KVS_OK)
        status = keeper_start(db, err);
    if (status == KVS_OK)
        status = maker_start(db, err);
    if (status == KVS_OK)
        status = committer_start(db, err);
    if (status == KVS_OK)
        status = compactor_start(db, err);
    return status;
}

/* ---- down --------------------------------------------------------------------------------- */

static void free_segments(struct kvs_db *db)
{
    if (db->manifest == NULL || db->table.slots == NULL)
        return;
    for (uint32_t i = 0; i < manifest_segment_count(db->manifest); i++) {
        uint32_t number = manifest_segment_at(db->manifest, i)->number;
        segment_free(segment_at(&db->table, number));
        segment_table_set(&db->table, number, NULL);
    }
    for (struct segment *each = db->dropped.first; each != NULL;) {
        struct segment *next = each->next;
        segment_free(each);
        each = next;
    }
}

static void store_free(struct kvs_db *db)
{
    compactor_stop(db);
    committer_stop(db);
    if (db->epoch != NULL)
        epoch_barrier(db->epoch);
    maker_stop(db);
    keeper_stop(db);
    index_free(db->index);
    epoch_free(db->epoch);
    free_segments(db);
    segment_table_deinit(&db->table);
    publish_deinit(db);
    appender_deinit(db);
    manifest_free(db->manifest);
    disk_close(db->disk);
    deinit_locks(db);
    free(db);
}

kvs_status engine_open_on(struct disk *disk, const struct kvs_engine_config *config,
                          struct kvs_db **ret_db, struct kvs_error *err)
{
    struct kvs_db *db = aligned_alloc(_Alignof(struct kvs_db), sizeof(*db));
    if (db == NULL) {
        disk_close(disk);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    }
    memset(db, 0, sizeof(*db));
    db->disk = disk;
    init_locks(db);
    read_config(db, config);
    kvs_status status = segment_table_init(&db->table, err);
    if (status == KVS_OK)
        status = publish_init(db, err);
    if (status == KVS_OK)
        status = epoch_new(&db->epoch, err);
    if (status == KVS_OK)
        status = recovery_open(db, (config->flags & KVS_OPEN_CREATE) != 0, recovery_threads(config),
                               err);
    if (status == KVS_OK && !db->read_only)
        status = start(db, err);
    if (status != KVS_OK) {
        store_free(db);
        return status;
    }
    *ret_db = db;
    return KVS_OK;
}

static kvs_status engine_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                              struct kvs_error *err)
{
    struct disk *disk;
    kvs_status status = disk_open_real(config->data_dir, &disk, err);
    return status == KVS_OK ? engine_open_on(disk, config, ret_db, err) : status;
}

static kvs_status engine_sync(struct kvs_db *db, struct kvs_error *err)
{
    return db->read_only ? KVS_OK : committer_sync(db, err);
}

/* Seals everything and leaves the index, so that the next start is fast, and removes what was made
   ahead. */
static void close_segments(struct kvs_db *db)
{
    maker_stop(db);
    struct segment *empty = appender_finish(db);
    (void)!committer_sync(db, NULL);
    committer_stop(db);
    epoch_barrier(db->epoch);
    keeper_stop(db);
    keeper_discard_empty(db, empty);
    maker_discard(db);
    if (store_check_writable(db, NULL) == KVS_OK)
        recovery_index_save(db);
}

static kvs_status engine_close(struct kvs_db *db, struct kvs_error *err)
{
    if (db == NULL)
        return KVS_OK;
    kvs_status status = KVS_OK;
    if (!db->read_only) {
        compactor_stop(db);
        status = committer_sync(db, err);
        if (status == KVS_OK)
            close_segments(db);
    }
    store_free(db);
    return status;
}

static kvs_status engine_compact(struct kvs_db *db, struct kvs_error *err)
{
    kvs_status status = store_check_writable(db, err);
    if (status == KVS_OK)
        status = committer_sync(db, err);
    if (status == KVS_OK)
        status = appender_roll(db, err);
    if (status == KVS_OK)
        status = committer_sync(db, err);
    if (status != KVS_OK)
        return status;
    keeper_wait(db);
    status = compactor_run_all(db, err);
    epoch_barrier(db->epoch);
    keeper_wait(db);
    return status;
}

/* ---- figures ------------------------------------------------------------------------------ */

struct totals {
    uint64_t segments;
    uint64_t disk_bytes;
    uint64_t live_bytes;
    uint64_t content_bytes;
};

static void add_segments(struct kvs_db *db, struct totals *totals)
{
    (void)pthread_mutex_lock(&db->manifest_lock);
    uint32_t count = manifest_segment_count(db->manifest);
    epoch_begin();
    for (uint32_t i = 0; i < count; i++) {
        const struct manifest_segment *known = manifest_segment_at(db->manifest, i);
        const struct segment *segment = segment_at(&db->table, known->number);
        if (segment == NULL || known->removing)
            continue;
        int64_t live = atomic_load_explicit(&segment->live_bytes, memory_order_relaxed);
        totals->segments++;
        totals->disk_bytes += known->sealed
                                  ? known->bytes
                                  : atomic_load_explicit(&segment->reserved, memory_order_relaxed);
        totals->live_bytes += live > 0 ? (uint64_t)live : 0;
        totals->content_bytes +=
            atomic_load_explicit(&segment->end, memory_order_acquire) - SEGMENT_HEADER_BYTES;
    }
    epoch_end();
    (void)pthread_mutex_unlock(&db->manifest_lock);
}

static void engine_stats(struct kvs_db *db, kvs_stat_fn visit, void *arg)
{
    struct totals totals = {0};
    add_segments(db, &totals);
    (void)pthread_mutex_lock(&db->append_lock);
    uint64_t records = db->appended_records;
    uint64_t bytes = db->appended_bytes;
    uint64_t pending = db->pending.count;
    appender_unlock(db);
    uint64_t copied = atomic_load_explicit(&db->compacted_bytes, memory_order_relaxed);
    visit(arg, "keys", index_count(db->index));
    visit(arg, "segments", totals.segments);
    visit(arg, "segment_bytes", db->segment_bytes);
    visit(arg, "disk_bytes", totals.disk_bytes);
    visit(arg, "live_bytes", totals.live_bytes);
    visit(arg, "dead_bytes",
          totals.content_bytes - (totals.live_bytes < totals.content_bytes ? totals.live_bytes
                                                                           : totals.content_bytes));
    visit(arg, "index_bytes", index_memory_bytes(db->index));
    visit(arg, "appended_records", records);
    visit(arg, "appended_bytes", bytes);
    visit(arg, "pending_records", pending);
    visit(arg, "syncs", atomic_load_explicit(&db->syncs, memory_order_relaxed));
    visit(arg, "compacted_bytes", copied);
    visit(arg, "compacted_segments",
          atomic_load_explicit(&db->compacted_segments, memory_order_relaxed));
    visit(arg, "write_amplification_percent", bytes == 0 ? 100 : (bytes + copied) * 100 / bytes);
    visit(arg, "compact_victim", atomic_load_explicit(&db->compact_victim, memory_order_relaxed));
    visit(arg, "write_pace_ns_per_mib",
          atomic_load_explicit(&db->pace_ns_per_mib, memory_order_relaxed));
    visit(arg, "read_only", store_check_writable(db, NULL) == KVS_OK ? 0 : 1);
}

const struct kvs_engine_ops engine_log_ops = {
    .size = (uint32_t)sizeof(engine_log_ops),
    .capabilities = KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_HAS_GET_MANY | KVS_ENGINE_HAS_SCAN |
                    KVS_ENGINE_HAS_SYNC | KVS_ENGINE_HAS_STATS | KVS_ENGINE_HAS_COMPACT |
                    KVS_ENGINE_HAS_CHECKPOINT | KVS_ENGINE_HAS_VERIFY | KVS_ENGINE_HAS_REPAIR |
                    KVS_ENGINE_DURABLE | KVS_ENGINE_CONCURRENT_WRITERS |
                    KVS_ENGINE_GET_NEVER_BLOCKS | KVS_ENGINE_BATCH_ATOMIC,
    .key_max = RECORD_KEY_MAX,
    .value_max = RECORD_VALUE_MAX,
    .batch_bytes_max = STORE_BATCH_BYTES_MAX,
    .batch_ops_max = STORE_BATCH_OPS_MAX,
    .open = engine_open,
    .close = engine_close,
    .get = reader_get,
    .set = appender_set,
    .remove = appender_remove,
    .submit = appender_submit,
    .get_many = reader_get_many,
    .scan = reader_scan,
    .sync = engine_sync,
    .stats = engine_stats,
    .checkpoint = checkpoint_write,
    .compact = engine_compact,
    .verify = verify_store,
    .repair = repair_store,
};
