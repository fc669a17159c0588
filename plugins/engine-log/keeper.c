/*
 * See keeper.h. Here is the thread and what it has in hand; keeper_segment.c does the work on segments and
 * in the manifest. Segments are made by maker.c.
 *
 * I0  Nobody holds keeper_lock while he waits for the disk, so a writer that takes the spare does not
 *     wait for a sync either. manifest_lock is held while the manifest is synced.
 * I1  A segment is in the manifest, durably, before anything is appended to it, and its name is in the
 *     folder, durably, before the manifest names it. So what the manifest does not name is a leftover
 *     of a crash, and holds nothing.
 * I2  A segment is marked as removing in the manifest, durably, before its file is removed, and stays
 *     there until the file is gone: its number is not given out before, so no file is emptied under
 *     a mapping.
 * I3  There is one spare: see maker.c.
 * I4  A dropped segment leaves the table only after a grace period: a reader that found one of its
 *     places before still looks it up.
 * I5  Of the sealed segments' entries in the manifest, the one with the largest sequence number stays
 *     there (as removing) also when its file is gone: it says where the sequence went on, so that
 *     recovery knows a lost write from a dropped segment, and gives out no number twice.
 */
#include "keeper.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "compactor.h"
#include "maker.h"
#include "publish.h"

#define RETRY_MS 1000 /* between tries to seal, when something is short */

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

/* Does one piece of work, the most urgent one: what an appender would wait for first. keeper_lock is held
   before and after, not meanwhile. False: there is none. */
static bool work_once(struct kvs_db *db, bool *ret_short)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = KVS_OK;
    bool writable = store_check_writable(db, NULL) == KVS_OK;
    struct segment *segment = db->keeper_stop ? NULL : to_be_warmed(db);
    if (segment != NULL) {
        warm(db, segment);
    } else if (db->dropped.first != NULL && db->holds == 0) {
        status = remove_dropped(db, &error);
        *ret_short = false;
        maker_look(db);
    } else if (db->complete.first != NULL && writable) {
        status = seal_complete(db, &error);
    } else if (writable && !*ret_short && db->unsealed != NULL) {
        status = seal_later(db, &error);
        *ret_short = status != KVS_OK;
    } else {
        return false;
    }
    if (status != KVS_OK)
        work_failed(db, status, &error);
    return true;
}

/* Space changes with what is appended and with what is removed, and both come by here. */
static void let_compactor_look(struct kvs_db *db)
{
    (void)pthread_mutex_unlock(&db->keeper_lock);
    compactor_look(db);
    (void)pthread_mutex_lock(&db->keeper_lock);
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
    bool has_looked = false;
    (void)pthread_mutex_lock(&db->keeper_lock);
    for (;;) {
        while (work_once(db, &is_short)) {
            (void)pthread_cond_broadcast(&db->keeper_done);
            (void)pthread_cond_signal(
                &db->maker_wanted); /* it may have waited for us to catch up */
        }
        (void)pthread_cond_broadcast(&db->keeper_done);
        if (db->keeper_stop)
            break;
        if (has_looked)
            keeper_sleep(db, &is_short);
        else
            let_compactor_look(db);
        has_looked = !has_looked;
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return NULL;
}

kvs_status keeper_start(struct kvs_db *db, struct kvs_error *err)
{
    db->warming = db->active;
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
