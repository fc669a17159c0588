/*
 * Commands of the native protocol that run over a transaction (native_keys.h); as session_run.c does it
 * for the Redis protocol.
 *
 * I1  The reply's body is collected in the run's own buffer: it counts only when the commit is done, and
 *     the connection may send its output meanwhile.
 * I2  To be run again a command needs nothing but its request, which still is at the front of the input
 *     and is read again.
 */
#include "server/session_native.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "command/native_keys.h"
#include "command/transaction.h"
#include "protocol/codec.h"
#include "protocol/native.h"
#include "server/worker.h"

/* So many others were faster on the same keys, one after the other: something is wrong. */
#define ATTEMPTS_MAX 100000u

static void commit_complete(void *arg, kvs_status status)
{
    struct session *session = arg;
    session->run->status = status;
    session->service->completed(session);
}

static enum session_step answer(struct session *session, struct worker *worker, kvs_status status,
                                const char *message)
{
    struct run *run = TAKE(session->run);
    struct command_reply reply = {&native_codec, &session->output};
    uint64_t id = load_le64(buffer_content(&session->input) + NATIVE_ID_OFFSET);
    if (status < 0)
        counter_add(&worker->counters.errors, 1);
    kvs_status written =
        status < 0
            ? command_reply_write(&reply, id, status, message)
            : native_codec.reply(&session->output, id, status,
                                 bytes_of(buffer_content(&run->reply),
                                          status == KVS_NOT_FOUND ? 0 : buffer_size(&run->reply)));
    worker_count_answered(worker, command_metrics_native(run->native->id), 1);
    buffer_consume(&session->input, run->size);
    worker_give_run(worker, run);
    return written == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

/* How the commit ended is known. */
static enum session_step answer_commit(struct session *session, struct worker *worker)
{
    struct run *run = session->run;
    if (run->status == KVS_CONDITION_FAILED)
        return answer(session, worker, KVS_BUSY, NULL);
    if (run->status != KVS_OK)
        return answer(session, worker, run->status, transaction_message(run->txn));
    return answer(session, worker, run->reply_status,
                  run->reply_status < 0 ? (const char *)buffer_content(&run->reply) : NULL);
}

static enum session_step finish(struct session *session, struct worker *worker);

/* A fault is told when the commit says that what it rests on stands: its message is kept as the reply
   meanwhile. False: no memory for that. */
static bool keep_fault(struct run *run, const char *message)
{
    transaction_forget_writes(run->txn);
    buffer_consume(&run->reply, buffer_size(&run->reply));
    return buffer_append(&run->reply, message, strlen(message) + 1) == KVS_OK;
}

/* Runs it once, and on if it is decided at once. */
static enum session_step attempt(struct session *session, struct worker *worker,
                                 const struct request *request)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct run *run = session->run;
    struct native_call call = {.context = session->service->commands,
                               .tls = worker->tls,
                               .txn = run->txn,
                               .request = request,
                               .now_ms = clock_unix_ms(),
                               .reply = &run->reply,
                               .err = &error};
    buffer_consume(&run->reply, buffer_size(&run->reply));
    transaction_begin(run->txn, call.context->store, worker->tls, call.now_ms,
                      run->native->writes ? 0 : TRANSACTION_READ_ONLY);
    run->reply_status = run->native->run(&call);
    if (run->reply_status < 0 && !keep_fault(run, message))
        return answer(session, worker, run->reply_status, message);
    run->status = KVS_OK;
    if (run->native->writes) {
        session->finish = finish; /* before the engine is called */
        if (session->service->writes_wait && transaction_has_work(run->txn))
            session->service->before_waiting(session, worker);
        kvs_status status = transaction_commit(run->txn, commit_complete, session);
        if (status == KVS_PENDING)
            return SESSION_WAITING;
        run->status = status;
    }
    return run->status == KVS_CONDITION_FAILED ? SESSION_MORE : answer_commit(session, worker);
}

/* Goes on with a commit that ended: answers, or tries again. */
static enum session_step finish(struct session *session, struct worker *worker)
{
    while (session->run->status == KVS_CONDITION_FAILED &&
           session->run->attempts++ < ATTEMPTS_MAX) {
        struct request request; /* I2: it was one, so it is one */
        uint64_t size;
        (void)native_codec.decode(
            bytes_of(buffer_content(&session->input), buffer_size(&session->input)),
            &session->service->commands->store->limits, &request, &size, NULL);
        enum session_step step = attempt(session, worker, &request);
        if (step != SESSION_MORE || session->run == NULL)
            return step;
    }
    return answer_commit(session, worker);
}

enum session_step session_native_run(struct session *session, struct worker *worker,
                                     const struct command *command, const struct request *request,
                                     uint64_t size)
{
    struct run *run = worker_take_run(worker);
    if (run == NULL)
        return SESSION_ABORT;
    run->native = command;
    run->size = size;
    run->attempts = 0;
    session->run = run;
    enum session_step step = attempt(session, worker, request);
    if (step != SESSION_MORE || session->run == NULL)
        return step;
    return finish(session, worker);
}
