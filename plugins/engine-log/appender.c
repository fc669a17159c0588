/*
 * See appender.h. What happens to a batch, all under the append lock:
 *     decide   each operation against what is there (appender_decide.c);
 *     place    make room in the active segment (or roll to the next), number the records;
 *     write    one frame;
 *     publish  into the index at once; or with KVS_DURABILITY_ALWAYS leave that to the commit round
 *              that makes it durable (committer.c).
 *
 * I1  Frames are in the file in the order of their sequence numbers, and numbers have no gaps: they are
 *     given out only when the frame has its room.
 * I2  Before its frame is written, every set of a batch has either the key's slot or a reservation in
 *     the index: what is in the log can always be published. A slot that was found keeps being the
 *     key's until the batch is published, unless it waits for the disk or removes something itself.
 * I3  A decision that rests on a pending write (not durable yet) is not told to anybody before that
 *     write is durable: such a batch waits for the same commit round, even if it writes nothing.
 * I4  A batch that is queued is taken: who pushes it tries the lock afterwards, who lets go of the lock,
 *     for whatever reason it was held, looks at the queue afterwards.
 * I5  A batch that needs a segment which is being made is in line with all that came after it, and is
 *     decided anew when it is its turn: nothing of it was done. What is in line is looked at by whoever
 *     lets go of the lock once `making` is 0.
 * I6  When nobody holds the lock and a commit round is wanted, somebody leads: who lets go of the lock makes
 *     itself the leader, if it waits for the disk anyway, or else the committer's thread.
 * I7  What is queued is appended before the batch of whoever gets the lock next: that may be the thread that
 *     queued it, and its batches take effect in the order of its calls.
 */
#include "appender.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appender_internal.h"
#include "committer.h"
#include "keeper.h"
#include "maker.h"
#include "publish.h"
#include "reader.h"

#define STAGED_MIN    ((uint64_t)256)
#define KEPT_SHARE    64u /* of a segment, for removes, while there is no other segment */
#define MIB           ((uint64_t)1 << 20)
#define PACE_LEAST_NS ((uint64_t)200000)  /* shorter waits are saved up */
#define PACE_MOST_NS  ((uint64_t)5000000) /* the longest wait of one call */

kvs_status appender_init(struct kvs_db *db, struct kvs_error *err)
{
    db->staged = malloc(STAGED_MIN * sizeof(*db->staged));
    if (db->staged == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    db->staged_cap = STAGED_MIN;
    db->round = 1;
    return KVS_OK;
}

void appender_deinit(struct kvs_db *db)
{
    free(db->staged);
    free(db->scratch);
    db->staged = NULL;
    db->scratch = NULL;
    pending_deinit(&db->pending);
}

/* ---- placing and writing ------------------------------------------------------------------ */

/* Makes `segment` the one that is appended to. */
static void activate(struct kvs_db *db, struct segment *segment)
{
    struct segment *before = db->active;
    db->active = segment;
    if (before == NULL)
        return;
    before->next = db->rolled;
    db->rolled = before;
}

/* What a write that makes the store larger must leave of the active segment (keeper.c, I3). */
static uint64_t kept_for_removes(const struct kvs_db *db)
{
    return atomic_load_explicit(&db->has_no_spare, memory_order_relaxed) != 0
               ? db->segment_bytes / KEPT_SHARE
               : 0;
}

/* Makes room for a frame of `bytes`. removes_only: may use up what is kept for a full disk. KVS_BUSY: a
   segment is being made (I5). */
static kvs_status make_room(struct kvs_db *db, uint64_t bytes, bool removes_only,
                            struct kvs_error *err)
{
    uint64_t kept = removes_only ? 0 : kept_for_removes(db);
    if (segment_room(db->active) >= bytes + kept)
        return KVS_OK;
    struct segment *segment;
    kvs_status status = maker_take_segment(db, bytes, removes_only, &segment, err);
    if (status == KVS_OK)
        activate(db, segment);
    return status;
}

/* Where the frame is put together: in place, or where the segment is not mapped for writing in a
   buffer. NULL: out of memory. */
static uint8_t *frame_memory(struct kvs_db *db, uint64_t offset, uint64_t bytes)
{
    if (db->active->writable)
        return db->active->memory + offset;
    if (bytes > db->scratch_cap) {
        uint8_t *larger = realloc(db->scratch, bytes);
        if (larger == NULL)
            return NULL;
        db->scratch = larger;
        db->scratch_cap = bytes;
    }
    return db->scratch;
}

/* Writes the staged operations as one frame at the end of the active segment, numbering them. */
static kvs_status write_frame(struct kvs_db *db, const struct batch_plan *plan, uint64_t bytes)
{
    struct segment *segment = db->active;
    uint64_t offset = atomic_load_explicit(&segment->end, memory_order_relaxed);
    uint8_t *frame = frame_memory(db, offset, bytes);
    if (frame == NULL)
        return kvs_error_set(plan->batch->err, KVS_NO_MEMORY, 0, "out of memory");
    uint64_t at = FRAME_HEADER_BYTES;
    for (uint64_t i = 0; i < plan->count; i++) {
        struct placed *placed = &db->staged[i].placed;
        struct record record = {
            .sequence = db->sequence + i,
            .kind = placed->op->kind == KVS_OP_SET ? RECORD_SET : RECORD_TOMBSTONE,
            .key = placed->op->key,
        };
        if (record.kind == RECORD_SET)
            record.value = placed->op->value;
        (void)record_write(frame + at, segment->salt, &record);
        placed->place = place_make(segment->number, offset + at);
        placed->sequence = record.sequence;
        at += placed->bytes;
    }
    assert(at == bytes);
    struct frame_header header = {
        .bytes = (uint32_t)bytes,
        .records = (uint32_t)plan->count,
        .sequence = db->sequence,
        .durable_sequence = atomic_load_explicit(&db->durable_sequence, memory_order_relaxed),
    };
    frame_write_header(frame, segment->salt, &header);
    if (!segment->writable) {
        char message[STORE_FAULT_MAX] = "";
        struct kvs_error error = KVS_ERROR_INIT(message);
        kvs_status status = disk_file_write(segment->file, offset, frame, bytes, &error);
        if (status == KVS_IO)
            store_fail(db, &error);
        if (status != KVS_OK)
            return kvs_error_set(plan->batch->err, status, error.os_errno, "%s", message);
    }
    for (uint64_t i = 0; i < plan->count; i++)
        segment_count_record(segment, db->sequence + i);
    db->sequence += plan->count; /* I1 */
    db->appended_records += plan->count;
    db->appended_bytes += bytes;
    uint64_t pace_ns = atomic_load_explicit(&db->pace_ns_per_mib, memory_order_relaxed);
    /* Once compaction has caught up, what is left of the debt is let go. */
    db->pace_debt_ns = pace_ns != 0 ? db->pace_debt_ns + bytes * pace_ns / MIB : 0;
    atomic_store_explicit(&segment->end, offset + bytes, memory_order_release);
    if (offset / KEEPER_STEP_BYTES != (offset + bytes) / KEEPER_STEP_BYTES)
        keeper_look(db);
    return KVS_OK;
}

static bool only_removes(const struct kvs_db *db, const struct batch_plan *plan)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        if (db->staged[i].placed.op->kind != KVS_OP_REMOVE)
            return false;
    }
    return true;
}

static kvs_status place_and_write(struct kvs_db *db, struct batch_plan *plan)
{
    uint64_t bytes = FRAME_HEADER_BYTES + plan->bytes;
    kvs_status status = make_room(db, bytes, only_removes(db, plan), plan->batch->err);
    if (status == KVS_OK)
        status = write_frame(db, plan, bytes);
    if (status != KVS_OK)
        appender_forget_staged(db, plan);
    return status;
}

/* ---- publishing and waiting --------------------------------------------------------------- */

static void publish_staged(struct kvs_db *db, struct batch_plan *plan)
{
    if (plan->count == 1) {
        publish_one(db, &db->staged[0].placed);
    } else {
        publish_begin(db, db->staged[0].placed.sequence);
        for (uint64_t i = 0; i < plan->count; i++)
            publish_add(db, &db->staged[i].placed);
        publish_end(db);
        for (uint64_t i = 0; i < plan->count; i++)
            publish_settle(db, &db->staged[i].placed);
    }
    for (uint64_t i = 0; i < plan->count; i++) {
        if (db->staged[i].pending != NULL)
            pending_remove(&db->pending, db->staged[i].pending);
    }
}

/* Puts the batch on the list of those that wait for the disk. */
static void wait_for_disk(struct kvs_db *db, struct batch_plan *plan, bool publish_later)
{
    struct write *write = write_of(plan->batch);
    write->next = NULL;
    write->records = NULL;
    write->status = plan->status;
    struct pending_record **last = &write->records;
    for (uint64_t i = 0; publish_later && i < plan->count; i++) {
        struct pending_record *record = db->staged[i].pending;
        record->placed = db->staged[i].placed;
        record->next = NULL;
        *last = record;
        last = &record->next;
    }
    if (db->unsynced_last != NULL)
        db->unsynced_last->next = write;
    else
        db->unsynced_first = write;
    db->unsynced_last = write;
}

/* Does everything for one batch. KVS_PENDING: it waits for the disk. KVS_BUSY: nothing was done (I5). */
static kvs_status append(struct kvs_db *db, struct kvs_batch *batch)
{
    struct batch_plan plan = {.batch = batch};
    plan.status = store_check_writable(db, batch->err);
    if (plan.status != KVS_OK)
        return plan.status;
    if (db->active == NULL)
        return kvs_error_set(batch->err, KVS_CLOSED, 0, "the store is closing");
    epoch_begin();
    plan.status = appender_decide(db, &plan);
    if (plan.status == KVS_OK && plan.count > 0) {
        plan.status = place_and_write(db, &plan);
        if (plan.status == KVS_OK && db->durability != KVS_DURABILITY_ALWAYS)
            publish_staged(db, &plan);
    }
    epoch_end();
    if (plan.status < 0 || plan.status == KVS_BUSY)
        return plan.status;
    bool always = db->durability == KVS_DURABILITY_ALWAYS;
    if (plan.waits || (plan.count > 0 && (always || (batch->flags & KVS_BATCH_DURABLE) != 0))) {
        wait_for_disk(db, &plan, always);
        return KVS_PENDING;
    }
    return plan.status;
}

/* ---- the queue ---------------------------------------------------------------------------- */

static void queue_push(struct kvs_db *db, struct write *write)
{
    struct write *head = atomic_load_explicit(&db->queued, memory_order_relaxed);
    do
        write->next = head;
    while (!atomic_compare_exchange_weak_explicit(&db->queued, &head, write, memory_order_seq_cst,
                                                  memory_order_relaxed));
}

/* Takes all that is queued, oldest first. */
static struct write *queue_take(struct kvs_db *db)
{
    struct write *newest = atomic_exchange_explicit(&db->queued, NULL, memory_order_seq_cst);
    struct write *oldest = NULL;
    while (newest != NULL) {
        struct write *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Fetches what the keys of the batch hold now, all at once. */
static void prefetch(struct kvs_db *db, const struct kvs_batch *batch)
{
    if (batch->op_count > 1)
        reader_prefetch(db, batch->ops, batch->op_count);
}

/* Puts a batch in line for a segment (I5). */
static void stall(struct kvs_db *db, struct write *write)
{
    write->next = NULL;
    if (db->stalled_last != NULL)
        db->stalled_last->next = write;
    else
        db->stalled_first = write;
    db->stalled_last = write;
}

/* Appends a batch when it is its turn. KVS_PENDING: it waits for the disk, or is in line. */
static kvs_status append_in_turn(struct kvs_db *db, struct kvs_batch *batch)
{
    kvs_status status = db->stalled_first != NULL ? KVS_BUSY : append(db, batch);
    if (status != KVS_BUSY)
        return status;
    stall(db, write_of(batch));
    return KVS_PENDING;
}

/* Appends a list of batches. */
static void append_all(struct kvs_db *db, struct write *list)
{
    while (list != NULL) {
        struct write *next = list->next; /* the batch is gone once it is complete */
        struct kvs_batch *batch = batch_of(list);
        prefetch(db, batch); /* so far its records went to another CPU's cache */
        kvs_status status = append_in_turn(db, batch);
        if (status != KVS_PENDING)
            batch->complete(batch->arg, batch, status);
        list = next;
    }
}

/* Appends what is queued (I7). The lock is held. */
static void append_queued(struct kvs_db *db)
{
    /* Relaxed: what the caller pushed, or was told of, it sees, or that somebody has taken it. */
    if (atomic_load_explicit(&db->queued, memory_order_relaxed) != NULL)
        append_all(db, queue_take(db));
}

/* Appends what is in line, if it need not wait any more. */
static void append_stalled(struct kvs_db *db)
{
    if (db->stalled_first == NULL || atomic_load_explicit(&db->making, memory_order_acquire) != 0)
        return;
    struct write *list = db->stalled_first;
    db->stalled_first = db->stalled_last = NULL;
    append_all(db, list);
}

/* How long the caller is to wait for what was appended; small debts are left to grow. */
static uint64_t take_debt(struct kvs_db *db)
{
    uint64_t debt_ns = db->pace_debt_ns;
    if (debt_ns < PACE_LEAST_NS)
        return 0;
    debt_ns = debt_ns < PACE_MOST_NS ? debt_ns : PACE_MOST_NS;
    db->pace_debt_ns -= debt_ns;
    return debt_ns;
}

/* Waits so that compaction keeps up (space.c). No lock is held. */
static void pay(uint64_t debt_ns)
{
    if (debt_ns == 0)
        return;
    struct timespec pause = {0, (long)debt_ns};
    (void)nanosleep(&pause, NULL);
}

/* Sees to it that what is wanted of the disk has a leader (I6). The lock is held. may_lead: the calling
   thread, which waits for the disk. */
static enum leader find_leader(struct kvs_db *db, bool may_lead)
{
    if (db->leader != LEADER_NONE || !committer_is_wanted(db))
        return LEADER_NONE;
    if (may_lead)
        db->leader = LEADER_CALLER;
    else if (db->committer_runs)
        db->leader = LEADER_COMMITTER;
    return db->leader;
}

/* Appends what is queued until nothing is, and lets go of the lock. True: the calling thread is to lead a
   round (committer_lead). */
static bool drain_and_unlock(struct kvs_db *db, bool may_lead, uint64_t *ret_debt_ns)
{
    bool leads = false;
    uint64_t debt_ns = 0;
    for (;;) {
        append_stalled(db);
        append_queued(db);
        debt_ns += take_debt(db);
        enum leader leader = find_leader(db, may_lead);
        (void)pthread_mutex_unlock(&db->append_lock);
        if (leader == LEADER_CALLER)
            leads = true;
        else if (leader == LEADER_COMMITTER)
            committer_call(db);
        /* I4: one that was pushed before we let go saw the lock taken. */
        if (atomic_load_explicit(&db->queued, memory_order_seq_cst) == NULL ||
            pthread_mutex_trylock(&db->append_lock) != 0)
            break;
    }
    *ret_debt_ns = debt_ns < PACE_MOST_NS ? debt_ns : PACE_MOST_NS;
    return leads;
}

void appender_unlock(struct kvs_db *db)
{
    uint64_t debt_ns; /* not for the committer to pay: everybody waits for it */
    (void)drain_and_unlock(db, false, &debt_ns);
}

bool appender_unlock_to_wait(struct kvs_db *db)
{
    uint64_t debt_ns; /* of others, who do not wait for the disk: this is not their time */
    return drain_and_unlock(db, true, &debt_ns);
}

kvs_status appender_roll(struct kvs_db *db, struct kvs_error *err)
{
    for (;;) {
        kvs_status status = KVS_OK;
        (void)pthread_mutex_lock(&db->append_lock);
        if (db->active->records > 0) {
            struct segment *segment;
            status = maker_take_segment(db, 0, true, &segment, err);
            if (status == KVS_OK)
                activate(db, segment);
        }
        appender_unlock(db);
        if (status != KVS_BUSY)
            return status;
        maker_await(db);
    }
}

struct segment *appender_finish(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->append_lock);
    struct segment *empty = db->active->records == 0 ? db->active : NULL;
    if (empty == NULL)
        activate(db, NULL);
    db->active = NULL;
    appender_unlock(db);
    return empty;
}

static kvs_status check_batch(const struct kvs_batch *batch)
{
    uint64_t bytes = 0;
    if (batch->op_count == 0)
        return kvs_error_set(batch->err, KVS_INVALID, 0, "a batch has at least 1 operation");
    if (batch->op_count > STORE_BATCH_OPS_MAX)
        return kvs_error_set(batch->err, KVS_TOO_LARGE, 0,
                             "a batch of %" PRIu64 " operations is over the limit of %u",
                             batch->op_count, STORE_BATCH_OPS_MAX);
    for (uint64_t i = 0; i < batch->op_count; i++)
        bytes += batch->ops[i].key.len + batch->ops[i].value.len;
    if (bytes > STORE_BATCH_BYTES_MAX)
        return kvs_error_set(batch->err, KVS_TOO_LARGE, 0,
                             "a batch of %" PRIu64 " bytes is over the limit of %" PRIu64 " bytes",
                             bytes, STORE_BATCH_BYTES_MAX);
    return KVS_OK;
}

kvs_status appender_submit(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch)
{
    (void)tls;
    kvs_status status = check_batch(batch);
    if (status != KVS_OK)
        return status;
    uint64_t debt_ns = 0;
    prefetch(db, batch);
    if (pthread_mutex_trylock(&db->append_lock) == 0) {
        append_queued(db);
        status = append_in_turn(db, batch);
        (void)drain_and_unlock(db, false, &debt_ns);
    } else {
        queue_push(db, write_of(batch));
        status = KVS_PENDING;
        if (pthread_mutex_trylock(&db->append_lock) == 0) /* I4 */
            (void)drain_and_unlock(db, false, &debt_ns);
    }
    pay(debt_ns);
    return status;
}

/* ---- one operation, and waiting for it ---------------------------------------------------- */

/* A batch on the caller's stack. */
struct single {
    struct kvs_batch batch;
    struct kvs_op op;
    kvs_status status; /* written before the end of its round, read after it */
};

static void single_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct single *single = arg;
    (void)batch;
    single->status = status;
}

static kvs_status write_single(struct kvs_db *db, struct single *single, struct kvs_error *err)
{
    single->batch = (struct kvs_batch){
        .size = (uint32_t)sizeof(single->batch),
        .ops = &single->op,
        .op_count = 1,
        .complete = single_complete,
        .arg = single,
        .err = err,
    };
    /* The caller waits in any case, so it waits for the lock and takes the queue along. */
    uint64_t debt_ns;
    for (;;) {
        (void)pthread_mutex_lock(&db->append_lock);
        append_queued(db);
        kvs_status status = db->stalled_first != NULL ? KVS_BUSY : append(db, &single->batch);
        bool waits = status == KVS_PENDING;
        uint64_t round = db->round;
        single->status = status; /* before anybody else can complete it */
        if (drain_and_unlock(db, waits, &debt_ns))
            committer_lead(db);
        else if (waits)
            rounds_wait(&db->rounds, round);
        if (status != KVS_BUSY) /* I5 */
            break;
        maker_await(db);
    }
    pay(debt_ns);
    return single->status == KVS_OK ? single->op.status : single->status;
}

kvs_status appender_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                        struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    struct single single = {.op = {.kind = KVS_OP_SET, .key = key, .value = value}};
    return write_single(db, &single, err);
}

kvs_status appender_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                           struct kvs_error *err)
{
    (void)tls;
    struct single single = {.op = {.kind = KVS_OP_REMOVE, .key = key}};
    return write_single(db, &single, err);
}
