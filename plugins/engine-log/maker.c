/*
 * See maker.h. The appender that finds no spare asks for a segment and goes on without waiting: its batches
 * stay in line (appender.c, I5) until the maker has one, or says why it has not.
 *
 * I1  Nobody holds append_lock or keeper_lock while a segment is made.
 * I2  What is asked for is answered, whatever happens: wanted_bytes and `making` are set together under
 *     keeper_lock, and when they are 0 again the maker takes the append lock once, which lets what waits go
 *     on. There is one request at a time.
 * I3  There is one spare. A write that makes the store larger takes it only if the disk has room for
 *     another one, so removing and compacting still work on a full disk. That the process will be out
 *     of descriptors or memory nobody can tell before: as long as there is no spare, such a write leaves
 *     a part of the active segment to those that remove (appender.c).
 * I4  Zeros are written ahead of use only as long as nobody waits: a segment that is asked for gets no
 *     more of them. So what a writer waits for is a few syncs, however large segments are.
 * I5  Who fills segments faster than they are sealed and removed finds no spare, and waits for each.
 */
#include "maker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appender.h"
#include "keeper.h"

#define PAGE_BYTES  UINT64_C(4096)
#define BACKLOG_MAX 1u /* segments that may wait to be sealed, or removed, while a spare is made */
#define RETRY_MS    1000 /* between tries to make a spare when something is short */
#define NS_PER_MS   UINT64_C(1000000)
#define NS_PER_S    UINT64_C(1000000000)

/* ---- what is there (keeper_lock is held) -------------------------------------------------- */

static void set_spare(struct kvs_db *db, struct segment *spare)
{
    db->spare = spare;
    atomic_store_explicit(&db->has_no_spare, spare == NULL, memory_order_relaxed);
}

static struct segment *take_spare(struct kvs_db *db)
{
    struct segment *spare = db->spare;
    set_spare(db, NULL);
    return spare;
}

static struct segment *take_large(struct kvs_db *db, uint64_t needed)
{
    struct segment *large = db->large;
    if (large == NULL || large->bytes < needed)
        return NULL;
    db->large = NULL;
    return large;
}

static bool is_behind(const struct kvs_db *db)
{
    return db->complete.pushed - db->complete.done > BACKLOG_MAX ||
           db->dropped.pushed - db->dropped.done > BACKLOG_MAX;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void note_failure(struct make_failure *failure, kvs_status status,
                         const struct kvs_error *error)
{
    failure->status = status;
    if (status == KVS_OK)
        return;
    failure->os_errno = error->os_errno;
    failure->until_ns = now_ns() + RETRY_MS * NS_PER_MS;
    (void)snprintf(failure->message, sizeof(failure->message), "%s", error->msg);
}

static kvs_status give_failure(const struct make_failure *failure, struct kvs_error *err)
{
    return kvs_error_set(err, failure->status, failure->os_errno, "%s", failure->message);
}

/* ---- the appender's side ------------------------------------------------------------------ */

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

/* Asks for a segment of so many bytes, unless that has just failed. keeper_lock is held. */
static kvs_status ask(struct kvs_db *db, uint64_t needed, struct kvs_error *err)
{
    struct make_failure *answer = &db->make_answer;
    if (db->maker_stop || !db->maker_runs)
        return kvs_error_set(err, KVS_CLOSED, 0, "the store is closing");
    if (answer->status != KVS_OK) { /* of the request before: told once, then tried again */
        kvs_status status = give_failure(answer, err);
        answer->status = KVS_OK;
        return status;
    }
    if (db->make_failure.status == KVS_NO_MEMORY && now_ns() < db->make_failure.until_ns)
        return give_failure(&db->make_failure, err);
    db->wanted_bytes = needed; /* I2 */
    atomic_store_explicit(&db->making, 1, memory_order_relaxed);
    atomic_store_explicit(&db->maker_hurry, 1, memory_order_relaxed); /* I4 */
    (void)pthread_cond_signal(&db->maker_wanted);
    return KVS_BUSY;
}

static kvs_status take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                               struct segment **ret_segment, struct kvs_error *err)
{
    uint64_t needed = SEGMENT_HEADER_BYTES + bytes;
    bool is_large =
        needed > db->segment_bytes; /* a value too large for a segment: one of its own */
    if (!is_large && !removes_only && !has_room_for_another(db))
        return full(err);
    needed = is_large ? (needed + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES : db->segment_bytes;
    (void)pthread_mutex_lock(&db->keeper_lock);
    kvs_status status = KVS_OK;
    struct segment *segment = is_large ? take_large(db, needed) : take_spare(db);
    if (segment != NULL) {
        *ret_segment = segment;
        db->make_answer.status = KVS_OK;
        db->warming = segment;
        (void)pthread_cond_signal(&db->maker_wanted);
        (void)pthread_cond_signal(&db->keeper_wanted);
    } else {
        status = db->wanted_bytes != 0 ? KVS_BUSY : ask(db, needed, err);
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return status == KVS_NO_SPACE && !is_large ? full(err) : status;
}

kvs_status maker_take_segment(struct kvs_db *db, uint64_t bytes, bool removes_only,
                              struct segment **ret_segment, struct kvs_error *err)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = take_segment(db, bytes, removes_only, ret_segment, &error);
    if (status < 0)
        (void)kvs_error_set(err, status, error.os_errno, "%s", message);
    if (disk_is_short(status) || (status == KVS_OK && !removes_only))
        note_refusal(db, status, message);
    return status;
}

void maker_await(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    while (db->wanted_bytes != 0)
        (void)pthread_cond_wait(&db->maker_done, &db->keeper_lock);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

/* ---- the spare's space -------------------------------------------------------------------- */

void maker_look(struct kvs_db *db)
{
    db->make_failure.until_ns = 0;
    (void)pthread_cond_signal(&db->maker_wanted);
}

bool maker_lend_spare(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    struct segment *spare = take_spare(db);
    db->spare_lent = spare != NULL;
    if (spare != NULL)
        segment_table_set(&db->table, spare->number, NULL); /* nothing was ever read from it */
    while (spare != NULL && db->warmed_now == spare)
        (void)pthread_cond_wait(&db->keeper_done, &db->keeper_lock);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    /* One that cannot be removed is found empty and removed at the next start. */
    if (spare != NULL && keeper_remove(db, spare, NULL) == KVS_OK)
        return true;
    maker_return_spare(db);
    return false;
}

void maker_return_spare(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->spare_lent = false;
    (void)pthread_cond_signal(&db->maker_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
}

void maker_discard(struct kvs_db *db)
{
    keeper_discard_empty(db, db->spare);
    keeper_discard_empty(db, db->large);
    db->spare = NULL;
    db->large = NULL;
}

/* ---- the thread: keeper_lock is held, and let go of while something is made ---------------- */

/* Makes a segment of so many bytes and puts it where it is taken from. is_asked_for: the answer is for the
   appender. */
static void make(struct kvs_db *db, uint64_t bytes, bool is_asked_for)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct segment *segment = NULL;
    atomic_store_explicit(&db->maker_hurry, is_asked_for, memory_order_relaxed);
    (void)pthread_mutex_unlock(&db->keeper_lock); /* I1 */
    kvs_status status =
        keeper_make_segment(db, bytes, SEGMENT_APPENDED, 0, db->zero_ahead, &segment, &error);
    if (status < 0 && !disk_is_short(status) && status != KVS_READ_ONLY && status != KVS_CLOSED)
        store_fail(db, &error); /* of a sync, perhaps: none is tried again and believed */
    (void)pthread_mutex_lock(&db->keeper_lock);
    note_failure(&db->make_failure, status, &error);
    if (is_asked_for)
        note_failure(&db->make_answer, status, &error);
    if (status == KVS_OK && bytes > db->segment_bytes)
        db->large = segment;
    else if (status == KVS_OK)
        set_spare(db, segment);
    (void)pthread_cond_signal(&db->keeper_wanted); /* it is to be warmed */
}

/* One that was made for a write that never took it. */
static void remove_large(struct kvs_db *db)
{
    struct segment *large = db->large;
    db->large = NULL;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    keeper_discard_empty(db, large);
    (void)pthread_mutex_lock(&db->keeper_lock);
}

static void answer(struct kvs_db *db)
{
    uint64_t bytes = db->wanted_bytes;
    bool is_large = bytes > db->segment_bytes;
    if (store_check_writable(db, NULL) == KVS_OK && !db->maker_stop) {
        if (is_large && db->large != NULL)
            remove_large(db);
        if (is_large || db->spare == NULL)
            make(db, bytes, true);
    }
    db->wanted_bytes = 0;
    atomic_store_explicit(&db->making, 0, memory_order_release);
    (void)pthread_cond_broadcast(&db->maker_done);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    (void)pthread_mutex_lock(&db->append_lock);
    appender_unlock(db); /* I2 */
    (void)pthread_mutex_lock(&db->keeper_lock);
}

static bool wants_spare(struct kvs_db *db)
{
    return db->spare == NULL && !db->spare_lent && !is_behind(db) &&
           store_check_writable(db, NULL) == KVS_OK;
}

/* Waits for something to do. retry: at the latest when a failure may be tried again. */
static void wait_for_work(struct kvs_db *db, bool retry)
{
    uint64_t until_ns = db->make_failure.until_ns;
    struct timespec until = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
    if (retry)
        (void)pthread_cond_timedwait(&db->maker_wanted, &db->keeper_lock, &until);
    else
        (void)pthread_cond_wait(&db->maker_wanted, &db->keeper_lock);
}

static void *maker_main(void *arg)
{
    struct kvs_db *db = arg;
    (void)pthread_mutex_lock(&db->keeper_lock);
    while (!db->maker_stop || db->wanted_bytes != 0) {
        bool is_lent = db->spare_lent && db->wanted_bytes <= db->segment_bytes && !db->maker_stop;
        bool may_try = db->make_failure.status == KVS_OK || now_ns() >= db->make_failure.until_ns;
        if (db->wanted_bytes != 0 && !is_lent)
            answer(db);
        else if (wants_spare(db) && may_try)
            make(db, db->segment_bytes, false);
        else
            wait_for_work(db, wants_spare(db));
    }
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return NULL;
}

kvs_status maker_start(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->keeper_lock); /* the keeper runs already */
    set_spare(db, db->spare);                   /* as recovery left it */
    int error = pthread_create(&db->maker, NULL, maker_main, db);
    db->maker_runs = error == 0;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    if (error != 0)
        return kvs_error_set(err, KVS_NO_MEMORY, error, "cannot start the maker's thread: %s",
                             strerror(error));
    return KVS_OK;
}

void maker_stop(struct kvs_db *db)
{
    if (!db->maker_runs)
        return;
    atomic_store_explicit(&db->maker_cancel, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&db->keeper_lock);
    db->maker_stop = true;
    (void)pthread_cond_signal(&db->maker_wanted);
    (void)pthread_mutex_unlock(&db->keeper_lock);
    (void)pthread_join(db->maker, NULL);
    db->maker_runs = false;
}
