/*
 * See committer.h.
 *
 * I1  A round covers every frame whose append was over when it took the list of writes: the list, the
 *     rolled segments and the end of the active one are read under the append lock at one moment.
 * I2  Nothing of a round is published or completed before all its segments are synced. After a failed
 *     sync nobody knows what the disk has: the store turns read-only, the round's writes fail, and no
 *     sync is tried again.
 * I3  A record leaves the pending table after it is in the index, so a condition that is decided
 *     meanwhile finds it in one of the two.
 */
#include "committer.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "appender.h"
#include "keeper.h"
#include "publish.h"

/* What one round is about. */
struct round {
    struct write *writes;
    struct segment *rolled; /* newest first */
    struct segment *active; /* NULL: not to be synced */
    uint64_t active_end;
    uint64_t sequence; /* all below it are covered */
};

static void round_take(struct kvs_db *db, bool with_active, struct round *ret)
{
    (void)pthread_mutex_lock(&db->append_lock);
    ret->writes = db->unsynced_first;
    db->unsynced_first = db->unsynced_last = NULL;
    ret->rolled = db->rolled;
    db->rolled = NULL;
    ret->active = with_active || ret->writes != NULL ? db->active : NULL;
    if (ret->active != NULL)
        ret->active_end = atomic_load_explicit(&ret->active->end, memory_order_relaxed);
    ret->sequence = db->sequence;
    appender_unlock(db);
}

static kvs_status sync_segment(struct kvs_db *db, struct segment *segment, uint64_t end,
                               struct kvs_error *err)
{
    if (atomic_load_explicit(&segment->durable_end, memory_order_acquire) >= end)
        return KVS_OK;
    (void)atomic_fetch_add_explicit(&db->syncs, 1, memory_order_relaxed);
    kvs_status status = disk_file_sync(segment->file, err);
    if (status == KVS_OK && segment_failed(segment)) /* I2: what was written may be nowhere */
        status = segment_say_failed(segment, err);
    if (status == KVS_OK)
        atomic_store_explicit(&segment->durable_end, end, memory_order_release);
    return status;
}

static kvs_status round_sync(struct kvs_db *db, const struct round *round, struct kvs_error *err)
{
    kvs_status status = store_check_writable(db, err);
    for (struct segment *each = round->rolled; each != NULL && status == KVS_OK; each = each->next)
        status =
            sync_segment(db, each, atomic_load_explicit(&each->end, memory_order_acquire), err);
    if (status == KVS_OK && round->active != NULL)
        status = sync_segment(db, round->active, round->active_end, err);
    return status;
}

static void publish_write(struct kvs_db *db, const struct write *write)
{
    const struct pending_record *first = write->records;
    if (first == NULL)
        return;
    if (first->next == NULL) {
        publish_one(db, &first->placed);
        return;
    }
    publish_begin(db, first->placed.sequence);
    for (const struct pending_record *each = first; each != NULL; each = each->next)
        publish_add(db, &each->placed);
    publish_end(db);
    for (const struct pending_record *each = first; each != NULL; each = each->next)
        publish_settle(db, &each->placed);
}

/* Takes the records out of the pending table; of a failed round, with their reservations. */
static void forget_pending(struct kvs_db *db, struct write *writes, bool published)
{
    for (struct write *write = writes; write != NULL; write = write->next) {
        struct pending_record *record = write->records;
        while (record != NULL) {
            struct pending_record *next = record->next;
            if (!published && record->placed.reserved)
                index_unreserve(db->index, &record->placed.hash, 1);
            pending_remove(&db->pending, record);
            record = next;
        }
        write->records = NULL;
    }
}

static void complete_all(struct write *writes, kvs_status status, const struct kvs_error *cause)
{
    for (struct write *each = writes; each != NULL;) {
        struct write *next = each->next; /* the batch is gone once it is complete */
        struct kvs_batch *batch = batch_of(each);
        kvs_status result = status == KVS_OK ? each->status : status;
        if (status != KVS_OK)
            (void)kvs_error_set(batch->err, status, cause->os_errno, "%s", cause->msg);
        batch->complete(batch->arg, batch, result);
        each = next;
    }
}

/* The append lock is held. */
static void note_durable(struct kvs_db *db, const struct round *round)
{
    uint64_t durable = atomic_load_explicit(&db->durable_sequence, memory_order_relaxed);
    if (round->active != NULL)
        durable = round->sequence - 1;
    else if (round->rolled != NULL && round->rolled->sequence_max > durable)
        durable = round->rolled->sequence_max;
    atomic_store_explicit(&db->durable_sequence, durable, memory_order_release);
}

/* Runs one round. The caller leads. */
static kvs_status run_round(struct kvs_db *db, bool with_active)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct round round = {.active_end = 0};
    round_take(db, with_active, &round);
    kvs_status status = round_sync(db, &round, &error);
    if (status == KVS_OK) {
        epoch_begin();
        for (const struct write *each = round.writes; each != NULL; each = each->next)
            publish_write(db, each);
        epoch_end();
    } else if (status != KVS_READ_ONLY) {
        store_fail(db, &error); /* I2 */
    }
    (void)pthread_mutex_lock(&db->append_lock);
    forget_pending(db, round.writes, status == KVS_OK); /* I3 */
    if (status == KVS_OK)
        note_durable(db, &round);
    appender_unlock(db);
    if (round.rolled != NULL)
        keeper_take_complete(db, round.rolled, status == KVS_OK);
    complete_all(round.writes, status, &error);
    return status;
}

/* ---- leading ------------------------------------------------------------------------------ */

/* Runs a round as the leader. commit_lock is held before and after, not meanwhile. */
static kvs_status lead(struct kvs_db *db, bool with_active)
{
    /* So that no other round puts off the one that is due. */
    with_active = with_active || db->durability == KVS_DURABILITY_INTERVAL;
    db->leading = true;
    db->round_wanted = false;
    db->rolled_wanted = false;
    (void)pthread_mutex_unlock(&db->commit_lock);
    kvs_status status = run_round(db, with_active);
    (void)pthread_mutex_lock(&db->commit_lock);
    db->leading = false;
    if (db->waiting > 0)
        (void)pthread_cond_broadcast(&db->commit_done);
    if ((db->round_wanted || db->rolled_wanted) && db->committer_runs)
        (void)pthread_cond_signal(&db->commit_wanted);
    return status;
}

void committer_want_round(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->commit_lock);
    if (!db->round_wanted) {
        db->round_wanted = true;
        if (!db->leading)
            (void)pthread_cond_signal(&db->commit_wanted);
    }
    (void)pthread_mutex_unlock(&db->commit_lock);
}

void committer_want_rolled(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->commit_lock);
    db->rolled_wanted = true;
    if (!db->leading)
        (void)pthread_cond_signal(&db->commit_wanted);
    (void)pthread_mutex_unlock(&db->commit_lock);
}

void committer_wait(struct kvs_db *db, const kvs_status *status)
{
    (void)pthread_mutex_lock(&db->commit_lock);
    db->waiting++;
    while (*status == KVS_PENDING) {
        if (db->leading)
            (void)pthread_cond_wait(&db->commit_done, &db->commit_lock);
        else
            (void)lead(db, false);
    }
    db->waiting--;
    (void)pthread_mutex_unlock(&db->commit_lock);
}

kvs_status committer_sync(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->commit_lock);
    db->waiting++;
    while (db->leading)
        (void)pthread_cond_wait(&db->commit_done, &db->commit_lock);
    kvs_status status = lead(db, true);
    db->waiting--;
    (void)pthread_mutex_unlock(&db->commit_lock);
    return status == KVS_OK ? KVS_OK : store_check_writable(db, err);
}

/* ---- the thread --------------------------------------------------------------------------- */

static void interval_end(struct timespec *ret, uint64_t interval_ms)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_sec += (time_t)(interval_ms / 1000);
    ret->tv_nsec += (long)(interval_ms % 1000) * 1000000L;
    if (ret->tv_nsec >= 1000000000L) {
        ret->tv_sec++;
        ret->tv_nsec -= 1000000000L;
    }
}

static void *committer_main(void *arg)
{
    struct kvs_db *db = arg;
    bool by_interval = db->durability == KVS_DURABILITY_INTERVAL;
    struct timespec due;
    interval_end(&due, db->sync_interval_ms);
    (void)pthread_mutex_lock(&db->commit_lock);
    while (!db->committer_stop) {
        bool is_due = false;
        if (!db->leading && (db->round_wanted || db->rolled_wanted)) {
            (void)lead(db, false);
            continue;
        }
        if (by_interval)
            is_due =
                pthread_cond_timedwait(&db->commit_wanted, &db->commit_lock, &due) == ETIMEDOUT;
        else
            (void)pthread_cond_wait(&db->commit_wanted, &db->commit_lock);
        if (is_due) {
            db->round_wanted = true; /* at once, or when the leader of now is done */
            interval_end(&due, db->sync_interval_ms);
        }
    }
    (void)pthread_mutex_unlock(&db->commit_lock);
    return NULL;
}

kvs_status committer_start(struct kvs_db *db, struct kvs_error *err)
{
    int error = pthread_create(&db->committer, NULL, committer_main, db);
    if (error != 0)
        return kvs_error_set(err, KVS_NO_MEMORY, error, "cannot start the committer's thread: %s",
                             strerror(error));
    db->committer_runs = true;
    return KVS_OK;
}

void committer_stop(struct kvs_db *db)
{
    if (!db->committer_runs)
        return;
    (void)pthread_mutex_lock(&db->commit_lock);
    db->committer_stop = true;
    (void)pthread_cond_signal(&db->commit_wanted);
    (void)pthread_mutex_unlock(&db->commit_lock);
    (void)pthread_join(db->committer, NULL);
    db->committer_runs = false;
}
