/*
 * See keeper.h.
 *
 * I1  A segment is in the manifest, durably, before anything is appended to it, and its name is in the
 *     folder, durably, before the manifest names it. So what the manifest does not name is a leftover
 *     of a crash, and holds nothing.
 * I2  A segment is marked as removing in the manifest, durably, before its file is removed, and stays
 *     there until the file is gone: its number is not given out before, so no file is emptied under
 *     a mapping.
 * I3  There is one spare. A write that makes the store larger takes it only if the disk has room for
 *     another one, so removing and compacting still work on a full disk.
 * I4  A dropped segment leaves the table only after a grace period: a reader that found one of its
 *     places before still looks it up.
 * I5  Of the sealed segments' entries in the manifest, the one with the largest sequence number stays
 *     there (as removing) also when its file is gone: it says where the sequence went on, so that
 *     recovery knows a lost write from a dropped segment, and gives out no number twice.
 */
#include "keeper.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "compactor.h"
#include "footer.h"
#include "publish.h"

#define PAGE_BYTES UINT64_C(4096)
#define RETRY_MS   1000 /* between tries to make a spare on a full disk */

/* ---- queues (keeper_lock) ----------------------------------------------------------------- */

static void queue_push(struct segment_queue *queue, struct segment *segment)
{
    segment->next = NULL;
    if (queue->last != NULL)
        queue->last->next = segment;
    else
        queue->first = segment;
    queue->last = segment;
    queue->pushed++;
}

static struct segment *queue_pop(struct segment_queue *queue)
{
    struct segment *segment = queue->first;
    queue->first = segment->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return segment;
}

/* ---- making ------------------------------------------------------------------------------- */

/* A number that no segment has. keeper_lock is held. */
static kvs_status pick_number(struct kvs_db *db, uint32_t *ret_number, struct kvs_error *err)
{
    for (uint32_t i = 0; i < SEGMENT_NUMBER_COUNT; i++) {
        uint32_t number = db->next_number;
        db->next_number = (number + 1) % SEGMENT_NUMBER_COUNT;
        if (segment_at(&db->table, number) == NULL && manifest_find(db->manifest, number) == NULL) {
            *ret_number = number;
            return KVS_OK;
        }
    }
    return kvs_error_set(err, KVS_NO_SPACE, 0, "all %u segments that a store can have are in use",
                         SEGMENT_NUMBER_COUNT);
}

/* Enters a new segment's file in the folder and in the manifest. keeper_lock is held. */
static kvs_status enter_segment(struct kvs_db *db, const struct segment *segment,
                                struct kvs_error *err)
{
    struct manifest_segment entry = {
        .number = segment->number,
        .generation = segment->generation,
        .bytes = segment->bytes,
    };
    kvs_status status = disk_sync_folder(db->disk, err);
    if (status != KVS_OK)
        return status;
    manifest_begin(db->manifest);
    status = manifest_put(db->manifest, &entry);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "out of memory");
    return manifest_commit(db->manifest, err); /* I1 */
}

kvs_status keeper_make_segment(struct kvs_db *db, uint64_t bytes, enum segment_kind kind, bool zero,
                               struct segment **ret_segment, struct kvs_error *err)
{
    struct segment *segment = NULL;
    struct segment_config config = {
        .kind = kind,
        .bytes = bytes,
        .birth = kind == SEGMENT_COMPACTED ? db->compact_birth : 0,
        .zero = zero,
        .secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES},
        .cancel = zero ? &db->keeper_cancel : NULL,
    };
    (void)pthread_mutex_lock(&db->keeper_lock);
    kvs_status status = pick_number(db, &config.number, err);
    if (status == KVS_OK)
        config.generation = manifest_next_generation(db->manifest);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (status == KVS_OK)
        status = segment_create(db->disk, &config, &segment, err);
    if (status != KVS_OK)
        return status;
    (void)pthread_mutex_lock(&db->keeper_lock);
    status = enter_segment(db, segment, err);
    if (status == KVS_OK)
        segment_table_set(&db->table, segment->number, segment);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (status != KVS_OK) {
        segment_free(segment);
        return status;
    }
    segment->db = db;
    *ret_segment = segment;
    return KVS_OK;
}

static kvs_status full(struct kvs_error *err)
{
    return kvs_error_set(
        err, KVS_NO_SPACE, ENOSPC,
        "the disk of the data directory is full: free space there, or remove keys; "
        "writes go on by themselves then");
}

/* I3: true when another segment could be made after this one. */
static bool has_room_for_another(struct kvs_db *db)
{
    uint64_t free_bytes;
    return disk_free_bytes(db->disk, &free_bytes, NULL) != KVS_OK ||
           free_bytes >= db->segment_bytes;
}

/* Says once in the log that the disk is full, and once that it is not any more. append_lock is held.
 */
static void note_full(struct kvs_db *db, bool is_full)
{
    if (is_full == db->disk_full)
        return;
    db->disk_full = is_full;
    if (is_full)
        store_log(db, KVS_LOG_ERROR,
                  "the disk of the data directory is full: writes are refused until it has room "
                  "for another segment (%" PRIu64 " bytes); reading and removing go on",
                  db->segment_bytes);
    else
        store_log(db, KVS_LOG_INFO, "the disk of the data directory has room again");
}

static kvs_status take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                               struct segment **ret_segment, struct kvs_error *err)
{
    uint64_t needed = SEGMENT_HEADER_BYTES + bytes;
    if (needed > db->segment_bytes) { /* a value too large for a segment gets one of its own */
        needed = (needed + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        return keeper_make_segment(db, needed, SEGMENT_APPENDED, false, ret_segment, err);
    }
    bool may_grow = removes_only || has_room_for_another(db);
    struct segment *spare = NULL;
    (void)pthread_mutex_lock(&db->keeper_lock);
    if (may_grow) {
        spare = db->spare;
        db->spare = NULL;
    }
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (spare != NULL) {
        *ret_segment = spare;
        return KVS_OK;
    }
    if (!may_grow)
        return full(err);
    kvs_status status =
        keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, false, ret_segment, err);
    return status == KVS_NO_SPACE ? full(err) : status;
}

kvs_status keeper_take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                               struct segment **ret_segment, struct kvs_error *err)
{
    kvs_status status = take_segment(db, bytes, removes_only, ret_segment, err);
    if (status == KVS_NO_SPACE)
        note_full(db, true);
    else if (status == KVS_OK && !removes_only)
        note_full(db, false);
    return status;
}

/* ---- sealing ------------------------------------------------------------------------------ */

/* Says in the manifest what the segment has now. */
static kvs_status enter_content(struct kvs_db *db, const struct segment *segment, bool sealed,
                                struct kvs_error *err)
{
    uint64_t bytes = 0;
    kvs_status status = disk_file_size(segment->file, &bytes, err);
    if (status != KVS_OK)
        return status;
    struct manifest_segment entry = {
        .number = segment->number,
        .sealed = sealed,
        .generation = segment->generation,
        .bytes = bytes,
        .end = atomic_load_explicit(&segment->end, memory_order_acquire),
        .records = segment->records,
        .sequence_min = segment->sequence_min,
        .sequence_max = segment->sequence_max,
    };
    (void)pthread_mutex_lock(&db->keeper_lock);
    bool supersedes =
        sealed && db->has_kept &&
        manifest_find(db->manifest, db->kept_number)->sequence_max <= entry.sequence_max;
    manifest_begin(db->manifest);
    status = manifest_put(db->manifest, &entry);
    if (status == KVS_OK && supersedes)
        manifest_remove(db->manifest, db->kept_number); /* I5 */
    status = status == KVS_OK ? manifest_commit(db->manifest, err)
                              : kvs_error_set(err, status, 0, "out of memory");
    if (status == KVS_OK && supersedes)
        db->has_kept = false;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return status;
}

kvs_status keeper_note_durable(struct kvs_db *db, const struct segment *segment,
                               struct kvs_error *err)
{
    return enter_content(db, segment, false, err);
}

kvs_status keeper_seal(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    struct footer_entries entries = {0};
    struct kvs_bytes secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES};
    kvs_status status = footer_collect(segment, db->index, secret, false, &entries, err);
    if (segment_failed(segment)) /* what was written to it may be nowhere */
        status = segment_say_failed(segment, err);
    if (status == KVS_OK)
        status = footer_write(segment, &entries, err);
    footer_entries_deinit(&entries);
    /* Without a footer the segment is as good, only slower to open. */
    if (status != KVS_OK && status != KVS_NO_SPACE && status != KVS_NO_MEMORY)
        return status;
    status = enter_content(db, segment, true, err);
    if (status == KVS_OK)
        atomic_store_explicit(&segment->sealed, 1, memory_order_release);
    compactor_look(db);
    return status;
}

/* Turns a list around. */
static struct segment *reversed(struct segment *list)
{
    struct segment *result = NULL;
    while (list != NULL) {
        struct segment *next = list->next;
        list->next = result;
        result = list;
        list = next;
    }
    return result;
}

void keeper_take_complete(struct kvs_db *db, struct segment *list, bool synced)
{
    if (!synced)
        return; /* they stay in the table, which frees them at the end */
    struct segment *oldest_first = reversed(list);
    (void)pthread_mutex_lock(&db->keeper_lock);
    while (oldest_first != NULL) {
        struct segment *next = oldest_first->next;
        queue_push(&db->complete, oldest_first);
        oldest_first = next;
    }
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

/* ---- dropping ----------------------------------------------------------------------------- */

/* Runs after the grace period, on the epoch's thread. */
static void retired_run(struct epoch_retired *retired)
{
    struct segment *segment =
        (struct segment *)(void *)((char *)retired - offsetof(struct segment, retired));
    struct kvs_db *db = segment->db;
    (void)pthread_mutex_lock(&db->keeper_lock);
    segment_table_set(&db->table, segment->number, NULL); /* I4 */
    queue_push(&db->dropped, segment);
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

kvs_status keeper_mark_removing(struct kvs_db *db, uint32_t number, struct kvs_error *err)
{
    const struct manifest_segment *known = manifest_find(db->manifest, number);
    assert(known != NULL);
    struct manifest_segment entry = *known;
    if (entry.removing)
        return KVS_OK;
    entry.removing = true;
    manifest_begin(db->manifest);
    kvs_status status = manifest_put(db->manifest, &entry);
    return status == KVS_OK ? manifest_commit(db->manifest, err)
                            : kvs_error_set(err, status, 0, "out of memory");
}

kvs_status keeper_drop(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    kvs_status status = keeper_mark_removing(db, segment->number, err);
    if (status == KVS_OK)
        db->retiring++;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (status != KVS_OK)
        return status;
    publish_barrier(db);
    epoch_retire(db->epoch, &segment->retired, retired_run);
    return KVS_OK;
}

/* I5: true when the manifest has no other sealed segment that reaches as far as this one. */
static bool reaches_farthest(const struct kvs_db *db, uint32_t number)
{
    const struct manifest_segment *one = manifest_find(db->manifest, number);
    if (one == NULL || !one->sealed)
        return false;
    for (uint32_t i = 0; i < manifest_segment_count(db->manifest); i++) {
        const struct manifest_segment *other = manifest_segment_at(db->manifest, i);
        if (other->number != number && other->sealed && other->sequence_max >= one->sequence_max)
            return false;
    }
    return true;
}

kvs_status keeper_forget(struct kvs_db *db, uint32_t number, struct kvs_error *err)
{
    bool is_kept = reaches_farthest(db, number);
    if (is_kept && !db->has_kept) {
        db->has_kept = true;
        db->kept_number = number;
        return KVS_OK;
    }
    manifest_begin(db->manifest);
    manifest_remove(db->manifest, is_kept ? db->kept_number : number);
    kvs_status status = manifest_commit(db->manifest, err);
    if (status == KVS_OK && is_kept)
        db->kept_number = number;
    return status;
}

/* Removes the file of a segment that nobody can reach, then its number may be given out again. */
static kvs_status remove_segment(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    uint32_t number = segment->number;
    segment_name(number, name);
    segment_free(segment);
    (void)pthread_mutex_lock(&db->keeper_lock);
    kvs_status status = keeper_mark_removing(db, number, err); /* I2: before the file goes */
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (status == KVS_OK)
        status = disk_remove(db->disk, name, err);
    if (status == KVS_OK)
        status = disk_sync_folder(db->disk, err);
    if (status != KVS_OK)
        return status;
    (void)pthread_mutex_lock(&db->keeper_lock);
    status = keeper_forget(db, number, err); /* I2 */
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return status;
}

void keeper_discard_empty(struct kvs_db *db, struct segment *segment)
{
    if (segment == NULL || store_check_writable(db, NULL) != KVS_OK)
        return;
    segment_table_set(&db->table, segment->number, NULL);
    /* One that cannot be removed is found empty and removed at the next start. */
    (void)!remove_segment(db, segment, NULL);
}

bool keeper_lend_spare(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    struct segment *spare = db->spare;
    db->spare = NULL;
    db->spare_lent = spare != NULL;
    if (spare != NULL)
        segment_table_set(&db->table, spare->number, NULL); /* nothing was ever read from it */
    (void)pthread_mutex_unlock(&db->keeper_lock);
    /* One that cannot be removed is found empty and removed at the next start. */
    if (spare != NULL && remove_segment(db, spare, NULL) == KVS_OK)
        return true;
    keeper_return_spare(db);
    return false;
}

void keeper_return_spare(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->spare_lent = false;
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

void keeper_release(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->holds--;
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

/* ---- the thread --------------------------------------------------------------------------- */

static void work_failed(struct kvs_db *db, kvs_status status, const struct kvs_error *error)
{
    if (status == KVS_NO_SPACE || status == KVS_NO_MEMORY || status == KVS_READ_ONLY ||
        status == KVS_CLOSED)
        return; /* met again by the writer that needs it, with a message for its caller */
    store_fail(db, error);
}

/* Does one piece of work. keeper_lock is held before and after, not meanwhile. False: there is none. */
static bool work_once(struct kvs_db *db, bool *ret_full)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = KVS_OK;
    bool writable = store_check_writable(db, NULL) == KVS_OK;
    struct segment *segment;
    if (db->dropped.first != NULL && db->holds == 0) {
        segment = queue_pop(&db->dropped);
        (void)pthread_mutex_unlock(&db->keeper_lock);
        status = remove_segment(db, segment, &error);
        (void)pthread_mutex_lock(&db->keeper_lock);
        db->dropped.done++;
        *ret_full = false;
    } else if (db->complete.first != NULL && writable) {
        segment = queue_pop(&db->complete);
        (void)pthread_mutex_unlock(&db->keeper_lock);
        status = keeper_seal(db, segment, &error);
        (void)pthread_mutex_lock(&db->keeper_lock);
        db->complete.done++;
    } else if (db->spare == NULL && writable && !db->spare_lent && !db->keeper_stop && !*ret_full) {
        (void)pthread_mutex_unlock(&db->keeper_lock);
        status = keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, db->zero_ahead,
                                     &segment, &error);
        (void)pthread_mutex_lock(&db->keeper_lock);
        if (status == KVS_OK)
            db->spare = segment;
        *ret_full = status == KVS_NO_SPACE;
    } else {
        return false;
    }
    if (status != KVS_OK)
        work_failed(db, status, &error);
    return true;
}

static void keeper_sleep(struct kvs_db *db, bool *full)
{
    if (!*full) {
        (void)pthread_cond_wait(&db->keeper_wanted, &db->keeper_lock);
        return;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_MS / 1000;
    if (pthread_cond_timedwait(&db->keeper_wanted, &db->keeper_lock, &until) == ETIMEDOUT)
        *full = false;
}

static void *keeper_main(void *arg)
{
    struct kvs_db *db = arg;
    bool full_disk = false;
    (void)pthread_mutex_lock(&db->keeper_lock);
    for (;;) {
        while (work_once(db, &full_disk))
            (void)pthread_cond_broadcast(&db->keeper_done);
        (void)pthread_cond_broadcast(&db->keeper_done);
        if (db->keeper_stop)
            break;
        keeper_sleep(db, &full_disk);
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return NULL;
}

kvs_status keeper_start(struct kvs_db *db, struct kvs_error *err)
{
    int error = pthread_create(&db->keeper, NULL, keeper_main, db);
    if (error != 0)
        return kvs_error_set(err, KVS_NO_MEMORY, error, "cannot start the keeper's thread: %s",
                             strerror(error));
    db->keeper_runs = true;
    return KVS_OK;
}

void keeper_stop(struct kvs_db *db)
{
    if (!db->keeper_runs)
        return;
    atomic_store_explicit(&db->keeper_cancel, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->keeper_stop = true;
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    (void)pthread_join(db->keeper, NULL);
    db->keeper_runs = false;
}

void keeper_wait(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    uint64_t complete = db->complete.pushed;
    uint64_t dropped = db->retiring;
    (void)pthread_cond_signal(&db->keeper_wanted);
    while (db->keeper_runs && store_check_writable(db, NULL) == KVS_OK &&
           (db->complete.done < complete || db->dropped.done < dropped))
        (void)pthread_cond_wait(&db->keeper_done, &db->keeper_lock);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

void keeper_enqueue(struct kvs_db *db, struct segment *segment)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    queue_push(&db->complete, segment);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}
