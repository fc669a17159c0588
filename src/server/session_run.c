/*
 * Single commands of the Redis protocol (session_resp.h).
 *
 * I1  A command that writes puts its reply into the run's own buffer: it counts only when the commit
 *     is done, and the connection may send its output meanwhile.
 * I2  To be run again a command needs nothing but the input, which still begins with its request, and
 *     the client. The arguments are read again, since those in the worker are another's by then.
 */
#include "server/session_resp.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "command/transaction.h"

/* So many others were faster on the same keys, one after the other: something is wrong. */
#define ATTEMPTS_MAX 100000u

/* Runs the command with the arguments in the worker. */
static void call_command(struct session *session, struct worker *worker,
                         const struct resp_command *command, struct transaction *txn,
                         uint32_t transaction_flags, struct resp_writer *reply)
{
    const struct command_context *context = session->service->commands;
    struct call call = {
        .context = context,
        .tls = worker->tls,
        .command = command,
        .client = &session->client,
        .txn = txn,
        .arguments = worker->arguments.items,
        .argument_count = worker->arguments.count,
        .reply = reply,
        .now_ms = clock_unix_ms(),
    };
    transaction_begin(txn, context->store, worker->tls, call.now_ms, transaction_flags);
    command->run(&call);
}

/* A command that writes nothing: its reply goes straight to the output. */
static enum session_step run_at_once(struct session *session, struct worker *worker, uint32_t index,
                                     uint64_t size)
{
    const struct resp_command *command = session->service->commands->resp_commands->commands[index];
    struct run *run = worker_take_run(worker);
    uint32_t wrong_passwords = session->client.wrong_passwords;
    if (run == NULL)
        return SESSION_ABORT;
    struct resp_writer writer = session_resp_writer(session, &session->output);
    size_t start = buffer_size(&session->output);
    call_command(session, worker, command, run->txn,
                 (command->flags & RESP_READ) != 0 ? TRANSACTION_READ_ONLY : 0, &writer);
    worker_give_run(worker, run);
    if (session_is_reply_over(session, start) &&
        session_refuse_reply(session, worker, start) != SESSION_MORE)
        return SESSION_ABORT;
    session->trusted = session->client.authenticated; /* AUTH, HELLO, RESET */
    if (session->client.wrong_passwords != wrong_passwords &&
        session->service->wrong_password(session))
        session->client.close_after_reply = true;
    if (command->finished != NULL)
        command->finished(&session->client);
    return session_resp_end(session, worker, &writer, command_metrics_resp(index), size);
}

/* ---- with a commit ------------------------------------------------------------------------ */

static void commit_complete(void *arg, kvs_status status)
{
    struct session *session = arg;
    session->run->status = status;
    session->service->completed(session);
}

/* The reply of the run goes to the output, or what went wrong with its commit. */
static enum session_step answer(struct session *session, struct worker *worker)
{
    struct run *run = TAKE(session->run);
    const struct resp_command *command = run->command;
    struct buffer *output = &session->output;
    struct resp_writer writer = session_resp_writer(session, output);
    if (run->status == KVS_OK) {
        writer.status = run->reply_status;
        if (writer.status == KVS_OK)
            writer.status =
                buffer_append(output, buffer_content(&run->reply), buffer_size(&run->reply));
    } else {
        counter_add(&worker->counters.errors, 1);
        if (run->status == KVS_CONDITION_FAILED)
            resp_error(&writer, "ERR the keys are changed by others all the time, try again");
        else
            resp_fault(&writer, run->status, transaction_message(run->txn));
    }
    uint64_t size = run->size;
    uint32_t index = run->index;
    worker_give_run(worker, run);
    if (command->finished != NULL)
        command->finished(&session->client);
    return session_resp_end(session, worker, &writer, command_metrics_resp(index), size);
}

/* Runs the command and begins to commit. KVS_PENDING, or how it ended. */
static kvs_status attempt(struct session *session, struct worker *worker)
{
    struct run *run = session->run;
    struct resp_writer writer = session_resp_writer(session, &run->reply);
    buffer_consume(&run->reply, buffer_size(&run->reply));
    call_command(session, worker, run->command, run->txn, 0, &writer);
    run->reply_status = writer.status;
    (void)session_resp_keep_unquoted(session, worker);
    if (session->service->writes_wait && transaction_has_work(run->txn))
        session->service->before_waiting(session, worker);
    return transaction_commit(run->txn, commit_complete, session);
}

/* I2: reads the arguments of the request at the front of the input again. */
static void read_again(struct session *session, struct worker *worker)
{
    struct resp_parser parser = {0};
    uint64_t size;
    enum decode_result result = resp_decode(
        &parser, bytes_of(buffer_content(&session->input), buffer_size(&session->input)),
        &session->service->resp_limits, &worker->arguments, &size, NULL);
    session->run->status = result == DECODE_REQUEST ? KVS_OK : KVS_NO_MEMORY;
}

/* Goes on with a commit that ended: answers, or tries again. */
static enum session_step finish(struct session *session, struct worker *worker)
{
    struct run *run = session->run;
    while (run->status == KVS_CONDITION_FAILED && run->attempts < ATTEMPTS_MAX) {
        run->attempts++;
        read_again(session, worker);
        if (run->status != KVS_OK)
            break;
        kvs_status status = attempt(session, worker);
        if (status == KVS_PENDING)
            return SESSION_WAITING;
        run->status = status;
    }
    return answer(session, worker);
}

enum session_step session_run(struct session *session, struct worker *worker, uint32_t index,
                              uint64_t size)
{
    const struct resp_command *command = session->service->commands->resp_commands->commands[index];
    if ((command->flags & RESP_WRITE) == 0)
        return run_at_once(session, worker, index, size);
    struct run *run = worker_take_run(worker);
    if (run == NULL)
        return SESSION_ABORT;
    run->command = command;
    run->index = index;
    run->size = size;
    run->attempts = 0;
    session->run = run;
    session->finish = finish;
    kvs_status status = attempt(session, worker);
    if (status == KVS_PENDING)
        return SESSION_WAITING;
    run->status = status;
    return finish(session, worker);
}
