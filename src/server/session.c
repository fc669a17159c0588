/*
 * See session.h.
 *
 * I1  Requests are answered in order: while something is in the engine nothing else is decoded. The
 *     views that the engine works with lead into `input`, which nobody touches meanwhile.
 * I2  With more than SESSION_OUTPUT_HIGH bytes of output nothing is decoded, so a reader that takes
 *     nothing costs one reply more than that at most.
 * I3  `finish` is set before the engine is called: the completion may come before the call returns.
 */
#include "server/session.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "protocol/codec.h"

void session_init(struct session *session, const struct session_service *service)
{
    session->service = service;
    session->codec = &native_codec;
}

void session_deinit(struct session *session)
{
    buffer_deinit(&session->input);
    buffer_deinit(&session->output);
    write_group_free(session->writes);
    session->writes = NULL;
}

/* ---- writes ------------------------------------------------------------------------------- */

/* Runs on a thread of the engine's choosing, or inside submit. */
static void writes_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct session *session = arg;
    (void)batch;
    session->writes->status = status;
    session->service->completed(session);
}

static bool add_write(struct write_group *group, const struct store *store,
                      const struct command *command, const struct request *request, uint64_t size)
{
    struct kvs_op op;
    command->prepare(request, &op);
    if (!write_group_reserve(group, store, 1, op.key.len + op.value.len))
        return false;
    write_group_push(group, &op, request->id);
    group->input_size += size;
    return true;
}

/* Gathers the writes that follow in the input, as far as they are whole. */
static void gather_writes(struct write_group *group, const struct session *session)
{
    const struct store *store = session->service->commands->store;
    const uint8_t *content = buffer_content(&session->input);
    uint64_t available = buffer_size(&session->input);
    while (group->input_size < available) {
        struct request request;
        uint64_t size;
        if (session->codec->decode(
                bytes_of(content + group->input_size, available - group->input_size),
                &store->limits, &request, &size, NULL) != DECODE_REQUEST)
            return;
        const struct command *command = command_find(request.command);
        if (command == NULL || command->prepare == NULL ||
            !add_write(group, store, command, &request, size))
            return;
    }
}

/* Answers the writes of the complete group and lets go of their input. */
static enum session_step answer_writes(struct session *session, struct worker *worker)
{
    struct write_group *group = TAKE(session->writes);
    struct command_reply reply = {session->codec, &session->output};
    enum session_step step = SESSION_MORE;
    for (uint64_t i = 0; i < group->batch.op_count && step == SESSION_MORE; i++) {
        const char *message;
        kvs_status status = write_group_result(group, i, &message);
        if (status < 0)
            counter_add(&worker->counters.errors, 1);
        if (command_reply_write(&reply, group->tags[i], status, message) != KVS_OK)
            step = SESSION_ABORT;
    }
    counter_add(&worker->counters.requests, group->batch.op_count);
    buffer_consume(&session->input, group->input_size);
    worker_give_group(worker, group);
    return step;
}

/* Submits the write at the front of the input, and those that follow it. */
static enum session_step serve_writes(struct session *session, struct worker *worker,
                                      const struct command *command, const struct request *request,
                                      uint64_t size)
{
    struct store *store = session->service->commands->store;
    struct write_group *group = worker_take_group(worker);
    if (group == NULL)
        return SESSION_ABORT;
    (void)add_write(group, store, command, request, size);
    gather_writes(group, session);
    group->batch.complete = writes_complete;
    group->batch.arg = session;
    session->writes = group;
    session->finish = answer_writes; /* I3 */
    if (session->service->writes_wait)
        session->service->before_waiting(session, worker);

    kvs_status status = store_submit(store, worker->tls, &group->batch);
    if (status == KVS_PENDING)
        return SESSION_WAITING;
    group->status = status;
    return answer_writes(session, worker);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Answers a request that cannot be served. */
static enum session_step serve_error(struct session *session, struct worker *worker, uint64_t id,
                                     const struct kvs_error *error)
{
    struct command_reply reply = {session->codec, &session->output};
    counter_add(&worker->counters.requests, 1);
    counter_add(&worker->counters.errors, 1);
    return command_reply_write(&reply, id, error->status, error->msg) == KVS_OK ? SESSION_MORE
                                                                                : SESSION_ABORT;
}

static void skip_input(struct session *session, uint64_t size)
{
    uint64_t here = buffer_size(&session->input);
    uint64_t now = size < here ? size : here;
    buffer_consume(&session->input, now);
    session->skip = size - now;
}

/* Serves the whole request at the front of the input. */
static enum session_step serve_request(struct session *session, struct worker *worker,
                                       const struct request *request, uint64_t size)
{
    const struct command *command = command_find(request->command);
    if (command->prepare != NULL)
        return serve_writes(session, worker, command, request, size);
    struct command_reply reply = {session->codec, &session->output};
    kvs_status status = command->read(session->service->commands, worker->tls, request, &reply);
    counter_add(&worker->counters.requests, 1);
    buffer_consume(&session->input, size);
    return status == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

/* Serves one request. SESSION_MORE with a zero `needed`: it is done, look for the next. */
static enum session_step serve_next(struct session *session, struct worker *worker)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct request request;
    uint64_t size;
    const struct buffer *input = &session->input;
    switch (session->codec->decode(bytes_of(buffer_content(input), buffer_size(input)),
                                   &session->service->commands->store->limits, &request, &size,
                                   &error)) {
    case DECODE_REQUEST:
        return serve_request(session, worker, &request, size);
    case DECODE_MORE:
        session->needed = size;
        return SESSION_MORE;
    case DECODE_REJECT:
        skip_input(session, size);
        return serve_error(session, worker, request.id, &error);
    case DECODE_BROKEN:
    default:
        log_info(session->service->log, "closing a connection that sent no valid request: %s",
                 message);
        return serve_error(session, worker, request.id, &error) == SESSION_MORE ? SESSION_CLOSE
                                                                                : SESSION_ABORT;
    }
}

enum session_step session_serve(struct session *session, struct worker *worker)
{
    session->needed = 0;
    if (session->skip > 0)
        skip_input(session, session->skip);
    while (buffer_size(&session->input) > 0) {
        if (buffer_size(&session->output) >= SESSION_OUTPUT_HIGH)
            return SESSION_FLUSH; /* I2 */
        enum session_step step = serve_next(session, worker);
        if (step != SESSION_MORE || session->needed > 0)
            return step;
    }
    return SESSION_MORE;
}

enum session_step session_resume(struct session *session, struct worker *worker)
{
    return session->finish(session, worker);
}
