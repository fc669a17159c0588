/*
 * See keeper.h. Here is the thread, what it has in hand, and the spare; keeper_segment.c does the work on
 * segments and in the manifest.
 *
 * I0  Nobody holds keeper_lock while he waits for the disk, so a writer that takes the spare does not
 *     wait for a sync either. manifest_lock is held while the manifest is synced.
 * I1  A segment is in the manifest, durably, before anything is appended to it, and its name is in the
 *     folder, durably, before the manifest names it. So what the manifest does not name is a leftover
 *     of a crash, and holds nothing.
 * I2  A segment is marked as removing in the manifest, durably, before its file is removed, and stays
 *     there until the file is gone: its number is not given out before, so no file is emptied under
 *     a mapping.
 * I3  There is one spare. A write that makes the store larger takes it only if the disk has room for
 *     another one, so removing and compacting still work on a full disk. That the process will be out
 *     of descriptors or memory nobody can tell before: as long as there is no spare, such a write leaves
 *     a part of the active segment to those that remove (appender.c).
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
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "compactor.h"
#include "footer.h"
#include "publish.h"

#define PAGE_BYTES  UINT64_C(4096)
#define BACKLOG_MAX 1u /* segments that may wait to be sealed, or removed, while a spare is made */
#define RETRY_MS    1000 /* between tries to make a spare, or to seal, when something is short */
#define NS_PER_MS   UINT64_C(1000000)

/* So much of a segment is in memory in front of the appender, who would else wait for the kernel to
   fill pages with zeros, many at once. */
#define WARM_AHEAD_BYTES (8 * KEEPER_STEP_BYTES)

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

static uint64_t backlog(const struct segment_queue *queue)
{
    return queue->pushed - queue->done;
}

/* keeper_lock is held. */
static void set_spare(struct kvs_db *db, struct segment *spare)
{
    db->spare = spare;
    atomic_store_explicit(&db->has_no_spare, spare == NULL, memory_order_relaxed);
}

/* ---- making ------------------------------------------------------------------------------- */

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

/* Says once in the log that writes are refused and why, and once that they are not any more. append_lock
   is held. */
static void note_refusal(struct kvs_db *db, kvs_status status, const char *reason)
{
    kvs_status before = db->refusing;
    if (status == before)
        return;
    db->refusing = status;
    if (status == KVS_NO_SPACE)
        store_log(db, KVS_LOG_ERROR,
                  "the disk of the data directory is full: writes are refused until it has room "
                  "for another segment (%" PRIu64 " bytes); reading and removing go on",
                  db->segment_bytes);
    else if (status == KVS_NO_MEMORY)
        store_log(
            db, KVS_LOG_ERROR,
            "writes are refused until another segment can be made, which is tried every %d ms; "
            "reading and removing go on: %s",
            RETRY_MS, reason);
    else if (before == KVS_NO_SPACE)
        store_log(db, KVS_LOG_INFO, "the disk of the data directory has room again");
    else
        store_log(db, KVS_LOG_INFO, "segments can be made again");
}

/* Remembers how the last try to make a segment ended. keeper_lock is held. */
static void note_made(struct kvs_db *db, kvs_status status, const struct kvs_error *error)
{
    struct make_failure *failure = &db->make_failure;
    failure->status = status;
    if (status == KVS_OK)
        return;
    failure->os_errno = error->os_errno;
    failure->until_ns = db->host->now_ns(db->host) + RETRY_MS * NS_PER_MS;
    (void)snprintf(failure->message, sizeof(failure->message), "%s", error->msg);
}

/* Not KVS_OK: it is too early to try again after a failure that is not the disk's, which is given. */
static kvs_status check_failure(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    const struct make_failure *failure = &db->make_failure;
    kvs_status status = KVS_OK;
    if (failure->status == KVS_NO_MEMORY && db->host->now_ns(db->host) < failure->until_ns)
        status = kvs_error_set(err, failure->status, failure->os_errno, "%s", failure->message);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return status;
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
        set_spare(db, NULL);
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (spare != NULL) {
        *ret_segment = spare;
        return KVS_OK;
    }
    if (!may_grow)
        return full(err);
    kvs_status status = check_failure(db, err);
    if (status != KVS_OK)
        return status;
    status = keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, false, ret_segment, err);
    (void)pthread_mutex_lock(&db->keeper_lock);
    note_made(db, status, err);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return status == KVS_NO_SPACE ? full(err) : status;
}

kvs_status keeper_take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                               struct segment **ret_segment, struct kvs_error *err)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = take_segment(db, bytes, removes_only, ret_segment, &error);
    if (status != KVS_OK)
        (void)kvs_error_set(err, status, error.os_errno, "%s", message);
    if (status == KVS_IO) /* of a sync, perhaps: none is tried again and believed */
        store_fail(db, &error);
    if (disk_is_short(status) || (status == KVS_OK && !removes_only))
        note_refusal(db, status, message);
    if (status == KVS_OK) {
        (void)pthread_mutex_lock(&db->keeper_lock);
        db->warming = *ret_segment;
        (void)pthread_cond_signal(&db->keeper_wanted);
        (void)pthread_mutex_unlock(&db->keeper_lock);
    }
    return status;
}

void keeper_look(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

/* ---- sealing ------------------------------------------------------------------------------ */

void keeper_seal_later(struct kvs_db *db, struct segment *segment)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    segment->next = db->unsealed;
    db->unsealed = segment;
    (void)pthread_mutex_unlock(&db->keeper_lock);
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
    if (db->warming == segment)
        db->warming = NULL;
    queue_push(&db->dropped, segment);
    (void)pthread_cond_signal(&db->keeper_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

kvs_status keeper_drop(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->manifest_lock);
    kvs_status status = keeper_mark_removing(db, segment->number, err);
    (void)pthread_mutex_unlock(&db->manifest_lock);
    if (status != KVS_OK)
        return status;
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->retiring++;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    publish_barrier(db);
    epoch_retire(db->epoch, &segment->retired, retired_run);
    return KVS_OK;
}

void keeper_discard_empty(struct kvs_db *db, struct segment *segment)
{
    if (segment == NULL || store_check_writable(db, NULL) != KVS_OK)
        return;
    segment_table_set(&db->table, segment->number, NULL);
    /* One that cannot be removed is found empty and removed at the next start. */
    (void)!keeper_remove(db, segment, NULL);
}

bool keeper_lend_spare(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    struct segment *spare = db->spare;
    set_spare(db, NULL);
    db->spare_lent = spare != NULL;
    if (spare != NULL)
        segment_table_set(&db->table, spare->number, NULL); /* nothing was ever read from it */
    while (spare != NULL && db->warmed_now == spare)
        (void)pthread_cond_wait(&db->keeper_done, &db->keeper_lock);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    /* One that cannot be removed is found empty and removed at the next start. */
    if (spare != NULL && keeper_remove(db, spare, NULL) == KVS_OK)
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
    if (disk_is_short(status) || status == KVS_READ_ONLY || status == KVS_CLOSED)
        return; /* met again by the writer that needs it, with a message for its caller */
    store_fail(db, error);
}

/* Each of these is called with keeper_lock held, and lets go of it while it works. */

static kvs_status remove_dropped(struct kvs_db *db, struct kvs_error *err)
{
    struct segment *segment = queue_pop(&db->dropped);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    kvs_status status = keeper_remove(db, segment, err);
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->dropped.done++;
    return status;
}

static kvs_status make_spare(struct kvs_db *db, struct kvs_error *err)
{
    struct segment *segment;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    kvs_status status =
        keeper_make_segment(db, db->segment_bytes, SEGMENT_APPENDED, db->zero_ahead, &segment, err);
    (void)pthread_mutex_lock(&db->keeper_lock);
    note_made(db, status, err);
    if (status != KVS_OK)
        return status;
    segment->warmed = db->zero_ahead ? segment->bytes : 0; /* zeros went through the cache */
    set_spare(db, segment);
    return status;
}

/* One in which nothing was ever written only takes space. */
static kvs_status seal_or_drop(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    (void)pthread_mutex_unlock(&db->keeper_lock);
    bool is_empty = segment->records == 0;
    kvs_status status = is_empty ? keeper_drop(db, segment, err) : keeper_seal(db, segment, err);
    if (is_empty && disk_is_short(status))
        keeper_seal_later(db, segment);
    (void)pthread_mutex_lock(&db->keeper_lock);
    return status;
}

static kvs_status seal_complete(struct kvs_db *db, struct kvs_error *err)
{
    kvs_status status = seal_or_drop(db, queue_pop(&db->complete), err);
    db->complete.done++;
    return status;
}

static kvs_status seal_later(struct kvs_db *db, struct kvs_error *err)
{
    struct segment *segment = db->unsealed;
    db->unsealed = segment->next;
    return seal_or_drop(db, segment, err);
}

/* The segment of which more is to be brought into memory ahead of the appender; NULL: none. */
static struct segment *to_be_warmed(const struct kvs_db *db)
{
    struct segment *segments[] = {db->warming, db->spare};
    for (unsigned i = 0; i < 2; i++) {
        struct segment *segment = segments[i];
        if (segment == NULL || !segment->writable)
            continue;
        uint64_t end = atomic_load_explicit(&segment->end, memory_order_relaxed);
        if (segment->warmed < end)
            segment->warmed = end / KEEPER_STEP_BYTES * KEEPER_STEP_BYTES;
        if (segment->warmed < segment->bytes && segment->warmed < end + WARM_AHEAD_BYTES)
            return segment;
    }
    return NULL;
}

static void warm(struct kvs_db *db, struct segment *segment)
{
    db->warmed_now = segment;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    segment_warm(segment, segment->warmed, KEEPER_STEP_BYTES);
    (void)pthread_mutex_lock(&db->keeper_lock);
    segment->warmed += KEEPER_STEP_BYTES;
    db->warmed_now = NULL;
}

/* Does one piece of work, the most urgent one: what an appender would wait for first, unless sealing and
   removing have fallen behind; then he who fills segments faster than they go makes his own. keeper_lock
   is held before and after, not meanwhile. False: there is none. */
static bool work_once(struct kvs_db *db, bool *ret_short)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = KVS_OK;
    bool writable = store_check_writable(db, NULL) == KVS_OK;
    struct segment *segment = db->keeper_stop ? NULL : to_be_warmed(db);
    bool may_make = writable && !*ret_short;
    bool wants_spare = may_make && db->spare == NULL && !db->spare_lent && !db->keeper_stop;
    bool is_behind = backlog(&db->complete) > BACKLOG_MAX || backlog(&db->dropped) > BACKLOG_MAX;
    if (segment != NULL) {
        warm(db, segment);
        // NOLINTNEXTLINE(bugprone-branch-clone): the order is what matters
    } else if (wants_spare && !is_behind) {
        status = make_spare(db, &error);
        *ret_short = disk_is_short(status);
    } else if (db->dropped.first != NULL && db->holds == 0) {
        status = remove_dropped(db, &error);
        *ret_short = false;
    } else if (db->complete.first != NULL && writable) {
        status = seal_complete(db, &error);
    } else if (wants_spare) {
        status = make_spare(db, &error);
        *ret_short = disk_is_short(status);
    } else if (may_make && db->unsealed != NULL) {
        status = seal_later(db, &error);
        *ret_short = status != KVS_OK;
    } else {
        return false;
    }
    if (status != KVS_OK)
        work_failed(db, status, &error);
    return true;
}

static void keeper_sleep(struct kvs_db *db, bool *is_short)
{
    if (!*is_short) {
        (void)pthread_cond_wait(&db->keeper_wanted, &db->keeper_lock);
        return;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_MS / 1000;
    if (pthread_cond_timedwait(&db->keeper_wanted, &db->keeper_lock, &until) == ETIMEDOUT)
        *is_short = false;
}

static void *keeper_main(void *arg)
{
    struct kvs_db *db = arg;
    bool is_short = false;
    (void)pthread_mutex_lock(&db->keeper_lock);
    for (;;) {
        while (work_once(db, &is_short))
            (void)pthread_cond_broadcast(&db->keeper_done);
        (void)pthread_cond_broadcast(&db->keeper_done);
        if (db->keeper_stop)
            break;
        keeper_sleep(db, &is_short);
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return NULL;
}

kvs_status keeper_start(struct kvs_db *db, struct kvs_error *err)
{
    db->warming = db->active;
    set_spare(db, db->spare); /* as recovery left it */
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
