/*
 * See writer.h. Any thread submits; one at a time leads.
 *
 * I1  A batch is answered exactly once. Who takes the queue (one atomic exchange) answers all of it
 *     before he passes the baton: by complete(), except the leader's own batch, whose status his
 *     call returns. He knows it by its address and the call that it carries. The address is not
 *     enough: another leader may have answered it long ago, and its owner submitted it again from
 *     elsewhere. Nor is the call: an earlier batch of the same thread carries the same one.
 * I2  No batch is left lying. Who submits pushes and then tries for the baton, or wakes the
 *     committer; who leads passes the baton and then looks at the queue, and wakes the committer if
 *     there is anything. Push, try, pass and look are sequentially consistent: if the try failed,
 *     the one who held the baton passes it later, and sees the push. The committer says that he
 *     sleeps and then looks at the queue; who wakes him pushed before.
 * I3  Batches take effect in the order in which they were pushed, so those of one thread in the
 *     order in which it submitted them.
 * I4  Where a commit waits for the disk only the committer leads, and callers of set and remove,
 *     which wait anyway: submit never does.
 */
#include "writer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "limits.h"
#include "request.h"
#include "thread.h"

/* How many times a caller takes the queue before he leaves the rest to the committer: enough to
   take along what came while he committed, not so many that he works for others only. Once where
   each time waits for the disk. */
#define CALLER_ROUNDS 2u

#define GATE_SPINS 500u /* about 20 us: less than it takes to sleep and be woken */

static void wake_committer(struct writer *writer)
{
    if (atomic_exchange(&writer->asleep, false))
        (void)sem_post(&writer->wake);
}

static void push(struct writer *writer, struct kvs_batch *batch)
{
    struct kvs_batch *head = atomic_load_explicit(&writer->queue, memory_order_relaxed);
    do {
        request_set_next(batch, head);
    } while (!atomic_compare_exchange_weak(&writer->queue, &head, batch));
}

static bool is_queue_empty(struct writer *writer)
{
    return atomic_load(&writer->queue) == NULL;
}

/* Takes all that is queued, oldest first. */
static struct kvs_batch *take_queue(struct writer *writer)
{
    struct kvs_batch *list = NULL;
    struct kvs_batch *batch = atomic_exchange(&writer->queue, NULL);
    while (batch != NULL) {
        struct kvs_batch *next = request_next(batch);
        request_set_next(batch, list);
        list = batch;
        batch = next;
    }
    return list;
}

/* One call of submit, and what it returns. */
struct call {
    const struct kvs_batch *batch; /* only to compare with: it may be the host's again */
    kvs_status status;             /* KVS_PENDING until its batch was answered by this very call */
};

/* Answers a group (I1): from the moment that complete is entered a batch is the host's. */
static void answer(struct kvs_batch *list, struct call *own)
{
    while (list != NULL) {
        struct kvs_batch *batch = list;
        kvs_status status = request_status(batch);
        list = request_next(batch);
        if (own != NULL && batch == own->batch && request_caller(batch) == own)
            own->status = status;
        else
            batch->complete(batch->arg, batch, status);
    }
}

/* Takes the queue up to rounds times and does what is in it. For the baton's holder. */
static void lead(struct writer *writer, uint32_t rounds, struct call *own)
{
    for (uint32_t i = 0; i < rounds; i++) {
        struct kvs_batch *list = take_queue(writer);
        if (list == NULL)
            return;
        while (list != NULL)
            answer(group_commit(writer->group, &list), own);
    }
}

/* Queues a batch, and leads if nobody does and may_lead. */
static void start_call(struct writer *writer, struct kvs_batch *batch, bool may_lead,
                       struct call *call)
{
    *call = (struct call){.batch = batch, .status = KVS_PENDING};
    request_set_caller(batch, call);
    push(writer, batch);
    if (!may_lead) {
        wake_committer(writer);
    } else if (atomic_load(&writer->paused) == 0 && baton_try(&writer->baton)) {
        lead(writer, durable_commit_waits(writer->group->durable) ? 1 : CALLER_ROUNDS, call);
        baton_pass(&writer->baton);
        if (!is_queue_empty(writer))
            wake_committer(writer);
    }
}

static void *run_committer(void *arg)
{
    struct writer *writer = arg;
    for (;;) {
        while (atomic_load(&writer->paused) == 0 && !is_queue_empty(writer)) {
            baton_take(&writer->baton);
            lead(writer, 1, NULL);
            baton_pass(&writer->baton);
        }
        atomic_store(&writer->asleep, true);
        bool has_work = atomic_load(&writer->paused) == 0 && !is_queue_empty(writer);
        if (has_work || atomic_load(&writer->stopping)) {
            if (!atomic_exchange(&writer->asleep, false))
                (void)sem_wait(&writer->wake); /* somebody posts, or did */
            if (!has_work)
                return NULL;
            continue;
        }
        while (sem_wait(&writer->wake) != 0 && errno == EINTR)
            continue;
    }
}

kvs_status writer_start(struct writer *writer, struct group_context *group, struct kvs_error *err)
{
    memset(writer, 0, sizeof(*writer));
    writer->group = group;
    writer->gate_spins = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? GATE_SPINS : 0;
    baton_init(&writer->baton);
    (void)sem_init(&writer->wake, 0, 0);
    int code = thread_start(&writer->committer, "kvs-lmdb-commit", run_committer, writer);
    if (code != 0) {
        (void)sem_destroy(&writer->wake);
        return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot start the committing thread: %s",
                             strerror(code));
    }
    writer->started = true;
    return KVS_OK;
}

void writer_stop(struct writer *writer)
{
    if (!writer->started)
        return;
    atomic_store(&writer->stopping, true);
    wake_committer(writer);
    (void)pthread_join(writer->committer, NULL);
    (void)sem_destroy(&writer->wake);
    writer->started = false;
}

/* What can be refused before it is queued. */
static kvs_status admit(const struct writer *writer, const struct kvs_batch *batch)
{
    kvs_status status = limits_check_batch(batch, batch->err);
    return status == KVS_OK ? health_check(writer->group->health, batch->err) : status;
}

kvs_status writer_submit(struct writer *writer, struct kvs_batch *batch)
{
    kvs_status status = admit(writer, batch);
    if (status != KVS_OK)
        return status;
    struct call call;
    bool waits =
        durable_commit_waits(writer->group->durable) || (batch->flags & KVS_BATCH_DURABLE) != 0;
    start_call(writer, batch, !waits, &call);
    return call.status;
}

static void open_gate(void *arg, struct kvs_batch *batch, kvs_status status)
{
    (void)batch;
    (void)status; /* it is in the batch, which is ours */
    gate_open(arg);
}

kvs_status writer_call(struct writer *writer, struct kvs_op *op, struct kvs_error *err)
{
    struct gate gate;
    struct kvs_batch batch = {.size = sizeof(batch),
                              .ops = op,
                              .op_count = 1,
                              .complete = open_gate,
                              .arg = &gate,
                              .err = err};
    kvs_status status = admit(writer, &batch);
    if (status != KVS_OK)
        return status;
    struct call call;
    gate_init(&gate);
    start_call(writer, &batch, true, &call);
    if (call.status == KVS_PENDING)
        gate_wait(&gate, writer->gate_spins);
    status = request_status(&batch);
    return status == KVS_OK ? op->status : status;
}

void writer_pause(struct writer *writer)
{
    (void)atomic_fetch_add(&writer->paused, 1);
    baton_take(&writer->baton);
}

void writer_resume(struct writer *writer)
{
    baton_pass(&writer->baton);
    (void)atomic_fetch_sub(&writer->paused, 1);
    if (!is_queue_empty(writer))
        wake_committer(writer);
}
