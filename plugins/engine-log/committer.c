/*
 * See committer.h. Whoever lets go of the append lock makes a leader where rounds are wanted and nobody
 * leads (appender.c, I5). A caller leads one round, in which its own write is; what was appended
 * meanwhile it leaves to the committer's thread. That goes on for as long as something is wanted, so while
 * writers are busy no thread has to be woken before the next sync can begin.
 *
 * I1  A round covers every frame whose append was over when it took the list of writes: the list, the
 *     rolled segments and the end of the active one are read under the append lock at one moment,
 *     and whatever is appended afterwards belongs to the round with the next number.
 * I2  Nothing of a round is published or completed before all its segments are synced. After a failed
 *     sync nobody knows what the disk has: the store turns read-only, the round's writes fail, and no
 *     sync is tried again.
 * I3  A record leaves the pending table after it is in the index, so a condition that is decided
 *     meanwhile finds it in one of the two.
 * I4  One round at a time: leadership changes under the append lock, and is given up, or used for the
 *     next round, when the round's writes are complete. So rounds end in the order of their numbers,
 *     and who waits for the end of one finds its write complete.
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
    uint64_t number;
};

/* The append lock is held. */
static void round_take(struct kvs_db *db, struct round *ret)
{
    /* An interval that is over must not be put off by rounds that are there for something else. */
    bool with_active =
        db->sync_wanted || db->unsynced_first != NULL || db->durability == KVS_DURABILITY_INTERVAL;
    *ret = (struct round){
        .writes = db->unsynced_first,
        .rolled = db->rolled,
        .active = with_active ? db->active : NULL,
        .sequence = db->sequence,
        .number = db->round++,
    };
    if (ret->active != NULL)
        ret->active_end = atomic_load_explicit(&ret->active->end, memory_order_relaxed);
    db->unsynced_first = db->unsynced_last = NULL;
    db->rolled = NULL;
    db->sync_wanted = false;
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

/* Runs a round that was taken. The caller leads. */
static void round_run(struct kvs_db *db, struct round *round)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = round_sync(db, round, &error);
    if (status == KVS_OK) {
        epoch_begin();
        for (const struct write *each = round->writes; each != NULL; each = each->next)
            publish_write(db, each);
        epoch_end();
    } else if (status != KVS_READ_ONLY) {
        store_fail(db, &error); /* I2 */
    }
    (void)pthread_mutex_lock(&db->append_lock);
    forget_pending(db, round->writes, status == KVS_OK); /* I3 */
    if (status == KVS_OK)
        note_durable(db, round);
    appender_unlock(db);
    if (round->rolled != NULL)
        keeper_take_complete(db, round->rolled, status == KVS_OK);
    complete_all(round->writes, status, &error);
    rounds_end(&db->rounds, round->number); /* I4 */
}

/* ---- leading ------------------------------------------------------------------------------ */

bool committer_is_wanted(const struct kvs_db *db)
{
    return db->unsynced_first != NULL || db->rolled != NULL || db->sync_wanted;
}

void committer_lead(struct kvs_db *db)
{
    struct round round;
    (void)pthread_mutex_lock(&db->append_lock);
    round_take(db, &round);
    appender_unlock(db);
    round_run(db, &round);
    (void)pthread_mutex_lock(&db->append_lock);
    db->leader = LEADER_NONE;
    appender_unlock(db);
}

void committer_call(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->commit_lock);
    db->commit_called = true;
    (void)pthread_cond_signal(&db->commit_wanted);
    (void)pthread_mutex_unlock(&db->commit_lock);
}

kvs_status committer_sync(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->append_lock);
    db->sync_wanted = true;
    uint64_t round = db->round;
    if (appender_unlock_to_wait(db))
        committer_lead(db);
    else
        rounds_wait(&db->rounds, round);
    return store_check_writable(db, err); /* no round fails and leaves it so */
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

/* Leads for as long as something is wanted. */
static void lead_on(struct kvs_db *db)
{
    struct round round;
    (void)pthread_mutex_lock(&db->append_lock);
    while (committer_is_wanted(db)) {
        round_take(db, &round);
        appender_unlock(db);
        round_run(db, &round);
        (void)pthread_mutex_lock(&db->append_lock);
    }
    db->leader = LEADER_NONE;
    appender_unlock(db);
}

/* Asks for a round that makes durable what there is. */
static void want_sync(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->append_lock);
    db->sync_wanted = true;
    appender_unlock(db);
}

static void *committer_main(void *arg)
{
    struct kvs_db *db = arg;
    bool by_interval = db->durability == KVS_DURABILITY_INTERVAL;
    struct timespec due;
    interval_end(&due, db->sync_interval_ms);
    (void)pthread_mutex_lock(&db->commit_lock);
    for (;;) {
        bool is_due = false;
        while (!db->commit_called && !db->committer_stop && !is_due) {
            if (by_interval)
                is_due =
                    pthread_cond_timedwait(&db->commit_wanted, &db->commit_lock, &due) == ETIMEDOUT;
            else
                (void)pthread_cond_wait(&db->commit_wanted, &db->commit_lock);
        }
        bool is_called = db->commit_called;
        if (!is_called && db->committer_stop)
            break;
        db->commit_called = false;
        (void)pthread_mutex_unlock(&db->commit_lock);
        if (is_called)
            lead_on(db);
        if (is_due) {
            want_sync(db);
            interval_end(&due, db->sync_interval_ms);
        }
        (void)pthread_mutex_lock(&db->commit_lock);
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
    (void)pthread_mutex_lock(&db->append_lock);
    db->committer_runs = true;
    appender_unlock(db);
    return KVS_OK;
}

void committer_stop(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->append_lock);
    bool ran = db->committer_runs;
    db->committer_runs = false;
    appender_unlock(db);
    if (!ran)
        return;
    (void)pthread_mutex_lock(&db->commit_lock);
    db->committer_stop = true;
    (void)pthread_cond_signal(&db->commit_wanted);
    (void)pthread_mutex_unlock(&db->commit_lock);
    (void)pthread_join(db->committer, NULL);
}
